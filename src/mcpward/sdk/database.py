"""``Database``: literal SQL with named parameters, read-only unless said otherwise, few at once, rows and time bounded.

SQLite files today (``sqlite:///orders.db``); other SQLAlchemy async URLs are handed on as they are. What goes wrong
is a :class:`DatabaseFailed` without SQL, values or the driver's text, so nothing of it can reach a caller.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any, Final, LiteralString, TypeVar, overload
from weakref import WeakSet

import pydantic
from sqlalchemy import TextClause, bindparam, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mcpward.core.limit_name import SYNTAX, is_limit_name
from mcpward.core.secret import Secret
from mcpward.sdk.author_place import author_place
from mcpward.sdk.connection import open_engine, read_url, reading
from mcpward.sdk.errors import AuthoringError, DatabaseFailed, StatementRefused, ToolError
from mcpward.sdk.interrupt import Grip, within
from mcpward.sdk.lease import Leases
from mcpward.sdk.options import options
from mcpward.sdk.parameters import bindable
from mcpward.sdk.rows import reader_of
from mcpward.sdk.statement import Statement, read_statement, require_parameters, require_read, require_write

T = TypeVar("T")
_MOST_STATEMENTS: Final = 1000
_MASKED: Final = str(Secret(""))
_BOUNDS: Final = {"max_concurrency": "5", "row_cap": "1000", "timeout_s": "10"}
_open: "WeakSet[Database]" = WeakSet()


class DatabaseMisuse(AuthoringError, ValueError):
    """A database that cannot be used as it is declared. Never quotes the URL."""


class Database:
    """A database for tools. Connects on first use.

    The path of a SQLite file (``sqlite:///orders.db``) starts at the folder of the file that makes the ``Database``,
    whatever the working directory is, also where the URL comes from ``env``.

    ``max_concurrency`` statements run at once, others wait within their ``timeout_s`` (seconds, waiting included),
    callers in turn.
    ``row_cap`` bounds a result: more rows are refused, not cut off. ``read_only=False`` allows :meth:`execute`.
    ``name`` is what it is called as a pool (``@server.tool(pools=[db])``), and the operator's ``[pools.<name>]``.

    Raises:
        AuthoringError: the URL cannot be read, its driver is not there, a bound is not more than 0, or the name is none
            for a pool. It is a ``ValueError`` too.
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
        self._leases = Leases(max_concurrency)
        self._statements: dict[str, Statement] = {}

    def __repr__(self) -> str:
        return f"Database(read_only={self._read_only})"

    @property
    def name(self) -> str | None:
        """What it is called as a pool; None where its author gave no name."""
        return self._name

    @property
    def max_concurrency(self) -> int:
        """Statements that run at once."""
        return self._max_concurrency

    @overload
    async def query(self, sql: LiteralString, /, *, into: type[T], **params: Any) -> list[T]: ...
    @overload
    async def query(self, sql: LiteralString, /, *, into: None = None, **params: Any) -> list[dict[str, Any]]: ...
    async def query(self, sql: LiteralString, /, *, into: Any = None, **params: Any) -> list[Any]:
        """Give the rows of a SELECT as dicts, or as ``into`` (a pydantic model, dataclass, TypedDict, msgspec struct).

        A list is bound as several values: ``WHERE id IN :ids``. The database itself keeps the statement from changing
        anything, also with ``read_only=False``.

        Raises:
            StatementRefused: the SQL is not one reading statement, or its parameters do not match ``params``.
            ToolError: more rows than ``row_cap``: the caller is told to narrow the request.
            DatabaseFailed: the database said no, took too long, or a row does not fit ``into``.
        """
        statement = self._read(sql)
        require_read(statement)

        async def fetch(connection: AsyncConnection) -> list[dict[str, Any]]:
            async with reading(connection):
                return await _fetched(connection, *self._bound(statement, params), self._row_cap + 1)

        rows = await self._run(fetch)
        if len(rows) > self._row_cap:
            raise ToolError(f"the answer has more than {self._row_cap} rows: narrow the request")
        if into is None:
            return rows
        try:
            return reader_of(into)(rows)
        except (ValueError, TypeError) as error:  # its text quotes the row
            raise DatabaseFailed(f"a row does not fit {into.__name__}: {_shape(error)}") from None

    async def execute(self, sql: LiteralString, /, **params: Any) -> int:
        """Run one INSERT, UPDATE or DELETE in a transaction of its own and give the number of rows it changed.

        Raises:
            StatementRefused: another statement, parameters that do not match, or a read-only database.
            DatabaseFailed: the database said no or took too long; nothing was changed.
        """
        if self._read_only:
            raise StatementRefused("this Database is read-only; say read_only=False to change something")
        statement = self._read(sql)
        require_write(statement)

        async def change(connection: AsyncConnection) -> int:
            async with connection.begin():
                result = await connection.execute(*self._bound(statement, params))
                return result.rowcount

        return await self._run(change)

    async def close(self) -> None:
        """Close all connections. The next statement opens new ones."""
        engine, self._engine = self._engine, None
        _open.discard(self)
        if engine is not None:
            await engine.dispose()

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
        clause = _clause(statement.text)
        lists = [name for name, value in params.items() if isinstance(value, list | tuple | set | frozenset)]
        if lists:
            clause = clause.bindparams(*(bindparam(name, expanding=True) for name in lists))
        driver = self._engine.dialect.name if self._engine is not None else ""
        return clause, {name: bindable(name, value, driver) for name, value in params.items()}

    async def _run(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Lease a connection and work on it, all within the time."""

        async def leased(grip: Grip) -> T:
            async with self._leases.one(), self._opened().connect() as connection:
                grip.driver = (await connection.get_raw_connection()).driver_connection
                try:
                    return await work(connection)
                finally:
                    grip.driver = None

        try:
            return await within(self._timeout_s, leased)
        except TimeoutError:
            raise DatabaseFailed(f"the database took longer than {self._timeout_s:g} s") from None
        except (SQLAlchemyError, OSError) as error:
            raise DatabaseFailed(_kind(error)) from None

    def _opened(self) -> AsyncEngine:
        if self._engine is None:
            self._engine = open_engine(
                self._url, read_only=self._read_only, pool_size=self._max_concurrency, folder=self._folder
            )
            _open.add(self)
        return self._engine


def _require_bounds(max_concurrency: Any, row_cap: Any, timeout_s: Any) -> None:
    given = {"max_concurrency": max_concurrency, "row_cap": row_cap, "timeout_s": timeout_s}
    for name, value in given.items():
        kinds = (int, float) if name == "timeout_s" else (int,)
        if type(value) not in kinds or not value > 0:
            raise DatabaseMisuse(f"Database: {name} is a number above 0", hint=f"write {name}={_BOUNDS[name]}")


def _read(url: Any) -> Secret:
    if not isinstance(url, Secret | str) or not url:
        hint = "write Database(env.SHOP_DATABASE_URL), and set that: mcpward secret set SHOP_DATABASE_URL"
        raise DatabaseMisuse(f"Database: there is no URL, but {type(url).__name__}", hint=hint)
    secret = url if isinstance(url, Secret) else Secret(url)
    if _MASKED in secret.reveal():  # what a secret of env prints as
        hint = "keep the whole URL as one secret, and write Database(env.SHOP_DATABASE_URL)"
        raise DatabaseMisuse("Database: a secret does not print: the URL holds *** where it was meant", hint=hint)
    try:
        dialect = read_url(secret).get_dialect()
        dialect.import_dbapi()
    except ValueError:
        hint = 'write "sqlite:///shop.db" or "postgresql://…"'
        raise DatabaseMisuse("Database: the URL cannot be read", hint=hint) from None
    except ModuleNotFoundError as missing:
        hint = f"pip install {missing.name}, where mcpward is installed"
        raise DatabaseMisuse(f"Database: the driver {missing.name} is not installed", hint=hint) from None
    except SQLAlchemyError:
        raise DatabaseMisuse(
            "Database: no such database is known", hint='write "sqlite:///…" or "postgresql://…"'
        ) from None
    if not dialect.is_async:
        hint = f'write "{dialect.name}://…" and install its asynchronous driver'
        raise DatabaseMisuse(f"Database: {dialect.driver} is no asynchronous driver", hint=hint)
    return secret


async def _fetched(
    connection: AsyncConnection, clause: TextClause, values: dict[str, Any], most: int
) -> list[dict[str, Any]]:
    """Streamed: a plain execute would hold the whole result in memory before the cap is looked at."""
    try:
        result = await connection.stream(clause, values)
        found = await result.mappings().fetchmany(most)
        await result.close()
    except SQLAlchemyError:
        raise
    except Exception as error:  # noqa: BLE001  # asyncpg's own, which SQLAlchemy does not wrap while it streams
        raise DatabaseFailed(_kind(error)) from None
    return [dict(row) for row in found]


@lru_cache(maxsize=_MOST_STATEMENTS)
def _clause(sql: str) -> TextClause:
    return text(sql)


async def close_all() -> None:
    """Close every database that is open in this process; for the end of serving."""
    for database in list(_open):
        await database.close()


def _kind(error: Exception) -> str:
    """Name what failed without its text: that may quote SQL, values or the address of the database."""
    origin = getattr(error, "orig", None) or error
    code = getattr(origin, "sqlite_errorname", "") or getattr(origin, "sqlstate", "") or ""
    return f"{type(origin).__name__} {code}".rstrip()


def _shape(error: Exception) -> str:
    if isinstance(error, pydantic.ValidationError):
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return f"{'.'.join(map(str, first['loc']))} {first['type']}"
    return type(error).__name__
