"""Calls that ran with their callers' answers: each once, at any worker, after a restart too.

A call is named by the id of its sealed states, which is the same in all rounds of questions.
"""

from typing import Final, Protocol

from mcpward.core.clock import Clock
from mcpward.core.ended_cache import SPENT_CAPACITY, EndedCache
from mcpward.core.errors import Refusal
from mcpward.core.facts import RetryAfter
from mcpward.core.reasons import Reason

_PRUNE_EVERY_S: Final = 60.0
#: A used state is remembered so much longer than it would work, lest a clock that is set back make it work again.
_MARGIN_S: Final = 3600.0
#: How many of a caller are kept: five a second for more than an hour, and 2 MB on the disk.
_MOST_OF_CALLER: Final = 20_000
#: An id is kept no longer than this; a caller's are counted for twice as long at most.
_COUNTED_S: Final = 2 * _MARGIN_S
_MOST_CALLERS: Final = 50_000
_RETRY_AFTER_S: Final = 60


class SpentIds(Protocol):
    """The store of the ids of used states. A port of the storage package."""

    async def spend(self, state_id: str, forget_at: float) -> bool:
        """Keep the id durably. False if it is there already."""
        ...

    async def has(self, state_id: str) -> bool:
        """Return whether the id is there."""
        ...

    async def prune(self, now: float) -> None:
        """Forget the ids whose ``forget_at`` has come."""
        ...


class UsedStates:
    """Uses states up. Those of a caller are bounded, at each worker: they cost the disk that all share (attack 133).

    No kept record is ever deleted, or a writer of the database could delete one, too. A returned state is recorded
    under another id, and its next use has one more.

    ``book`` holds those that this worker knows of: its memory cannot be changed through the store.
    """

    def __init__(self, store: SpentIds, clock: Clock, book: EndedCache | None = None) -> None:
        self._store = store
        self.book = EndedCache(SPENT_CAPACITY) if book is None else book
        self._clock = clock
        self._pruned_at = self._counted_from = clock.monotonic()
        self._counts: dict[str, int] = {}
        self._counts_before: dict[str, int] = {}

    async def spend(self, state_id: str, forget_at: float, caller: str) -> bool:
        """Use the state up; it works until ``forget_at`` (wall clock, seconds). False: used before, or too old.

        On the disk when the call returns. Raises what the store raises, so that nothing is run on a state that could
        be used again.

        Raises:
            Refusal: rate-exceeded; ``caller`` (a principal's key) has used up too many in the last hours. Busy; all
                callers together have.
        """
        now = self._clock.now()
        if forget_at <= now:
            return False
        self._require_room(caller)
        if self._clock.monotonic() - self._pruned_at >= _PRUNE_EVERY_S:
            self._pruned_at = self._clock.monotonic()
            await self._store.prune(now)  # first: there may be no room otherwise
        number = 0
        while not await self._keep(_used(state_id, number), forget_at, caller):
            if not await self._has(_returned(state_id, number)):
                return False
            number += 1
        return True

    async def give_back(self, state_id: str, forget_at: float, caller: str) -> None:
        """The call did not run to its end: let its state be used once more. Raises what the store raises.

        Only for the last user of the state, once.
        """
        number = 0
        while await self._has(_returned(state_id, number)):
            number += 1
        if await self._has(_used(state_id, number)):
            await self._keep(_returned(state_id, number), forget_at, caller)

    async def _keep(self, row_id: str, forget_at: float, caller: str) -> bool:
        """Keep an id; False if it is there. Counts it, for each is a row."""
        if self.book.has(row_id):
            return False
        is_new = await self._store.spend(row_id, forget_at + _MARGIN_S)
        self.book.add(row_id, forget_at + _MARGIN_S)
        if is_new:
            self._counts[caller] = self._counts.get(caller, 0) + 1
        return is_new

    async def _has(self, row_id: str) -> bool:
        return self.book.has(row_id) or await self._store.has(row_id)

    def _require_room(self, caller: str) -> None:
        now = self._clock.monotonic()
        if now - self._counted_from >= _COUNTED_S or len(self._counts) >= _MOST_CALLERS:
            self._counted_from, self._counts_before, self._counts = now, self._counts, {}
        if self._counts.get(caller, 0) + self._counts_before.get(caller, 0) >= _MOST_OF_CALLER:
            detail = "the caller has answered too many questions in the last hours"
            raise Refusal(Reason.RATE_EXCEEDED, detail, RetryAfter(_RETRY_AFTER_S, "answers"))


def _used(state_id: str, number: int) -> str:
    return f"{state_id}+{number}" if number else state_id


def _returned(state_id: str, number: int) -> str:
    return f"{state_id}-{number}"
