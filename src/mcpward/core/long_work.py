"""A thread for work that takes too long for the event loop, and that ``core.pace`` cuts into short pieces."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from mcpward.core import pace

P = ParamSpec("P")
T = TypeVar("T")


class LongWork:
    """One thread: what it does holds the interpreter's lock, so that two would be no faster. Work is done in order."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def do(self, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """Return what ``work`` returns, or raise what it raises. It sees the context variables of its caller."""
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()

        def paced() -> T:
            pace.begin()
            try:
                return work(*args, **named)
            finally:
                pace.end()

        return await loop.run_in_executor(self._thread, context.run, paced)
