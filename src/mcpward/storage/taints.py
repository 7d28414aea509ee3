"""Conversations that have read what strangers wrote, until when, and from where. Shared by all workers of a site."""

from typing import Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from mcpward.storage.connections import Connections
from mcpward.storage.tables import TAINTS

#: Rows that are forgotten at once when there are expired ones.
_LONGEST: Final = 200


class TaintTable:
    """Fits ``tools.taint.TaintStore``. A row survives the death of a process, but perhaps not a power cut."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def mark(self, taint_id: str, until: float, origin: str, now: float) -> None:
        """Keep that a conversation is tainted until a moment (wall clock) at least. Old marks are dropped."""
        mine = TAINTS.c.id == taint_id
        values = {"until": until, "origin": origin[:_LONGEST]}
        try:
            async with self._connections.bulk() as connection:
                await connection.execute(delete(TAINTS).where(TAINTS.c.until <= now))
                known = (await connection.execute(select(TAINTS.c.until).where(mine))).scalar_one_or_none()
                if known is None:
                    await connection.execute(insert(TAINTS).values(id=taint_id, **values))
                elif known < until:
                    await connection.execute(update(TAINTS).where(mine).values(**values))
        except IntegrityError:  # PostgreSQL: another worker was first, and its mark is as new
            return

    async def find(self, taint_id: str, now: float) -> str | None:
        """Return the origin of what tainted a conversation, None if it is not tainted now."""
        statement = select(TAINTS.c.origin).where(TAINTS.c.id == taint_id, TAINTS.c.until > now)
        async with self._connections.read() as connection:
            found: str | None = (await connection.execute(statement)).scalar_one_or_none()
        return found
