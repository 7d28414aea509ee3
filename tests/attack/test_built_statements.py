"""Attacks 68-70 within a tool: whatever way its code makes SQL of an argument, nothing of that reaches the database.

Sources: CWE-89, CWE-95; OWASP SQL Injection Prevention Cheat Sheet, "Allow-list Input Validation" for identifiers.
"""

import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import pytest

from mcpward.core.errors import Misconfigured
from mcpward.testing import client
from support.built_sql import HELPER, HONEST, HOSTILE, STOCK_SQL, hostile_source

REFUSALS = (
    "mcpward.sdk.errors.StatementRefused: the statement is no constant of your code",
    "mcpward.sdk.errors.StatementRefused: the names of an Identifier are literals of your code",
    "mcpward.sdk.errors.StatementRefused: sql is made by sql(…), + and join() only",
    "mcpward.sdk.errors.StatementRefused: {by} is a str",
    "mcpward.sdk.errors.AuthoringError: sql.file: the name is no literal of your code",
)
#: Built: a constant of this file would be one of the author's, who is in the same process here.
PAYLOAD, WHOLE = (mark.replace("X", "canary_4711") for mark in ("X' OR '1'='1", "SELECT name FROM products -- X"))
PRODUCTS = ("lamp", 2), ("chair", 0), ("50% o'ff_", 9)


@dataclass(frozen=True)
class Place:
    """A database with products. ``heard`` is what its server was sent, as far as it says so."""

    kind: str
    url: str
    heard: Callable[[], str]


def filled(run: Callable[[str], object]) -> None:
    run("CREATE TABLE products (id INTEGER PRIMARY KEY, name VARCHAR(50) NOT NULL UNIQUE, stock INTEGER)")
    run("CREATE TABLE shelves (id INTEGER PRIMARY KEY)")
    for number, (name, stock) in enumerate(PRODUCTS, 1):
        quoted = name.replace("'", "''").replace("%", "%%")
        run(f"INSERT INTO products VALUES ({number}, '{quoted.replace('%%', '%')}', {stock})")


@pytest.fixture(scope="module")
def logged(mariadb_server, tmp_path_factory) -> Iterator[Place]:
    """MariaDB, which writes every statement that reaches it into a file."""
    name = mariadb_server.create()
    filled(lambda statement: mariadb_server.sql(statement, name))
    log = tmp_path_factory.mktemp("mariadb-log") / "general.log"
    mariadb_server.sql(f"SET GLOBAL general_log_file = '{log}'")
    mariadb_server.sql("SET GLOBAL general_log = 1")
    yield Place("mysql", mariadb_server.url(name), lambda: log.read_text(encoding="utf-8", errors="replace"))
    mariadb_server.sql("SET GLOBAL general_log = 0")


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def place(request, tmp_path) -> Place:
    if request.param == "sqlite":
        file = tmp_path / "shop.db"
        with closing(sqlite3.connect(file)) as connection, connection:
            filled(connection.execute)
        return Place("sqlite", f"sqlite:///{file}", str)
    server = request.getfixturevalue("postgres_server" if request.param == "postgresql" else "mariadb_server")
    name = server.create()
    filled(lambda statement: server.sql(statement, name))
    return Place(request.param, server.url(name), str)


@pytest.fixture(autouse=True)
def modules() -> Iterator[None]:
    before = {*sys.modules}
    yield
    for name in {*sys.modules} - before:
        if name.startswith(("helper_", "made_by_hand")):
            del sys.modules[name]


def at_run_time(detail: str) -> str:
    """By what a call failed: by this control, or by an accident that proves nothing."""
    last = [line for line in detail.splitlines() if line.startswith("mcpward.")]
    return "at run time" if last and last[-1].startswith(REFUSALS) else f"failed: {detail[-800:]}"


async def outcome(folder: Path, url: str, body: str, given: str = PAYLOAD) -> str:
    """Return where a tool with that body is refused: ``at registration``, ``at run time``; else what it returned."""
    helper = f"helper_{token_hex(4)}"
    (folder / f"{helper}.py").write_text(HELPER)
    tools = folder / "tools.py"
    tools.write_text(hostile_source(body, url, helper))
    try:
        async with client(tools) as shop:
            failed = await shop.call("attack", given=given)
            assert "canary" not in failed.text
            assert "SELECT" not in failed.text
            assert (await shop.call("known")).value
            return at_run_time(failed.detail) if failed.is_error else f"answered {failed.text}"
    except Misconfigured as refused:
        for finding in refused.findings:
            assert finding.where.partition(":")[2].isdigit(), finding
            assert "SQL is built by" in finding.what
            assert finding.hint
        return "at registration"


@pytest.mark.parametrize("way", HOSTILE)
async def test_attack_68_no_way_of_making_sql_of_an_argument_reaches_the_database(tmp_path, logged, way):
    given = WHOLE if "parameter" in way else PAYLOAD
    assert await outcome(tmp_path, logged.url, HOSTILE[way], given) in {"at registration", "at run time"}
    assert "cana" not in logged.heard()


async def test_the_common_ways_are_refused_before_the_first_call(tmp_path):
    common = ("f-string", "percent", "plus", "added to", "format", "format_map", "join", "replace", "Template", "bytes",
              "a walrus", "a parameter", "sql with an argument", "sql with an f-string", "a stream",
              "a transaction")  # fmt: skip
    for way in common:
        assert await outcome(tmp_path, f"sqlite:///{tmp_path}/none.db", HOSTILE[way]) == "at registration", way


async def test_what_the_server_writes_down_is_everything(tmp_path, logged):
    """The count above counts: a value that is bound does reach the server."""
    body = (
        'return await db.query("SELECT name FROM products WHERE name = :given", given=given.replace("canary", "bird"))'
    )
    assert await outcome(tmp_path, logged.url, body) == "answered []"
    assert "bird_4711" in logged.heard()


def ids(result) -> list[int]:
    return [row["id"] for row in result.value]


async def test_attack_69_honest_dynamic_statements_run_and_no_other_name_gets_in(tmp_path, place):
    (tmp_path / "stock.sql").write_text(STOCK_SQL)
    (tmp_path / "tools.py").write_text(HONEST.replace("URL", place.url))
    async with client(tmp_path / "tools.py") as shop:
        assert ids(await shop.call("sorted_by", sort="cheapest")) == [2, 1, 3]
        assert ids(await shop.call("sorted_by")) == [3, 2, 1]
        assert ids(await shop.call("directed", sort="id", way="desc")) == [3, 2, 1]
        assert ids(await shop.call("directed", sort="id", way="asc")) == [1, 2, 3]
        assert ids(await shop.call("filtered")) == [1, 2, 3]
        assert ids(await shop.call("filtered", least=1)) == [1, 3]
        assert ids(await shop.call("filtered", name="lamp", least=1)) == [1]
        assert (await shop.call("counted", table="shelves")).value == [{"n": 0}]
        assert (await shop.call("chosen", columns=["id", "cheapest"])).value[0] == {"id": 1, "stock": 2}
        assert ids(await shop.call("either", names=["lamp", "chair", "x"])) == [1, 2]
        assert ids(await shop.call("either", names=[])) == []
        assert ids(await shop.call("maybe")) == [1, 2, 3]
        assert ids(await shop.call("maybe", name="lamp")) == [1]
        assert ids(await shop.call("search", words="% o'f")) == [3]
        assert ids(await shop.call("from_file", least=2)) == [1, 3]
        assert ids(await shop.call("paged", sort="id", limit=1, skip=1)) == [2]
        assert (await shop.call("set_column", column="stock", id=2, to=5)).value == 1
        assert (await shop.call("many")).value == 3
        schema = next(one for one in await shop.tools() if one["name"] == "sorted_by")["inputSchema"]
        assert schema["properties"]["sort"]["enum"] == ["name", "id", "cheapest"]
        for name in ("stock", "name, (SELECT 1)", 'name" DESC, "id', "name`", "products; DROP TABLE products"):
            for tool, argument in (("sorted_by", {"sort": name}), ("counted", {"table": name})):
                refused = await shop.call(tool, **argument)
                assert refused.is_error
                assert "DROP" not in refused.text
        assert ids(await shop.call("filtered")) == [1, 2, 3]


async def test_attack_70_wildcards_of_a_caller_are_letters(tmp_path, place):
    (tmp_path / "tools.py").write_text(HONEST.replace("URL", place.url))
    async with client(tmp_path / "tools.py") as shop:
        for words, found in {
            "%": [3],
            "_": [3],
            "50%": [3],
            "l_mp": [],
            "%a%": [],
            "!": [],
            "\\": [],
            "": [1, 2, 3],
        }.items():
            assert ids(await shop.call("search", words=words)) == found, words
        assert ids(await shop.call("search", words="%_" * 500)) == []
