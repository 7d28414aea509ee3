"""What a statement returns: rows within the caps, as an author's own type."""

from functools import partial
from typing import Any

import pydantic
from sqlalchemy.ext.asyncio import AsyncConnection

from mcpward.sdk.database.bound_statement import BoundStatement
from mcpward.sdk.database.fetching import Changed, ResultCap, Row, Rows, changed, fetched
from mcpward.sdk.database.rows import reader_of
from mcpward.sdk.errors import DatabaseFailed, StatementRefused

_ON_CAP = ("refuse", "truncate")


class Results:
    """Reads the results of one database, within its ``caps``."""

    def __init__(self, caps: ResultCap) -> None:
        self._caps = caps

    async def fetch(self, connection: AsyncConnection, bound: BoundStatement, into: Any, on_cap: str) -> list[Any]:
        """Return the rows of a query, as ``into``.

        Raises:
            ToolError: they are more than the caps, and ``on_cap`` is not ``truncate``.
            DatabaseFailed: a row does not fit ``into``.
        """
        if on_cap not in _ON_CAP:
            raise StatementRefused('on_cap is "refuse" or "truncate"')
        rows, is_over = await fetched(connection, bound, self._caps)
        if on_cap == "truncate":
            return Rows(typed(self._caps.cut(rows) if is_over else rows, into), truncated=is_over)
        if is_over:
            raise self._caps.refusal(rows)
        return typed(rows, into)

    async def change(self, connection: AsyncConnection, bound: BoundStatement, into: Any) -> Changed[Any]:
        """Run a change within a transaction; what it raises must end that."""
        return await connection.run_sync(partial(changed, bound, self._caps.rows, partial(typed, into=into)))


def typed(rows: list[Row], into: Any) -> list[Any]:
    """Return rows as ``into``, or as they are. Raises :class:`DatabaseFailed`, without the values."""
    if into is None:
        return rows
    try:
        return reader_of(into)(rows)
    except (ValueError, TypeError) as error:  # its text quotes the row
        raise DatabaseFailed(f"a row does not fit {into.__name__}: {_shape(error)}") from None


def _shape(error: Exception) -> str:
    if isinstance(error, pydantic.ValidationError):
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return f"{'.'.join(map(str, first['loc']))} {first['type']}"
    return type(error).__name__
