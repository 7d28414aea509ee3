"""A call's time. One timer per call, cheaper than a task or ``asyncio.timeout``, with the same care for cancellation.

When the time is over the running task is cancelled, and once more every second for a function that catches
``CancelledError`` and goes on. A cancellation from outside (the caller has gone, the server stops) passes through.
"""

import asyncio
from typing import Any, Final

_AGAIN_S: Final = 1.0


class Deadline:
    """Watches the present task from its making until :meth:`stop`. ``is_over`` tells whether the time ran out."""

    __slots__ = ("_before", "_cancels", "_loop", "_task", "_timer", "is_over")

    def __init__(self, seconds: float) -> None:
        task: asyncio.Task[Any] | None = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline needs a running task")
        self._task = task
        self._before = task.cancelling()
        self._cancels = 0
        self.is_over = False
        self._loop = task.get_loop()
        self._timer = self._loop.call_later(seconds, self._expire)

    def _expire(self) -> None:
        self.is_over = True
        self._cancels += 1
        self._task.cancel()
        self._timer = self._loop.call_later(_AGAIN_S, self._expire)

    @property
    def cancelled_outside(self) -> bool:
        """Whether somebody other than this deadline has cancelled the task."""
        return self._task.cancelling() > self._before + self._cancels

    def stop(self) -> None:
        """End the watch and take back its own cancellations, so that the task may go on."""
        self._timer.cancel()
        while self._cancels and self._task.cancelling() > self._before:
            self._cancels -= 1
            self._task.uncancel()
