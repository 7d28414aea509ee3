"""Plain SQL inside a transaction, the same for both databases: named parameters, rows as tuples.

Statements run in a thread or a greenlet of the driver, never on the event loop.
"""

from collections.abc import Iterator
from typing import Any, Final, Protocol

from sqlalchemy import Connection, Table, insert, text

Row = tuple[Any, ...]
#: Rows that are fetched at once from a long answer.
_AT_ONCE: Final = 500


class Statements(Protocol):
    """An open transaction."""

    def run(self, sql: str, **values: Any) -> list[Row]:
        """Run one statement and return its rows; none for a statement that has none."""
        ...

    def put(self, table: Table, columns: tuple[str, ...], rows: list[Row]) -> None:
        """Insert rows in their order."""
        ...

    def stream(self, sql: str, **values: Any) -> Iterator[Row]:
        """Return the rows of a query one after the other, however many there are."""
        ...


class ConnectionStatements:
    """Statements on a connection of SQLAlchemy."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def run(self, sql: str, **values: Any) -> list[Row]:
        """Run one statement and return its rows."""
        result = self._connection.execute(text(sql), values)
        return [tuple(row) for row in result] if result.returns_rows else []

    def put(self, table: Table, columns: tuple[str, ...], rows: list[Row]) -> None:
        """Insert rows in their order."""
        self._connection.execute(insert(table), [dict(zip(columns, row, strict=True)) for row in rows])

    def stream(self, sql: str, **values: Any) -> Iterator[Row]:
        """Return the rows of a query through a cursor on the server."""
        for row in self._connection.execute(text(sql), values, execution_options={"yield_per": _AT_ONCE}):
            yield tuple(row)
