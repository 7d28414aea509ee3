"""Connections that were refused, or ended for the sake of others: counted by reason, and logged once a minute."""

import logging
from collections.abc import Callable
from typing import Final

from mcpward.core.clock import Clock

_log: Final = logging.getLogger("mcpward.ingress")
_EVERY_S: Final = 60.0
#: Addresses that are distinguished in one minute; strangers choose theirs, and an IPv6 network has many.
_MOST_ADDRESSES: Final = 256
_OTHERS: Final = "others"
#: Why a new connection was refused: its address made too many TLS handshakes for nothing, or holds its whole share in
#: use. Or no connection could leave, or there was no descriptor.
REFUSED: Final = ("address-rate", "address-share", "full", "descriptors")
#: The kind of an evicted connection: in its handshake, a stranger's, a known caller's that was idle.
EVICTED: Final = ("handshake", "stranger", "idle")


class TurnedAway:
    """``on_refused`` and ``on_evicted`` are called with each reason, of the closed lists above."""

    def __init__(self, clock: Clock) -> None:
        self.on_refused: Callable[[str], None] = _nothing
        self.on_evicted: Callable[[str], None] = _nothing
        self._monotonic = clock.monotonic
        self._next_at = clock.monotonic()
        self._refused = self._evicted = 0  # since the last line of the log
        self._of: dict[str, int] = {}

    def refuse(self, bucket: str, reason: str) -> None:
        """A new connection was not taken."""
        self._refused += 1
        self.on_refused(reason)
        self._note(bucket)

    def evict(self, bucket: str, reason: str) -> None:
        """A connection was ended to make room."""
        self._evicted += 1
        self.on_evicted(reason)
        self._note(bucket)

    def tell(self) -> None:
        """Log what came since the last time, if that is due. Called now and then."""
        if self._of and self._monotonic() >= self._next_at:
            self._next_at = self._monotonic() + _EVERY_S
            address, count = max(self._of.items(), key=lambda item: item[1])
            _log.warning(
                "connections are scarce: %d refused, %d ended for others; %d of them from %s, of %d addresses; "
                "see docs/limits.md#connections",
                self._refused, self._evicted, count, address, len(self._of),
            )  # fmt: skip
            self._refused = self._evicted = 0
            self._of.clear()

    def _note(self, bucket: str) -> None:
        if bucket not in self._of and len(self._of) >= _MOST_ADDRESSES:
            bucket = _OTHERS
        self._of[bucket] = self._of.get(bucket, 0) + 1


def _nothing(_reason: str) -> None:
    """Count nothing."""
