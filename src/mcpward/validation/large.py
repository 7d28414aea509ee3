"""Large arguments are checked beside the event loop, one call at a time, callers in turn (attack 121)."""

from typing import Final

from mcpward.core.errors import Refusal
from mcpward.core.facts import RetryAfter
from mcpward.core.long_work import LongWork, TooLong
from mcpward.core.reasons import Reason
from mcpward.core.values import AcceptedCall, Call, Tool
from mcpward.validation.accept import accept_large

_RETRY_AFTER_S: Final = 5


class LargeArguments:
    """Accepts calls with large arguments. A caller that sends many at once waits for its own; other callers wait for
    only one.
    """

    def __init__(self) -> None:
        self._work = LongWork("large-arguments")

    async def accept(self, call: Call, tool: Tool) -> AcceptedCall:
        """Return the accepted call.

        Raises:
            Refusal: arguments-invalid, argument-dangerous; busy, its turn did not come in time.
            Fault: an author's guard or validator would have ended the process.
        """
        try:
            return await self._work.do(call.principal.key, accept_large, call, tool)
        except TooLong:
            detail = "too many large arguments wait to be checked"
            raise Refusal(Reason.BUSY, detail, RetryAfter(_RETRY_AFTER_S)) from None
