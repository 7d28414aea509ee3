"""Changes that wait to be sent: equal ones are sent once, and their number is bounded."""

from typing import Final

from mcpward.core.change import Change, Topic

CAPACITY: Final = 256
_LISTS: Final = frozenset({Topic.TOOLS, Topic.PROMPTS, Topic.RESOURCES})


class CoalescingQueue:
    """A bounded queue of different changes, the oldest first. One thread at a time."""

    __slots__ = ("_capacity", "_waiting")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._waiting: dict[Change, None] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, change: Change) -> None:
        """Queue ``change``, unless it waits already. A full queue drops the change that is missed the least."""
        if change in self._waiting:
            return
        if len(self._waiting) >= self._capacity:
            del self._waiting[self._least(change)]
        self._waiting[change] = None

    def take(self) -> Change:
        """Return the oldest, which waits no longer. Raises ``LookupError`` when there is none."""
        try:
            change = next(iter(self._waiting))
        except StopIteration:
            raise LookupError("nothing waits") from None
        del self._waiting[change]
        return change

    def _least(self, coming: Change) -> Change:
        """The oldest whose news a newer one repeats, first of all of a list; without any, the oldest."""
        newest = {(change.server, change.topic, change.subject, change.owner): change for change in self._waiting}
        newest[coming.server, coming.topic, coming.subject, coming.owner] = coming
        kept = set(newest.values())
        repeated = [change for change in self._waiting if change not in kept]
        lists = (change for change in repeated if change.topic in _LISTS)
        return next(lists, None) or next(iter(repeated), None) or next(iter(self._waiting))
