"""The threads of a pool that each caller has, and may have: the more are taken, the fewer for one caller.

A dynamic threshold (Choudhury and Hahne, IEEE/ACM Transactions on Networking 6(2), 1998): no caller has more threads
than are free. A single caller has half of ``size`` threads, two have a third each, and as many again stay free. So a
caller with none finds one at once, however many calls of others have begun.
"""

#: Threads that may be added for callers who have none, for each thread of the pool.
_EXTRA = 1


class Shares:
    """Threads that run something, by caller. Has no lock of its own."""

    __slots__ = ("_held", "_size", "taken")

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: dict[str, int] = {}
        self.taken = 0

    def of(self, caller: str) -> int:
        """Return how many the caller has."""
        return self._held.get(caller, 0)

    def may(self, caller: str) -> bool:
        """Return whether the caller may have one more. If all are taken, a caller with none gets an extra one."""
        held, free = self._held.get(caller, 0), self._size - self.taken
        return held < free or (not held and free > -self._size * _EXTRA)

    def take(self, caller: str) -> None:
        """Count one more, whether the caller may have it or not."""
        self._held[caller] = self._held.get(caller, 0) + 1
        self.taken += 1

    def give_back(self, caller: str) -> None:
        """Count one less."""
        left = self._held[caller] - 1
        self.taken -= 1
        if left:
            self._held[caller] = left
        else:
            del self._held[caller]
