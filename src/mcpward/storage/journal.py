"""Rows that are added and never changed: ended sessions, used states. A row taken away leaves a gap in their numbers.

Each row has the next number and a code. Those that have run out are forgotten from the oldest on, up to a floor that
stands in the counter under its code; between floor and counter no number may be missing.
"""

import asyncio
from typing import Any, Final

from sqlalchemy import Table, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mcpward.core.errors import Unreachable
from mcpward.storage.integrity import Counter, Integrity, read_counter
from mcpward.storage.lanes import Lanes
from mcpward.storage.mark import Standing
from mcpward.storage.tables import REVISIONS

_TRIES: Final = 5
_Row = dict[str, Any]


class Journal:
    """The rows of one table with the columns ``id``, ``forget_at``, ``revision`` and ``mac``.

    At most ``capacity`` are kept, where it is given: beyond that, the oldest go.
    """

    def __init__(
        self, lanes: Lanes, integrity: Integrity, name: str, table: Table, capacity: int | None = None
    ) -> None:
        self._lanes = lanes
        self.integrity = integrity
        self.name = name
        self.table = table
        self._capacity = capacity

    async def append(self, row_id: str, forget_at: float) -> bool:
        """Add a row, on the disk and in the mark when the call returns. False where the id is there already.

        Raises:
            Untrusted: rows have been taken away, or the counter was changed.
        """
        table = self.table
        async with self._lanes.durable() as connection:
            counter = await self._require_counter(connection)
            if (await connection.execute(select(table.c.id).where(table.c.id == row_id))).one_or_none() is not None:
                return False
            await self._require_all(connection, counter)
            standing = await self.add(connection, counter, [{"id": row_id, "forget_at": forget_at}])
            if self._capacity is not None and standing.revision - counter.floor > self._capacity:
                await self._forget(connection, standing.revision, standing.revision - self._capacity)
        await asyncio.to_thread(self.integrity.advance, {self.name: standing})
        return True

    async def has(self, row_id: str) -> bool:
        """Return whether there is a row of that id.

        Raises:
            Untrusted: nobody with the master key wrote it.
        """
        async with self._lanes.read() as connection:
            found = (await connection.execute(select(self.table).where(self.table.c.id == row_id))).one_or_none()
        if found is not None and not self.integrity.is_row(self.table, dict(found._mapping)):  # noqa: SLF001 - as below
            raise self.integrity.forged(self.table.name)
        return found is not None

    async def prune(self, now: float) -> None:
        """Forget the oldest rows, as far as their ``forget_at`` has come."""
        table = self.table
        async with self._lanes.read() as connection:
            oldest = await connection.execute(select(table.c.forget_at).order_by(table.c.revision).limit(1))
            until = oldest.scalar_one_or_none()
            if until is None or until > now:
                return  # the usual case takes no write lock
        async with self._lanes.bulk() as connection:
            counter = await self._require_counter(connection)
            kept = await connection.execute(select(func.min(table.c.revision)).where(table.c.forget_at > now))
            first = kept.scalar_one_or_none()
            floor = counter.revision if first is None else first - 1
            await self._forget(connection, counter.revision, floor)

    async def add(self, connection: AsyncConnection, counter: Counter, rows: list[_Row]) -> Standing:
        """Add rows under the next numbers."""
        coded = []
        for number, row in enumerate(rows, counter.revision + 1):
            numbered = {"id": row["id"], "forget_at": row["forget_at"], "revision": number}
            coded.append(numbered | {"mac": self.integrity.row_mac(self.table, numbered)})
        if coded:
            await connection.execute(insert(self.table), coded)
        return await self._close(connection, counter.revision + len(rows), counter.floor)

    async def replace(self, connection: AsyncConnection, rows: list[_Row], revision: int) -> Standing:
        """Write these rows anew, numbered on from ``revision``, with codes of the newest key."""
        await connection.execute(delete(self.table))
        ordered = sorted(rows, key=lambda row: row["revision"])
        return await self.add(connection, Counter(self.name, revision, revision, b""), ordered)

    async def rows(self, connection: AsyncConnection, above: int = -1) -> list[_Row]:
        """Return the rows with a higher number, in their order, with their codes, not judged."""
        table = self.table
        found = await connection.execute(select(table).where(table.c.revision > above).order_by(table.c.revision))
        return [dict(row._mapping) for row in found]  # noqa: SLF001 - the documented way to a row's names

    def judge(self, counter: Counter, rows: list[_Row], above: int) -> None:
        """Require that these are all rows above a number.

        Raises:
            Untrusted: they are not.
        """
        if not self.integrity.is_counter(counter, ""):
            raise self.integrity.forged(self.table.name)
        first = max(above, counter.floor) + 1
        if [row["revision"] for row in rows] != list(range(first, counter.revision + 1)):
            raise self.integrity.forged(self.table.name)
        if not all(self.integrity.is_row(self.table, row) for row in rows):
            raise self.integrity.forged(self.table.name)

    def follow(self) -> "FollowedJournal":
        """Return a reader of what is added, from the beginning."""
        return FollowedJournal(self, self._lanes)

    async def _forget(self, connection: AsyncConnection, revision: int, floor: int) -> None:
        await connection.execute(delete(self.table).where(self.table.c.revision <= floor))
        await self._close(connection, revision, floor)

    async def _close(self, connection: AsyncConnection, revision: int, floor: int) -> Standing:
        values = {"value": revision, "floor": floor, "mac": self.integrity.counter_mac(self.name, revision, floor, "")}
        await connection.execute(update(REVISIONS).where(REVISIONS.c.name == self.name).values(values))
        return Standing(revision)

    async def _require_counter(self, connection: AsyncConnection) -> Counter:
        counter = await read_counter(connection, self.name, lock=True)
        if not self.integrity.is_counter(counter, ""):
            raise self.integrity.forged(self.table.name)
        return counter

    async def _require_all(self, connection: AsyncConnection, counter: Counter) -> None:
        """Count the rows: that each is one of ours was judged when it was read first."""
        mine = select(func.count()).select_from(self.table).where(self.table.c.revision > counter.floor)
        if (await connection.execute(mine)).scalar_one() != counter.revision - counter.floor:
            raise self.integrity.forged(self.table.name)


class FollowedJournal:
    """What a reader knows of a journal: where the counter stood."""

    def __init__(self, journal: Journal, lanes: Lanes) -> None:
        self._journal = journal
        self._lanes = lanes
        self._counter: Counter | None = None

    async def news(self, *, whole: bool = False) -> list[tuple[str, float]]:
        """Return the rows that are new since the last time: id, and when it is to be forgotten.

        ``whole`` has all of them read and judged anew.

        Raises:
            Untrusted: rows were taken away or changed, or there were more before.
            Unreachable: others write so often that no whole picture can be had.
        """
        journal, known = self._journal, self._counter
        for _ in range(_TRIES):
            async with self._lanes.read() as connection:
                counter = await read_counter(connection, journal.name)
                if known is not None and counter.revision < known.revision:
                    raise journal.integrity.older(journal.name, counter.revision, known.revision)
                if counter == known and not whole:
                    return []
                above = max(counter.floor, 0 if known is None or whole else known.revision)
                rows = await journal.rows(connection, above)
                if await read_counter(connection, journal.name) != counter:
                    continue
            journal.judge(counter, rows, above)
            if known is None or counter.revision != known.revision:
                journal.integrity.advance({journal.name: Standing(counter.revision)})
            self._counter = counter
            return [(row["id"], row["forget_at"]) for row in rows]
        raise Unreachable(f"{journal.table.name} change faster than they can be read")
