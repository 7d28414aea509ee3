"""docs/databases.md: its tools run as they are written there, on PostgreSQL and on MariaDB."""

import re

import pytest

from mcpward import Database
from mcpward.testing import client
from support.matches import found
from support.sources import ROOT
from support.ward import serving, text_of
from support.wire import until

PAGE = (ROOT / "docs" / "databases.md").read_text(encoding="utf-8")
CODE = "\n\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
TABLES = {"postgresql": found(r"```sql\n(.*?)```", PAGE, re.DOTALL)[1], "mysql": found(r"```mysql\n(.*?)```", PAGE, re.DOTALL)[1]}  # fmt: skip  # noqa: E501


@pytest.fixture(params=["postgresql", "mysql"])
def url(request) -> str:
    server = request.getfixturevalue("postgres_server" if request.param == "postgresql" else "mariadb_server")
    name = server.create()
    server.sql(TABLES[request.param].strip().removesuffix(";"), name)
    return server.url(name)


@pytest.fixture
def tools(tmp_path):
    (tmp_path / "tools.py").write_text(CODE)
    return tmp_path / "tools.py"


async def test_the_tools_of_the_page_do_what_it_says(tools, url):
    async with client(tools, secrets={"SHOP_DATABASE_URL": url}) as shop:
        assert (await shop.call("is_open")).value is True
        assert (await shop.call("add_product", name="lamp", stock=2)).value == 1
        assert (await shop.call("add_product", name="lamp")).text == "that name is taken"
        assert (await shop.call("add_product", name="chair", stock=-1)).text == "a stock is 0 or more"
        assert (await shop.call("products", name="lamp")).value == [{"id": 1, "name": "lamp", "stock": 2}]
        assert (await shop.call("take", name="lamp", count=2)).text == "taken"
        assert (await shop.call("take", name="lamp")).text == "there are not so many"
        assert (await shop.call("add_product", name="50% chair", stock=5)).value > 1
        assert (await shop.call("move", source="50% chair", to="lamp", count=3)).text == "moved"
        assert (await shop.call("move", source="50% chair", to="lamp", count=3)).text == "there are not so many"
        assert (await shop.call("move", source="50% chair", to="sofa")).text == "there is no such product"

        async def listed(**given) -> list[str]:
            return [row["name"] for row in (await shop.call("catalogue", **given)).value]

        assert await listed() == ["50% chair", "lamp"]
        assert await listed(sort="scarcest", direction="down") == ["lamp", "50% chair"]
        assert await listed(part="0%") == ["50% chair"]
        assert await listed(part="_") == []
        assert await listed(names=["lamp", "sofa"], part="a") == ["lamp"]
        assert await listed(names=[]) == []
        assert (await shop.call("stock")).value["truncated"] is False
        assert (await shop.call("names_of_all")).value == len("lamp50% chair")


async def test_the_tool_for_mysql_returns_the_id_without_returning(tools, mariadb_server):
    name = mariadb_server.create()
    mariadb_server.sql(TABLES["mysql"].strip().removesuffix(";"), name)
    async with client(tools, secrets={"SHOP_DATABASE_URL": mariadb_server.url(name)}) as shop:
        assert [(await shop.call("add_on_mysql", name=one)).value for one in ("lamp", "chair")] == [1, 2]
        assert (await shop.call("add_on_mysql", name="lamp")).text == "that name is taken"


async def test_the_log_under_the_error_id_has_what_the_page_shows(tools, postgres_server):
    wrong = CODE.replace('WHERE name = :name", name=name, into', 'WHERE nmae = :name", name=name, into')
    assert wrong != CODE
    tools.write_text(wrong)
    name = postgres_server.create()
    postgres_server.sql(TABLES["postgresql"], name)
    async with client(tools, secrets={"SHOP_DATABASE_URL": postgres_server.url(name)}) as shop:
        failed = await shop.call("products", name="canary")
    shown = found(r"```\n(tools\.py:23.*?)```", PAGE, re.DOTALL)[1].splitlines()
    assert re.match(rf"\S*{re.escape(shown[0])}\n", failed.detail), failed.detail
    assert failed.detail.splitlines()[-4:] == shown[-4:]
    assert "canary" not in failed.detail
    assert "nmae" not in failed.text


async def test_a_site_starts_without_its_database_and_works_when_that_is_there(tmp_path, postgres_server):
    name = f"{postgres_server.create()}_later"
    with serving(tmp_path / "site", start=False, servers='[servers.demo]\nsource = "tools.py"\n') as site:
        (site.folder / "tools.py").write_text(CODE)
        site.extra_env["SHOP_DATABASE_URL"] = postgres_server.url(name)
        site.start()
        site.key = site.create_key()
        assert text_of(site.call("is_open")) == "false"
        postgres_server.sql(f"CREATE DATABASE {name}")
        assert text_of(site.call("is_open")) == "true"


BOUNDED = """
from mcpward import Database, Server, env

server = Server("shop")
db = Database(env.SHOP_DATABASE_URL, timeout_s=20)
short = Database(env.SHOP_DATABASE_URL, timeout_s=0.3)


@server.tool(read_only=True)
async def sleep() -> str:
    \"\"\"Sleep.\"\"\"
    await db.query("SELECT SLEEP(15)")
    return "slept"


@server.tool(read_only=True)
async def nap() -> str:
    \"\"\"Sleep for longer than one may.\"\"\"
    await short.query("SELECT pg_sleep(15)")
    return "slept"
"""


async def test_a_lower_limit_of_the_url_stays(tools, mariadb_server):
    tools.write_text(BOUNDED)
    url = f"{mariadb_server.url(mariadb_server.create())}?init_command=SET%20max_statement_time%3D0.2"
    async with client(tools, secrets={"SHOP_DATABASE_URL": url}) as shop:
        assert "max_statement_time exceeded" in (await shop.call("sleep")).detail


async def test_postgresql_cancels_what_took_too_long(tools, postgres_server):
    tools.write_text(BOUNDED)
    name = postgres_server.create()
    async with client(tools, secrets={"SHOP_DATABASE_URL": postgres_server.url(name)}) as shop:
        assert "longer than 0.3 s" in (await shop.call("nap")).detail
    active = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND query LIKE 'SELECT pg_sleep%'"
    until(lambda: postgres_server.sql(active) == "0")


async def test_a_url_that_asks_for_tls_gets_no_connection_in_clear(tools, postgres_server):
    url = f"{postgres_server.url(postgres_server.create())}?ssl=require"
    async with client(tools, secrets={"SHOP_DATABASE_URL": url}) as shop:
        assert (await shop.call("is_open")).value is False


async def test_each_connection_has_the_servers_own_limit(mariadb_server, postgres_server):
    name = postgres_server.create()
    maria = Database(mariadb_server.url(mariadb_server.create()), timeout_s=2)
    assert await maria.query("SELECT @@max_statement_time AS s") == [{"s": 2.5}]
    postgres = Database(postgres_server.url(name), timeout_s=2)
    assert await postgres.query("SELECT current_setting('statement_timeout') AS s") == [{"s": "2500ms"}]
    await postgres.close()
    postgres_server.sql(f"ALTER DATABASE {name} SET statement_timeout = '1s'")
    assert await postgres.query("SELECT current_setting('statement_timeout') AS s") == [{"s": "1s"}]
    for db in (maria, postgres):
        await db.close()
