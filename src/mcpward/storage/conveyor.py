"""Rows by the batch into SQLite, one hop to a thread for each batch.

The asynchronous driver hops for every statement, and SQLAlchemy looks at every batch anew: together that costs more
than SQLite itself. Here a thread of its own holds one connection and does a whole transaction at once.

Many rows go into one statement. The driver lets go of the interpreter's lock at every step of SQLite and has to win it
back from a busy event loop: row by row, a saturated server would write a few hundred records a second.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import chain
from typing import Any, Final

from sqlalchemy import URL, create_engine
from sqlalchemy.pool import NullPool, PoolProxiedConnection

from mcpward.storage import sqlite
from mcpward.storage.finish import finish

Rows = list[tuple[Any, ...]]
#: Rows of one statement, largest first; a batch is made up of these, so few statements are ever prepared.
_SIZES: Final = (256, 64, 16, 4, 1)


class Conveyor:
    """One thread and one connection; opened at the first batch. Callers take turns outside."""

    def __init__(self, url: URL) -> None:
        self._engine = create_engine(
            url.set(drivername="sqlite+pysqlite"),
            poolclass=NullPool,
            connect_args={"isolation_level": None, "check_same_thread": False},
        )
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mcpward-record")
        self._connection: PoolProxiedConnection | None = None

    async def put(self, table: str, columns: tuple[str, ...], rows: Rows) -> None:
        """Insert the rows in one transaction: all, or none and the driver's exception."""
        await self._hop(lambda: self._put(table, columns, rows))

    async def close(self) -> None:
        """Close the connection and end the thread."""
        await self._hop(self._close)
        self._thread.shutdown(wait=False)

    async def _hop(self, work: Callable[[], None]) -> None:
        # To the end: a cancelled caller must not free its turn while the thread is still in the transaction.
        await finish(asyncio.get_running_loop().run_in_executor(self._thread, work))

    def _put(self, table: str, columns: tuple[str, ...], rows: Rows) -> None:
        if self._connection is None:
            connection = self._engine.raw_connection()
            sqlite.tune(connection, is_durable=False)
            self._connection = connection
        cursor = self._connection.cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                start = 0
                for size in _SIZES:
                    while len(rows) - start >= size:
                        cursor.execute(_insert(table, columns, size), tuple(chain(*rows[start : start + size])))
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


@cache
def _insert(table: str, columns: tuple[str, ...], size: int) -> str:
    row = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * size)}"  # noqa: S608  # our own names
