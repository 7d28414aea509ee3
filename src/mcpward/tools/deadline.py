"""A call's time, with care for cancellation: one from outside (the caller has gone, the server stops) passes through.

One timer for all calls instead of one for each: with uvloop, making a timer and closing it again costs more than all
checks of a call together. So a deadline is met to within :data:`TICK_S`, late and never early.
"""

import asyncio
import math
from asyncio import current_task as _current_task
from typing import Any, Final

from msgspec import Struct

TICK_S: Final = 0.02
_AGAIN_S: Final = 1.0
#: A timer that comes so late came after something that held the event loop.
_LATE_S: Final = 0.25


class Watch:
    """Looks after the deadlines of all running calls of one event loop. Sleeps while there are none.

    If a call held the loop, the others get back the time in which they could not run.
    """

    __slots__ = ("_due", "_holder", "_loop", "_running", "_timer")

    def __init__(self) -> None:
        self._running: set[Deadline] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due = 0.0
        self._holder: Deadline | None = None

    def start(self, seconds: float) -> "Deadline":
        """Watch the present task from now until the deadline is stopped."""
        task: asyncio.Task[Any] | None = _current_task()
        if task is None:
            raise RuntimeError("a deadline needs a running task")
        loop = self._loop
        if loop is None:
            loop = self._loop = task.get_loop()
        running = self._running
        now = loop.time()
        deadline = Deadline(running, task, now + seconds, task.cancelling(), seconds)
        running.add(deadline)
        if self._timer is None:
            self._due = now + TICK_S
            self._timer = loop.call_later(TICK_S, self._tick)
        return deadline

    def held_by(self, task: "asyncio.Task[Any] | None") -> None:
        """Note which task holds the loop, as a :class:`~mcpward.tools.loop_watch.LoopWatch` sees it; from any thread.

        Its deadline is looked up now: a call that ends as soon as it lets go of the loop is no longer running when the
        next tick asks. None, and a task that a call began, leave the holder unknown.
        """
        running = tuple(self._running)  # one step of the interpreter, whatever the loop's thread does meanwhile
        self._holder = next((one for one in running if one.is_of(task)), None)

    def close(self) -> None:
        """End the watch; calls that still run are not ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        assert self._loop is not None  # start() set it before the first tick
        if not self._running:
            self._timer = None
            return
        now = self._loop.time()
        late_s = now - self._due
        if late_s > _LATE_S:  # another call held the loop: no other call pays for that with its own time
            for deadline in self._running:
                deadline.excuse(late_s, self._holder)
        for deadline in [one for one in self._running if one.due <= now]:
            deadline.expire(now)
        self._due = now + TICK_S
        self._timer = self._loop.call_later(TICK_S, self._tick)


class Deadline(Struct, eq=False):
    """The time of one task. ``is_over`` says whether it ran out.

    The task is cancelled then, and once more every second for a function that catches ``CancelledError`` and goes on.
    """

    _running: "set[Deadline]"
    _task: "asyncio.Task[Any]"
    due: float
    _before: int
    #: Seconds that may be added if it is not known which call held the loop: it may have been this very one.
    _excusable: float
    _cancels: int = 0
    _pauses: int = 0
    _left: float = 0.0
    is_over: bool = False

    def expire(self, now: float) -> None:
        """The time is over: cancel the task."""
        self.is_over = True
        self._cancels += 1
        self._task.cancel()
        self.due = now + _AGAIN_S

    def is_of(self, task: "asyncio.Task[Any] | None") -> bool:
        """Whether it is this task's time."""
        return task is self._task

    def excuse(self, seconds: float, holder: "Deadline | None") -> None:
        """Add time in which the event loop was held, unless it was this call that held it."""
        if self.is_over or holder is self:
            return
        if holder is None:  # it may have been any of them, and one that holds it again and again must have an end
            seconds = min(seconds, self._excusable)
            self._excusable -= seconds
        self.due += seconds

    def pause(self) -> None:
        """Stop the clock until :meth:`resume`; the code that pauses bounds the pause. Pauses at the same time are
        one.
        """
        self._pauses += 1
        if self._pauses == 1 and not self.is_over:
            self._left = self.due - self._task.get_loop().time()
            self.due = math.inf

    def resume(self) -> None:
        """Let the clock go on with the time that was left."""
        self._pauses -= 1
        if self._pauses == 0 and not self.is_over:
            self.due = self._task.get_loop().time() + self._left

    @property
    def cancelled_outside(self) -> bool:
        """Whether another source than this deadline has cancelled the task."""
        return self._task.cancelling() > self._before + self._cancels

    def pass_on(self) -> None:
        """A cancellation from outside goes on to the code that waits for the task: it is not taken back."""
        self._before = self._task.cancelling() - self._cancels

    def stop(self) -> None:
        """End the watch and take back its own cancellations and what the function has left, so that the task may go on.

        A ``TaskGroup`` of Python 3.11 and 3.12 in which a task fails leaves its own cancellation of the group's owner.
        """
        self._running.discard(self)
        task = self._task
        while task.cancelling() > self._before:
            task.uncancel()
