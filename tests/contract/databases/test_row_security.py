"""Row security of PostgreSQL: its policies know the caller of each call, and of no call before it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from mcpward import Database, DatabaseFailed, StatementRefused
from mcpward.core.values import AuthMethod, Principal
from mcpward.core.work import Work, current
from mcpward.sdk.errors import DatabaseMisuse

TABLE = (
    "CREATE TABLE notes (id SERIAL PRIMARY KEY, owner TEXT NOT NULL, tenant TEXT, body TEXT)",
    "ALTER TABLE notes ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own ON notes USING (owner = current_setting('app.user_id', true))",
    "INSERT INTO notes (owner, tenant, body) SELECT who, 'acme', 'note of ' || who FROM unnest(ARRAY['a', 'b']) who",
)
SESSION = {"app.user_id": "caller.subject"}


@pytest.fixture
def url(postgres_server) -> str:
    """A database whose table has a policy, for a role that it binds."""
    name = postgres_server.create()
    for statement in TABLE:
        postgres_server.sql(statement, name)
    postgres_server.sql("DO $$BEGIN CREATE ROLE notes_reader NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END$$")
    postgres_server.sql("GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO notes_reader", name)
    postgres_server.sql("GRANT USAGE ON notes_id_seq TO notes_reader", name)
    return postgres_server.url(name)


@contextmanager
def called_by(subject: str, way: AuthMethod = AuthMethod.OAUTH, **facts):
    """Be within a call of that caller."""
    principal = Principal(key=subject, way=way, server="notes", subject=subject, **facts)
    before = current.set(Work("notes", subject, None, principal))
    try:
        yield
    finally:
        current.reset(before)


@asynccontextmanager
async def opened(url: str, **options) -> AsyncIterator[Database]:
    db = Database(url, **{"session": SESSION, "role": "notes_reader", "max_concurrency": 1, **options})
    try:
        yield db
    finally:
        await db.close()


async def bodies(db: Database) -> list[str]:
    return [row["body"] for row in await db.query("SELECT body FROM notes ORDER BY id")]


async def test_each_caller_sees_its_own_rows_on_one_connection_that_all_use_in_turn(url):
    async with opened(url) as db:
        for _ in range(3):
            for who in "ab":
                with called_by(who):
                    assert await bodies(db) == [f"note of {who}"]
        with called_by("c' OR 'a'='a"):
            assert await bodies(db) == []


async def test_callers_at_the_same_time_see_their_own_rows(url):
    async with opened(url, max_concurrency=3) as db:

        async def one(who: str) -> list[str]:
            with called_by(who):
                return await bodies(db)

        assert await asyncio.gather(*(one("ab"[n % 2]) for n in range(40))) == [
            [f"note of {'ab'[n % 2]}"] for n in range(40)
        ]


async def test_without_a_caller_nothing_is_sent(url):
    async with opened(url) as db:
        with pytest.raises(StatementRefused, match="no call runs here"):
            await bodies(db)
        for way in (AuthMethod.ANONYMOUS, AuthMethod.UNLISTED):
            with called_by("nobody", way), pytest.raises(StatementRefused, match="this one has no subject"):
                await bodies(db)
        with called_by("a"):
            assert await bodies(db) == ["note of a"]
        with pytest.raises(StatementRefused):
            await bodies(db)


async def test_a_caller_without_the_value_is_refused(url):
    async with opened(url, session={"app.user_id": "caller.claims.employee"}) as db:
        for claims in ({}, {"employee": ""}, {"employee": ["a"]}, {"employee": True}, {"employee": None}):
            with called_by("x", claims=claims), pytest.raises(StatementRefused, match=r"no claims\.employee"):
                await bodies(db)
        with called_by("x", claims={"employee": "b"}):
            assert await bodies(db) == ["note of b"]
    async with opened(url, session={"app.user_id": "caller.tags.owner"}) as db:
        with called_by("x", tags={"owner": "a"}):
            assert await bodies(db) == ["note of a"]


async def test_every_way_of_running_a_statement_is_bound(url):
    async with opened(url, read_only=False) as db:
        with called_by("a"):
            assert [row["body"] async for row in db.stream("SELECT body FROM notes")] == ["note of a"]
            assert await db.execute("UPDATE notes SET body = 'mine'") == 1
            with pytest.raises(DatabaseFailed):
                await db.execute("INSERT INTO notes (owner, body) VALUES ('b', 'forged')")
            async with db.transaction() as tx:
                assert await tx.execute("DELETE FROM notes WHERE owner = 'b'") == 0
                assert await tx.query("SELECT body FROM notes") == [{"body": "mine"}]
        with called_by("b"):
            assert await bodies(db) == ["note of b"]
            async with db.transaction() as tx:
                assert await tx.query("SELECT body FROM notes") == [{"body": "note of b"}]


async def test_a_statement_that_is_given_up_leaves_no_caller_behind(url):
    async with opened(url, timeout_s=0.3) as db:
        with called_by("a"), pytest.raises(DatabaseFailed, match="longer than"):
            await db.query("SELECT body, pg_sleep(5) FROM notes")
    async with opened(url) as db:
        with called_by("b"):
            assert await bodies(db) == ["note of b"]


async def test_a_role_that_passes_every_policy_is_refused(url):
    """A superuser reads all rows, whatever the policy says."""
    async with opened(url, role=None) as db:
        with called_by("a"), pytest.raises(DatabaseFailed, match="row security does not hold for this role"):
            await bodies(db)


async def test_the_owner_of_a_table_whose_policies_it_passes_is_refused(url, postgres_server):
    name = url.rpartition("/")[2]
    postgres_server.sql("ALTER TABLE notes OWNER TO notes_reader", name)
    async with opened(url) as db:
        with called_by("a"), pytest.raises(DatabaseFailed, match="ALTER TABLE notes FORCE ROW LEVEL SECURITY"):
            await bodies(db)
        postgres_server.sql("ALTER TABLE notes FORCE ROW LEVEL SECURITY", name)
        with called_by("a"):
            assert await bodies(db) == ["note of a"]


async def test_a_role_alone_bounds_what_statements_may_do(url, postgres_server):
    postgres_server.sql("CREATE TABLE secrets (a INT)", url.rpartition("/")[2])
    async with opened(url, session=None) as db:
        with pytest.raises(DatabaseFailed):
            await db.query("SELECT a FROM secrets")
        assert await db.query("SELECT current_user AS who") == [{"who": "notes_reader"}]


@pytest.mark.parametrize(
    "options",
    [
        {"session": {"user_id": "caller.subject"}},
        {"session": {"app.user_id": "subject"}},
        {"session": {"app.user_id": "caller.password"}},
        {"session": {"app.user_id": "caller.claims"}},
        {"session": {"app.user_id": "caller.name"}},
        {"session": {"app.user_id": None}},
        {"session": {"app.x', true), set_config('role": "caller.subject"}},
        {"session": ["app.user_id"]},
        {"role": "a; DROP TABLE notes"},
    ],
)
def test_settings_that_mean_nothing_are_refused_at_once(options):
    with pytest.raises(DatabaseMisuse):
        Database("postgresql://u@h/x", **options)


@pytest.mark.parametrize("options", [{"session": SESSION}, {"role": "reader"}])
@pytest.mark.parametrize("other", ["sqlite:///a.db", "mysql://u@h/x"])
def test_another_database_has_no_row_security_and_is_refused_at_once(options, other):
    with pytest.raises(DatabaseMisuse, match="row security of PostgreSQL"):
        Database(other, **options)
