"""Waiters for a scarce resource, by caller: the caller with the fewest is next, and of equals each in turn.

The queue is bounded. When it is full, a caller with fewer waiters takes the last position of the caller with most.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

J = TypeVar("J", bound=Hashable)


class Turns(Generic[J]):
    """At most ``most`` wait, beside those that are admitted without a bound. Has no lock of its own."""

    __slots__ = ("_callers", "_length", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._length = 0
        self._callers: dict[str, OrderedDict[J, None]] = {}  # in the order of turns

    def __len__(self) -> int:
        return self._length

    def join(self, caller: str, one: J, *, bounded: bool = True) -> J | None:
        """Add a waiter; return the one that has no position for it: itself, or the last of the caller with most."""
        loser = None
        if bounded and self._length >= self._most:
            most = max(self._callers, key=lambda other: len(self._callers[other]))
            if len(self._callers[most]) <= len(self._callers.get(caller, ())) + 1:
                return one
            loser = next(reversed(self._callers[most]))
            self.leave(most, loser)
        self._callers.setdefault(caller, OrderedDict())[one] = None
        self._length += 1
        return loser

    def leave(self, caller: str, one: J) -> None:
        """Take one out; without effect if it does not wait."""
        waiting = self._callers.get(caller)
        if waiting is None or one not in waiting:
            return
        del waiting[one]
        self._length -= 1
        if not waiting:
            del self._callers[caller]

    def least(self, held: Callable[[str], int]) -> str | None:
        """Return the waiting caller with the fewest, None if there is none."""
        return min(self._callers, key=held, default=None)

    def next(self, caller: str) -> J:
        """Take out the first of a waiting caller, whose next turn comes after that of all others."""
        waiting = self._callers.pop(caller)
        one, _ = waiting.popitem(last=False)
        self._length -= 1
        if waiting:
            self._callers[caller] = waiting
        return one
