"""A ``Database`` works the same on SQLite, PostgreSQL and MariaDB (the wire and the driver of MySQL)."""

import sqlite3
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID

import pytest

from mcpward import Changed, ConstraintViolated, Database, DatabaseFailed, ToolError, UniqueViolated

NUMBERED = {
    "sqlite": "INTEGER PRIMARY KEY",
    "postgresql": "SERIAL PRIMARY KEY",
    "mysql": "INT AUTO_INCREMENT PRIMARY KEY",
}
MOMENT = {"sqlite": "TEXT", "postgresql": "TIMESTAMPTZ", "mysql": "DATETIME"}


@dataclass(frozen=True)
class Place:
    """A database of one kind: its URL, and statements that are run past mcpward."""

    kind: str
    url: str
    run: Callable[[str], object]

    def database(self, **options) -> Database:
        return Database(self.url, **{"read_only": False, "timeout_s": 10, **options})


def sqlite_at(path: Path) -> Place:
    def run(statement: str) -> object:
        with closing(sqlite3.connect(path)) as connection, connection:
            return connection.execute(statement).fetchall()

    return Place("sqlite", f"sqlite:///{path}", run)


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def place(request, tmp_path) -> Place:
    if request.param == "sqlite":
        made = sqlite_at(tmp_path / "shop.db")
    else:
        server = request.getfixturevalue("postgres_server" if request.param == "postgresql" else "mariadb_server")
        name = server.create()
        made = Place(request.param, server.url(name), lambda statement: server.sql(statement, name))
    made.run(
        f"CREATE TABLE products (id {NUMBERED[made.kind]}, name VARCHAR(50) NOT NULL UNIQUE, "
        f"stock INT CHECK (stock >= 0), at {MOMENT[made.kind]} NULL, code CHAR(36))"
    )
    return made


@pytest.fixture
async def db(place) -> AsyncIterator[Database]:
    db = place.database()
    yield db
    await db.close()


async def names(db) -> list[str]:
    return [row["name"] for row in await db.query("SELECT name FROM products ORDER BY id")]


def log_of(failure: BaseException) -> str:
    """The log of it, but for the lines of the sources."""
    assert failure.__suppress_context__
    return "".join(traceback.format_exception_only(failure))


async def test_a_name_that_is_taken_is_told_from_every_other_failure(db):
    await db.execute("INSERT INTO products (name) VALUES (:name)", name="canary-lamp")
    for sql in (
        "INSERT INTO products (name) VALUES (:name)",
        "INSERT INTO products (name) VALUES (:name) RETURNING id",
        "INSERT INTO products (id, name) SELECT id, 'other' FROM products WHERE name = :name",
    ):
        with pytest.raises(UniqueViolated) as taken:
            await db.execute(sql, name="canary-lamp")
        assert "canary" not in log_of(taken.value)
    assert await names(db) == ["canary-lamp"]


@pytest.mark.parametrize(
    "sql", ["INSERT INTO products (name) VALUES (:given)", "INSERT INTO products (name, stock) VALUES ('a', :given)"]
)
async def test_not_null_and_check_are_constraints_and_not_unique(db, sql):
    with pytest.raises(ConstraintViolated) as violated:
        await db.execute(sql, given=None if "stock" not in sql else -4711)
    assert not isinstance(violated.value, UniqueViolated)
    assert isinstance(violated.value, DatabaseFailed)
    assert "-4711" not in log_of(violated.value)
    assert await names(db) == []


async def test_a_change_is_a_number_with_the_rows_that_it_returns(db):
    added = await db.execute("INSERT INTO products (name) VALUES ('a'), ('b') RETURNING id, name")
    assert (added, added.rows) == (2, [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}])
    assert isinstance(added, Changed)
    gone = await db.execute("DELETE FROM products WHERE name = :name RETURNING id", name="b")
    assert (gone, gone.rows) == (1, [{"id": 2}])
    none = await db.execute("DELETE FROM products WHERE name = :name RETURNING id", name="b")
    assert (none, none.rows) == (0, [])
    plain = await db.execute("UPDATE products SET stock = 1")
    assert (plain, plain.rows, plain.inserted_id) == (1, [], None)


async def test_the_id_of_a_new_row_comes_without_returning_where_mysql_has_none(place, db):
    one = await db.execute("INSERT INTO products (name) VALUES ('a')")
    two = await db.execute("INSERT INTO products (name) VALUES ('b')")
    several = await db.execute("INSERT INTO products (name) VALUES ('c'), ('d')")
    expected = (1, 2, None) if place.kind == "mysql" else (None, None, None)
    assert (one.inserted_id, two.inserted_id, several.inserted_id) == expected


async def test_more_returned_rows_than_the_cap_are_refused_and_nothing_is_changed(place):
    db = place.database(row_cap=2)
    with pytest.raises(ToolError, match="more than 2 rows"):
        await db.execute("INSERT INTO products (name) VALUES ('a'), ('b'), ('c') RETURNING id")
    assert await names(db) == []
    await db.close()


async def test_a_column_that_is_not_there_is_named_in_the_log_with_the_statement_and_no_value(db):
    with pytest.raises(DatabaseFailed) as failed:
        await db.query("SELECT nmae FROM products WHERE name = :name", name="canary")
    assert "nmae" not in str(failed.value)
    told = log_of(failed.value)
    assert "the database said: " in told
    assert "nmae" in told.partition("the database said: ")[2].partition("\n")[0]
    assert "statement: SELECT nmae FROM products WHERE name = :name" in told
    assert "canary" not in told


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT CAST(:given AS INTEGER) / 0 FRM products",
        "INSERT INTO products (stock) VALUES (:given)",
        "UPDATE products SET at = :given WHERE name = 'a'",
        "UPDATE products SET name = :given, stock = :given WHERE name = 'a'",
    ],
)
async def test_no_failure_shows_a_value(place, db, sql):
    await db.execute("INSERT INTO products (name) VALUES ('a')")
    run = db.query if sql.startswith("SELECT") else db.execute
    if place.kind == "sqlite" and sql.startswith("UPDATE"):
        assert await run(sql, given="canary'value") == 1  # its columns take anything
        return
    with pytest.raises(DatabaseFailed) as failed:
        await run(sql, given="canary'value")
    assert "canary" not in log_of(failed.value)


async def test_a_full_text_search_that_names_a_column_of_the_callers_shows_nothing_of_it(tmp_path):
    place = sqlite_at(tmp_path / "notes.db")
    place.run("CREATE VIRTUAL TABLE notes USING fts5(body)")
    db = place.database()
    for given in ("canary:word", 'canary" OR'):
        with pytest.raises(DatabaseFailed) as failed:
            await db.query("SELECT body FROM notes WHERE notes MATCH :given", given=given)
        assert "canary" not in log_of(failed.value)
    await db.close()


async def test_times_with_an_offset_are_kept_as_the_moment_that_they_are(place, db):
    summer = datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    code = UUID(int=7)
    given = {"code": str(code) if place.kind == "postgresql" else code}  # asyncpg distinguishes a UUID from a text
    await db.execute("INSERT INTO products (name, at, code) VALUES ('a', :at, :code)", at=summer, **given)
    (row,) = await db.query("SELECT at, code FROM products")
    moment = datetime.fromisoformat(row["at"]) if isinstance(row["at"], str) else row["at"]
    assert (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) == summer
    assert row["code"] == str(code)


async def test_a_statement_that_takes_too_long_is_told_and_the_next_one_runs(place):
    db = place.database(timeout_s=0.3, max_concurrency=1)
    if place.kind == "sqlite":
        slow = db.query("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) AS n FROM c")
    else:
        slow = db.query("SELECT SLEEP(30)") if place.kind == "mysql" else db.query("SELECT pg_sleep(30)")
    with pytest.raises(DatabaseFailed, match=r"longer than 0\.3 s") as late:
        await slow
    assert "statement: " in log_of(late.value)
    await db.close()
    db = place.database()
    assert await names(db) == []
    await db.close()


@pytest.mark.parametrize("place", ["postgresql", "mysql"], indirect=True)
async def test_a_connection_that_the_database_has_ended_fails_no_call(place, db):
    assert await names(db) == []
    if place.kind == "postgresql":
        place.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                  " AND datname = current_database()")  # fmt: skip
    else:
        for (number,) in place.run("SELECT id FROM information_schema.processlist WHERE id <> connection_id()"
                                   " AND db = database()"):  # fmt: skip
            place.run(f"KILL {number}")
    assert await names(db) == []


@pytest.mark.parametrize("url", ["postgresql://u:canary@127.0.0.1:1/x", "mysql://u:canary@127.0.0.1:1/x"])
async def test_a_database_that_is_away_is_said_to_be(url):
    db = Database(url)
    with pytest.raises(DatabaseFailed, match="the database cannot be reached") as away:
        await db.query("SELECT 1")
    assert "canary" not in log_of(away.value)
    await db.close()


@pytest.mark.parametrize("engine", ["InnoDB", "MyISAM"])
async def test_a_query_changes_nothing_whatever_a_function_of_the_database_does(mariadb_server, engine):
    name = mariadb_server.create()
    mariadb_server.sql("SET GLOBAL log_bin_trust_function_creators = 1")
    mariadb_server.sql(f"CREATE TABLE t (n INT) ENGINE={engine}", name)
    mariadb_server.sql("CREATE FUNCTION forget() RETURNS INT BEGIN DELETE FROM t; RETURN 1; END", name)
    mariadb_server.sql("INSERT INTO t VALUES (1)", name)
    db = Database(mariadb_server.url(name), read_only=False)
    with pytest.raises(DatabaseFailed) as refused:
        await db.query("SELECT forget()")
    assert "READ ONLY" in log_of(refused.value)
    assert mariadb_server.sql("SELECT n FROM t", name) == [(1,)]
    assert await db.execute("DELETE FROM t WHERE n = :n", n=1) == 1
    await db.close()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT name /* of :name */ FROM products WHERE name = :name",
        "SELECT name -- of :name\n FROM products WHERE name = :name",
        'SELECT name AS "of :name" FROM products WHERE name = :name',
        "SELECT name || ' of :name' FROM products WHERE name = :name",
    ],
)
async def test_a_value_stays_out_of_quotes_and_comments_that_name_its_parameter(place, statement):
    place.run("INSERT INTO products (name) VALUES ('hidden')")
    db = place.database(read_only=True)
    try:
        for value in ("*/ FROM products -- ", "*/ ; COMMIT; DROP TABLE products; -- ", " , id FROM products -- "):
            assert await db.query(statement, name=value) == []
        assert len(await db.query("SELECT name FROM products")) == 1
    finally:
        await db.close()


async def test_the_server_takes_one_statement_at_a_time(place):
    """The second lock: whatever became part of a text, the database runs no statement beside it (attack 71)."""
    db = place.database()
    try:
        await db.query("SELECT 1 AS a")
        async with db._opened().connect() as connection:
            with pytest.raises(Exception, match=r"(?i)syntax|one statement|multiple"):
                await connection.exec_driver_sql("SELECT 1; DROP TABLE products")
        assert await db.query("SELECT name FROM products") == []
    finally:
        await db.close()


@pytest.fixture
def postgres(postgres_server) -> Place:
    name = postgres_server.create()
    return Place("postgresql", postgres_server.url(name), lambda statement: postgres_server.sql(statement, name))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT CAST(CAST(:given AS text) AS regclass)",
        "SELECT nextval(CAST(:given AS text))",
        "SELECT current_setting(CAST(:given AS text))",
        "SELECT has_table_privilege(CAST(:given AS text), 'pg_class', 'select')",
        "SELECT to_tsquery(CAST(:given AS text) || ' & & (')",
        "SELECT query_to_xml('SELECT \"' || CAST(:given AS text) || '\"', true, true, '')",
    ],
)
@pytest.mark.parametrize("value", ["canary", '"canary', 'canary"'])
async def test_a_name_that_is_a_value_is_not_shown(postgres, sql, value):
    db = postgres.database()
    with pytest.raises(DatabaseFailed) as failed:
        await db.query(sql, given=value)
    await db.close()
    assert "canary" not in log_of(failed.value)


async def test_names_of_the_statement_are_shown(postgres):
    db = postgres.database()
    for sql in ('SELECT a FROM "Missing" WHERE a = :a', "SELECT missing FROM pg_class WHERE relname = :a"):
        with pytest.raises(DatabaseFailed) as failed:
            await db.query(sql, a="canary")
        told = log_of(failed.value).partition("the database said: ")[2].partition("\n")[0]
        assert "missing" in told.lower()
    await db.close()


async def test_what_a_function_of_the_database_raises_is_not_shown(postgres, mariadb_server):
    """Its words may hold any value, whichever number it raises them under."""
    postgres.run("CREATE TABLE t (a TEXT)")
    postgres.run(
        "CREATE FUNCTION f() RETURNS trigger AS $$ BEGIN "
        "RAISE EXCEPTION 'bad %', NEW.a USING ERRCODE = 'check_violation'; END $$ LANGUAGE plpgsql"
    )
    postgres.run("CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()")
    name = mariadb_server.create()
    mariadb_server.sql("CREATE TABLE t (a TEXT)", name)
    mariadb_server.sql(
        "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW "
        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = NEW.a, MYSQL_ERRNO = 1048",
        name,
    )
    for url in (postgres.url, mariadb_server.url(name)):
        db = Database(url, read_only=False)
        with pytest.raises(ConstraintViolated) as failed:
            await db.execute("INSERT INTO t (a) VALUES (:a)", a="canary")
        await db.close()
        assert "canary" not in log_of(failed.value)


async def test_bytes_are_kept_as_they_are(place, db):
    place.run(f"CREATE TABLE files (content {'BYTEA' if place.kind == 'postgresql' else 'BLOB'})")
    content = bytes(range(256)) + b"\\' OR 1=1 -- "
    assert await db.execute("INSERT INTO files VALUES (:content)", content=content) == 1
    assert await db.query("SELECT content FROM files WHERE content = :content", content=content) == [
        {"content": content}
    ]
