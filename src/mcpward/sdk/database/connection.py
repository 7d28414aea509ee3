"""Connections that can do no more than they must: SQLite files opened read-only, with an authorizer on every statement.

The authorizer and ``mode=ro`` hold whatever the SQL says, also inside of what an author wrote wrongly (attacks 71, 72).
A connection that can write still reads read-only: ``WITH … DELETE`` begins like a SELECT (attack 118).
"""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, event, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from mcpward.core.secret import Secret
from mcpward.sdk.database.drivers import DRIVERS, package_of
from mcpward.sdk.database.server_timeout import bound_at_server
from mcpward.sdk.errors import DatabaseFailed, DatabaseMisuse

_READ: Final = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
    | {sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT}
)
_WRITE: Final = _READ | {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}
_FORBIDDEN_FUNCTIONS: Final = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"})
_IN_MEMORY: Final = frozenset({None, "", ":memory:"})
_BUSY_MS: Final = 5000
_KNOWN: Final = 'write "sqlite:///…", "postgresql://…" or "mysql://…"'
#: Of MySQL's protocol: the client may send several statements in one text.
_MULTI_STATEMENTS: Final = 1 << 16
_AUTHORIZER: Final = "mcpward_authorizer"


def read_url(url: Secret) -> URL:
    """Read a database URL, with the async driver in place of the plain name.

    Raises:
        ValueError: it is none. Its text is never part of the message.
    """
    try:
        parsed = make_url(url.reveal())
    except ArgumentError:
        raise ValueError("the database URL cannot be read; write it as sqlite:///orders.db") from None
    return parsed.set(drivername=DRIVERS.get(parsed.drivername, parsed.drivername))


def require_driver(url: URL) -> None:
    """Refuse a URL whose driver is unknown, blocks, or is not installed. Raises :class:`DatabaseMisuse`."""
    try:
        dialect = url.get_dialect()
    except SQLAlchemyError:
        raise DatabaseMisuse("Database: no such database is known", hint=_KNOWN) from None
    if not dialect.is_async:
        other = DRIVERS.get(dialect.name, "").partition("+")[2]
        hint = f'write "{dialect.name}://…", and pip install {other}, beside mcpward' if other else _KNOWN
        raise DatabaseMisuse(f"Database: {dialect.driver} is not an asynchronous driver", hint=hint)
    try:
        dialect.import_dbapi()
    except ModuleNotFoundError as missing:
        module = (missing.name or dialect.driver).partition(".")[0]
        hint = f"pip install {package_of(module)}, beside mcpward"
        raise DatabaseMisuse(f"Database: the driver {module} is not installed", hint=hint) from None


def open_engine(url: Secret, *, read_only: bool, pool_size: int, folder: Path, timeout_s: float) -> AsyncEngine:
    """Return an engine that connects on first use, and whose connections are locked down before their first statement.

    The path of a SQLite file starts at ``folder`` if it is relative. A server ends statements soon after ``timeout_s``
    by itself, whether it can still be told or not.

    Raises:
        DatabaseFailed: the SQLite file is not there; it is never made here.
    """
    parsed = read_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed, read_only=read_only, pool_size=pool_size, folder=folder)
    # Asked before each use: a server that was restarted, or that closes what was idle, would fail the next call.
    connect = {"async_creator_fn": _connected_to_mysql} if parsed.get_driver_name() == "aiomysql" else {}
    engine = create_async_engine(
        parsed, hide_parameters=True, pool_size=pool_size, max_overflow=0, pool_pre_ping=True, connect_args=connect
    )
    bound_at_server(engine, timeout_s)
    return engine


async def retire(engine: AsyncEngine) -> None:
    """Close its idle connections now, and each of the others when its statement has ended."""

    @event.listens_for(engine.sync_engine, "checkin")
    def _end(_connection: Any, record: Any) -> None:
        record.invalidate()

    await engine.dispose()


@asynccontextmanager
async def reading(connection: AsyncConnection) -> AsyncIterator[None]:
    """Make the transaction that comes next on ``connection`` read-only, by the database's own means.

    SQLite: the authorizer refuses all changes within. PostgreSQL: ``BEGIN READ ONLY``, which no SET within can take
    back. MySQL, MariaDB and others: ``SET TRANSACTION READ ONLY`` of the SQL standard; a database that does not know
    it raises.
    """
    dialect = connection.dialect.name
    if dialect == "sqlite":
        with (await connection.get_raw_connection()).info[_AUTHORIZER].reading():
            yield
        return
    if dialect == "postgresql":
        await connection.execution_options(postgresql_readonly=True)
    else:
        await connection.execute(text("SET TRANSACTION READ ONLY"))
    yield


class _Authorizer:
    """Authorises the statements of one SQLite connection. SQLite calls it when a statement is prepared.

    Its permissions change on the event loop's thread, only between statements. The driver keeps prepared statements by
    their text, and no text is both a query and a change: ``sdk.statement`` distinguishes them by their first word.
    """

    def __init__(self, allowed: frozenset[int]) -> None:
        self._allowed = allowed

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Allow nothing but reads within."""
        before, self._allowed = self._allowed, _READ
        try:
            yield
        finally:
            self._allowed = before

    def __call__(
        self, action: int, first: str | None, second: str | None, _database: str | None, _inner: str | None
    ) -> int:
        if action == sqlite3.SQLITE_PRAGMA:
            harmless = first == "read_uncommitted" and second is None  # SQLAlchemy asks it once per engine
            return sqlite3.SQLITE_OK if harmless else sqlite3.SQLITE_DENY
        if action == sqlite3.SQLITE_FUNCTION and str(second).lower() in _FORBIDDEN_FUNCTIONS:
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK if action in self._allowed else sqlite3.SQLITE_DENY


async def _connected_to_mysql(*args: Any, **options: Any) -> Any:
    """Connect as aiomysql does, but without MULTI_STATEMENTS, which it asks for: one text is one statement then.

    Bytes it writes by a function that PyMySQL has no longer since 1.2; as PyMySQL does they are digits only.
    """
    connection = import_module("aiomysql.connection").Connection(*args, **options)
    connection.client_flag &= ~_MULTI_STATEMENTS
    escape = connection.escape
    connection.escape = lambda value: f"_binary X'{value.hex()}'" if isinstance(value, bytes) else escape(value)
    await connection._connect()  # noqa: SLF001  all that aiomysql.connect() does beside
    return connection


def missing_file(url: Secret, folder: Path) -> str:
    """Return what to tell of a SQLite file that is not there; "" for one that is, and for every other database."""
    parsed = read_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in _IN_MEMORY:
        return ""
    file = folder / str(parsed.database)
    return "" if file.is_file() else _no_file(file, str(parsed.database), folder)


def _no_file(file: Path, named: str, folder: Path) -> str:
    start = "" if Path(named).is_absolute() else f" (the relative path {named} starts at {folder})"
    return f"there is no database file {file}{start}: create it first, because mcpward creates none"


def _open_sqlite(url: URL, *, read_only: bool, pool_size: int, folder: Path) -> AsyncEngine:
    is_file = url.database not in _IN_MEMORY
    if is_file:
        # SQLite's URI form: rw and ro both refuse to make a file that is not there.
        file = folder / str(url.database)
        if not file.is_file():
            raise DatabaseFailed(_no_file(file, str(url.database), folder))
        path = quote(str(file))
        mode = "ro" if read_only else "rw"
        url = url.set(database=f"file:{path}", query={**url.query, "mode": mode, "uri": "true"})
    engine = create_async_engine(
        url,
        hide_parameters=True,
        # Nothing to roll back if nothing can be changed, and a trip to the connection's thread saved.
        pool_reset_on_return=None if read_only else "rollback",
        poolclass=AsyncAdaptedQueuePool,
        # an in-memory database belongs to one connection, which only one call has at a time
        pool_size=pool_size if is_file else 1,
        max_overflow=0,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _lock(connection: Any, record: Any) -> None:
        authorizer = record.info[_AUTHORIZER] = _Authorizer(_READ if read_only else _WRITE)

        async def lock(driver: Any) -> None:
            await driver.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
            await driver.execute("PRAGMA foreign_keys = ON")
            await driver.execute("PRAGMA trusted_schema = OFF")
            if read_only:
                await driver.execute("PRAGMA query_only = ON")
            await driver.set_authorizer(authorizer)

        connection.run_async(lock)

    return engine
