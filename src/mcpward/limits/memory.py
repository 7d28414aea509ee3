"""Buckets of this process, in memory that is bounded whatever the number of callers (attack 106).

Two generations: a bucket that is touched lives in the young one; when that is full it becomes the old one, and the
former old one is thrown away, one entry per later write. So a bucket is forgotten only after ``max_keys / 3`` other
ones were touched since it last was, eviction never looks at more than one entry, and nothing is ever scanned.
A forgotten bucket is a full one; therefore strangers, who can make up addresses, never share a store with callers
whose identity was verified.
"""

from typing import Final

from mcpward.core.clock import Clock
from mcpward.core.values import Rate
from mcpward.limits.gcra import SECOND, Gcra, Verdict, moved, remaining, reset_s, retry_after_s, sane

Key = str | int

#: The young, the old and the one that is being thrown away.
_GENERATIONS: Final = 3
_MAX_RATES: Final = 10_000


class MemoryCounters:
    """At most ``max_keys`` buckets, each one whole number."""

    def __init__(self, clock: Clock, max_keys: int = 100_000) -> None:
        self._monotonic = clock.monotonic
        self._capacity = max(1, max_keys // _GENERATIONS)
        self._young: dict[Key, int] = {}
        self._old: dict[Key, int] = {}
        self._dying: dict[Key, int] = {}
        self._prepared: dict[Rate, Gcra] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old) + len(self._dying)

    def get(self, key: Key) -> int:
        """Where the bucket stands; 0 for one that was never used, or is forgotten."""
        tat = self._young.get(key)
        return self._old.get(key, 0) if tat is None else tat

    def put(self, key: Key, tat: int) -> None:
        """Move the bucket to ``tat``."""
        young = self._young
        young[key] = tat
        if self._dying:
            self._dying.popitem()
        if len(young) > self._capacity:
            self._dying, self._old, self._young = self._old, young, {}

    def heal(self, key: Key, tat: int, now: int, gcra: Gcra) -> int:
        """Give where a refused bucket stands, brought back if a clock that went backwards left it too far ahead."""
        healed = sane(tat, now, gcra)
        if healed != tat:
            self.put(key, healed)
        return healed

    def check(self, key: Key, rate: Rate, cost: int = 1) -> Verdict:
        """Say whether ``cost`` calls would pass now, and take nothing."""
        return self._judge(key, rate, cost, taking=False)

    def take(self, key: Key, rate: Rate, cost: int = 1) -> Verdict:
        """Take ``cost`` calls if all of them pass, else none."""
        return self._judge(key, rate, cost, taking=True)

    def _judge(self, key: Key, rate: Rate, cost: int, *, taking: bool) -> Verdict:
        gcra, now = self._ready(rate), int(self._monotonic() * SECOND)
        tat = self.heal(key, self.get(key), now, gcra)
        after = moved(tat, now, gcra, cost)
        if after - now > gcra.tolerance:
            return Verdict(False, remaining(tat, now, gcra), reset_s(tat, now, gcra), retry_after_s(after, now, gcra))
        if taking:
            self.put(key, after)
            tat = after
        return Verdict(True, remaining(tat, now, gcra), reset_s(tat, now, gcra), 0)

    def _ready(self, rate: Rate) -> Gcra:
        gcra = self._prepared.get(rate)
        if gcra is None:
            if len(self._prepared) >= _MAX_RATES:
                self._prepared.clear()
            gcra = self._prepared[rate] = Gcra.of(rate)
        return gcra
