"""The arithmetic of rates: GCRA, in whole nanoseconds. Pure: no store, no clock.

A bucket is one number, its theoretical arrival time (TAT): the moment at which it is full again. A call moves it
one interval on, and is allowed while it lies at most ``burst`` intervals ahead. So in any window never more than
burst + window ÷ interval calls pass (attack 103): there is no window edge to stand on. Whole numbers, and an
interval rounded up, keep that exact: floating point would let the last call of a burst depend on the machine's uptime.
"""

from math import ceil
from typing import Final

from msgspec import Struct

from mcpward.core.values import Rate

SECOND: Final = 1_000_000_000


class Gcra(Struct, frozen=True, gc=False):
    """A rate, made ready: nanoseconds per call, and how far ahead of now a bucket may stand."""

    interval: int
    tolerance: int

    @classmethod
    def of(cls, rate: Rate) -> "Gcra":
        """Prepare ``rate``. Raises ``ValueError`` for one that counts nothing."""
        if rate.count < 1 or rate.burst < 1 or not rate.per_s > 0:
            raise ValueError("a rate and its burst are at least 1, and its period is more than nothing")
        interval = ceil(rate.per_s * SECOND / rate.count)
        return cls(interval, interval * rate.burst)


def moved(tat: int, now: int, gcra: Gcra, cost: int = 1) -> int:
    """The bucket's standing after ``cost`` calls more. Allowed if that is ≤ ``now + gcra.tolerance``."""
    return (max(now, tat)) + gcra.interval * cost


def remaining(tat: int, now: int, gcra: Gcra) -> int:
    """How many calls a bucket that stands at ``tat`` would still let pass at this moment."""
    ahead = tat - now
    return (gcra.tolerance - ahead if ahead > 0 else gcra.tolerance) // gcra.interval


def reset_s(tat: int, now: int, gcra: Gcra) -> int:
    """Seconds until one call more may pass than now, rounded up; 0 for a full bucket."""
    ahead = tat - now
    if ahead <= 0:
        return 0
    if ahead > gcra.tolerance:
        return -(-(ahead - gcra.tolerance + gcra.interval) // SECOND)
    return -(-(gcra.interval - (gcra.tolerance - ahead) % gcra.interval) // SECOND)


def retry_after_s(tat: int, now: int, gcra: Gcra) -> int:
    """Seconds to wait for a call that would have moved the bucket to ``tat``, rounded up and at least 1."""
    return max(1, -(-(tat - now - gcra.tolerance) // SECOND))


def sane(tat: int, now: int, gcra: Gcra) -> int:
    """Bring back a bucket further ahead than calls can take it: a clock was set back (attack 105).

    So a caller is never locked out for longer than a drained bucket takes to grant one call.
    """
    return min(tat, now + gcra.tolerance)
