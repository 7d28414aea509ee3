"""A thread for work that takes too long for the event loop, and that ``core.pace`` cuts into short pieces."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from mcpward.core import pace
from mcpward.core.fair_timeout import fair_timeout
from mcpward.core.turns import Turns

P = ParamSpec("P")
T = TypeVar("T")

_MOST_WAITING: Final = 256
_PATIENCE_S: Final = 10.0


class TooLong(Exception):
    """So much other work comes before this that no caller should wait for it. It was not begun."""


class LongWork:
    """One thread: its work holds the interpreter's lock, so that two would be no faster.

    Callers take turns: a caller with much work gets one piece of it done, then each of the other waiting callers. Work
    that has not begun after ``patience_s``, or is too much to wait at all, never begins.
    """

    def __init__(self, name: str, patience_s: float = _PATIENCE_S, most_waiting: int = _MOST_WAITING) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._patience_s = patience_s
        self._turns: Turns[asyncio.Future[bool]] = Turns(most_waiting)
        self._is_taken = False

    async def do(self, caller: str, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """Return what ``work`` returns, or raise what it raises. It sees the context variables of its caller.

        Raises:
            TooLong: its turn did not come in time.
        """
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()

        def paced() -> T:
            pace.begin()
            try:
                return work(*args, **named)
            finally:
                pace.end()

        if self._is_taken:
            await self._wait(loop, caller)
        self._is_taken = True
        try:
            done = loop.run_in_executor(self._thread, context.run, paced)
        except BaseException:
            self._next()
            raise
        done.add_done_callback(self._over)
        await asyncio.wait((done,))  # a cancelled caller leaves it: the thread is taken until it is over
        return done.result()

    async def _wait(self, loop: asyncio.AbstractEventLoop, caller: str) -> None:
        turn: asyncio.Future[bool] = loop.create_future()
        loser = self._turns.join(caller, turn)
        if loser is turn:
            raise TooLong
        if loser is not None and not loser.done():
            loser.set_result(False)
        try:
            async with fair_timeout(self._patience_s):
                has_turn = await turn
        except BaseException as problem:
            self._turns.leave(caller, turn)
            if turn.done() and not turn.cancelled() and turn.result():  # it came in the same turn of the loop
                self._next()
            if isinstance(problem, TimeoutError):
                raise TooLong from None
            raise
        if not has_turn:
            raise TooLong

    def _over(self, done: "asyncio.Future[T]") -> None:
        if not done.cancelled():
            done.exception()  # the waiter has it; without one, there is nothing to report
        self._next()

    def _next(self) -> None:
        """Let the next one begin; the thread is taken by it from now on."""
        self._is_taken = False
        while (caller := self._turns.least(_none)) is not None:
            turn = self._turns.next(caller)
            if not turn.done():
                self._is_taken = True
                turn.set_result(True)
                return


def _none(_: str) -> int:
    """All waiters have as much of the thread, nothing: then each in turn."""
    return 0
