"""The connections to the database: one connection to read, one for writes that must survive a power cut, one for bulk.

SQLite takes one writer at a time. Writers of one process stand in a queue here instead of spinning on its lock, and
take the lock when they begin (``BEGIN IMMEDIATE``): a reader that turns writer half-way would be refused at once.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import URL, event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from mcpward.storage import sqlite
from mcpward.storage.bulk_insert import BulkInsert
from mcpward.storage.disk import Disk
from mcpward.storage.shield import shielded
from mcpward.storage.statements import ConnectionStatements, Statements

T = TypeVar("T")
_POSTGRES_POOL: Final = 5
# "mcp-rec" in ASCII: any number that no other program in the same PostgreSQL server uses.
_RECORD_LOCK: Final = int.from_bytes(b"mcp-rec")


class Connections:
    """The connections of one store. ``dialect`` is ``sqlite`` or ``postgresql``.

    ``disk`` is what a SQLite database lies on; its folder exists. None of a database that is somewhere else.
    """

    def __init__(self, url: URL) -> None:
        self.dialect = url.get_backend_name()
        self._turn = asyncio.Lock()
        self.disk: Disk | None = None
        if self.dialect == "sqlite":
            disk = self.disk = Disk(Path(str(url.database)))
            self._reader = _sqlite(url, disk.journal, pool_size=2, begin=None, is_durable=False)
            self._durable = _sqlite(url, disk.journal, pool_size=1, begin="BEGIN IMMEDIATE", is_durable=True)
            self._bulk = _sqlite(url, disk.journal, pool_size=1, begin="BEGIN IMMEDIATE", is_durable=False)
            self._bulk_insert = BulkInsert(url, disk)
        else:
            engine = create_async_engine(url, pool_size=_POSTGRES_POOL, pool_pre_ping=True, hide_parameters=True)
            self._reader = engine.execution_options(isolation_level="AUTOCOMMIT")
            self._durable = self._bulk = engine

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection that only reads; each statement sees the newest commit."""
        async with _connected(self._reader) as connection:
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection that only reads, and whose statements all see one state: that of the first of them."""
        if self.dialect != "sqlite":
            async with _connected(self._durable.execution_options(isolation_level="REPEATABLE READ")) as connection:
                yield connection
            return
        async with self.read() as connection:
            begun = asyncio.ensure_future(connection.exec_driver_sql("BEGIN"))
            try:
                await shielded(begun)
                yield connection
            finally:  # the pool ends no transaction that it did not begin
                if begun.exception() is None:
                    await shielded(asyncio.ensure_future(connection.exec_driver_sql("ROLLBACK")))

    @asynccontextmanager
    async def durable(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that is on the disk when the block has been left without an exception."""
        async with self._write(self._durable) as connection:
            yield connection

    @asynccontextmanager
    async def bulk(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that survives the death of the process, but perhaps not that of the machine."""
        async with self._write(self._bulk) as connection:
            yield connection

    async def write(
        self, work: Callable[[Statements], T], committed: Callable[[T], None], *, is_durable: bool, adds: bool = True
    ) -> T:
        """Do the work in one transaction away from the event loop; durable or not, as for the two connections that
        write.

        ``committed`` is called with what the work gave, in a thread, after the commit; it must not raise.
        Work that ``adds`` nothing is done on a full disk too.
        """
        if self.dialect == "sqlite":
            async with self._turn:
                return await self._bulk_insert.write(work, committed, is_durable=is_durable, adds=adds)
        async with self._write(self._durable if is_durable else self._bulk) as connection:
            await self.lock_record(connection)
            result = await connection.run_sync(lambda sync: work(ConnectionStatements(sync)))
        await asyncio.to_thread(committed, result)
        return result

    async def lock_record(self, connection: AsyncConnection) -> None:
        """Have other writers of the record wait for the end of this transaction.

        The next writer must see the state that this one left, as SQLite's one writer does.
        """
        if self.dialect != "sqlite":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _RECORD_LOCK})

    async def examine(self, work: Callable[[Statements], T]) -> T:
        """Do work that only reads on one state of the database, however long it takes and whatever is written."""
        if self.dialect == "sqlite":
            return await self._bulk_insert.read(work)
        async with _connected(self._bulk.execution_options(isolation_level="REPEATABLE READ")) as connection:
            return await connection.run_sync(lambda sync: work(ConnectionStatements(sync)))

    @asynccontextmanager
    async def _write(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        async with AsyncExitStack() as stack:
            if self.dialect == "sqlite":
                await stack.enter_async_context(self._turn)
            connection = await stack.enter_async_context(_connected(engine))
            await stack.enter_async_context(connection.begin())
            yield connection

    async def cut_log(self) -> None:
        """Move SQLite's write-ahead log into the database, and free its space on the disk. Best effort."""
        async with self._turn, self.read() as connection:
            await connection.exec_driver_sql("PRAGMA busy_timeout=100")  # does not wait for current readers
            try:
                await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                await connection.exec_driver_sql(f"PRAGMA busy_timeout={sqlite.BUSY_MS}")

    async def close(self) -> None:
        """Close every connection."""
        if self.dialect == "sqlite":
            async with self._turn:
                await self._bulk_insert.close()
        for engine in (self._reader, self._durable, self._bulk):
            await engine.dispose()


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a connection, and close it at the end of the block.

    Both are completed even if the caller is cancelled meanwhile: until the pool tracks a connection, neither the driver
    nor the pool closes it, and the file would stay open.
    """
    connection = engine.connect()
    try:
        await shielded(asyncio.ensure_future(connection.start()))
        yield connection
    finally:
        if connection.sync_connection is not None:
            await shielded(asyncio.ensure_future(connection.close()))


def _sqlite(url: URL, journal: int, *, pool_size: int, begin: str | None, is_durable: bool) -> AsyncEngine:
    # Without a transaction there is nothing to roll back, which saves the reader a thread hop per statement. A writer
    # must not use that setting: the driver's own transactions are off, ours are begun below, and a failed one is rolled
    # back.
    alone: dict[str, Any] = {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        hide_parameters=True,  # an exception's text must not carry digests, arguments or sealed blobs
        connect_args={"isolation_level": None},
        **(alone if begin is None else {}),
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _connected(connection: Any, _: Any) -> None:
        sqlite.tune(connection, journal, is_durable=is_durable)

    if begin is not None:

        @event.listens_for(engine.sync_engine, "begin")
        def _begun(connection: Any) -> None:
            connection.exec_driver_sql(begin)

    return engine
