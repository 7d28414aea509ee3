"""The rows of a statement, read in batches: no more than a cap of them, or of their bytes, is ever held."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Final, Generic, Self, TypeVar

from msgspec import Struct
from sqlalchemy import Connection, CursorResult
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from mcpward.sdk.database.bound_statement import BoundStatement
from mcpward.sdk.database.database_failure import failure_of
from mcpward.sdk.database.drivers import MYSQL
from mcpward.sdk.errors import ToolError

T = TypeVar("T")
Row = dict[str, Any]
_BATCH: Final = 256
_NESTED: Final = (list, tuple)
_PASSING: Final = (OSError, ToolError, SQLAlchemyError)


class RowList(list[T]):
    """The rows of a ``query(…, on_cap="truncate")``. ``truncated``: there are more than these."""

    def __init__(self, rows: Sequence[T] = (), *, truncated: bool = False) -> None:
        super().__init__(rows)
        self.truncated = truncated


class Changed(int, Generic[T]):
    """The number of rows that a statement changed, as an ``int``.

    ``rows`` are those of its RETURNING, as dicts or as ``into``. ``inserted_id`` is the AUTO_INCREMENT value of the one
    row that an INSERT added on MySQL, which has no RETURNING, or on MariaDB; None elsewhere.
    """

    rows: list[T]
    inserted_id: int | None

    def __new__(cls, count: int, rows: list[T] | None = None, inserted_id: int | None = None) -> Self:
        """Make one of a count."""
        made = super().__new__(cls, count)
        made.rows = rows or []
        made.inserted_id = inserted_id
        return made


class RowCaps(Struct, frozen=True):
    """The bounds of a result: rows, and bytes of the texts and binary values in them, those of arrays included."""

    rows: int
    bytes: int

    def refusal(self, found: Sequence[Row]) -> ToolError:
        """Return the error for a result that is larger."""
        what = f"{self.rows} rows" if len(found) > self.rows else f"{self.bytes} bytes"
        return ToolError(f"the answer has more than {what}: narrow the request")

    def cut(self, found: list[Row]) -> list[Row]:
        """Return the first rows that are within the bounds."""
        left, kept = self.bytes, 0
        for row in found[: self.rows]:
            left -= _size(row)
            if left < 0:
                break
            kept += 1
        return found[:kept]


async def fetched(connection: AsyncConnection, bound: BoundStatement, caps: RowCaps) -> tuple[list[Row], bool]:
    """Return the rows, and whether they are more than the caps: then one row, or a batch, more than fits."""
    found: list[Row] = []
    left = caps.bytes
    async with aclosing(batches(connection, bound, most=caps.rows + 1)) as read:
        async for batch in read:
            found += batch
            left -= sum(map(_size, batch))
            if left < 0:
                return found, True
    return found, len(found) > caps.rows


async def batches(
    connection: AsyncConnection, bound: BoundStatement, most: int | None = None
) -> AsyncGenerator[list[Row], None]:
    """Yield the rows in batches, ``most`` of them. A plain execute would hold the whole result in memory."""
    try:
        result = await connection.stream(bound.clause, bound.values)
        try:
            left = most
            while left is None or left > 0:
                size = _BATCH if left is None else min(_BATCH, left)
                batch = [dict(row) for row in await result.mappings().fetchmany(size)]
                if batch:
                    yield batch
                if len(batch) < size:
                    return
                left = None if left is None else left - size
        finally:
            await result.close()
    except _PASSING:
        raise
    except Exception as error:  # noqa: BLE001  # asyncpg's own, which SQLAlchemy does not wrap while it streams
        raise failure_of(error, bound.statement.text) from None


def changed(
    bound: BoundStatement, most: int, read: Callable[[list[Row]], list[Any]], connection: Connection
) -> Changed[Any]:
    """Run a change. Streamed if there may be rows, as in :func:`batches`; only so is the count of others known."""
    try:
        streams = {"stream_results": bound.statement.returns}
        result = connection.execute(bound.clause, bound.values, execution_options=streams)
        if not result.returns_rows:
            return Changed(result.rowcount, inserted_id=_inserted_id(bound, result, connection.dialect.name))
        rows = [dict(row) for row in result.mappings().fetchmany(most + 1)]
        result.close()
    except SQLAlchemyError:
        raise
    except Exception as error:  # noqa: BLE001  # as in batches
        raise failure_of(error, bound.statement.text) from None
    if len(rows) > most:
        raise ToolError(f"the answer has more than {most} rows: narrow the request")
    return Changed(len(rows), read(rows))


def _size(row: Row) -> int:
    return sum(map(_bytes, row.values()))


def _bytes(value: Any) -> int:
    kind = type(value)
    if kind is str:
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    if kind is bytes:
        return len(value)
    return sum(map(_bytes, value)) if kind in _NESTED else 0


def _inserted_id(bound: BoundStatement, result: CursorResult[Any], dialect: str) -> int | None:
    """Return the database's number of the one new row. SQLite's would be another row's after a conflict."""
    is_one = bound.statement.verb == "INSERT" and result.rowcount == 1 and dialect in MYSQL
    return (result.lastrowid or None) if is_one else None
