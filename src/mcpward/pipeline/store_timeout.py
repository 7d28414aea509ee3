"""The store's part before a call goes on: done in a few seconds, or the call is refused and may come again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from mcpward.core.errors import Fault, Refusal
from mcpward.core.facts import RetryAfter
from mcpward.core.fair_timeout import fair_timeout
from mcpward.core.reasons import Reason

_PATIENCE_S: Final = 5.0
_RETRY_AFTER_S: Final = 5


@asynccontextmanager
async def store_deadline() -> AsyncIterator[None]:
    """Bound the block in time; a locked, full or broken store is ``busy`` for the caller.

    Raises:
        Refusal: busy, and whatever refusal the block raises.
        Fault: one of the block's own.
    """
    try:
        async with fair_timeout(_PATIENCE_S):
            yield
    except (Refusal, Fault):
        raise
    except Exception as error:
        detail = f"the store did not take it ({type(error).__name__})"
        raise Refusal(Reason.BUSY, detail, RetryAfter(_RETRY_AFTER_S)) from error
