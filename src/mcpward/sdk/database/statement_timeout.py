"""Ends a statement that runs too long. A thread inside SQLite cannot be cancelled, and closing its connection would
wait for it; the statement itself can be interrupted, from outside, and then everything unwinds by itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

from mcpward.core.fair_timeout import fair_timeout
from mcpward.core.work import current

T = TypeVar("T")
_AGAIN_S: Final = 0.05
_tasks: set[asyncio.Task[Any]] = set()


class StatementTimeout:
    """Holds the driver's connection while a statement may run on it."""

    def __init__(self) -> None:
        self.driver: Any = None

    async def let_go(self, task: asyncio.Task[Any]) -> None:
        """Stop what runs, again and again: an interrupt between two statements hits neither."""
        while not task.done():
            interrupt = getattr(self.driver, "interrupt", None)
            if interrupt is None:
                task.cancel()
            else:
                await interrupt()
            await asyncio.wait({task}, timeout=_AGAIN_S)


async def within(seconds: float, work: Callable[[StatementTimeout], Awaitable[T]]) -> T:
    """Return the result of ``work``, if it ends in time.

    Raises:
        TimeoutError: it did not, and was stopped.
        CancelledError: cancelled from outside; the work was stopped as well.
    """
    limit = StatementTimeout()
    task = asyncio.ensure_future(work(limit))
    _tasks.add(task)  # the loop itself keeps tasks by weak reference only
    task.add_done_callback(_forget)
    try:
        async with fair_timeout(seconds):
            return await asyncio.shield(task)
    except (TimeoutError, asyncio.CancelledError):
        await _ended(limit.let_go(task))
        raise


async def _ended(ending: Coroutine[Any, Any, None]) -> None:
    """Wait for the end. Cancelled once more, it goes on without us, and with the slots of the call until then."""
    task = asyncio.ensure_future(ending)
    _tasks.add(task)
    task.add_done_callback(_forget)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        work = current.get(None)
        if work is not None and not task.done():
            let_go = work.outlive()
            task.add_done_callback(lambda _: let_go())
        raise


def _forget(task: asyncio.Task[Any]) -> None:
    _tasks.discard(task)
    if not task.cancelled():
        task.exception()  # looked at: what an interrupted statement raises is expected
