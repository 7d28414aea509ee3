"""The queue of waiters for a slot: callers take turns, and the calls of one caller keep their order.

A queue is bounded. When it is full, a caller with fewer waiting calls takes the last position of the caller with most.
So a caller that sends a thousand calls at once keeps no other caller out.
"""

from collections import deque
from typing import Generic, Protocol, TypeVar


class Waiting(Protocol):
    """The queue's view of a waiter. ``seq`` grows with the order of arrival.

    A bound of the type variable: the queue knows nothing of slots.
    """

    @property
    def caller(self) -> str:
        """The caller of the waiting call."""
        ...

    @property
    def seq(self) -> int:
        """Its number in the order of arrival."""
        ...

    @property
    def goes_first(self) -> bool:
        """Whether it comes before all that have not begun, and is not counted among them."""
        ...


W = TypeVar("W", bound=Waiting)


class FairQueue(Generic[W]):
    """At most ``most`` wait, beside those that go first; ``length`` wait in all."""

    __slots__ = ("_callers", "_count", "_first", "length", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self._count = self.length = 0
        self._first: deque[W] = deque()
        self._callers: dict[str, deque[W]] = {}  # in the order of turns

    def __len__(self) -> int:
        return self.length

    def next(self) -> W | None:
        """Return the next waiter, which stays in the queue."""
        if self._first:
            return self._first[0]
        for calls in self._callers.values():
            return calls[0]
        return None

    def join(self, one: W) -> W | None:
        """Add a waiter; return the one that has no position for it: itself, or the last of the caller with most."""
        if one.goes_first:
            self._first.append(one)
            self.length += 1
            return None
        loser = None
        if self._count >= self.most:
            loser = self._longest(one.caller)
            if loser is None:
                return one
            self.leave(loser)
        calls = self._callers.get(one.caller)
        if calls is None:
            self._callers[one.caller] = deque((one,))
        elif calls[-1].seq < one.seq:
            calls.append(one)
        else:  # it stood in another queue before
            at = next(at for at, other in enumerate(calls) if other.seq > one.seq)
            calls.insert(at, one)
        self._count += 1
        self.length += 1
        return loser

    def leave(self, one: W) -> None:
        """Take one out, wherever it stands. Its caller keeps its turn."""
        if one.goes_first:
            self._first.remove(one)
            self.length -= 1
            return
        calls = self._callers[one.caller]
        calls.remove(one)
        self._count -= 1
        self.length -= 1
        if not calls:
            del self._callers[one.caller]

    def go(self, one: W) -> None:
        """Take out the one whose turn it was; its caller's next turn comes after that of all others."""
        self.leave(one)
        calls = None if one.goes_first else self._callers.pop(one.caller, None)
        if calls is not None:
            self._callers[one.caller] = calls

    def _longest(self, caller: str) -> W | None:
        """Return the last call of the caller with most, if that is more than ``caller`` would then have."""
        mine = len(self._callers.get(caller, ()))
        calls = max(self._callers.values(), key=len, default=None)
        return calls[-1] if calls is not None and len(calls) > mine + 1 else None
