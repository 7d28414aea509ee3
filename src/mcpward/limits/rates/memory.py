"""Buckets of this process, in memory that is bounded whatever the number of callers (attack 106).

An evicted bucket is a full one. Therefore strangers, who can make up addresses, never share a store with verified
callers. The limits that all callers share (a budget, a server's total) have a store of their own.
"""

from collections.abc import Sequence
from typing import Final

from mcpward.core.clock import Clock
from mcpward.core.values import Quota
from mcpward.limits.rates.bounded_map import BoundedMap, Key
from mcpward.limits.rates.gcra import Gcra, moved, remaining, reset_s, retry_after_s, sane
from mcpward.limits.rates.limit import Limit, Standing
from mcpward.limits.rates.period import index_of, left_s

#: A quota's bucket is one number as well: its period above, its used count below.
_USED_BITS: Final = 48
_USED: Final = (1 << _USED_BITS) - 1


class MemoryCounters(BoundedMap[int]):
    """At most ``max_keys`` buckets, each one whole number."""

    __slots__ = ("_clock",)

    def __init__(self, clock: Clock, max_keys: int = 100_000) -> None:
        super().__init__(max_keys, 0)
        self._clock = clock

    def heal(self, key: Key, tat: int, now: int, gcra: Gcra) -> int:
        """Return where a refused bucket stands, brought back if a clock that went backwards left it too far ahead."""
        healed = sane(tat, now, gcra)
        if healed != tat:
            self.put(key, healed)
        return healed

    def look(self, limit: Limit, key: str, cost: int = 0) -> Standing:
        """Return where a bucket stands, and whether a draw of ``cost`` would pass. Takes nothing."""
        if limit.quota is not None:
            now_s = self._clock.now()
            _, used = self._used(limit.quota, key, now_s)
            left, wait_s = limit.quota.count - used, left_s(limit.quota.period, now_s)
            return Standing(limit, max(0, left), wait_s, wait_s if cost > left else 0)
        now, gcra = self._clock.monotonic_ns(), limit.gcra
        tat = self.heal(key, self.get(key, 0), now, gcra)
        after = moved(tat, now, gcra, cost)
        wait_s = retry_after_s(after, now, gcra) if after - now > gcra.tolerance else 0
        return Standing(limit, max(0, remaining(tat, now, gcra)), reset_s(tat, now, gcra), wait_s)

    def add(self, limit: Limit, key: str, cost: int) -> Standing:
        """Take ``cost`` and return where the bucket stands then; a negative cost is returned to it.

        :func:`take_all` decides whether the draw is allowed.
        """
        if limit.quota is not None:
            index, used = self._used(limit.quota, key, self._clock.now())
            self.put(key, index << _USED_BITS | max(0, used + cost))
        else:
            now = self._clock.monotonic_ns()
            self.put(key, max(0, moved(self.get(key, 0), now, limit.gcra, cost)))
        return self.look(limit, key)

    def _used(self, quota: Quota, key: str, now_s: float) -> tuple[int, int]:
        """Return the number of the period that counts, and its used count.

        A period that has begun does not end because a clock was set back into the one before (attack 105).
        """
        bucket, index = self.get(key, 0), index_of(quota.period, now_s)
        stored = bucket >> _USED_BITS
        if stored in {index, index + 1}:
            return stored, bucket & _USED
        return index, 0


Slot = tuple[MemoryCounters, Limit, str, int]
"""A draw (limit, key, cost) together with the store that its bucket is in."""


def look_all(slots: Sequence[Slot]) -> list[Standing]:
    """Return the standing of every bucket, and the buckets that would refuse."""
    return [store.look(limit, key, cost) for store, limit, key, cost in slots]


def take_all(slots: Sequence[Slot]) -> list[Standing]:
    """Take every draw, or none if one refuses.

    A limit that is not enforced and would refuse takes nothing for itself. No two draws of one call share a bucket.
    """
    standings = look_all(slots)
    if any(standing.refuses for standing in standings):
        return standings
    return [
        standing if standing.wait_s or not cost else store.add(limit, key, cost)
        for standing, (store, limit, key, cost) in zip(standings, slots, strict=True)
    ]
