"""All statements of a transaction happen, or none, on SQLite, PostgreSQL and MariaDB."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from mcpward import ConstraintViolated, Database, DatabaseFailed, StatementRefused, ToolError
from support.databases import KINDS, Place, empty_database


@pytest.fixture(params=KINDS)
def place(request, tmp_path) -> Place:
    made = empty_database(request, tmp_path)
    made.run("CREATE TABLE accounts (id INTEGER PRIMARY KEY, cents INTEGER NOT NULL CHECK (cents >= 0))")
    made.run("INSERT INTO accounts VALUES (1, 100), (2, 0)")
    return made


@pytest.fixture
async def db(place) -> AsyncIterator[Database]:
    db = Database(place.url, read_only=False, max_concurrency=2, timeout_s=5)
    yield db
    await db.close()


#: Changes that begin like a query.
WRITING = {
    "sqlite": "WITH x AS (SELECT 1 AS a) DELETE FROM accounts WHERE id IN (SELECT a FROM x)",
    "postgresql": "WITH x AS (DELETE FROM accounts RETURNING id) SELECT id FROM x",
    "mysql": "WITH x AS (SELECT 1 AS a) DELETE FROM accounts WHERE id IN (SELECT a FROM x)",
}


async def cents(db: Database) -> list[int]:
    return [row["cents"] for row in await db.query("SELECT cents FROM accounts ORDER BY id")]


async def pay(db: Database, amount: int) -> None:
    async with db.transaction() as tx:
        await tx.execute("UPDATE accounts SET cents = cents + :amount WHERE id = 2", amount=amount)
        await tx.execute("UPDATE accounts SET cents = cents - :amount WHERE id = 1", amount=amount)


async def test_all_of_it_happens(db):
    await pay(db, 30)
    assert await cents(db) == [70, 30]


async def test_none_of_it_happens_if_one_statement_fails(db):
    with pytest.raises(ConstraintViolated):
        await pay(db, 101)
    assert await cents(db) == [100, 0]


async def test_none_of_it_happens_if_the_authors_code_fails(db):
    async def refuse() -> None:
        async with db.transaction() as tx:
            await tx.execute("UPDATE accounts SET cents = 0 WHERE id = 1")
            assert await tx.query("SELECT cents FROM accounts WHERE id = 1") == [{"cents": 0}]
            raise ToolError("no")

    with pytest.raises(ToolError, match="no"):
        await refuse()
    assert await cents(db) == [100, 0]


async def test_two_that_read_and_then_write_do_not_lose_a_change(place, db):
    async def take() -> None:
        async with db.transaction() as tx:
            if place.kind == "sqlite":
                (row,) = await tx.query("SELECT cents FROM accounts WHERE id = 1")
            else:
                (row,) = await tx.query("SELECT cents FROM accounts WHERE id = 1 FOR UPDATE")
            await tx.execute("UPDATE accounts SET cents = :left WHERE id = 1", left=row["cents"] - 10)

    await asyncio.gather(*(take() for _ in range(6)))
    assert (await cents(db))[0] == 40


async def test_it_has_its_time_in_all_and_then_nothing_of_it_happened(place):
    db = Database(place.url, read_only=False, max_concurrency=1, timeout_s=0.4)

    async def linger() -> None:
        async with db.transaction() as tx:
            await tx.execute("UPDATE accounts SET cents = 5 WHERE id = 1")
            await asyncio.Event().wait()

    with pytest.raises(DatabaseFailed, match=r"longer than 0\.4 s"):
        await linger()
    await db.close()
    db = Database(place.url, read_only=False)
    assert await cents(db) == [100, 0]
    await db.close()


async def test_it_is_cancelled_with_its_call_and_its_connection_is_free_again(place):
    db = Database(place.url, read_only=False, max_concurrency=1, timeout_s=10)
    begun = asyncio.Event()

    async def call() -> None:
        async with db.transaction() as tx:
            await tx.execute("UPDATE accounts SET cents = 5 WHERE id = 1")
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(call())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await cents(db) == [100, 0]
    await db.close()


async def test_what_goes_past_an_open_transaction_is_refused_at_once(place):
    db = Database(place.url, read_only=False, max_concurrency=1)
    with pytest.raises(StatementRefused, match=r"tx\.query"):
        async with db.transaction():
            await db.query("SELECT 1 AS one")
    with pytest.raises(StatementRefused, match=r"tx\.query"):
        async with db.transaction():
            await asyncio.gather(db.execute("DELETE FROM accounts"))
    with pytest.raises(StatementRefused, match="open here"):
        async with db.transaction(), db.transaction():
            pass
    with pytest.raises(StatementRefused, match="open here"):
        async with db.transaction():
            _ = [row async for row in db.stream("SELECT id FROM accounts")]
    assert await cents(db) == [100, 0]
    await db.close()


async def test_a_task_that_outlives_the_transaction_it_began_in_runs_statements_of_its_own(db):
    ended = asyncio.Event()

    async def later() -> int:
        await ended.wait()
        return len(await db.query("SELECT 1 AS one"))

    async with db.transaction():
        task = asyncio.create_task(later())
    ended.set()
    assert await task == 1


async def test_it_takes_no_statement_after_its_end_and_one_at_a_time_before(db):
    async with db.transaction() as tx:
        assert await asyncio.gather(*(tx.query("SELECT :n + 0 AS n", n=n) for n in range(5)))
    with pytest.raises(StatementRefused, match="has ended"):
        await tx.query("SELECT 1 AS one")


async def test_its_query_does_not_write_and_its_texts_are_constants(place, db):
    built = "DELETE FROM accounts".replace("accounts", "accounts WHERE id = 1")
    async with db.transaction() as tx:
        with pytest.raises(StatementRefused, match="no constant"):
            await tx.execute(built)
        with pytest.raises((StatementRefused, DatabaseFailed)):
            await tx.query(WRITING[place.kind])
    assert await cents(db) == [100, 0]


async def test_a_read_only_database_has_one_that_reads_the_same_state_throughout(place):
    db = Database(place.url)
    async with db.transaction() as tx:
        assert len(await tx.query("SELECT id FROM accounts")) == 2
        with pytest.raises(StatementRefused, match="read-only"):
            await tx.execute("DELETE FROM accounts")
    async with db.transaction() as tx:
        with pytest.raises(DatabaseFailed):
            await tx.query(WRITING[place.kind])
    assert await cents(db) == [100, 0]
    await db.close()
