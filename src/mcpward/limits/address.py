"""What an address may do before anybody is known there: fail with credentials, and ask at all.

Each process counts addresses by itself, whatever the counters, so that a flood is turned away before anything is looked
up for it. Failed credentials are counted in common, too, and calls as they are charged: an address that asks at several
processes gets no more than at one.
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
        self.auth_failures = Limit("auth_failures", "", site.auth_failures.rate, site.auth_failures.ruling)
        self.requests = Limit("requests", "", site.requests.rate, site.requests.ruling)
        # One limit's buckets each, so an address is its bucket's whole key.
        self._failures, self._requests = (MemoryCounters(clock, site.max_callers) for _ in range(2))
        self.stores = {self._failures: self.auth_failures, self._requests: self.requests}
        self._counting: set[asyncio.Future[None]] = set()

    def admit(self, bucket: str) -> tuple[str, ...]:
        """Let a request of this address in; gives the names of limits that are not enforced and would not have.

        Raises:
            Refusal: address-rate-exceeded, with ``retry_after_s`` and ``policy``: too many failed credentials, or
                too many requests.
        """
        now = self._now()
        failures = self._failures
        would = self._look(bucket, now) if bucket in failures.young or bucket in failures.old else _NOTHING
        young = self._requests.young
        tat = young[bucket]
        ahead = (tat - now if tat > now else 0) + self.requests.interval
        if ahead > self.requests.tolerance:
            return would + self._overrun(self.requests, self._requests, bucket, now)
        young[bucket] = now + ahead
        return would

    def _look(self, bucket: str, now: int) -> tuple[str, ...]:
        """Look at the failures of an address that has failed before."""
        limit = self.auth_failures
        if self._failures.get(bucket, 0) - now + limit.interval <= limit.tolerance:
            return _NOTHING
        return self._overrun(limit, self._failures, bucket, now)

    def _overrun(self, limit: Limit, store: MemoryCounters, bucket: str, now: int) -> tuple[str, ...]:
        """Refuse an address that would overrun a limit, or name the limit where it is not enforced."""
        tat = store.heal(bucket, store.get(bucket, 0), now, limit.gcra)
        if limit.ruling.enforce:
            raise _too_many(limit, retry_after_s(moved(tat, now, limit.gcra), now, limit.gcra))
        return (limit.name,)

    def count_failure(self, bucket: str) -> Awaitable[None] | None:
        """Count a failed credential against the address, here and in common.

        What is returned is awaited before the answer leaves: of guesses at several processes at once, no more are
        answered than the limit allows. It raises as :meth:`admit` does.
        """
        now = self._now()
        limit = self.auth_failures
        after = moved(self._failures.get(bucket, 0), now, limit.gcra)
        if after - now <= limit.tolerance:
            self._failures.put(bucket, after)
        common = self._common
        return None if common is None or not common.is_up else self._count_there(common, limit.prefix + bucket)

    def count_failure_soon(self, bucket: str) -> None:
        """Count a failed credential whose refusal is on its way already."""
        counted = self.count_failure(bucket)
        if counted is not None:
            task = asyncio.ensure_future(counted)
            self._counting.add(task)
            task.add_done_callback(self._forget)

    def drawn(self, bucket: str) -> list[Drawn]:
        """Give what a call of this address draws on in common: a request, and that there is a failure left."""
        return [
            (self.requests, self.requests.prefix + bucket, 1),
            (self.auth_failures, self.auth_failures.prefix + bucket, 0),
        ]

    async def _count_there(self, common: Common, key: str) -> None:
        try:
            standings = await common.take([(self.auth_failures, key, 1)])
        except StoreDown:
            return  # counted here
        require_admitted(standings)

    def _forget(self, task: "asyncio.Future[None]") -> None:
        self._counting.discard(task)
        if not task.cancelled():
            task.exception()  # too many: the next request is told


def require_admitted(standings: list[Standing]) -> None:
    """Refuse with address-rate-exceeded where one of an address's standings does."""
    for standing in standings:
        if standing.refuses:
            raise _too_many(standing.limit, standing.wait_s)


def _too_many(limit: Limit, wait_s: int) -> Refusal:
    return Refusal(Reason.ADDRESS_RATE_EXCEEDED, limit.name, retry_after_s=wait_s, policy=limit.name)
