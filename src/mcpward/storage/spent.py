"""Sealed states that were used up. Durable: a state that works once must not work again after a power cut."""

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from mcpward.storage.lanes import Lanes
from mcpward.storage.tables import SPENT


class SpentTable:
    """Fits ``channel.spent.SpentIds``."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    async def spend(self, state_id: str, forget_at: float) -> bool:
        """Keep the id. False where it is there already: the primary key decides, whoever else tries at the moment."""
        try:
            async with self._lanes.durable() as connection:
                await connection.execute(insert(SPENT).values(id=state_id, forget_at=forget_at))
        except IntegrityError:
            return False
        return True

    async def give_back(self, state_id: str) -> None:
        """Forget the id: it was not used after all."""
        async with self._lanes.durable() as connection:
            await connection.execute(delete(SPENT).where(SPENT.c.id == state_id))

    async def prune(self, now: float) -> None:
        """Forget the ids whose ``forget_at`` has come."""
        over = SPENT.c.forget_at <= now
        async with self._lanes.read() as connection:
            if (await connection.execute(select(SPENT.c.id).where(over).limit(1))).one_or_none() is None:
                return  # the usual case takes no write lock
        async with self._lanes.bulk() as connection:
            await connection.execute(delete(SPENT).where(over))
