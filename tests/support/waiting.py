"""Waits of tests that run in a loop: for what is to become so, within a bound, instead of for a while."""

import asyncio
from collections.abc import Callable

SOON_S = 5.0


async def soon(holds: Callable[[], object], seconds: float = SOON_S) -> None:
    """Let the loop run until something is so; one that stays untrue fails the test."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  # what is waited for is the loop's own work, or a thread's
            await asyncio.sleep(0.001)


async def turns(count: int = 50) -> None:
    """Let the loop take turns: tasks go on and sockets are read, however slow the machine is. Timers stand still."""
    for _ in range(count):
        await asyncio.sleep(0)
