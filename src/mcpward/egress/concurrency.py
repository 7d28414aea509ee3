"""How many calls are on their way at once: so many to one endpoint, so many wait for it, so many in all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from mcpward.egress.failures import EgressFailed, Failure

AT_ONCE: Final = 16
_IN_QUEUE: Final = 128
_IN_ALL: Final = 512


class _Endpoint:
    """The calls to one endpoint, running and waiting."""

    def __init__(self, at_once: int) -> None:
        self.places = asyncio.Semaphore(at_once)
        self.users = 0


class Concurrency:
    """A queue for each endpoint, kept while a call is in it: a slow one does not hold up the others.

    Nor those of its own origin: a provider under many introspection requests still delivers its keys.
    """

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._endpoints: dict[str, _Endpoint] = {}
        self._users = 0

    @asynccontextmanager
    async def enter(self, endpoint: str) -> AsyncIterator[None]:
        """Wait for a slot on the way to an endpoint and hold it.

        Raises :class:`EgressFailed` (busy) at once if too many wait already.
        """
        queue = self._endpoints.get(endpoint) or _Endpoint(self._at_once)
        if queue.users >= _IN_QUEUE or self._users >= _IN_ALL:
            raise EgressFailed(Failure.BUSY, f"too many calls to {endpoint} are under way")
        self._endpoints[endpoint] = queue
        queue.users += 1
        self._users += 1
        try:
            async with queue.places:
                yield
        finally:
            queue.users -= 1
            self._users -= 1
            if queue.users == 0:
                del self._endpoints[endpoint]
