"""Rows that are added and never changed: ended sessions, used states. A row taken away leaves a gap in their numbers.

Each row has the next number and a code. Those that have expired are forgotten from the oldest on, up to a floor that
stands in the counter under its code; between floor and counter no number may be missing. Nothing is signed on the word
of a row that was not judged: neither a floor above it nor a number after it.
"""

import asyncio
from collections import deque
from typing import Any, Final

from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mcpward.core.errors import Refusal, Unreachable
from mcpward.core.facts import RetryAfter
from mcpward.core.reasons import Reason
from mcpward.storage.connections import Connections
from mcpward.storage.integrity import Counter, Integrity, read_counter
from mcpward.storage.mark import Standing
from mcpward.storage.tables import REVISIONS

_TRIES: Final = 5
_SLICE: Final = 500
"""Rows that are judged at a time: a few milliseconds."""
_MOST_FORGOTTEN: Final = 10_000
"""Rows that one call forgets at most, a slice in each transaction."""
_RETRY_AFTER_S: Final = 60
_Row = dict[str, Any]


class Journal:
    """The rows of one table with the columns ``id``, ``forget_at``, ``revision`` and ``mac``. For one event loop.

    At most ``capacity`` are kept: beyond that the oldest go; or, if each id counts once (``is_once``), no more are
    taken. The ids of such a journal are remembered: what this process has judged cannot be taken away from it.
    """

    def __init__(
        self,
        connections: Connections,
        integrity: Integrity,
        name: str,
        table: Table,
        capacity: int,
        *,
        is_once: bool = False,
    ) -> None:
        self._connections = connections
        self.integrity = integrity
        self.name = name
        self.table = table
        self._capacity = capacity
        self._is_once = is_once
        self._judged = 0
        self._ids: set[str] = set()
        self._numbered: deque[tuple[int, str]] = deque()

    async def append(self, row_id: str, forget_at: float) -> bool:
        """Add a row, on the disk and in the mark when the call returns. False if the id is there already.

        Raises:
            Untrusted: rows that this process had not seen were taken away or changed, or the counter was.
            Refusal: busy; each id counts once, and there is no room for more.
        """
        standing: Standing | None = None
        while True:
            async with self._connections.durable() as connection:
                counter = await self._require_counter(connection)
                self._follow(counter)
                is_near = counter.revision - self._judged <= _SLICE
                if is_near:
                    self._learn(await self._require_slice(connection, counter, self._judged))
                    standing = await self._append(connection, counter, row_id, forget_at)
            if is_near:
                break
            await self._catch_up(counter.revision)  # at a place where no caller waits
        if standing is None:
            return False
        self._learn([{"id": row_id, "revision": standing.revision}])
        await asyncio.to_thread(self.integrity.advance, {self.name: standing})
        return True

    async def has(self, row_id: str) -> bool:
        """Return whether there is a row of that id.

        Raises:
            Untrusted: it was not written with the master key.
        """
        async with self._connections.read() as connection:
            found = (await connection.execute(select(self.table).where(self.table.c.id == row_id))).one_or_none()
        if found is not None and not self.integrity.is_row(self.table, dict(found._mapping)):  # noqa: SLF001 - as below
            raise self.integrity.forged(self.table.name)
        return found is not None

    async def prune(self, now: float) -> None:
        """Forget the oldest rows, as far as their ``forget_at`` has come; some thousands at most.

        Raises:
            Untrusted: one of them is not as a holder of the master key wrote it, or is missing.
        """
        table = self.table
        async with self._connections.read() as connection:
            oldest = await connection.execute(select(table.c.forget_at).order_by(table.c.revision).limit(1))
            until = oldest.scalar_one_or_none()
            if until is None or until > now:
                return  # the usual case takes no write lock
        for _ in range(_MOST_FORGOTTEN // _SLICE):
            async with self._connections.bulk() as connection:
                counter = await self._require_counter(connection)
                rows = await self._require_slice(connection, counter, counter.floor)
                floor = next((row["revision"] - 1 for row in rows if row["forget_at"] > now), counter.floor + len(rows))
                await self._forget(connection, counter.revision, floor)
            if floor < counter.floor + _SLICE:
                return

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

    def start_after(self, counter: Counter, rows: list[_Row]) -> None:
        """Take all rows that are there, judged, for seen: they need not be judged again before the next is added."""
        self._follow(counter)
        self._learn(rows)

    def follow(self) -> "FollowedJournal":
        """Return a reader of what is added, from the beginning."""
        return FollowedJournal(self, self._connections)

    async def slice(self, connection: AsyncConnection, above: int) -> list[_Row] | None:
        """Return the next rows above a number, judged; none at the end, and None if they were just forgotten.

        Raises:
            Untrusted: they are not as a holder of the master key left them.
        """
        before = await read_counter(connection, self.name)
        rows = await self._next_rows(connection, max(above, before.floor), _SLICE)
        after = await read_counter(connection, self.name)
        for counter in (before, after):
            if not self.integrity.is_counter(counter, ""):
                raise self.integrity.forged(self.table.name)
        if after.floor > max(above, before.floor):
            return None
        self._judge_slice(before, after, rows, above, _SLICE)
        return rows

    async def _require_slice(
        self, connection: AsyncConnection, counter: Counter, above: int, most: int | None = None
    ) -> list[_Row]:
        """Return the next rows above a number, judged, within a transaction that has locked the counter."""
        most = _SLICE if most is None else min(most, _SLICE)
        rows = await self._next_rows(connection, max(above, counter.floor), most)
        self._judge_slice(counter, counter, rows, above, most)
        return rows

    async def _next_rows(self, connection: AsyncConnection, above: int, most: int) -> list[_Row]:
        table = self.table
        ordered = select(table).where(table.c.revision > above).order_by(table.c.revision).limit(most)
        return [dict(row._mapping) for row in await connection.execute(ordered)]  # noqa: SLF001 - as above

    def _judge_slice(self, before: Counter, after: Counter, rows: list[_Row], above: int, most: int) -> None:
        """Require that these are the next rows above a number, read when the counter went from one to the other."""
        first = max(above, before.floor) + 1
        end = first + len(rows)
        is_whole = [row["revision"] for row in rows] == list(range(first, end)) and end - 1 <= after.revision
        if len(rows) < most and end <= before.revision:
            is_whole = False
        if not is_whole or not all(self.integrity.is_row(self.table, row) for row in rows):
            raise self.integrity.forged(self.table.name)

    async def _append(
        self, connection: AsyncConnection, counter: Counter, row_id: str, forget_at: float
    ) -> Standing | None:
        table = self.table
        if row_id in self._ids:
            return None
        if (await connection.execute(select(table.c.id).where(table.c.id == row_id))).one_or_none() is not None:
            return None
        is_full = counter.revision - counter.floor >= self._capacity
        if is_full and self._is_once:  # to forget one would make it good again
            raise Refusal(Reason.BUSY, f"{table.name} are full", RetryAfter(_RETRY_AFTER_S))
        standing = await self.add(connection, counter, [{"id": row_id, "forget_at": forget_at}])
        if is_full:
            over = standing.revision - counter.floor - self._capacity
            locked = Counter(self.name, standing.revision, counter.floor, b"")
            oldest = await self._require_slice(connection, locked, counter.floor, over)
            await self._forget(connection, standing.revision, counter.floor + len(oldest))
        return standing

    async def _catch_up(self, revision: int) -> None:
        """Judge what others have added, up to a number."""
        while self._judged < revision:
            async with self._connections.read() as connection:
                counter = await read_counter(connection, self.name)
                rows = await self.slice(connection, self._judged)
            if rows is None:
                continue
            if rows:
                self._judged = max(self._judged, rows[0]["revision"] - 1)  # what is between was forgotten
            elif counter.revision <= counter.floor:
                return
            self._learn(rows)

    def _learn(self, rows: list[_Row]) -> None:
        """Take rows that were judged and follow on what was."""
        for row in rows:
            if row["revision"] == self._judged + 1:
                self._judged += 1
                if self._is_once:
                    self._ids.add(row["id"])
                    self._numbered.append((row["revision"], row["id"]))

    def _follow(self, counter: Counter) -> None:
        if counter.revision < self._judged:
            raise self.integrity.older(self.name, counter.revision, self._judged)
        self._judged = max(self._judged, counter.floor)
        while self._numbered and self._numbered[0][0] <= counter.floor:
            self._ids.discard(self._numbered.popleft()[1])

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


class FollowedJournal:
    """A reader's knowledge of a journal: the last counter, and how far the rows were read again."""

    def __init__(self, journal: Journal, connections: Connections) -> None:
        self._journal = journal
        self._connections = connections
        self._counter: Counter | None = None
        self._audited = 0

    async def audit(self) -> bool:
        """Read and judge some hundred rows again. True at the end of all of them: the next call begins anew.

        Raises:
            Untrusted: they were taken away or changed. The next call begins with the same ones.
        """
        async with self._connections.read() as connection:
            rows = await self._journal.slice(connection, self._audited)
        if rows is None:
            return False
        is_end = len(rows) < _SLICE
        self._audited = 0 if is_end else rows[-1]["revision"]
        return is_end

    async def news(self) -> list[tuple[str, float]]:
        """Return the rows that are new since the last time: id, and when it is to be forgotten.

        Raises:
            Untrusted: rows were taken away or changed, or there were more before.
            Unreachable: others write so often that no whole picture can be had.
        """
        journal, known = self._journal, self._counter
        for _ in range(_TRIES):
            async with self._connections.read() as connection:
                counter = await read_counter(connection, journal.name)
                if known is not None and counter.revision < known.revision:
                    raise journal.integrity.older(journal.name, counter.revision, known.revision)
                if counter == known:
                    return []
                above = max(counter.floor, 0 if known is None else known.revision)
                rows = await journal.rows(connection, above)
                if await read_counter(connection, journal.name) != counter:
                    continue
            journal.judge(counter, rows, above)
            if known is None or counter.revision != known.revision:
                journal.integrity.advance({journal.name: Standing(counter.revision)})
            self._counter = counter
            return [(row["id"], row["forget_at"]) for row in rows]
        raise Unreachable(f"{journal.table.name} change faster than they can be read")
