"""Limits the TLS handshakes of an address that lead to no accepted request.

A handshake holds the event loop for about a millisecond, before the caller is known. Without a bound one address could
take the whole loop. A handshake costs nothing if its connection then has a request accepted. So callers with a valid
credential make as many as they like.
"""

from typing import Final

from mcpward.core.clock import Clock
from mcpward.core.values import Rate
from mcpward.limits.rates.gcra import Gcra, moved
from mcpward.limits.rates.memory import MemoryCounters

#: For an address without an accepted caller at the moment: ten in a second, a hundred at once. Ten times as many with
#: one, who may have a bad neighbour.
_RATE: Final = Gcra.of(Rate(count=100, per_s=1.0, burst=1000))
_COST: Final = 10
_COST_OF_KNOWN: Final = 1
_MOST_ADDRESSES: Final = 100_000


class HandshakePace:
    """Counts the handshakes of each address (an IPv4 address or an IPv6 /64), in bounded memory."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock.monotonic_ns
        self._counters = MemoryCounters(clock, _MOST_ADDRESSES)

    def charge(self, bucket: str, *, is_known: bool) -> int | None:
        """Return what a handshake costs that may begin; None if the address has made too many for nothing."""
        now, cost = self._now(), _COST_OF_KNOWN if is_known else _COST
        after = moved(self._counters.get(bucket, 0), now, _RATE, cost)
        if after - now > _RATE.tolerance:
            return None
        self._counters.put(bucket, after)
        return cost

    def give_back(self, bucket: str, cost: int) -> None:
        """A request was accepted on the connection."""
        self._counters.put(bucket, max(0, self._counters.get(bucket, 0) - cost * _RATE.interval))
