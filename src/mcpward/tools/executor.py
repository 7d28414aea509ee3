"""The event loop's own threads: those of ``asyncio.to_thread`` and ``run_in_executor(None, …)``.

asyncio has a few for the whole process and never checks which caller takes them. A caller that begins and hangs up
could have them all, at every server; and a stop would wait for each of them. Here the functions of a call run in a pool
of its server, by caller, and keep the call's slots as long as they run.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Final, TypeVar

from mcpward.core.work import Work, current
from mcpward.tools.pool import Job, Pool, Pools

T = TypeVar("T")
#: Threads for mcpward's own work, such as reads at the start.
_OWN: Final = 4


class Executor(ThreadPoolExecutor):
    """An event loop's default executor. ``size`` threads for each server, apart from those of its ``def`` tools:

    those may wait for these. No call is turned away: an author's function that asks for many threads waits for itself.
    """

    def __init__(self, size: int) -> None:
        super().__init__(_OWN, thread_name_prefix="mcpward")
        self.pools: Final = Pools(size)

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":
        """Run a function in a thread of the server whose call this is."""
        work = current.get(None)
        if work is None:
            return super().submit(fn, *args, **kwargs)
        future: _Waited[T] = _Waited()
        pool = self.pools.of(work.server)
        loop = asyncio.get_running_loop()
        # With the call's context: else env would not know in the thread whose secrets it may return.
        job = Job(partial(_run, future, fn, args, kwargs), work.caller, loop, copy_context())
        future.runs_as(job, pool, work)
        pool.put(job, bounded=False)
        return future


class _Waited(Future[T]):
    """Signals its pool when its caller no longer waits."""

    _abandon: Callable[[], bool] | None = None
    _thread: int = 0

    def runs_as(self, job: Job, pool: Pool, work: Work) -> None:
        """Set its runner. On the event loop's thread."""
        self._abandon = partial(pool.abandon, job, work)
        self._thread = threading.get_ident()

    def cancel(self) -> bool:
        """Cancel functions that have not begun. Running ones go on, and keep the slots of their calls until they
        end.
        """
        abandon = self._abandon
        if abandon is not None and threading.get_ident() == self._thread:
            self._abandon = None
            abandon()
        return super().cancel()


def _run(future: "Future[T]", fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        value = fn(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001  # nothing is above a thread: the caller receives every exception
        future.set_exception(error)
    else:
        future.set_result(value)
