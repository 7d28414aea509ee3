"""Several statements that hold together: all of them happen, or none (``async with db.transaction() as tx``)."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final, Literal, LiteralString, Protocol, TypeVar, overload

from sqlalchemy.ext.asyncio import AsyncConnection

from mcpward.sdk.database import composed
from mcpward.sdk.database.bound_statement import BoundStatement
from mcpward.sdk.database.connection import reading
from mcpward.sdk.database.fetching import Changed, RowList
from mcpward.sdk.database.prepared import PreparedStatements
from mcpward.sdk.database.results import Results
from mcpward.sdk.errors import StatementRefused

T = TypeVar("T")

within_transaction: Final[ContextVar[tuple[tuple[object, "Transaction"], ...]]] = ContextVar(
    "mcpward_transactions", default=()
)
"""The databases whose transactions were begun around the code that runs. A task may outlive the one it began in."""


class TimedWork(Protocol):
    """Runs work on a connection, in the database's time, and translates its errors."""

    def __call__(
        self, connection: AsyncConnection, work: Callable[[AsyncConnection], Awaitable[T]], text: str
    ) -> Awaitable[T]:
        """Return the result of ``work``."""
        ...


class Transaction:
    """The statements of one transaction, one after another on one connection. Ends with its block.

    In a transaction that may write, PostgreSQL and MySQL do not keep ``query`` from changing something. There a WITH
    that contains a change is refused by its words.
    """

    def __init__(
        self,
        connection: AsyncConnection,
        statements: PreparedStatements,
        results: Results,
        timed: TimedWork,
        *,
        is_read_only: bool,
    ) -> None:
        self._connection: AsyncConnection | None = connection
        self._statements = statements
        self._results = results
        self._timed = timed
        self._is_read_only = is_read_only
        self._turn = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """Whether it takes statements."""
        return self._connection is not None

    def end(self) -> None:
        """Take no more statements."""
        self._connection = None

    @overload
    async def query(
        self, sql: LiteralString | composed.sql, /, *, into: type[T], on_cap: Literal["refuse"] = ..., **params: Any
    ) -> list[T]: ...
    @overload
    async def query(
        self,
        sql: LiteralString | composed.sql,
        /,
        *,
        into: None = ...,
        on_cap: Literal["refuse"] = ...,
        **params: Any,
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
        """Return the rows of a SELECT; see ``Database.query``."""
        bound = self._statements.reading(sql, params)
        is_sqlite = self._held().dialect.name == "sqlite"
        if bound.statement.may_change and not is_sqlite and not self._is_read_only:
            raise StatementRefused("query() changes nothing: begin the statement with INSERT, and use execute()")

        async def fetch(connection: AsyncConnection) -> list[Any]:
            if not is_sqlite:
                return await self._results.fetch(connection, bound, into, on_cap)
            async with reading(connection):
                return await self._results.fetch(connection, bound, into, on_cap)

        return await self._run(fetch, bound)

    @overload
    async def execute(self, sql: LiteralString | composed.sql, /, *, into: type[T], **params: Any) -> Changed[T]: ...
    @overload
    async def execute(
        self, sql: LiteralString | composed.sql, /, *, into: None = ..., **params: Any
    ) -> Changed[dict[str, Any]]: ...
    async def execute(self, sql: LiteralString | composed.sql, /, *, into: Any = None, **params: Any) -> Changed[Any]:
        """Run one INSERT, UPDATE or DELETE; see ``Database.execute``. It holds when the block has ended."""
        bound = self._statements.changing(sql, params)
        return await self._run(lambda connection: self._results.change(connection, bound, into), bound)

    def _held(self) -> AsyncConnection:
        if self._connection is None:
            raise StatementRefused("this transaction has ended: use tx within its async with block")
        return self._connection

    async def _run(self, work: Callable[[AsyncConnection], Awaitable[T]], bound: BoundStatement) -> T:
        """One statement at a time: a connection has no place for two."""
        async with self._turn:
            return await self._timed(self._held(), work, bound.statement.text)
