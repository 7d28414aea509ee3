"""Sessions that were ended by their callers, until their tokens would have run out by themselves."""

from typing import Final

from sqlalchemy import delete, insert, select

from mcpward.core.ended import CAPACITY
from mcpward.storage.lanes import Lanes
from mcpward.storage.revisions import changes, take_next
from mcpward.storage.tables import ENDED

_REVISION: Final = "sessions"


class EndedSessions:
    """Fits ``identity.refresh.EndedSource``."""

    def __init__(self, lanes: Lanes, *, capacity: int = CAPACITY) -> None:
        self._lanes = lanes
        self._capacity = capacity

    async def end(self, session_id: str, forget_at: float) -> None:
        """Remember that the session was ended; a second time changes nothing.

        As many are kept as a worker remembers. Beyond that the one that was ended first goes: whoever may begin a
        session may end it, and each would be a row for a day.
        """
        async with self._lanes.durable() as connection:
            known = (await connection.execute(select(ENDED.c.id).where(ENDED.c.id == session_id))).one_or_none()
            if known is None:
                revision = await take_next(connection, _REVISION)
                row = {"id": session_id, "forget_at": forget_at, "revision": revision}
                await connection.execute(insert(ENDED).values(row))
                await connection.execute(delete(ENDED).where(ENDED.c.revision <= revision - self._capacity))

    async def ended_since(self, revision: int) -> tuple[int, list[tuple[str, float]]]:
        """Give the revision to ask with next time, and the sessions ended after ``revision``: id and forget-at."""
        latest, rows = await changes(self._lanes, _REVISION, ENDED, revision)
        return latest, [(row.id, row.forget_at) for row in rows]

    async def prune(self, now: float) -> None:
        """Forget the sessions whose tokens have run out at ``now``."""
        over = ENDED.c.forget_at <= now
        async with self._lanes.read() as connection:
            if (await connection.execute(select(ENDED.c.id).where(over).limit(1))).one_or_none() is None:
                return  # the usual case takes no write lock
        async with self._lanes.bulk() as connection:
            await connection.execute(delete(ENDED).where(over))
