"""Sealed states that were used: each works once, whichever worker it comes back to, after a restart too."""

from typing import Final, Protocol

from mcpward.core.clock import Clock
from mcpward.core.ended import EndedBook

_PRUNE_EVERY_S: Final = 60.0
#: A used state is remembered so much longer than it would work, lest a clock that is set back make it work again.
_MARGIN_S: Final = 3600.0


class SpentIds(Protocol):
    """Where the ids of used states are kept."""

    async def spend(self, state_id: str, forget_at: float) -> bool:
        """Keep the id durably. False where it is there already."""
        ...

    async def prune(self, now: float) -> None:
        """Forget the ids whose ``forget_at`` has come."""
        ...


class Spent:
    """Uses states up. As many are kept as were sealed and used in the last hour: each cost a call of its caller.

    ``book`` holds those that this worker knows of: what it remembers cannot be taken away in the store.
    """

    def __init__(self, store: SpentIds, clock: Clock, book: EndedBook | None = None) -> None:
        self._store = store
        self.book = EndedBook() if book is None else book
        self._clock = clock
        self._pruned_at = clock.monotonic()

    async def spend(self, state_id: str, forget_at: float) -> bool:
        """Use the state up; it works until ``forget_at`` (wall clock, seconds). False: used before, or too old.

        On the disk when the call returns. Raises what the store raises, so that nothing is run on a state that could
        be used again.
        """
        now = self._clock.now()
        if forget_at <= now or self.book.has(state_id):
            return False
        is_first = await self._store.spend(state_id, forget_at + _MARGIN_S)
        self.book.add(state_id, forget_at + _MARGIN_S)
        if self._clock.monotonic() - self._pruned_at >= _PRUNE_EVERY_S:
            self._pruned_at = self._clock.monotonic()
            await self._store.prune(now)
        return is_first
