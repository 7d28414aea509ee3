"""Rows by the batch into SQLite, one hop to a thread for each batch.

The asynchronous driver hops for every statement, and SQLAlchemy looks at every batch anew: together that costs more
than SQLite itself. Here a thread of its own holds one connection and does a whole transaction at once.

Many rows go into one statement. The driver lets go of the interpreter's lock at every step of SQLite and has to win it
back from a busy event loop: row by row, a saturated server would write a few hundred records a second. And most rows
of a batch have most values in common: such a column is handed over once, which halves the work of a statement.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import chain
from typing import Any, Final

from sqlalchemy import URL, create_engine
from sqlalchemy.pool import NullPool, PoolProxiedConnection

from mcpward.storage import sqlite
from mcpward.storage.disk import Disk
from mcpward.storage.finish import finish

Rows = list[tuple[Any, ...]]
#: Rows of one statement, largest first; a batch is made up of these, so few statements are ever prepared.
_SIZES: Final = (256, 64, 16, 4, 1)
#: With fewer rows it costs more to look for columns that are alike than it saves.
_WORTH_A_LOOK: Final = 16
#: Of these, each for a size and a set of columns that are alike. A batch of a new kind costs
#: up to half more than it would without.
_STATEMENTS: Final = 32


class Conveyor:
    """One thread and one connection; opened at the first batch. Callers take turns outside.

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
        self._connection: PoolProxiedConnection | None = None

    async def put(self, table: str, columns: tuple[str, ...], rows: Rows) -> None:
        """Insert the rows in one transaction: all, or none and the driver's exception, or :class:`NoRoom`."""
        await self._hop(lambda: self._put(table, columns, rows))

    async def close(self) -> None:
        """Close the connection and end the thread."""
        await self._hop(self._close)
        self._thread.shutdown(wait=False)

    async def _hop(self, work: Callable[[], None]) -> None:
        # To the end: a cancelled caller must not free its turn while the thread is still in the transaction.
        await finish(asyncio.get_running_loop().run_in_executor(self._thread, work))

    def _put(self, table: str, columns: tuple[str, ...], rows: Rows) -> None:
        self._disk.require_room()
        if self._connection is None:
            connection = self._engine.raw_connection()
            sqlite.tune(connection, self._disk.journal, is_durable=False)
            self._connection = connection
        cursor = self._connection.cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                start = 0
                for size in _SIZES:
                    while len(rows) - start >= size:
                        cursor.execute(*_statement(table, columns, rows[start : start + size]))
                        start += size
                cursor.execute("COMMIT")
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
        finally:
            cursor.close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._engine.dispose()


def _statement(table: str, columns: tuple[str, ...], rows: Rows) -> tuple[str, list[Any]]:
    """Give the statement that inserts the rows in their order, and its parameters."""
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
