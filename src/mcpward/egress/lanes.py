"""How many calls are on their way at once: so many to one origin, so many wait for it, so many in all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from mcpward.egress.trouble import EgressFailed, Why

AT_ONCE: Final = 8
_IN_LANE: Final = 128
_IN_ALL: Final = 512


class _Lane:
    """The calls to one origin, running and waiting."""

    def __init__(self) -> None:
        self.places = asyncio.Semaphore(AT_ONCE)
        self.users = 0


class Lanes:
    """A lane for each origin, kept while somebody is in it: one slow origin does not hold up the others."""

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane] = {}
        self._users = 0

    @asynccontextmanager
    async def enter(self, origin: str) -> AsyncIterator[None]:
        """Wait for a place on the way to an origin and hold it.

        Raises :class:`EgressFailed` (busy) at once where too many wait already.
        """
        lane = self._lanes.get(origin) or _Lane()
        if lane.users >= _IN_LANE or self._users >= _IN_ALL:
            raise EgressFailed(Why.BUSY, f"too many calls to {origin} are under way")
        self._lanes[origin] = lane
        lane.users += 1
        self._users += 1
        try:
            async with lane.places:
                yield
        finally:
            lane.users -= 1
            self._users -= 1
            if lane.users == 0:
                del self._lanes[origin]
