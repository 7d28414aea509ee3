"""The part of each limit that a process grants by itself if the counters are not common; never the whole.

Otherwise every process would grant all of every limit while the shared counters are away, and many processes many times
that. The same holds in memory, where each worker counts the shared limits on its own.
"""

from mcpward.core.values import Quota, Rate
from mcpward.limits.rates.limit import Limit


class Shares:
    """Caches each limit's share. ``part`` is more than 0 and at most 1."""

    __slots__ = ("_made", "_part")

    def __init__(self, part: float) -> None:
        self._part = part
        self._made: dict[Limit, Limit] = {}

    def of(self, limit: Limit, most: int = 10_000) -> Limit:
        """Return the limit with the same name, scope and ruling that allows the process's part: at least one call."""
        if self._part >= 1:
            return limit
        share = self._made.get(limit)
        if share is None:
            if len(self._made) >= most:
                self._made.clear()
            much = limit.rate if limit.rate is not None else limit.quota
            assert much is not None  # a limit is one of the two
            made = part_of(much, self._part)
            share = self._made[limit] = Limit(limit.name, limit.scope, made, limit.ruling, is_common=limit.is_common)
        return share


def part_of(much: Rate | Quota, part: float) -> Rate | Quota:
    """Return a part of a rate or a quota, rounded down, yet at least one call."""
    if part >= 1:
        return much
    if isinstance(much, Quota):
        return Quota(max(1, int(much.count * part)), much.period)
    # A longer time for as many calls: 25 a second in three parts is no whole number of calls a second.
    return Rate(much.count, much.per_s / part, max(1, int(much.burst * part)))
