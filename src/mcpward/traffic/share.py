"""How much of the queue a record may find taken and still get in, and which repeated ones are not written at all.

What strangers cause must not blind the record for the others: one address that asks for 100,000 unknown routes would
crowd out the wrong credentials of the next one. So the cheaper a refusal is to provoke, the less room it gets.
"""

from ipaddress import AddressValueError, IPv6Address
from typing import Final

from mcpward.core.clock import Clock
from mcpward.core.reasons import Reason
from mcpward.traffic.record import Record

#: Refusals that tell of a credential, or of the lack of one: who tries keys is what a record is read for.
_CREDENTIAL: Final = frozenset(
    reason.value
    for reason in (
        Reason.CREDENTIAL_MISSING,
        Reason.CREDENTIAL_INVALID,
        Reason.CREDENTIAL_AMBIGUOUS,
        Reason.IDENTITY_UNAVAILABLE,
    )
)
_FIRST: Final = 5
_WINDOW_S: Final = 60.0
_MAX_ADDRESSES: Final = 10_000
_IPV6_BUCKET_BITS: Final = 64


def share(record: Record, capacity: int) -> int:
    """Give the number of waiting records at which the record of a refusal finds no room any more."""
    if record.subject.principal is not None:
        return capacity
    return capacity // 2 if record.reason in _CREDENTIAL else capacity // 4


class AddressRefusals:
    """Lets the first few ``address-rate-exceeded`` of an address in a minute be written; the others say nothing new."""

    def __init__(self, clock: Clock) -> None:
        self._monotonic = clock.monotonic
        self._seen: dict[str | int, int] = {}
        self._until = 0.0

    def is_news(self, record: Record) -> bool:
        """Tell whether to write this record, and count it."""
        if record.reason != Reason.ADDRESS_RATE_EXCEEDED.value:
            return True
        now = self._monotonic()
        if now >= self._until:
            self._seen = {}
            self._until = now + _WINDOW_S
        who = _counted_as(record.peer)
        count = self._seen.get(who, 0) + 1
        if count > _FIRST or (count == 1 and len(self._seen) >= _MAX_ADDRESSES):
            return False
        self._seen[who] = count
        return True


def _counted_as(peer: str) -> str | int:
    """An IPv4 address, or the /64 of an IPv6 one: who has one such address has 2⁶⁴."""
    if ":" not in peer:
        return peer
    try:
        return int(IPv6Address(peer)) >> _IPV6_BUCKET_BITS
    except AddressValueError:
        return peer
