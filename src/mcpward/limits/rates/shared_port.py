"""The port of counters that all processes of a site have in common."""

from collections.abc import Awaitable, Sequence
from typing import Protocol

from mcpward.limits.rates.bucket_usage import BucketFilter, BucketUsage
from mcpward.limits.rates.limit import Drawn, Loop, Standing


class StoreDown(Exception):
    """The store did not answer, or not in time, or with a no of its own."""


class Common(Protocol):
    """Counters that are exact across processes. Every method that waits raises :class:`StoreDown`.

    A port: only a site with such a store imports its client.
    """

    @property
    def is_up(self) -> bool:
        """Whether the store answered last time. No call waits for one that did not."""
        ...

    def take(self, drawn: Sequence[Drawn], loop: Loop | None = None) -> Awaitable[list[Standing]]:
        """Take every draw, or none if one refuses; returns where each bucket stands, in order, the loop's last."""
        ...

    def recall(self, drawn: Sequence[Drawn]) -> list[Standing]:
        """Return where the buckets stand if it is known, without asking, that one of them refuses; else nothing."""
        ...

    def give_back(self, drawn: Sequence[Drawn], loop: Loop | None = None) -> None:
        """Refund draws that were not needed, and remove a call from its ring. Callers need not wait for it."""
        ...

    async def uses(self, match: BucketFilter) -> list[BucketUsage]:
        """Return the standing of every bucket that matches and is in use."""
        ...

    async def reset(self, match: BucketFilter) -> int:
        """Make every bucket full again that matches; returns how many there were."""
        ...
