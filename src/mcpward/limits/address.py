"""What an address may do before anybody is known there: fail with credentials, and ask at all.

Each process counts addresses by itself, whatever the counters, so that a flood is turned away before anything is looked
up for it. Knocks are counted in common, too, and calls as they are charged: an address that asks at several processes
gets no more than at one.
"""

import asyncio
from collections.abc import Awaitable
from typing import Final

from mcpward.core.clock import Clock
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.limits.counters import Common, StoreDown
from mcpward.limits.gcra import moved, retry_after_s
from mcpward.limits.limit import Drawn, Limit, Standing
from mcpward.limits.memory import MemoryCounters
from mcpward.limits.rate import SiteRates

_NOTHING: Final[tuple[str, ...]] = ()


class Addresses:
    """Counts addresses: an IPv4 address or an IPv6 /64, as ingress has seen it."""

    def __init__(self, site: SiteRates, clock: Clock, common: Common | None) -> None:
        self._now = clock.monotonic_ns
        self._common = common
        self.knocks = Limit("knocks", "", site.knocks.rate, site.knocks.ruling)
        self.arrivals = Limit("arrivals", "", site.arrivals.rate, site.arrivals.ruling)
        # One limit's buckets each, so an address is its bucket's whole key.
        self._knocks, self._arrivals = (MemoryCounters(clock, site.max_callers) for _ in range(2))
        self.stores = {self._knocks: self.knocks, self._arrivals: self.arrivals}
        self._knocking: set[asyncio.Future[None]] = set()

    def admit(self, bucket: str) -> tuple[str, ...]:
        """Let a request of this address in; gives the names of limits that are not enforced and would not have.

        Raises:
            Refusal: too-many-knocks, with ``retry_after_s`` and ``policy``: too many failed credentials, or too many
                requests.
        """
        now = self._now()
        knocks = self._knocks
        would = self._hear(bucket, now) if bucket in knocks.young or bucket in knocks.old else _NOTHING
        young = self._arrivals.young
        tat = young[bucket]
        ahead = (tat - now if tat > now else 0) + self.arrivals.interval
        if ahead > self.arrivals.tolerance:
            return would + self._overrun(self.arrivals, self._arrivals, bucket, now)
        young[bucket] = now + ahead
        return would

    def _hear(self, bucket: str, now: int) -> tuple[str, ...]:
        """Look at the knocks of an address that has knocked before."""
        limit = self.knocks
        if self._knocks.get(bucket, 0) - now + limit.interval <= limit.tolerance:
            return _NOTHING
        return self._overrun(limit, self._knocks, bucket, now)

    def _overrun(self, limit: Limit, store: MemoryCounters, bucket: str, now: int) -> tuple[str, ...]:
        """Refuse an address that would overrun a limit, or name the limit where it is not enforced."""
        tat = store.heal(bucket, store.get(bucket, 0), now, limit.gcra)
        if limit.ruling.enforce:
            raise _too_many(limit, retry_after_s(moved(tat, now, limit.gcra), now, limit.gcra))
        return (limit.name,)

    def knock(self, bucket: str) -> Awaitable[None] | None:
        """Count a failed credential against the address, here and in common.

        What is returned is awaited before the answer leaves: of guesses at several processes at once, no more are
        answered than the limit allows. It raises as :meth:`admit` does.
        """
        now = self._now()
        limit = self.knocks
        after = moved(self._knocks.get(bucket, 0), now, limit.gcra)
        if after - now <= limit.tolerance:
            self._knocks.put(bucket, after)
        common = self._common
        return None if common is None or not common.is_up else self._knock_there(common, limit.prefix + bucket)

    def knock_soon(self, bucket: str) -> None:
        """Count a failed credential whose refusal is on its way already."""
        counted = self.knock(bucket)
        if counted is not None:
            task = asyncio.ensure_future(counted)
            self._knocking.add(task)
            task.add_done_callback(self._forget)

    def drawn(self, bucket: str) -> list[Drawn]:
        """Give what a call of this address draws on in common: an arrival, and that there is a knock left."""
        return [(self.arrivals, self.arrivals.prefix + bucket, 1), (self.knocks, self.knocks.prefix + bucket, 0)]

    async def _knock_there(self, common: Common, key: str) -> None:
        try:
            standings = await common.take([(self.knocks, key, 1)])
        except StoreDown:
            return  # counted here
        require_admitted(standings)

    def _forget(self, task: "asyncio.Future[None]") -> None:
        self._knocking.discard(task)
        if not task.cancelled():
            task.exception()  # too many: the next request is told


def require_admitted(standings: list[Standing]) -> None:
    """Refuse with too-many-knocks where one of an address's standings does."""
    for standing in standings:
        if standing.refuses:
            raise _too_many(standing.limit, standing.wait_s)


def _too_many(limit: Limit, wait_s: int) -> Refusal:
    return Refusal(Reason.TOO_MANY_KNOCKS, limit.name, retry_after_s=wait_s, policy=limit.name)
