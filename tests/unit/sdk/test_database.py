"""A database that can do no more than it must (attacks 68, 71, 72), and whose messages reach no caller."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import msgspec
import pytest
from pydantic import BaseModel

from mcpward import Database, ToolError
from mcpward.core.secret import Secret
from mcpward.core.work import Work, current
from mcpward.sdk.database.statement_timeout import within
from mcpward.sdk.errors import DatabaseFailed, DatabaseMisuse, StatementRefused
from support.back import Letterbox
from support.waiting import soon

FOREVER = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) AS n FROM c"


class Model(BaseModel):
    id: int
    at: datetime


@dataclass
class Point:
    id: int
    at: datetime


class Row(msgspec.Struct):
    id: int
    at: datetime


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "it's a 100% #1 file.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, at TEXT)")
        rows = [(number, f"name {number}", "2026-01-02 03:04:05") for number in range(1, 51)]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    return path


@pytest.fixture
async def db(path):
    db = Database(Secret(f"sqlite:///{path}"), timeout_s=5, row_cap=60)
    yield db
    await db.close()


@pytest.fixture
async def writer(path):
    db = Database(f"sqlite:///{path}", timeout_s=5, read_only=False)
    yield db
    await db.close()


def count(path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM t").fetchone()[0]


def dump(path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


async def test_rows_come_as_dicts(db):
    assert await db.query("SELECT id, name FROM t WHERE id = :id", id=1) == [{"id": 1, "name": "name 1"}]


@pytest.mark.parametrize("into", [Model, Point, Row])
async def test_rows_come_as_the_type_that_is_asked_for(db, into):
    rows = await db.query("SELECT id, at FROM t WHERE id < :id ORDER BY id", id=3, into=into)
    assert [type(row) for row in rows] == [into, into]
    assert rows[0].at.year == 2026


async def test_a_row_that_does_not_fit_is_told_without_its_values(db):
    with pytest.raises(DatabaseFailed) as failed:
        await db.query("SELECT name AS id, at FROM t", into=Model)
    assert "name 1" not in str(failed.value)


async def test_times_are_bound_as_sqlite_writes_them(db):
    rows = await db.query(
        "SELECT :aware AS a, :naive AS n",
        aware=datetime(2026, 1, 2, tzinfo=UTC),
        naive=datetime(2026, 1, 2, tzinfo=UTC).replace(tzinfo=None),
    )
    assert rows == [{"a": "2026-01-02 00:00:00", "n": "2026-01-02 00:00:00"}]


async def test_a_list_is_several_values(db):
    rows = await db.query("SELECT id FROM t WHERE id IN :ids ORDER BY id", ids=[3, 1, 99])
    assert [row["id"] for row in rows] == [1, 3]


@pytest.mark.parametrize("text", ["' OR 1=1 --", "1; DROP TABLE t", '" OR ""="', "%", ":id"])
async def test_a_value_is_never_sql(db, path, text):
    assert await db.query("SELECT id FROM t WHERE name = :name", name=text) == []
    assert count(path) == 50


async def test_a_value_of_another_type_is_refused_by_name(db):
    with pytest.raises(StatementRefused, match=":name has the type dict"):
        await db.query("SELECT :name", name={"canary": 1})


@pytest.mark.parametrize(
    "sql",
    [
        "WITH a AS (SELECT 1) DELETE FROM t",
        "WITH a AS (SELECT 1) INSERT INTO t SELECT 99, 'x', 'y'",
        "SELECT \"load_extension\"('x')",
        "SELECT * FROM pragma_table_info('t')",
        "SELECT * FROM nowhere",
    ],
)
async def test_what_the_text_does_not_show_the_connection_still_refuses(db, path, sql):
    with pytest.raises(DatabaseFailed) as failed:
        await db.query(sql)
    assert count(path) == 50
    assert "nowhere" not in str(failed.value)
    assert failed.value.__cause__ is None


async def test_each_lock_of_a_read_only_connection_holds_alone(db, path):
    await db.query("SELECT 1")
    async with db._opened().connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        with pytest.raises(sqlite3.DatabaseError, match="not authorized"):
            await driver.execute("DELETE FROM t")
        await driver.set_authorizer(None)
        assert await driver.execute_fetchall("PRAGMA query_only") == [(1,)]
        await driver.execute("PRAGMA query_only = OFF")
        with pytest.raises(sqlite3.OperationalError, match="readonly database"):
            await driver.execute("DELETE FROM t")
        await connection.invalidate()
    assert count(path) == 50


async def test_a_read_only_database_does_not_execute(db):
    with pytest.raises(StatementRefused, match="read-only"):
        await db.execute("DELETE FROM t")


async def test_execute_changes_rows_and_says_how_many(writer, path):
    assert await writer.execute("DELETE FROM t WHERE id <= :id", id=10) == 10
    assert count(path) == 40


@pytest.mark.parametrize(
    "sql",
    [
        "WITH x AS (SELECT 51 AS id) INSERT INTO t SELECT id, 'new', '' FROM x",
        "WITH x AS (SELECT 51 AS id) INSERT INTO t SELECT id, 'new', '' FROM x RETURNING id",
        "WITH x AS (SELECT 1 AS id) DELETE FROM t WHERE id IN (SELECT id FROM x)",
        "WITH x AS (SELECT 1 AS id) UPDATE t SET name = 'new' WHERE id IN (SELECT id FROM x) RETURNING id",
        "WITH x AS (SELECT 51 AS id) REPLACE INTO t SELECT id, 'new', '' FROM x",
    ],
)
async def test_a_query_changes_nothing_on_a_database_that_can_be_written(writer, path, sql):
    """Attack 118: ``WITH`` begins a SELECT and a DELETE alike."""
    before = dump(path)
    for _ in range(2):
        with pytest.raises(DatabaseFailed):
            await writer.query(sql)
    assert dump(path) == before
    assert await writer.execute("UPDATE t SET name = 'mine' WHERE id = :id", id=1) == 1
    assert await writer.query("SELECT name FROM t WHERE id = 1") == [{"name": "mine"}]


async def test_queries_do_not_keep_changes_beside_them_from_happening(writer):
    changes = [writer.execute("UPDATE t SET name = 'mine' WHERE id = :id", id=number) for number in range(1, 21)]
    queries = [writer.query("SELECT count(*) AS n FROM t") for _ in range(20)]
    done = await asyncio.gather(*(each for pair in zip(changes, queries, strict=True) for each in pair))
    assert done == [1, [{"n": 50}]] * 20


async def test_queries_in_memory_wait_for_each_other():
    db = Database("sqlite://", read_only=False)
    assert await asyncio.gather(*(db.query("SELECT :n AS n", n=n) for n in range(20))) == [
        [{"n": n}] for n in range(20)
    ]
    await db.close()


async def test_a_query_that_was_stopped_leaves_the_connection_able_to_write(path):
    db = Database(f"sqlite:///{path}", timeout_s=0.3, read_only=False, max_concurrency=1)
    with pytest.raises(DatabaseFailed):
        await db.query(FOREVER)
    assert await db.execute("DELETE FROM t WHERE id = 1") == 1
    await db.close()


async def test_the_writing_connection_cannot_change_the_tables_themselves(writer, path):
    for sql in ("WITH a AS (SELECT 1) DELETE FROM t", "DELETE FROM sqlite_master"):
        with pytest.raises((StatementRefused, DatabaseFailed)):
            await writer.execute(sql)
    assert count(path) == 50


async def test_more_rows_than_the_cap_are_refused_not_cut(path):
    db = Database(f"sqlite:///{path}", row_cap=49)
    with pytest.raises(ToolError, match="more than 49 rows"):
        await db.query("SELECT id FROM t")
    assert len(await db.query("SELECT id FROM t WHERE id < 50")) == 49
    await db.close()


async def test_a_statement_that_runs_too_long_is_stopped_and_the_next_one_runs(path):
    db = Database(f"sqlite:///{path}", timeout_s=0.2, max_concurrency=1)
    with pytest.raises(DatabaseFailed, match="longer than"):
        await asyncio.wait_for(db.query(FOREVER), 5)
    db._timeout_s = 5
    assert await db.query("SELECT 1 AS one") == [{"one": 1}]
    await db.close()


async def test_cancelling_the_call_stops_its_statement(path):
    db = Database(f"sqlite:///{path}", timeout_s=30, max_concurrency=1)
    await db.query("SELECT 1")
    task = asyncio.create_task(db.query(FOREVER))
    await asyncio.wait({task}, timeout=0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert await db.query("SELECT 1 AS one") == [{"one": 1}]
    await db.close()


async def test_no_more_statements_than_the_lease_run_at_once(path):
    db = Database(f"sqlite:///{path}", timeout_s=0.3, max_concurrency=1)
    await db.query("SELECT 1")
    results = await asyncio.gather(db.query(FOREVER), db.query("SELECT 2"), return_exceptions=True)
    assert [type(result) for result in results] == [DatabaseFailed, DatabaseFailed]
    await db.close()


async def test_a_file_that_is_not_there_is_not_made(tmp_path):
    for read_only in (True, False):
        db = Database(f"sqlite:///{tmp_path}/none.db", read_only=read_only)
        with pytest.raises(DatabaseFailed):
            await db.query("SELECT 1")
        await db.close()
    assert list(tmp_path.iterdir()) == []


def test_a_bad_url_is_told_at_once_and_not_quoted():
    with pytest.raises(ValueError, match="cannot be read") as refused:
        Database(Secret("canary-password"))
    assert "canary" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_database_does_not_show_its_url(path):
    assert str(path) not in repr(Database(f"sqlite:///{path}"))


class Deaf:
    """A driver whose statement ends when it likes."""

    def __init__(self) -> None:
        self.ends = asyncio.Event()
        self.interrupted = 0

    async def interrupt(self) -> None:
        self.interrupted += 1


async def test_a_statement_that_is_given_up_twice_is_interrupted_on_and_keeps_the_calls_places():
    driver, back = Deaf(), Letterbox()

    begun = asyncio.Event()

    async def work(grip) -> None:
        grip.driver = driver
        begun.set()
        await driver.ends.wait()

    async def call() -> None:
        current.set(Work("orders", "me", back))
        await within(30, work)

    task = asyncio.create_task(call())
    await begun.wait()
    task.cancel()
    await soon(lambda: driver.interrupted)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert back.retained == 1
    before = driver.interrupted
    await soon(lambda: driver.interrupted > before)
    driver.ends.set()
    await soon(lambda: not back.retained)


MADE = """
from mcpward import Database

db = Database("sqlite:///here.db")


def at(url):
    return Database(url)
"""


async def test_a_relative_path_starts_at_the_authors_file_wherever_it_is_run(tmp_path, monkeypatch):
    for name in ("author", "elsewhere"):
        (tmp_path / name).mkdir()
    with closing(sqlite3.connect(tmp_path / "author" / "here.db")) as connection, connection:
        connection.execute("CREATE TABLE t (id INTEGER)")
        connection.execute("INSERT INTO t VALUES (7)")
    (tmp_path / "author" / "mine.py").write_text(MADE)
    monkeypatch.chdir(tmp_path / "elsewhere")
    spec = spec_from_file_location("mine", tmp_path / "author" / "mine.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    of_env = module.at(Secret("sqlite:///here.db"))  # wherever the URL itself comes from
    for db in (module.db, of_env):
        assert await db.query("SELECT id FROM t") == [{"id": 7}]
        await db.close()
    with pytest.raises(DatabaseFailed, match=f"there is no database file {tmp_path / 'author' / 'gone.db'}"):
        await module.at("sqlite:///gone.db").query("SELECT 1")


async def test_a_secret_that_is_bound_to_hosts_is_for_http_alone(tmp_path):
    bound = Secret(f"sqlite:///{tmp_path}/a.db", "DB_URL", hosts=["api.example.com"])
    with pytest.raises(DatabaseMisuse, match="DB_URL is bound to hosts"):
        Database(bound)
    sqlite3.connect(tmp_path / "a.db").close()
    database = Database(f"sqlite:///{tmp_path}/a.db")
    with pytest.raises(StatementRefused, match="bound to hosts"):
        await database.query("SELECT :key AS key", key=Secret("value-71", "KEY", hosts=["api.example.com"]))
    await database.close()
