"""Limits of an address without a valid credential: how often it may fail with credentials, and send requests at all.

Neither concerns a caller whose credential is valid: a neighbour behind the same proxy locks no caller out. Each process
counts addresses by itself, whatever the counters, so a flood is turned away before any look-up. Failed credentials are
also counted in common, and anonymous calls when they are charged. So an address gains nothing by sending to several
processes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

from mcpward.config import limits as settings
from mcpward.core.clock import Clock
from mcpward.core.errors import Refusal
from mcpward.core.facts import RetryAfter
from mcpward.core.reasons import Reason
from mcpward.core.values import AuthMethod, Principal, Rate
from mcpward.limits.rates.credential_lookups import CredentialLookups
from mcpward.limits.rates.gcra import moved, retry_after_s
from mcpward.limits.rates.limit import Drawn, Limit, Standing
from mcpward.limits.rates.memory import MemoryCounters
from mcpward.limits.rates.shared_port import Common, StoreDown

_NOTHING: Final[tuple[str, ...]] = ()
_ANONYMOUS: Final = AuthMethod.ANONYMOUS
_AWAY_S: Final = 1
T = TypeVar("T")
_KIB: Final = 1024
#: KiB of large bodies that a caller may send, whatever it may call: 32 of the largest a minute, half of them at once.
#: A server reads them in 3 % of its time.
_BODIES: Final = Rate(count=128 * _KIB, per_s=60.0, burst=64 * _KIB)
Names = tuple[str, ...]
"""Limits that are not enforced and would have refused."""


class Addresses:
    """Counts addresses (an IPv4 address or an IPv6 /64, as ingress has seen it), and floods of callers."""

    def __init__(self, site: settings.SiteLimits, clock: Clock, common: Common | None) -> None:
        self._now = clock.monotonic_ns
        self._common = common
        self.auth_failures = Limit("auth_failures", "", site.auth_failures.rate, site.auth_failures.ruling)
        self.requests = Limit("requests", "", site.requests.rate, site.requests.ruling)
        # One limit's buckets each, so an address, or a caller, is its bucket's whole key.
        self._failures, self._requests, self._callers = (MemoryCounters(clock, site.max_callers) for _ in range(3))
        self._bodies = Limit("bodies", "", _BODIES)
        self._bytes = MemoryCounters(clock, site.max_callers)
        self.stores = {
            self._failures: self.auth_failures,
            self._requests: self.requests,
            self._callers: self.requests,
        }
        self._counting: set[asyncio.Future[Names]] = set()
        self._asking = CredentialLookups(self)

    def admit(self, principal: Principal, bucket: str) -> Names:
        """Count a request: of its caller, or of its address if the caller is unknown.

        A caller's own requests are counted so that one caller cannot flood the server with requests that no class's
        rate covers. Requests of others at its address never count against it.

        Raises:
            Refusal: address-rate-exceeded, with a ``RetryAfter`` that names the limit.
        """
        if principal.way is _ANONYMOUS:
            return self.count_request(bucket)
        return self._count(self._callers, principal.key)

    def admit_body(self, principal: Principal, bucket: str, size: int) -> None:
        """Count a large body, in bytes, of its caller, or of its address if the caller is unknown.

        Counted before the body is read: a body costs the same whether or not it is a call.

        Raises:
            Refusal: address-rate-exceeded, with a ``RetryAfter`` that names the limit.
        """
        self._bytes.put(*self._after_body(principal, bucket, size))

    def require_body(self, principal: Principal, bucket: str, size: int) -> None:
        """Require that a large body would be admitted now, before it is read; nothing is counted.

        Raises:
            Refusal: as :meth:`admit_body`.
        """
        self._after_body(principal, bucket, size)

    def _after_body(self, principal: Principal, bucket: str, size: int) -> tuple[str, int]:
        """Return the identity that a body counts for, and where its counter stands after it."""
        limit, now, store = self._bodies, self._now(), self._bytes
        key = bucket if principal.way is _ANONYMOUS else principal.key
        cost = min(-(-size // _KIB), limit.most)  # a body is never too large to be the first
        known = store.heal(key, store.get(key, 0), now, limit.gcra)
        tat = moved(known, now, limit.gcra, cost)
        if tat > now + limit.tolerance:
            raise _too_many(limit, retry_after_s(tat, now, limit.gcra))
        return key, tat

    def count_request(self, bucket: str) -> Names:
        """Count a request of an address. Raises as :meth:`admit` does."""
        return self._count(self._requests, bucket)

    def _count(self, store: MemoryCounters, key: str) -> Names:
        now, limit, young = self._now(), self.requests, store.young
        tat = young[key]
        ahead = (tat - now if tat > now else 0) + limit.interval
        if ahead > limit.tolerance:
            return self._overrun(limit, store, key, now)
        young[key] = now + ahead
        return _NOTHING

    async def ask(self, whom: str, bucket: str, question: Callable[[], Awaitable[T]]) -> T:
        """Look up a credential of an address at ``whom``, in its turn; return or raise the result.

        If the credential turns out to be wrong, the caller of this counts it, unless it is cancelled meanwhile.

        Raises:
            Refusal: address-rate-exceeded, the address has failed too often; identity-unavailable, too many of its
                requests wait for their turn, or this one has waited for too long.
        """
        return await self._asking.ask(whom, bucket, question)

    def require_failure(self, bucket: str) -> Names:
        """Require that the address has not failed too often. Counts nothing. Raises as :meth:`admit` does."""
        return self._look(self.auth_failures, self._failures, bucket)

    def has_failure_beside(self, bucket: str, pending: int) -> bool:
        """Return whether the address has a failure left beside ``pending`` credentials that are being looked up."""
        limit, now = self.auth_failures, self._now()
        ahead = max(0, self._failures.get(bucket, 0) - now) + (pending + 1) * limit.interval
        return ahead <= limit.tolerance or not limit.ruling.enforce

    def count_outcome(self, bucket: str, error: BaseException | None) -> None:
        """Count a wrong credential of a caller that left before it was looked up."""
        if isinstance(error, Refusal) and error.reason is Reason.CREDENTIAL_INVALID:
            with suppress(Refusal):
                self.count_failure_soon(bucket)

    def _look(self, limit: Limit, store: MemoryCounters, bucket: str) -> Names:
        if bucket not in store.young and bucket not in store.old:
            return _NOTHING
        now = self._now()
        ahead = max(0, store.get(bucket, 0) - now) + limit.interval
        return _NOTHING if ahead <= limit.tolerance else self._overrun(limit, store, bucket, now)

    def _overrun(self, limit: Limit, store: MemoryCounters, bucket: str, now: int) -> Names:
        """Refuse an address that would overrun a limit, or return the limit's name if it is not enforced."""
        tat = store.heal(bucket, store.get(bucket, 0), now, limit.gcra)
        if limit.ruling.enforce:
            raise _too_many(limit, retry_after_s(moved(tat, now, limit.gcra), now, limit.gcra))
        return (limit.name,)

    def count_failure(self, bucket: str) -> Names | Awaitable[Names]:
        """Count a failed credential against the address, here and in common.

        The common counters are awaited before the response leaves. So of guesses sent to several processes at once, no
        more are answered as wrong than the limit allows.

        Raises:
            Refusal: address-rate-exceeded, as awaiting does: there were too many before; busy, if the limit is closed
                while the common counters are away.
        """
        limit, now = self.auth_failures, self._now()
        over = self._look(limit, self._failures, bucket)
        if over:
            return over
        self._failures.put(bucket, moved(self._failures.get(bucket, 0), now, limit.gcra))
        common = self._common
        if common is None:
            return _NOTHING
        if not common.is_up:
            return self._alone()
        return self._count_there(common, limit.prefix + bucket)

    def count_failure_soon(self, bucket: str) -> None:
        """Count a failed credential whose refusal is on its way already. Raises as :meth:`count_failure` does."""
        counted = self.count_failure(bucket)
        if not isinstance(counted, tuple):
            task = asyncio.ensure_future(counted)
            self._counting.add(task)
            task.add_done_callback(self._forget)

    def drawn(self, principal: Principal, bucket: str) -> list[Drawn]:
        """Return the common draws of a request for its address, if the caller is unknown."""
        if principal.way is not _ANONYMOUS:
            return []
        return [(self.requests, self.requests.prefix + bucket, 1)]

    async def _count_there(self, common: Common, key: str) -> Names:
        try:
            standings = await common.take([(self.auth_failures, key, 1)])
        except StoreDown:
            return self._alone()
        require_admitted(standings)
        return tuple(standing.limit.name for standing in standings if standing.wait_s)

    def _alone(self) -> Names:
        """The common counters are away: the failure is counted here, unless its limit is closed without them."""
        ruling = self.auth_failures.ruling
        if ruling.enforce and ruling.on_store_failure == "closed":
            detail = "the counters are away, and auth_failures is closed without them"
            raise Refusal(Reason.BUSY, detail, RetryAfter(_AWAY_S, policy=self.auth_failures.name))
        return _NOTHING

    def _forget(self, task: "asyncio.Future[Names]") -> None:
        self._counting.discard(task)
        if not task.cancelled():
            task.exception()  # too many: the next failure is refused


def require_admitted(standings: list[Standing]) -> None:
    """Refuse with address-rate-exceeded if one of an address's standings does."""
    for standing in standings:
        if standing.refuses:
            raise _too_many(standing.limit, standing.wait_s)


def _too_many(limit: Limit, wait_s: int) -> Refusal:
    return Refusal(Reason.ADDRESS_RATE_EXCEEDED, limit.name, RetryAfter(wait_s, policy=limit.name))
