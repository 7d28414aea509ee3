"""Large arguments are checked beside the event loop, one call at a time, and one of a caller (attack 121)."""

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from weakref import WeakValueDictionary

from mcpward.core import pace
from mcpward.core.values import AcceptedCall, Call, Tool
from mcpward.validation.accept import accept_large


class LargeArguments:
    """Accepts calls whose arguments are not little. A thread of its own does so, and stops every few milliseconds.

    More threads would not be faster: what is done there holds the interpreter's lock. Callers take turns, so that who
    sends many at once waits for its own.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="large-arguments")
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
            context = contextvars.copy_context()  # an author's validators see what they would see on the loop
            return await asyncio.get_running_loop().run_in_executor(self._thread, context.run, _accept, call, tool)


def _accept(call: Call, tool: Tool) -> AcceptedCall:
    pace.begin()
    try:
        return accept_large(call, tool)
    finally:
        pace.end()
