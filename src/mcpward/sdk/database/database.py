"""``Database``: literal SQL with named parameters, read-only unless said otherwise, few at once, rows and time bounded.

SQLite files, PostgreSQL, MySQL and MariaDB; other SQLAlchemy async URLs are handed on as they are. An error is a
:class:`DatabaseFailed` whose text holds no SQL, values or words of the database, so nothing of it can reach a caller.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from typing import Any, Final, Literal, LiteralString, TypeVar, overload
from weakref import WeakSet

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mcpward.core.fair_timeout import fair_timeout
from mcpward.core.limit_name import SYNTAX, is_limit_name
from mcpward.core.secret import Secret
from mcpward.sdk.author_place import author_module, author_place
from mcpward.sdk.database import composed
from mcpward.sdk.database.caller_settings import CallerSettings
from mcpward.sdk.database.connection import missing_file, open_engine, read_url, reading, require_driver, retire
from mcpward.sdk.database.constants import CONSTANTS
from mcpward.sdk.database.database_failure import failure_of, noted
from mcpward.sdk.database.fetching import Changed, RowCaps, RowList, batches
from mcpward.sdk.database.lease import Leases
from mcpward.sdk.database.prepared import PreparedStatements
from mcpward.sdk.database.results import Results, typed
from mcpward.sdk.database.statement_timeout import StatementTimeout, within
from mcpward.sdk.database.transaction import Transaction, within_transaction
from mcpward.sdk.errors import DatabaseFailed, DatabaseMisuse, StatementRefused
from mcpward.sdk.options import options
from mcpward.sdk.place import place_of

T = TypeVar("T")
_MASKED: Final = str(Secret(""))
_BOUNDS: Final = {"max_concurrency": "5", "row_cap": "1000", "byte_cap": "10_000_000", "timeout_s": "10"}
_TRANSACTION: Final = "(a transaction)"
_URLS: Final = '"sqlite:///shop.db", "postgresql://…" or "mysql://…"'
_open: "WeakSet[Database]" = WeakSet()


class Database:
    """A database for tools. Connects on first use.

    The path of a SQLite file (``sqlite:///orders.db``) starts at the folder of the file that makes the ``Database``,
    whatever the working directory is, also if the URL comes from ``env``. The file must be there: none is made.

    A secret of ``env`` may change: connections of the new URL take the place of the old ones, and statements that run
    end on theirs.

    ``max_concurrency`` statements run at once, others wait within their ``timeout_s`` (seconds, waiting included),
    callers in turn. ``row_cap`` bounds a result: more rows are refused, not cut off. ``read_only=False`` allows
    :meth:`execute`. ``name`` is its name as a pool (``@server.tool(pools=[db])``), and the operator's
    ``[pools.<name>]``.

    Raises:
        AuthoringError: the URL cannot be read, its driver is missing, a bound is not above 0, or the name does not fit
            a pool. It is a ``ValueError`` too.
    """

    @options("Database")
    def __init__(
        self,
        url: Secret | str,
        *,
        name: str | None = None,
        max_concurrency: int = 5,
        read_only: bool = True,
        row_cap: int = 1000,
        byte_cap: int = 10_000_000,
        timeout_s: float = 10,
        session: Mapping[str, str] | None = None,
        role: LiteralString | None = None,
        packages: Iterable[str] = (),
    ) -> None:
        bounds = {"max_concurrency": max_concurrency, "row_cap": row_cap, "byte_cap": byte_cap, "timeout_s": timeout_s}
        _require_bounds(bounds)
        if name is not None and not is_limit_name(name):
            raise DatabaseMisuse(f"Database: a name is {SYNTAX}", hint='write name="orders"')
        self._name = name
        self._url = _read(url)
        self._dialect = read_url(self._url).get_backend_name()
        self._settings = CallerSettings(session, role, self._dialect)
        place = author_place()
        self._folder = place.folder
        self._where = place_of(str(place.file or ""), place.line)
        self._max_concurrency = max_concurrency
        self._read_only = read_only
        self._timeout_s = timeout_s
        self._engine: AsyncEngine | None = None
        self._is_bound = False
        self._opened_with = self._url
        self._retiring: set[asyncio.Task[None]] = set()
        self._leases = Leases(max_concurrency)
        self._statements = PreparedStatements(self._dialect, is_read_only=read_only)
        self._results = Results(RowCaps(row_cap, byte_cap))
        for package in (author_module(), *packages):
            CONSTANTS.include(package)

    def __repr__(self) -> str:
        return f"Database(read_only={self._read_only})"

    @property
    def name(self) -> str | None:
        """Its name as a pool; None if its author gave no name."""
        return self._name

    @property
    def read_only(self) -> bool:
        """Whether it takes no :meth:`execute`."""
        return self._read_only

    @property
    def where(self) -> str:
        """``file:line`` where it is made, "" if that is not known."""
        return self._where

    @property
    def missing(self) -> str:
        """What to tell of its SQLite file if that is not there; else empty."""
        return missing_file(self._url, self._folder)

    @property
    def max_concurrency(self) -> int:
        """Statements that run at once."""
        return self._max_concurrency

    @overload
    async def query(
        self, sql: LiteralString | composed.sql, /, *, into: type[T], on_cap: Literal["refuse"] = ..., **params: Any
    ) -> list[T]: ...
    @overload
    async def query(
        self, sql: LiteralString | composed.sql, /, *, into: None = ..., on_cap: Literal["refuse"] = ..., **params: Any
    ) -> list[dict[str, Any]]: ...
    @overload
    async def query(
        self, sql: LiteralString | composed.sql, /, *, into: type[T], on_cap: Literal["truncate"], **params: Any
    ) -> RowList[T]: ...
    @overload
    async def query(
        self, sql: LiteralString | composed.sql, /, *, into: None = ..., on_cap: Literal["truncate"], **params: Any
    ) -> RowList[dict[str, Any]]: ...
    async def query(
        self, sql: LiteralString | composed.sql, /, *, into: Any = None, on_cap: str = "refuse", **params: Any
    ) -> list[Any]:
        """Return the rows of a SELECT as dicts, or as ``into`` (pydantic model, dataclass, TypedDict, msgspec struct).

        A list is bound as several values: ``WHERE id IN :ids``. The database itself keeps the statement from changing
        anything, also with ``read_only=False``. ``on_cap="truncate"`` returns the rows that are within the caps, and
        says so: ``rows.truncated``.

        Raises:
            StatementRefused: the SQL is no constant of the author's code, is not one reading statement, or its
                parameters do not match ``params``.
            ToolError: more than ``row_cap`` or ``byte_cap``: the error asks the caller to narrow the request.
            DatabaseFailed: the database refused, took too long, or a row does not fit ``into``.
        """
        bound = self._statements.reading(sql, params)
        told = self._settings.values()

        async def fetch(connection: AsyncConnection) -> list[Any]:
            async with reading(connection):
                await self._tell(connection, told)
                return await self._results.fetch(connection, bound, into, on_cap)

        return await self._run(fetch, bound.statement.text)

    @overload
    def stream(self, sql: LiteralString | composed.sql, /, *, into: type[T], **params: Any) -> AsyncIterator[T]: ...
    @overload
    def stream(
        self, sql: LiteralString | composed.sql, /, *, into: None = ..., **params: Any
    ) -> AsyncIterator[dict[str, Any]]: ...
    async def stream(
        self, sql: LiteralString | composed.sql, /, *, into: Any = None, **params: Any
    ) -> AsyncIterator[Any]:
        """Yield the rows of a SELECT one by one: ``async for row in db.stream("…")``. For results without a cap.

        A few hundred rows are in memory at a time. The connection is held until the loop ends, and each batch has
        ``timeout_s``.

        Raises:
            StatementRefused: as :meth:`query`.
            DatabaseFailed: as :meth:`query`.
        """
        bound = self._statements.reading(sql, params)
        told, text = self._settings.values(), bound.statement.text
        async with self._connected(text) as connection:

            async def begin(_: AsyncConnection) -> None:
                await self._tell(connection, told)

            async with reading(connection), aclosing(batches(connection, bound)) as read:
                await self._timed(connection, begin, text)
                while (batch := await self._timed(connection, lambda _: anext(read, None), text)) is not None:
                    for row in typed(batch, into):
                        yield row

    @overload
    async def execute(self, sql: LiteralString | composed.sql, /, *, into: type[T], **params: Any) -> Changed[T]: ...
    @overload
    async def execute(
        self, sql: LiteralString | composed.sql, /, *, into: None = ..., **params: Any
    ) -> Changed[dict[str, Any]]: ...
    async def execute(self, sql: LiteralString | composed.sql, /, *, into: Any = None, **params: Any) -> Changed[Any]:
        """Run one INSERT, UPDATE or DELETE in a transaction of its own and return the number of rows it changed.

        The number is a :class:`Changed`: ``rows`` are the result of ``RETURNING id``, as dicts or as ``into``;
        ``inserted_id`` is MySQL's.

        Raises:
            StatementRefused: another statement, parameters that do not match, or a read-only database.
            UniqueViolated: the value of a key or of a UNIQUE column is taken. It is a ``ConstraintViolated``.
            ConstraintViolated: NOT NULL, CHECK or a foreign key forbids it. It is a ``DatabaseFailed``.
            DatabaseFailed: the database refused or took too long, or a row does not fit ``into``.
            ToolError: RETURNING gave more rows than ``row_cap``.
                After each of these nothing was changed.
        """
        bound = self._statements.changing(sql, params)
        told = self._settings.values()

        async def change(connection: AsyncConnection) -> Changed[Any]:
            async with connection.begin():
                await self._tell(connection, told)
                return await self._results.change(connection, bound, into)

        return await self._run(change, bound.statement.text)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Return a transaction for ``async with db.transaction() as tx``: all of its statements happen, or none.

        It holds a connection, and has ``timeout_s`` in all. An exception that leaves the block undoes everything.

        Raises:
            StatementRefused: this database's transaction is open already, around this one.
            ConstraintViolated: a deferred constraint forbids the whole.
            DatabaseFailed: it took longer than ``timeout_s``, or the database is away. Nothing was changed, unless the
                connection was lost while the end was on its way.
        """
        told = self._settings.values()
        try:
            async with (
                fair_timeout(self._timeout_s),
                self._connected(_TRANSACTION) as connection,
                self._begun(connection, told),
            ):
                tx = Transaction(connection, self._statements, self._results, self._timed, is_read_only=self._read_only)
                open_ones = within_transaction.set((*within_transaction.get(), (self, tx)))
                try:
                    yield tx
                finally:
                    tx.end()
                    within_transaction.reset(open_ones)
        except TimeoutError:
            raise self._late(_TRANSACTION) from None
        except SQLAlchemyError as error:  # of its beginning or its end; a statement's own is translated before
            raise failure_of(error, _TRANSACTION) from None

    async def close(self) -> None:
        """Close all connections. The next statement opens new ones."""
        engine, self._engine = self._engine, None
        _open.discard(self)
        if engine is not None:
            await engine.dispose()
        await asyncio.gather(*self._retiring)

    @asynccontextmanager
    async def _begun(self, connection: AsyncConnection, told: Mapping[str, str]) -> AsyncIterator[None]:
        if self._read_only:
            async with reading(connection):
                await self._tell(connection, told)
                yield
            return
        async with connection.begin():
            if self._dialect == "sqlite":  # its own BEGIN would wait for the first change, and read before it
                await connection.exec_driver_sql("BEGIN IMMEDIATE")
            await self._tell(connection, told)
            yield

    async def _tell(self, connection: AsyncConnection, told: Mapping[str, str]) -> None:
        if not told:
            return
        await self._settings.send(connection, told)
        if self._settings.is_row_security and not self._is_bound:
            await self._settings.require_bound(connection)
            self._is_bound = True

    @asynccontextmanager
    async def _connected(self, text: str) -> AsyncIterator[AsyncConnection]:
        """Lease a connection, with what the database says while it is opened translated."""
        self._require_outside()
        async with AsyncExitStack() as held:

            async def connect(_: StatementTimeout) -> AsyncConnection:
                await held.enter_async_context(self._leases.one())
                return await held.enter_async_context(self._opened().connect())

            with self._translated(text):
                connection = await within(self._timeout_s, connect)
            yield connection

    async def _run(self, work: Callable[[AsyncConnection], Awaitable[T]], text: str) -> T:
        """Lease a connection and work on it, all within the time."""
        self._require_outside()

        async def leased(limit: StatementTimeout) -> T:
            async with self._leases.one(), self._opened().connect() as connection:
                return await _held(limit, connection, work)

        with self._translated(text):
            return await within(self._timeout_s, leased)

    async def _timed(
        self, connection: AsyncConnection, work: Callable[[AsyncConnection], Awaitable[T]], text: str
    ) -> T:
        with self._translated(text):
            return await within(self._timeout_s, lambda limit: _held(limit, connection, work))

    @contextmanager
    def _translated(self, text: str) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise self._late(text) from None
        except (SQLAlchemyError, OSError) as error:
            raise failure_of(error, text) from None

    def _late(self, text: str) -> DatabaseFailed:
        return noted(DatabaseFailed(f"the database took longer than {self._timeout_s:g} s"), text)

    def _require_outside(self) -> None:
        """Another connection would not see the transaction's changes, and may wait for its locks until it times out."""
        if any(database is self and tx.is_open for database, tx in within_transaction.get()):
            raise StatementRefused("a transaction of this Database is open here: call tx.query() or tx.execute()")

    def _opened(self) -> AsyncEngine:
        """Return the engine of the URL that holds now: new connections use a renewed secret."""
        url = Secret(self._url.reveal())
        if self._engine is None:
            self._engine = self._engine_of(url)
            _open.add(self)
        elif url != self._opened_with:
            try:
                require_driver(read_url(url))
                if read_url(url).get_backend_name() != self._dialect:
                    raise DatabaseMisuse("Database: the URL is one of another database")
                engine = self._engine_of(url)
            except ValueError:
                raise DatabaseFailed("the database URL was changed to one that cannot be used") from None
            retiring = asyncio.get_running_loop().create_task(retire(self._engine))
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)
            self._engine, self._is_bound = engine, False
        self._opened_with = url
        return self._engine

    def _engine_of(self, url: Secret) -> AsyncEngine:
        return open_engine(
            url,
            read_only=self._read_only,
            pool_size=self._max_concurrency,
            folder=self._folder,
            timeout_s=self._timeout_s,
        )


def _require_bounds(given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        kinds = (int, float) if name == "timeout_s" else (int,)
        if type(value) not in kinds or not value > 0:
            raise DatabaseMisuse(f"Database: {name} is a number above 0", hint=f"write {name}={_BOUNDS[name]}")


def _read(url: Any) -> Secret:
    if not isinstance(url, Secret | str) or not url:
        hint = "write Database(env.SHOP_DATABASE_URL), and set it: mcpward secret set SHOP_DATABASE_URL"
        raise DatabaseMisuse(f"Database: the URL is {type(url).__name__}, not a text or a secret", hint=hint)
    secret = url if isinstance(url, Secret) else Secret(url)
    if secret.hosts:
        hint = f"set it without --host: mcpward secret set {secret.name} --any-host"
        raise DatabaseMisuse(
            f"Database: the secret {secret.name} is bound to hosts, so only mcpward.http sends it", hint=hint
        )
    if _MASKED in secret.reveal():  # what a secret of env prints as
        hint = "keep the whole URL as one secret, and write Database(env.SHOP_DATABASE_URL)"
        raise DatabaseMisuse("Database: the URL contains ***, because a secret does not print its value", hint=hint)
    try:
        parsed = read_url(secret)
    except ValueError:
        raise DatabaseMisuse("Database: the URL cannot be read", hint=f"write {_URLS}") from None
    require_driver(parsed)
    return secret


async def _held(
    limit: StatementTimeout, connection: AsyncConnection, work: Callable[[AsyncConnection], Awaitable[T]]
) -> T:
    """Work on a connection that may be interrupted meanwhile."""
    limit.driver = (await connection.get_raw_connection()).driver_connection
    try:
        return await work(connection)
    finally:
        limit.driver = None


async def close_all() -> None:
    """Close every database that is open in this process; for the end of serving."""
    for database in list(_open):
        await database.close()
