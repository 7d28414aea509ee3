"""examples/orders: the same data everywhere, and tools that do what they say."""

import asyncio
import hashlib
import shutil
import sqlite3
import sys
from contextlib import closing

import msgspec
import pytest

from mcpward.core.clock import SystemClock
from mcpward.core.errors import Refusal
from mcpward.core.scope import Access
from mcpward.core.values import AuthMethod, Principal
from mcpward.tools.local import load_server
from mcpward.tools.registry import Registry
from mcpward.tools.run import Runner
from mcpward.validation.accept import accept
from support.back import Letterbox
from support.calls import PRINCIPAL, call_of
from support.sources import ROOT

#: The totals of all orders; the data is the same on every machine and with every Python.
DIGEST = "ca3a46f9f1ec3188"

WEEK = {"from_date": "2026-03-02T00:00:00Z", "to_date": "2026-03-09T00:00:00Z"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("example") / "orders"
    shutil.copytree(
        ROOT / "examples" / "orders", folder, ignore=shutil.ignore_patterns("*.db", ".mcpward", "__pycache__")
    )
    return folder


@pytest.fixture(scope="module")
def registry(folder):
    before = list(sys.path)
    yield Registry("orders", load_server(str(folder / "tools.py")))
    sys.path[:] = before
    sys.modules.pop("data", None)


@pytest.fixture
async def call(registry):
    runner = Runner(2, SystemClock())

    async def call(name: str, customer: str = "", scopes=(), channel=None, principal=None, **arguments):
        held = frozenset(scopes or ([] if customer else ["*"]))
        principal = principal or msgspec.structs.replace(PRINCIPAL, client=customer or "first key", scopes=held)
        made = call_of(name, msgspec.json.encode(arguments), principal=principal, progress_token=1)
        result = await runner.run(accept(made, registry.find(name)), channel or Letterbox())
        return msgspec.json.decode(msgspec.json.encode(result.structured)) if not result.is_error else result

    yield call
    await runner.close()


def rows(folder, sql: str):
    with closing(sqlite3.connect(folder / "orders.db")) as connection:
        return connection.execute(sql).fetchall()


def test_the_data_is_the_same_everywhere(registry, folder):
    counts = [rows(folder, f"SELECT count(*) FROM {table}")[0][0] for table in ("customers", "products", "orders")]
    assert counts == [500, 200, 50_000]
    text = repr(rows(folder, "SELECT * FROM orders ORDER BY id")).encode()
    assert hashlib.sha256(text).hexdigest()[:16] == DIGEST
    assert [path.name for path in folder.iterdir() if path.name.startswith(".orders")] == []


def test_what_is_offered_and_how_it_is_counted(registry):
    assert {tool.name: tool.access for tool in registry.tools} == {
        "query_orders": Access.READ,
        "order_summary": Access.READ,
        "search_products": Access.READ,
        "cancel_order": Access.DESTRUCTIVE,
        "slow_report": Access.READ,
    }
    assert registry.find("slow_report").scopes == {"orders:all"}  # it sums up the orders of all
    assert [resource.uri for resource in registry.resources] == ["orders://schema"]
    assert [prompt.name for prompt in registry.prompts] == ["weekly_review"]


async def test_orders_are_found_newest_first_within_the_limit(call):
    found = (await call("query_orders", **WEEK, limit=5))["result"]
    assert len(found) == 5
    times = [order["created_at"] for order in found]
    assert times == sorted(times, reverse=True)
    assert all("2026-03-02" <= time < "2026-03-09" for time in times)
    assert all(time.endswith("Z") for time in times)


async def test_times_are_stored_in_utc_and_both_ends_of_a_period_belong_to_it(call, folder):
    ((first, last),) = rows(folder, "SELECT min(created_at), max(created_at) FROM orders WHERE created_at < '2026-02'")
    assert first.endswith("Z")
    moments = {"from_date": first.replace(" ", "T"), "to_date": last.replace(" ", "T")}
    (count,) = rows(folder, f"SELECT count(*) FROM orders WHERE created_at BETWEEN '{first}' AND '{last}'")[0]
    assert (await call("order_summary", **moments))["orders"] == count
    newest = (await call("query_orders", **moments, limit=1))["result"][0]
    assert newest["created_at"] == moments["to_date"]


async def test_a_customer_sees_own_orders_and_no_others(call):
    year = {"from_date": "2026-03-01T00:00:00Z", "to_date": "2026-05-29T00:00:00Z", "limit": 100}
    email = (await call("query_orders", **WEEK, limit=1))["result"][0]["customer"]
    found = (await call("query_orders", email, **year))["result"]
    assert {order["customer"] for order in found} == {email}
    summary = await call("order_summary", email, **{name: year[name] for name in ("from_date", "to_date")})
    assert (summary["orders"], summary["customers"]) == (len(found), 1)


@pytest.mark.parametrize("nobody", ["laptop", "first key", "nobody@example.com", " ", "%", "*"])
async def test_who_is_no_customer_and_not_of_the_shop_sees_nothing(call, folder, nobody):
    assert (await call("query_orders", nobody, ["orders:read"], **WEEK))["result"] == []
    summary = await call("order_summary", nobody, **WEEK)
    assert summary == {"orders": 0, "customers": 0, "total_cents": 0, "by_status": {}}
    (number,) = rows(folder, "SELECT id FROM orders WHERE status = 'paid' LIMIT 1")[0]
    assert (await call("cancel_order", nobody, order_id=number)).is_error


async def test_a_scope_makes_a_key_one_of_the_shop(call):
    assert len((await call("query_orders", "laptop", ["orders:all"], **WEEK, limit=5))["result"]) == 5


async def test_a_customer_cannot_cancel_a_strangers_order(call, folder):
    number, customer = rows(folder, "SELECT id, customer_id FROM orders WHERE status = 'paid' LIMIT 1")[0]
    email = rows(folder, f"SELECT email FROM customers WHERE id <> {customer} LIMIT 1")[0][0]
    assert (await call("cancel_order", email, order_id=number)).is_error
    assert await call("cancel_order", order_id=number) == {"result": f"order {number} is cancelled"}
    assert rows(folder, f"SELECT status FROM orders WHERE id = {number}") == [("cancelled",)]
    with closing(sqlite3.connect(folder / "orders.db")) as connection, connection:
        connection.execute(f"UPDATE orders SET status = 'paid' WHERE id = {number}")


# ---- people with tokens ----

SPRING = {"from_date": "2026-03-01T00:00:00Z", "to_date": "2026-05-29T00:00:00Z", "limit": 100}


def person(
    subject: str, issuer: str = "https://id.example", scopes=("orders:read",), client: str = "desk"
) -> Principal:
    return Principal(
        key=f"oauth:{issuer}|{subject}", way=AuthMethod.OAUTH, server="orders", subject=subject, issuer=issuer,
        client=client, scopes=frozenset(scopes),
    )  # fmt: skip


async def seen(call, **who) -> list[dict]:
    return (await call("query_orders", principal=person(**who), **SPRING))["result"]


async def test_each_person_sees_own_orders_and_the_same_ones_again(call):
    people = [{"subject": "auth0|ann"}, {"subject": "auth0|ben"}, {"subject": "auth0|ann", "issuer": "https://b"}]
    orders = [await seen(call, **who) for who in people]
    customers = [{order["customer"] for order in each} for each in orders]
    assert [len(each) for each in customers] == [1, 1, 1]
    assert len(set.union(*customers)) == 3
    assert [await seen(call, **who) for who in people] == orders
    summary = await call(
        "order_summary", principal=person("auth0|ann"), from_date=SPRING["from_date"], to_date=SPRING["to_date"]
    )
    assert (summary["orders"], summary["customers"]) == (len(orders[0]), 1)


async def test_many_who_come_for_the_first_time_at_once_have_one_account_each(call, folder):
    found = await asyncio.gather(*(seen(call, subject=f"new-{number % 4}") for number in range(16)))
    customers = [{order["customer"] for order in each} for each in found]
    assert len({frozenset(each) for each in customers}) == 4
    assert customers[:4] == customers[4:8] == customers[12:]
    assert rows(folder, "SELECT count(*) FROM accounts WHERE subject LIKE 'new-%'") == [(4,)]


async def test_a_subject_that_is_a_customers_address_is_that_customer(call):
    for email in ("ben.berg.1@example.com", "chen.costa.2@example.com"):
        assert {order["customer"] for order in await seen(call, subject=email)} == {email}


@pytest.mark.parametrize(
    "subject", ["stranger@example.com", "BEN.BERG.1@EXAMPLE.COM", "%@example.com", "'@example.com"]
)
async def test_an_address_that_is_no_customers_sees_nothing(call, subject):
    assert await seen(call, subject=subject) == []


async def test_the_same_address_of_another_provider_is_somebody_else(call):
    email = "dina.duarte.3@example.com"
    assert await seen(call, subject=email)
    assert await seen(call, subject=email, issuer="https://elsewhere.example") == []


async def test_a_clients_name_opens_nobodys_orders(call):
    email = "emil.eriksen.4@example.com"
    assert {order["customer"] for order in await seen(call, subject="auth0|mallory", client=email)}.isdisjoint({email})


async def test_a_person_of_the_shop_sees_all_and_needs_no_account(call, folder):
    found = await seen(call, subject="auth0|boss", scopes=["orders:read", "orders:all"])
    assert len({order["customer"] for order in found}) > 50
    assert rows(folder, "SELECT * FROM accounts WHERE subject = 'auth0|boss'") == []


async def test_a_person_cancels_own_orders_alone(call, folder):
    email = "fay.fischer.5@example.com"
    assert await seen(call, subject=email)
    own, others = (
        rows(folder, f"""SELECT o.id FROM orders o JOIN customers c ON c.id = o.customer_id
                          WHERE o.status = 'paid' AND c.email {sign} '{email}' LIMIT 1""")[0][0]
        for sign in ("=", "<>")
    )  # fmt: skip
    assert (await call("cancel_order", principal=person(email), order_id=others)).is_error
    assert await call("cancel_order", principal=person(email), order_id=own) == {"result": f"order {own} is cancelled"}
    with closing(sqlite3.connect(folder / "orders.db")) as connection, connection:
        connection.execute(f"UPDATE orders SET status = 'paid' WHERE id = {own}")


async def test_when_all_customers_are_taken_the_next_person_sees_nothing(call, folder):
    with closing(sqlite3.connect(folder / "orders.db")) as connection, connection:
        connection.execute("""INSERT INTO accounts SELECT 'crowd', id, id FROM customers
                               WHERE id NOT IN (SELECT customer_id FROM accounts)""")
    try:
        assert await seen(call, subject="auth0|late") == []
    finally:
        with closing(sqlite3.connect(folder / "orders.db")) as connection, connection:
            connection.execute("DELETE FROM accounts WHERE issuer = 'crowd'")


def test_a_database_of_before_gets_its_accounts(registry, folder, tmp_path):
    shutil.copy(folder / "orders.db", tmp_path / "orders.db")
    with closing(sqlite3.connect(tmp_path / "orders.db")) as connection, connection:
        connection.execute("DROP TABLE accounts")
    sys.modules["data"].require_data(tmp_path / "orders.db")
    assert rows(tmp_path, "SELECT count(*) FROM accounts") == [(0,)]


async def test_products_are_found_by_a_part_of_their_name(call):
    found = (await call("search_products", words="oak", limit=3))["result"]
    assert [product["name"] for product in found] == ["Oak Chair 10", "Oak Desk 20", "Oak Shelf 30"]
    assert (await call("search_products", words="%%"))["result"] == []


async def test_a_long_period_is_refused(call):
    with pytest.raises(Refusal):
        await call("query_orders", from_date="2026-01-01T00:00:00Z", to_date="2026-12-31T00:00:00Z")


async def test_the_slow_report_says_how_far_it_is(call):
    channel = Letterbox()
    assert "year's orders" in (await call("slow_report", channel=channel, steps=2))["result"]
    assert [message["params"]["progress"] for message in channel.messages] == [1, 2]
