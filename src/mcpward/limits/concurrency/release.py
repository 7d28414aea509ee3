"""Slots that a running call releases while it waits for answers: a person may take minutes."""

from asyncio import Lock
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from mcpward.limits.concurrency.lease import Lease


class Release:
    """The slots that one running call holds, and releases while it waits for answers.

    However many questions it asks at once, it has one set of slots to release. It takes the set back when the first
    answer lets it continue.
    """

    __slots__ = ("_lease", "_taking")

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._taking = Lock()

    def retain(self) -> Callable[[], None]:
        """Keep the slots beyond the call's end, as :meth:`Lease.retain`; then waiting no longer releases them."""
        return self._lease.retain()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[None]:
        """Release the slots to other calls for the length of the block, or until another such block ends."""
        lease = self._lease
        if not self._taking.locked() and not lease.is_retained:
            lease.release()
        try:
            yield
        finally:
            async with self._taking:
                if not lease.is_held:  # cancelled, it owes the slots, which comes to the same
                    await lease.take_back()
