"""When conversations have last read what strangers wrote, and from where. Shared by all workers of a site."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import delete, select, text
from sqlalchemy.exc import DBAPIError

from mcpward.storage.connections import Connections
from mcpward.storage.tables import TAINTS

_LONGEST: Final = 200
_PRUNE_EVERY: Final = 50
_MARK: Final = text(
    "INSERT INTO taints (id, at, origin) VALUES (:id, :at, :origin) ON CONFLICT (id) DO UPDATE "
    "SET at = excluded.at, origin = excluded.origin WHERE taints.at < excluded.at"
)


class TaintTable:
    """Fits ``pipeline.conversation_taint.TaintStore``. A row survives the death of a process, not a power cut."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._marked = 0

    async def mark(self, ids: Sequence[str], at: float, origin: str, before: float) -> None:
        """Keep that conversations read something at a moment (wall clock).

        Marks from before ``before`` are dropped from time to time.
        """
        async with self._connections.bulk() as connection:
            for one in sorted(ids):  # in one order, so that no two workers wait for each other
                await connection.execute(_MARK, {"id": one, "at": at, "origin": origin[:_LONGEST]})
        if self._marked % _PRUNE_EVERY == 0:
            await self._prune(before)
        self._marked += 1

    async def _prune(self, before: float) -> None:
        try:
            async with self._connections.bulk() as connection:
                await connection.execute(delete(TAINTS).where(TAINTS.c.at < before))
        except DBAPIError:  # another worker drops the same ones
            return

    async def find(self, ids: Sequence[str], since: float) -> str | None:
        """Return the origin of the latest thing that any of them has read since a moment; None if there is nothing."""
        statement = select(TAINTS.c.origin).where(TAINTS.c.id.in_(ids), TAINTS.c.at >= since)
        async with self._connections.read() as connection:
            rows = await connection.execute(statement.order_by(TAINTS.c.at.desc()).limit(1))
            found: str | None = rows.scalar_one_or_none()
        return found
