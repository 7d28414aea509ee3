"""Bounded pools of daemon threads for functions without async, one for each server: none waits for another's.

Within a pool callers take turns, and have shares; see :class:`~mcpward.tools.shares.Shares`. A stuck tool keeps its
thread and its call's slots, never the process from ending.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context, copy_context
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Final

from msgspec import Struct

from mcpward.core.client_channel import InputRequired
from mcpward.core.errors import Refusal
from mcpward.core.facts import RetryAfter
from mcpward.core.reasons import Reason
from mcpward.core.turns import Turns
from mcpward.core.work import Work
from mcpward.tools.shares import Shares

#: Calls that may wait for each thread. More would only wait for their deadline.
_QUEUE: Final = 2
_RETRY_AFTER_S: Final = 1
#: Threads that may wait for a client's answer, for each thread that may run. More of them keep their place.
_LENT: Final = 4


class Job(Struct, eq=False):
    """One function that is to run in a thread; ``future`` receives its outcome, on the event loop's thread.

    ``has_begun`` and ``is_dropped`` change under the pool's lock. ``left``, if it is set, is called when an abandoned
    function ends.
    """

    function: Callable[[], Any]
    caller: str
    loop: asyncio.AbstractEventLoop
    context: Context | None = None
    future: "asyncio.Future[Any] | None" = None
    value: Any = None
    error: BaseException | None = None
    has_begun: bool = False
    is_dropped: bool = False
    is_over: bool = False
    left: Callable[[], None] | None = None


class Pool:
    """About ``size`` functions at once, half of them one caller's at the most; twice as many wait, callers in turn.

    A caller with none running never waits for those of others, until as many such callers have come as the size.
    Threads start as they are needed. ``concurrent.futures`` joins its threads when the interpreter ends, so a tool that
    never returns would keep a stopped server alive; these threads are daemons.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError("a pool has at least one thread")
        self._size = size
        self._lock = Lock()
        self._ready: SimpleQueue[Job | None] = SimpleQueue()  # each has its thread
        self._turns: Turns[Job] = Turns(size * _QUEUE)
        self._shares = Shares(size)
        self._lent = Shares(size * _LENT)
        self._threads = 0
        self._abandoned = 0
        self._closed = False

    async def run(self, function: Callable[[], Any], work: Work) -> Any:
        """Run ``function`` in a thread; return its result or raise its exception.

        Cancellation gives up waiting at once. A function that has not started leaves the queue and never will; one that
        runs goes on, and keeps its thread and the slots of its call until it returns: Python cannot stop it.

        Raises:
            RuntimeError: the pool is closed.
            Refusal: busy; as many threads are taken as the caller may have, perhaps by abandoned functions, and the
                queue is full.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        job = Job(function, work.caller, loop, copy_context(), future)
        self.put(job)
        try:
            return await future
        except asyncio.CancelledError:
            self.abandon(job, work)
            raise

    def put(self, job: Job, *, bounded: bool = True) -> None:
        """Have a job run as soon as its caller may have a thread. Raises as :meth:`run` does."""
        if self._closed:
            raise RuntimeError("the pool is closed")
        caller = job.caller
        loser = None
        with self._lock:
            begins = self._shares.may(caller) and self._has_thread()  # then none of the caller's own waits
            if begins:
                self._shares.take(caller)
            else:
                loser = self._turns.join(caller, job, bounded=bounded)
        if begins:  # no longer under the lock, which its thread takes first
            self._ready.put(job)
        if loser is job:
            raise _busy()
        if loser is not None and loser.future is not None and not loser.future.done():
            loser.future.set_exception(_busy())

    def abandon(self, job: Job, work: Work) -> bool:
        """Abandon a job. Return False if it runs: then it keeps the slots of its call until it ends.

        On the event loop's thread.
        """
        with self._lock:
            if not job.has_begun:
                job.is_dropped = True
                self._turns.leave(job.caller, job)  # one that has its thread already is passed over there
                return True
            if job.is_over:
                return False
            self._abandoned += 1
        job.left = work.outlive()
        return False

    @contextmanager
    def lent(self, caller: str) -> Iterator[None]:
        """Return the calling thread's place to another while it waits for a client, who may take minutes on purpose."""
        with self._lock:
            is_lent = self._lent.of(caller) < self._size * _LENT - self._lent.taken
            if is_lent:
                self._lent.take(caller)
                self._shares.give_back(caller)
                self._serve()
        try:
            yield
        finally:
            if is_lent:
                with self._lock:
                    self._lent.give_back(caller)
                    self._shares.take(caller)

    @property
    def threads(self) -> int:
        """Threads that there are, idle ones included."""
        return self._threads

    @property
    def busy(self) -> int:
        """Threads that run a function at the moment, abandoned ones and those that wait for a client included."""
        return self._shares.taken + self._lent.taken

    @property
    def abandoned(self) -> int:
        """Threads whose function goes on although its caller no longer waits."""
        return self._abandoned

    @property
    def waiting(self) -> int:
        """Functions that wait for a thread."""
        return len(self._turns)

    def close(self) -> None:
        """Take no more work and let idle threads end. Does not wait for running functions."""
        self._closed = True
        for _ in range(self._threads):
            self._ready.put(None)

    def _has_thread(self) -> bool:
        """Return whether there is a thread for one more, and start it if there is not. Under the lock."""
        if self._threads > self._shares.taken + self._lent.taken:
            return True
        try:
            Thread(target=self._work, name="mcpward-tool", daemon=True).start()
        except RuntimeError:  # the system has no more threads: the next free one serves the queue
            return False
        self._threads += 1
        return True

    def _serve(self) -> None:
        """Let those begin whose turn it is. Under the lock."""
        shares, turns = self._shares, self._turns
        while (caller := turns.least(shares.of)) is not None and shares.may(caller) and self._has_thread():
            shares.take(caller)
            self._ready.put(turns.next(caller))

    def _work(self) -> None:
        while True:
            job = self._ready.get()
            if job is None:
                return
            with self._lock:
                job.has_begun = not job.is_dropped
            if job.has_begun:
                _do(job)
            with self._lock:
                self._shares.give_back(job.caller)
                if len(self._turns):
                    self._serve()
                # Those that waited for clients are back, or callers who had none have gone: one is too many.
                ends = self._threads > max(self._size, self._shares.taken + self._lent.taken)
                self._threads -= ends
            if job.has_begun:
                self._tell(job)
            del job  # an idle thread keeps no reference to arguments
            if ends:
                return

    def _tell(self, job: Job) -> None:
        with suppress(RuntimeError):  # the loop is closed: the server has stopped, no caller waits
            job.loop.call_soon_threadsafe(self._ended, job)

    def _ended(self, job: Job) -> None:
        """Deliver to the waiting caller, or release the slots if it has left. On the event loop's thread."""
        job.is_over = True
        future = job.future
        if future is not None and not future.done():
            if job.error is None:
                future.set_result(job.value)
            else:
                future.set_exception(job.error)
        if job.left is not None:
            self._abandoned -= 1
            job.left()


class Pools:
    """A pool of ``size`` threads for each server, made when it is first asked for."""

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError("a pool has at least one thread")
        self._size = size
        self._pools: dict[str, Pool] = {}

    def of(self, server: str) -> Pool:
        """Return the server's own pool."""
        pool = self._pools.get(server)
        if pool is None:
            pool = self._pools[server] = Pool(self._size)
        return pool

    def __iter__(self) -> Iterator[Pool]:
        return iter(tuple(self._pools.values()))

    def close(self) -> None:
        """Close all of them."""
        for pool in self._pools.values():
            pool.close()


def _do(job: Job) -> None:
    try:
        job.value = job.function() if job.context is None else job.context.run(job.function)
    except BaseException as error:  # noqa: BLE001  # nothing is above a thread: the caller receives every exception
        # A future cannot hold StopIteration, and SystemExit in a thread must not look like the server's own.
        job.error = error if isinstance(error, _KEPT) and not isinstance(error, StopIteration) else _Ended(error)


#: Exceptions that leave a thread as they are. A group may hold questions, and groups end no server.
_KEPT: Final = (Exception, InputRequired, BaseExceptionGroup)


class _Ended(Exception):
    """A tool in a thread raised what is not an ordinary exception; ``__cause__`` says which."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(type(cause).__name__)
        self.__cause__ = cause


def _busy() -> Refusal:
    return Refusal(Reason.BUSY, "all threads of the server are taken", RetryAfter(_RETRY_AFTER_S))
