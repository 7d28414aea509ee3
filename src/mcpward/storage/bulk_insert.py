"""Rows by the batch into SQLite, one hop to a thread for each batch.

The asynchronous driver hops for every statement, and SQLAlchemy looks at every batch anew: together that costs more
than SQLite itself. Here a thread of its own holds one connection and does a whole transaction at once.

Many rows go into one statement. The driver lets go of the interpreter's lock at every step of SQLite and has to win it
back from a busy event loop: row by row, a saturated server would write a few hundred records a second. And most rows
of a batch have most values in common: such a column is handed over once, which halves the work of a statement.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import lru_cache
from itertools import chain
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Table, create_engine
from sqlalchemy.pool import NullPool, PoolProxiedConnection

from mcpward.storage import sqlite
from mcpward.storage.disk import Disk
from mcpward.storage.shield import shielded

T = TypeVar("T")
Rows = list[tuple[Any, ...]]
#: Rows of one statement, largest first; a batch is made up of these, so few statements are ever prepared.
_SIZES: Final = (256, 64, 16, 4, 1)
#: With fewer rows it costs more to look for columns that are alike than it saves.
_WORTH_A_LOOK: Final = 16
#: Such statements, each for a size and a set of columns that are alike. A batch of a new kind costs up to half more
#: than it would without.
_STATEMENTS: Final = 32
_AT_ONCE: Final = 500


class CursorStatements:
    """Statements on a cursor of the driver, without SQLAlchemy in between."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def run(self, sql: str, **values: Any) -> Rows:
        """Run one statement and return its rows."""
        return list(self._cursor.execute(sql, values).fetchall())

    def put(self, table: Table, columns: tuple[str, ...], rows: Rows) -> None:
        """Insert rows in their order, in as few statements as are worth preparing."""
        start = 0
        for size in _SIZES:
            while len(rows) - start >= size:
                self._cursor.execute(*_statement(table.name, columns, rows[start : start + size]))
                start += size

    def stream(self, sql: str, **values: Any) -> Iterator[tuple[Any, ...]]:
        """Return the rows of a query as they are read from the file."""
        self._cursor.execute(sql, values)
        while rows := self._cursor.fetchmany(_AT_ONCE):
            yield from rows


class BulkInsert:
    """One thread, and a connection for each promise; opened when first used. Callers take turns outside.


    Leaves of the disk what keys and revocations need.
    """

    def __init__(self, url: URL, disk: Disk) -> None:
        self._disk = disk
        self._engine = create_engine(
            url.set(drivername="sqlite+pysqlite"),
            poolclass=NullPool,
            connect_args={"isolation_level": None, "check_same_thread": False, "cached_statements": _STATEMENTS},
        )
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mcpward-record")
        self._connections: dict[bool, PoolProxiedConnection] = {}

    async def write(
        self, work: Callable[[CursorStatements], T], committed: Callable[[T], None], *, is_durable: bool, adds: bool
    ) -> T:
        """Do the work in one transaction: all of it, or nothing and what the work or the driver raises.

        ``is_durable``: what was written is on the disk when this returns; else it may be lost with the power.
        ``committed`` is called with what the work gave, after the commit; it must not raise. What ``adds`` is refused
        with :class:`NoRoom` if it would take what keys and revocations need of the disk.
        """
        return await self._hop(lambda: self._write(work, committed, is_durable, adds))

    async def read(self, work: Callable[[CursorStatements], T]) -> T:
        """Do the work on one state of the database, on a connection and a thread of its own that cannot write."""
        return await shielded(asyncio.ensure_future(asyncio.to_thread(self._read, work)))

    async def close(self) -> None:
        """Close the connections and end the thread."""
        await self._hop(self._close)
        self._thread.shutdown(wait=False)

    async def _hop(self, work: Callable[[], T]) -> T:
        # Waits to the end: a cancelled caller must not free its turn while the thread is still in the transaction.
        return await shielded(asyncio.get_running_loop().run_in_executor(self._thread, work))

    def _write(
        self, work: Callable[[CursorStatements], T], committed: Callable[[T], None], is_durable: bool, adds: bool
    ) -> T:
        if adds:
            self._disk.require_room()
        connection = self._connections.get(is_durable)
        if connection is None:
            connection = self._connections[is_durable] = self._opened(is_durable=is_durable)
        cursor = connection.cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                result = work(CursorStatements(cursor))
                cursor.execute("COMMIT")
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
        finally:
            cursor.close()
        committed(result)
        return result

    def _read(self, work: Callable[[CursorStatements], T]) -> T:
        with closing(self._opened(is_durable=False)) as connection, closing(connection.cursor()) as cursor:
            cursor.execute("PRAGMA query_only=ON")
            cursor.execute("BEGIN")
            try:
                return work(CursorStatements(cursor))
            finally:
                cursor.execute("ROLLBACK")

    def _opened(self, *, is_durable: bool) -> PoolProxiedConnection:
        connection = self._engine.raw_connection()
        sqlite.tune(connection, self._disk.journal, is_durable=is_durable)
        # A text that is not UTF-8 was written by another program: it must not keep others from being read.
        connection.driver_connection.text_factory = _text  # type: ignore[union-attr]
        return connection

    def _close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
        self._engine.dispose()


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


def _statement(table: str, columns: tuple[str, ...], rows: Rows) -> tuple[str, list[Any]]:
    """Return the statement that inserts the rows in their order, and its parameters."""
    size = len(rows)
    if size < _WORTH_A_LOOK:
        return _insert(table, columns, (False,) * len(columns), size), list(chain.from_iterable(rows))
    by_column = list(zip(*rows, strict=True))
    # Values of a column have one type: those that are equal are stored alike.
    alike = tuple([values.count(values[0]) == size for values in by_column])
    if all(alike):  # something must be left to make the rows of
        alike = (False, *alike[1:])
    once = [values[0] for values, are in zip(by_column, alike, strict=True) if are]
    others = zip(*[values for values, are in zip(by_column, alike, strict=True) if not are], strict=True)
    return _insert(table, columns, alike, size), [*once, *chain.from_iterable(others)]


@lru_cache(maxsize=_STATEMENTS)
def _insert(table: str, columns: tuple[str, ...], alike: tuple[bool, ...], size: int) -> str:
    once = [name for name, is_alike in zip(columns, alike, strict=True) if is_alike]
    others = [name for name, is_alike in zip(columns, alike, strict=True) if not is_alike]
    row = f"({', '.join('?' * len(others))})"
    rows = f"VALUES {', '.join([row] * size)}"
    if once:
        own = [f"column{number}" for number in range(1, len(others) + 1)]  # SQLite's names for those of VALUES
        rows = f"SELECT {', '.join(['?'] * len(once) + own)} FROM ({rows})"  # noqa: S608  # our own names
    return f"INSERT INTO {table} ({', '.join(once + others)}) {rows}"
