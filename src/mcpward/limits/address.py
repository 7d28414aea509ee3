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
from mcpward.limits.gcra import SECOND, moved, retry_after_s
from mcpward.limits.limit import Drawn, Limit, Standing
from mcpward.limits.memory import MemoryCounters
from mcpward.limits.rate import SiteRates

_NOTHING: Final[tuple[str, ...]] = ()


class Addresses:
    """Counts addresses: an IPv4 address or an IPv6 /64, as ingress has seen it."""

    def __init__(self, site: SiteRates, clock: Clock, common: Common | None) -> None:
        self._monotonic = clock.monotonic
        self._common = common
        self.knocks = Limit("knocks", "", site.knocks.rate, site.knocks.ruling)
        self.arrivals = Limit("arrivals", "", site.arrivals.rate, site.arrivals.ruling)
        self._knocks, self._arrivals = self.stores = tuple(MemoryCounters(clock, site.max_callers) for _ in range(2))
        self._knocking: set[asyncio.Future[None]] = set()

    def admit(self, bucket: str) -> tuple[str, ...]:
        """Let a request of this address in; gives the names of limits that are not enforced and would not have.

        Raises:
            Refusal: too-many-knocks, with ``retry_after_s`` and ``policy``: too many failed credentials, or too many
                requests.
        """
        now = int(self._monotonic() * SECOND)
        would = _NOTHING
        limit = self.knocks
        key = limit.prefix + bucket
        tat = self._knocks.get(key, 0)
        if tat - now + limit.interval > limit.tolerance:
            tat = self._knocks.heal(key, tat, now, limit.gcra)
            if limit.ruling.enforce:
                raise _too_many(limit, retry_after_s(moved(tat, now, limit.gcra), now, limit.gcra))
            would = (limit.name,)
        limit = self.arrivals
        key = limit.prefix + bucket
        tat = self._arrivals.get(key, 0)
        ahead = (tat - now if tat > now else 0) + limit.interval
        if ahead <= limit.tolerance:
            self._arrivals.put(key, now + ahead)
            return would
        tat = self._arrivals.heal(key, tat, now, limit.gcra)
        if limit.ruling.enforce:
            raise _too_many(limit, retry_after_s(moved(tat, now, limit.gcra), now, limit.gcra))
        return (*would, limit.name)

    def knock(self, bucket: str) -> Awaitable[None] | None:
        """Count a failed credential against the address, here and in common.

        What is returned is awaited before the answer leaves: of guesses at several processes at once, no more are
        answered than the limit allows. It raises as :meth:`admit` does.
        """
        now = int(self._monotonic() * SECOND)
        limit = self.knocks
        key = limit.prefix + bucket
        after = moved(self._knocks.get(key, 0), now, limit.gcra)
        if after - now <= limit.tolerance:
            self._knocks.put(key, after)
        common = self._common
        return None if common is None or not common.is_up else self._knock_there(common, key)

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
