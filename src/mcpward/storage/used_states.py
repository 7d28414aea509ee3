"""Sealed states that were used up. Durable: a state that works once must not work again after a power cut."""

from sqlalchemy.exc import IntegrityError

from mcpward.storage.journal import FollowedJournal, Journal


class UsedStateTable:
    """Fits ``messaging.used_states.SpentIds``. A row cannot be removed unnoticed: that would revive a state."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def spend(self, state_id: str, forget_at: float) -> bool:
        """Keep the id. False if it is there already: the primary key decides between simultaneous attempts.

        Raises:
            Untrusted: rows that this worker had not seen were changed outside of mcpward.
            Refusal: busy; there are
        too many.
        """
        try:
            return await self._journal.append(state_id, forget_at)
        except IntegrityError:
            return False

    def follow(self) -> FollowedJournal:
        """Return a reader of what is added; it fits ``identity.keys.follower.JournalSource``."""
        return self._journal.follow()

    async def has(self, state_id: str) -> bool:
        """Return whether the id is there. Raises :class:`Untrusted` for one that was not written with the master
        key.
        """
        return await self._journal.has(state_id)

    async def prune(self, now: float) -> None:
        """Forget the ids whose ``forget_at`` has come."""
        await self._journal.prune(now)
