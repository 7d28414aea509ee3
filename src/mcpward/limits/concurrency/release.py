"""Places that a running call lends to others while it waits for answers: a person may take minutes."""

from asyncio import Lock
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from mcpward.limits.concurrency.lease import Lease


class Release:
    """What one running call holds, and lends while it waits for answers.

    However much it asks at once, it has one set of places to lend, and takes it back when the first answer lets it go
    on.
    """

    __slots__ = ("_lease", "_taking")

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._taking = Lock()

    def retain(self) -> Callable[[], None]:
        """Keep the places beyond the call's end, as :meth:`Lease.retain`; they are not lent any more."""
        return self._lease.retain()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[None]:
        """Return the places to others for the length of the block, or until another such block ends."""
        lease = self._lease
        if not self._taking.locked() and not lease.is_retained:
            lease.release()
        try:
            yield
        finally:
            async with self._taking:
                if not lease.is_held:  # cancelled, it owes the places, which comes to the same
                    await lease.take_back()
