"""The record as the store keeps it: its rows, and what they take of the disk."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from sqlalchemy import text, update

from mcpward.storage.connections import Connections
from mcpward.storage.disk import is_full
from mcpward.storage.tables import REVISIONS, TASKS
from mcpward.storage.traffic import TrafficTable
from mcpward.traffic.row import Row
from mcpward.traffic.sink import NoRoom, Usage

_PROBE: Final = "probe"
_SIZE: Final = text("SELECT COALESCE(SUM(pg_column_size(traffic.*)), 0) FROM traffic")
#: One statement, for each takes several turns of the driver's thread, and this is asked every second.
_SIZES: Final = text(
    f"SELECT (SELECT COALESCE(SUM(size), 0) FROM {TASKS.name}), page_count, freelist_count, page_size"  # noqa: S608
    " FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
)
#: A log this many times as large as it is meant to be is cut off: readers have kept it from beginning anew.
_LOG_TIMES: Final = 4


class RecordStore:
    """Fits ``traffic.sink.RecordSink``."""

    def __init__(self, connections: Connections, table: TrafficTable) -> None:
        self._connections = connections
        self._table = table

    async def append(self, columns: tuple[str, ...], rows: list[Row]) -> None:
        """Keep a batch, all of it or nothing."""
        with _told():
            await self._table.append(columns, rows)

    async def append_intent(self, columns: tuple[str, ...], row: Row) -> None:
        """Keep one record; it is on the disk when the call returns."""
        with _told():
            await self._table.append_intent(columns, row)

    async def prune(self, before: float) -> int:
        """Drop the records from before ``before`` (seconds since 1970). Return how many there were."""
        return await self._table.prune(before)

    async def prune_oldest(self, chain: str, rows: int) -> int:
        """Drop up to so many records from the oldest end of a chain. Return how many there were."""
        return await self._table.prune_oldest(chain, rows)

    async def counts(self) -> Mapping[str, int]:
        """Return the number of records of each chain."""
        return await self._table.counts()

    async def usage(self) -> Usage:
        """Return what the database takes on disk, without the results of tasks: those have a bound of their own."""
        disk = self._connections.disk
        async with self._connections.read() as connection:
            sizes = (await connection.execute(_SIZE if disk is None else _SIZES)).one()
        if disk is None:
            return Usage(int(sizes[0]), 0)
        of_tasks, pages, free, page = map(int, sizes)
        growth = await asyncio.to_thread(disk.growth)
        return Usage(max(0, (pages - free) * page - of_tasks), free * page, growth)

    async def require_room(self) -> None:
        """Raise :class:`NoRoom` if the disk is full."""
        if self._connections.disk is not None:
            await asyncio.to_thread(self._connections.disk.require_room)

    async def try_write(self) -> None:
        """Write a number. Raises :class:`NoRoom` on a full disk, or what the store raises."""
        await self.require_room()
        with _told():
            async with self._connections.bulk() as connection:
                mine = update(REVISIONS).where(REVISIONS.c.name == _PROBE)
                await connection.execute(mine.values(value=REVISIONS.c.value + 1))

    async def tend(self) -> None:
        """Cut off a log that has grown too large, and fill up the reserve if there is room again."""
        disk = self._connections.disk
        if disk is None:
            return
        size = await asyncio.to_thread(disk.log_size)
        is_short = size > disk.journal and disk.growth() == 0
        if is_short or size > _LOG_TIMES * disk.journal:
            await self._connections.cut_log()
        await asyncio.to_thread(disk.fill_reserve)


@contextmanager
def _told() -> Iterator[None]:
    """Raise :class:`NoRoom` in the place of the driver's word for it."""
    try:
        yield
    except Exception as error:
        if is_full(error):
            raise NoRoom from None
        raise
