"""Bounded pools of daemon threads for ``def`` tools, one for each server, so that no server ever waits for another's.

A stuck tool keeps its thread, never the process from ending.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, copy_context
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Final

from msgspec import Struct

from mcpward.core.back import InputRequired
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason

#: Calls that may wait for each thread. More would only wait for their deadline.
_QUEUE: Final = 2
_RETRY_AFTER_S: Final = 1
#: Threads that may wait for a client's answer, for each thread that may run. More of them keep their place.
_LENT: Final = 4


class _Job(Struct, eq=False):
    function: Callable[[], Any]
    context: Context
    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop
    abandoned: bool = False


class Pool:
    """At most ``size`` functions at once; twice as many wait in order. Threads start as they are needed.

    ``concurrent.futures`` joins its threads when the interpreter ends, so a tool that never returns would keep a
    stopped server alive; these threads are daemons.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError("a pool has at least one thread")
        self._size = size
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = Lock()
        self._threads = 0
        self._unfinished = 0
        self._lent = 0
        self._closed = False

    async def run(self, function: Callable[[], Any]) -> Any:
        """Run ``function`` in a thread and give what it gives or raises.

        Cancellation gives up waiting at once. A function that has not started never will; one that runs goes on
        and keeps its thread until it returns: Python cannot stop it.

        Raises:
            RuntimeError: the pool is closed.
            Refusal: busy; all threads are taken, perhaps by functions that nobody waits for any more, and the queue is
                full.
        """
        if self._closed:
            raise RuntimeError("the pool is closed")
        if self._unfinished - self._lent >= self._size * (1 + _QUEUE):
            raise Refusal(Reason.BUSY, "all threads of the server are taken", retry_after_s=_RETRY_AFTER_S)
        loop = asyncio.get_running_loop()
        job = _Job(function, copy_context(), loop.create_future(), loop)
        with self._lock:
            # Waiting and running together: counting idle threads instead would race with one that is just waking.
            self._unfinished += 1
        self._jobs.put(job)
        self._start()
        try:
            return await job.future
        except asyncio.CancelledError:
            job.abandoned = True
            raise

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Give the calling thread's place to another while it waits for a client, who may take minutes on purpose."""
        with self._lock:
            is_lent = self._lent < self._size * _LENT
            self._lent += is_lent
        if is_lent:
            self._start()
        try:
            yield
        finally:
            with self._lock:
                self._lent -= is_lent

    @property
    def busy(self) -> int:
        """Threads that run a function at the moment, abandoned ones included."""
        return min(self._unfinished, self._threads)

    def close(self) -> None:
        """Take no more work and let idle threads end. Running functions are not waited for."""
        self._closed = True
        for _ in range(self._threads):
            self._jobs.put(None)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            if not job.abandoned:
                _do(job)
            del job  # an idle thread holds on to nobody's arguments
            with self._lock:
                self._unfinished -= 1
                if self._threads > self._size + self._lent:  # those that waited are back: one is too many
                    self._threads -= 1
                    return

    def _start(self) -> None:
        """Start a thread where there are fewer than jobs, and fewer than there may be."""
        with self._lock:
            starts = self._threads < min(self._unfinished, self._size + self._lent)
            self._threads += starts
        if starts:
            Thread(target=self._work, name="mcpward-tool", daemon=True).start()


class Pools:
    """A pool of ``size`` threads for each server, made when it is first asked for."""

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError("a pool has at least one thread")
        self._size = size
        self._pools: dict[str, Pool] = {}

    def of(self, server: str) -> Pool:
        """Give the server's own pool."""
        pool = self._pools.get(server)
        if pool is None:
            pool = self._pools[server] = Pool(self._size)
        return pool

    def close(self) -> None:
        """Close all of them."""
        for pool in self._pools.values():
            pool.close()


def _do(job: _Job) -> None:
    try:
        value = job.context.run(job.function)
    except BaseException as error:  # noqa: BLE001  a thread has nobody above it: the caller hears of everything
        # A future cannot hold StopIteration, and SystemExit in a thread must not look like the server's own.
        kept = error if isinstance(error, _KEPT) and not isinstance(error, StopIteration) else _Ended(error)
        _tell(job, job.future.set_exception, kept)
    else:
        _tell(job, job.future.set_result, value)


#: What leaves a thread as it is. A group may hold questions, and groups end no server.
_KEPT: Final = (Exception, InputRequired, BaseExceptionGroup)


class _Ended(Exception):
    """A tool in a thread raised what is not an ordinary exception; ``__cause__`` tells which."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(type(cause).__name__)
        self.__cause__ = cause


def _tell(job: _Job, settle: Callable[[Any], None], value: Any) -> None:
    def deliver() -> None:
        if not job.future.done():
            settle(value)

    try:
        job.loop.call_soon_threadsafe(deliver)
    except RuntimeError:  # the loop is closed: the server has stopped, nobody waits
        return
