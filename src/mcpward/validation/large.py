"""Large arguments are checked beside the event loop, one call at a time, and one of a caller (attack 121)."""

import asyncio
from weakref import WeakValueDictionary

from mcpward.core.long_work import LongWork
from mcpward.core.values import AcceptedCall, Call, Tool
from mcpward.validation.accept import accept_large


class LargeArguments:
    """Accepts calls whose arguments are not little. Who sends many at once waits for its own, and others for one."""

    def __init__(self) -> None:
        self._work = LongWork("large-arguments")
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def accept(self, call: Call, tool: Tool) -> AcceptedCall:
        """Return the accepted call.

        Raises:
            Refusal: arguments-invalid, argument-dangerous.
            Fault: an author's guard or validator would have ended the process.
        """
        caller = call.principal.key
        turn = self._turns.get(caller)
        if turn is None:
            turn = self._turns[caller] = asyncio.Lock()
        async with turn:
            return await self._work.do(accept_large, call, tool)
