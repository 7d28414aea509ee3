"""``Database``: literal SQL with named parameters, read-only unless said otherwise, few at once, rows and time bounded.

SQLite files, PostgreSQL, MySQL and MariaDB; other SQLAlchemy async URLs are handed on as they are. An error is a
:class:`DatabaseFailed` whose text holds no SQL, values or words of the database, so nothing of it can reach a caller.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache, partial
from typing import Any, Final, LiteralString, Self, TypeVar, overload
from weakref import WeakSet

import pydantic
from sqlalchemy import Connection, CursorResult, TextClause, bindparam, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mcpward.core.limit_name import SYNTAX, is_limit_name
from mcpward.core.secret import Secret
from mcpward.sdk.author_place import author_place
from mcpward.sdk.database.connection import open_engine, read_url, reading, require_driver, retire
from mcpward.sdk.database.database_failure import failure_of, noted
from mcpward.sdk.database.drivers import MYSQL
from mcpward.sdk.database.lease import Leases
from mcpward.sdk.database.parameters import bindable
from mcpward.sdk.database.rows import reader_of
from mcpward.sdk.database.statement import (
    Statement,
    bound_text,
    read_statement,
    require_mysql,
    require_parameters,
    require_read,
    require_write,
)
from mcpward.sdk.database.statement_timeout import StatementTimeout, within
from mcpward.sdk.errors import DatabaseFailed, DatabaseMisuse, StatementRefused, ToolError
from mcpward.sdk.options import options

T = TypeVar("T")
_MOST_STATEMENTS: Final = 1000
_MASKED: Final = str(Secret(""))
_BOUNDS: Final = {"max_concurrency": "5", "row_cap": "1000", "timeout_s": "10"}
_URLS: Final = '"sqlite:///shop.db", "postgresql://…" or "mysql://…"'
_open: "WeakSet[Database]" = WeakSet()


class Changed(int):
    """The number of rows that a statement changed, as an ``int``.

    ``rows`` are those of its RETURNING, as dicts. ``inserted_id`` is the AUTO_INCREMENT value of the one row that an
    INSERT added on MySQL, which has no RETURNING, or on MariaDB; None elsewhere.
    """

    rows: list[dict[str, Any]]
    inserted_id: int | None

    def __new__(cls, count: int, rows: list[dict[str, Any]] | None = None, inserted_id: int | None = None) -> Self:
        """Make one of a count."""
        made = super().__new__(cls, count)
        made.rows = rows or []
        made.inserted_id = inserted_id
        return made


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
        timeout_s: float = 10,
    ) -> None:
        _require_bounds(max_concurrency, row_cap, timeout_s)
        if name is not None and not is_limit_name(name):
            raise DatabaseMisuse(f"Database: a name is {SYNTAX}", hint='write name="orders"')
        self._name = name
        self._url = _read(url)
        self._folder = author_place().folder
        self._max_concurrency = max_concurrency
        self._read_only = read_only
        self._row_cap = row_cap
        self._timeout_s = timeout_s
        self._engine: AsyncEngine | None = None
        self._opened_with = self._url
        self._retiring: set[asyncio.Task[None]] = set()
        self._leases = Leases(max_concurrency)
        self._statements: dict[str, Statement] = {}

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
    def max_concurrency(self) -> int:
        """Statements that run at once."""
        return self._max_concurrency

    @overload
    async def query(self, sql: LiteralString, /, *, into: type[T], **params: Any) -> list[T]: ...
    @overload
    async def query(self, sql: LiteralString, /, *, into: None = None, **params: Any) -> list[dict[str, Any]]: ...
    async def query(self, sql: LiteralString, /, *, into: Any = None, **params: Any) -> list[Any]:
        """Return the rows of a SELECT as dicts, or as ``into`` (pydantic model, dataclass, TypedDict, msgspec struct).

        A list is bound as several values: ``WHERE id IN :ids``. The database itself keeps the statement from changing
        anything, also with ``read_only=False``.

        Raises:
            StatementRefused: the SQL is not one reading statement, or its parameters do not match ``params``.
            ToolError: more rows than ``row_cap``: the error asks the caller to narrow the request.
            DatabaseFailed: the database refused, took too long, or a row does not fit ``into``.
        """
        statement = self._read(sql)
        require_read(statement)

        async def fetch(connection: AsyncConnection) -> list[dict[str, Any]]:
            async with reading(connection):
                return await _fetched(connection, statement, *self._bound(statement, params), self._row_cap + 1)

        rows = await self._run(fetch, statement)
        if len(rows) > self._row_cap:
            raise ToolError(f"the answer has more than {self._row_cap} rows: narrow the request")
        if into is None:
            return rows
        try:
            return reader_of(into)(rows)
        except (ValueError, TypeError) as error:  # its text quotes the row
            raise DatabaseFailed(f"a row does not fit {into.__name__}: {_shape(error)}") from None

    async def execute(self, sql: LiteralString, /, **params: Any) -> Changed:
        """Run one INSERT, UPDATE or DELETE in a transaction of its own and return the number of rows it changed.

        The number is a :class:`Changed`: ``rows`` are the result of ``RETURNING id``, ``inserted_id`` is MySQL's.

        Raises:
            StatementRefused: another statement, parameters that do not match, or a read-only database.
            UniqueViolated: the value of a key or of a UNIQUE column is taken. It is a ``ConstraintViolated``.
            ConstraintViolated: NOT NULL, CHECK or a foreign key forbids it. It is a ``DatabaseFailed``.
            DatabaseFailed: the database refused or took too long.
            ToolError: RETURNING gave more rows than ``row_cap``.
                After each of these nothing was changed.
        """
        if self._read_only:
            raise StatementRefused("this Database is read-only; set read_only=False to change data")
        statement = self._read(sql)
        require_write(statement)

        async def change(connection: AsyncConnection) -> Changed:
            async with connection.begin():
                bound = self._bound(statement, params)
                done = await connection.run_sync(partial(_changed, statement, *bound, self._row_cap + 1))
                if len(done.rows) > self._row_cap:
                    raise ToolError(f"the answer has more than {self._row_cap} rows: narrow the request")
                return done

        return await self._run(change, statement)

    async def close(self) -> None:
        """Close all connections. The next statement opens new ones."""
        engine, self._engine = self._engine, None
        _open.discard(self)
        if engine is not None:
            await engine.dispose()
        await asyncio.gather(*self._retiring)

    def _read(self, sql: LiteralString) -> Statement:
        known = self._statements.get(sql)
        if known is None:
            if not isinstance(sql, str):
                raise StatementRefused("a statement is a literal text")
            if len(self._statements) >= _MOST_STATEMENTS:
                # A program holds a finite number of literals: these are being built, likely from values.
                raise StatementRefused("too many different statements: write SQL as literals, values as parameters")
            known = self._statements[sql] = read_statement(sql)
        return known

    def _bound(self, statement: Statement, params: Mapping[str, Any]) -> tuple[TextClause, dict[str, Any]]:
        require_parameters(statement, frozenset(params))
        driver = self._engine.dialect.name if self._engine is not None else ""
        clause = _clause(statement.text, is_mysql=driver in MYSQL)
        lists = [name for name, value in params.items() if isinstance(value, list | tuple | set | frozenset)]
        if lists:
            clause = clause.bindparams(*(bindparam(name, expanding=True) for name in lists))
        return clause, {name: bindable(name, value, driver) for name, value in params.items()}

    async def _run(self, work: Callable[[AsyncConnection], Awaitable[T]], statement: Statement) -> T:
        """Lease a connection and work on it, all within the time."""

        async def leased(limit: StatementTimeout) -> T:
            async with self._leases.one(), self._opened().connect() as connection:
                limit.driver = (await connection.get_raw_connection()).driver_connection
                try:
                    return await work(connection)
                finally:
                    limit.driver = None

        try:
            return await within(self._timeout_s, leased)
        except TimeoutError:
            late = DatabaseFailed(f"the database took longer than {self._timeout_s:g} s")
            raise noted(late, statement.text) from None
        except (SQLAlchemyError, OSError) as error:
            raise failure_of(error, statement.text) from None

    def _opened(self) -> AsyncEngine:
        """Return the engine of the URL that holds now: new connections use a renewed secret."""
        url = Secret(self._url.reveal())
        if self._engine is None:
            self._engine = self._engine_of(url)
            _open.add(self)
        elif url != self._opened_with:
            try:
                require_driver(read_url(url))
                engine = self._engine_of(url)
            except ValueError:
                raise DatabaseFailed("the database URL was changed to one that cannot be used") from None
            retiring = asyncio.get_running_loop().create_task(retire(self._engine))
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)
            self._engine = engine
        self._opened_with = url
        return self._engine

    def _engine_of(self, url: Secret) -> AsyncEngine:
        return open_engine(url, read_only=self._read_only, pool_size=self._max_concurrency, folder=self._folder)


def _require_bounds(max_concurrency: Any, row_cap: Any, timeout_s: Any) -> None:
    given = {"max_concurrency": max_concurrency, "row_cap": row_cap, "timeout_s": timeout_s}
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


async def _fetched(
    connection: AsyncConnection, statement: Statement, clause: TextClause, values: dict[str, Any], most: int
) -> list[dict[str, Any]]:
    """Streamed: a plain execute would hold the whole result in memory before the cap is looked at."""
    try:
        result = await connection.stream(clause, values)
        found = await result.mappings().fetchmany(most)
        await result.close()
    except SQLAlchemyError:
        raise
    except Exception as error:  # noqa: BLE001  # asyncpg's own, which SQLAlchemy does not wrap while it streams
        raise failure_of(error, statement.text) from None
    return [dict(row) for row in found]


def _changed(
    statement: Statement, clause: TextClause, values: dict[str, Any], most: int, connection: Connection
) -> Changed:
    """Streamed if there may be rows, as in :func:`_fetched`; only so is the count of other statements known."""
    try:
        result = connection.execute(clause, values, execution_options={"stream_results": statement.returns})
        if not result.returns_rows:
            return Changed(result.rowcount, inserted_id=_inserted_id(statement, result, connection.dialect.name))
        rows = [dict(row) for row in result.mappings().fetchmany(most)]
        result.close()
    except SQLAlchemyError:
        raise
    except Exception as error:  # noqa: BLE001  # as in _fetched
        raise failure_of(error, statement.text) from None
    return Changed(len(rows), rows)


def _inserted_id(statement: Statement, result: CursorResult[Any], dialect: str) -> int | None:
    """Return the database's number of the one new row. SQLite's would be another row's after a conflict."""
    is_one = statement.verb == "INSERT" and result.rowcount == 1 and dialect in MYSQL
    return (result.lastrowid or None) if is_one else None


@lru_cache(maxsize=_MOST_STATEMENTS)
def _clause(sql: str, *, is_mysql: bool) -> TextClause:
    if is_mysql:
        require_mysql(sql)
    return text(bound_text(sql))


async def close_all() -> None:
    """Close every database that is open in this process; for the end of serving."""
    for database in list(_open):
        await database.close()


def _shape(error: Exception) -> str:
    if isinstance(error, pydantic.ValidationError):
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return f"{'.'.join(map(str, first['loc']))} {first['type']}"
    return type(error).__name__
