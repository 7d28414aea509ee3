"""Sessions that were ended by their callers, until their tokens would have expired."""

from mcpward.storage.journal import FollowedJournal, Journal


class EndedSessions:
    """Durable, and no row of it can be taken away unseen: that would open an ended session again."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def end(self, session_id: str, forget_at: float) -> None:
        """Remember that the session was ended; a second time changes nothing."""
        await self._journal.append(session_id, forget_at)

    def follow(self) -> FollowedJournal:
        """Return a reader of what is added; it fits ``identity.keys.follower.JournalSource``."""
        return self._journal.follow()

    async def prune(self, now: float) -> None:
        """Forget the sessions whose tokens have expired at ``now``."""
        await self._journal.prune(now)
