"""Ends a statement that runs too long. A thread inside SQLite cannot be cancelled, and closing its connection would
wait for it; the statement itself can be interrupted, from outside, and then everything unwinds by itself.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

T = TypeVar("T")
_AGAIN_S: Final = 0.05
_tasks: set[asyncio.Task[Any]] = set()


class Grip:
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


async def within(seconds: float, work: Callable[[Grip], Awaitable[T]]) -> T:
    """Give what ``work`` gives, if it does so in time.

    Raises:
        TimeoutError: it did not, and was stopped.
        CancelledError: cancelled from outside; the work was stopped as well.
    """
    grip = Grip()
    task = asyncio.ensure_future(work(grip))
    _tasks.add(task)  # the loop itself keeps tasks by weak reference only
    task.add_done_callback(_forget)
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.shield(task)
    except (TimeoutError, asyncio.CancelledError):
        await grip.let_go(task)
        raise


def _forget(task: asyncio.Task[Any]) -> None:
    _tasks.discard(task)
    if not task.cancelled():
        task.exception()  # looked at: what an interrupted statement raises is expected
