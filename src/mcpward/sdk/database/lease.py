"""A few at once, callers in turn: a caller with a hundred statements lets one of another in before its next."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcpward.core.turns import Turns
from mcpward.core.work import current


class Leases:
    """``size`` slots, for the callers of the running calls. A call that waits for one is cancelled, or has time
    enough.
    """

    def __init__(self, size: int) -> None:
        self._free = size
        self._held: dict[str, int] = {}
        self._turns: Turns[asyncio.Future[None]] = Turns(0)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a slot, and hold it."""
        work = current.get(None)
        caller = "" if work is None else work.caller
        if self._free > 0:
            self._take(caller)
        else:
            await self._wait(caller)
        try:
            yield
        finally:
            self._give_back(caller)

    async def _wait(self, caller: str) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._turns.join(caller, turn, bounded=False)
        try:
            await turn
        except asyncio.CancelledError:
            self._turns.leave(caller, turn)
            if turn.done() and not turn.cancelled():  # the slot came in the same turn of the loop
                self._give_back(caller)
            raise

    def _take(self, caller: str) -> None:
        self._free -= 1
        self._held[caller] = self._held.get(caller, 0) + 1

    def _give_back(self, caller: str) -> None:
        self._free += 1
        left = self._held.pop(caller) - 1
        if left:
            self._held[caller] = left
        while self._free > 0 and (who := self._turns.least(self._of)) is not None:
            turn = self._turns.next(who)
            if not turn.done():
                self._take(who)
                turn.set_result(None)

    def _of(self, caller: str) -> int:
        return self._held.get(caller, 0)
