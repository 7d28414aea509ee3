"""Places: how many calls of one server run at once, and how many may wait for how long.

The queue is fair (first come, first served) and bounded; a place that becomes free is handed to the first waiter
directly, so that nobody slips in between. One event loop: nothing here is shared between threads.
"""

from asyncio import CancelledError, Future, Lock, get_running_loop
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Final, Self

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason

_RETRY_AFTER_S: Final = 1


class Lease:
    """The places of one server; ``async with lease:`` holds one.

    Entering raises :class:`~mcpward.core.errors.Refusal` (busy) when the queue is full or the wait was too long.
    """

    __slots__ = ("_queue", "_timeout_s", "_waiting", "free", "places")

    def __init__(self, places: int, queue: int = 128, timeout_s: float = 5.0) -> None:
        self.places = self.free = places
        self._queue = queue
        self._timeout_s = timeout_s
        self._waiting: deque[Future[bool]] = deque()

    @property
    def waiting(self) -> int:
        """How many calls wait for a place."""
        return len(self._waiting)

    async def __aenter__(self) -> Self:
        if self.free > 0:
            self.free -= 1
        else:
            await self._wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def try_acquire(self) -> bool:
        """Take a place if one is free this moment; it is given back by :meth:`release`."""
        if self.free > 0:
            self.free -= 1
            return True
        return False

    async def acquire(self) -> None:
        """Take a place, waiting in the queue where none is free.

        Raises:
            Refusal: busy; the queue is full, or no place became free in time.
        """
        if not self.try_acquire():
            await self._wait()

    async def take_back(self) -> None:
        """Take the place again that a running call gave away for a while, before those who have not begun.

        There is no limit to this wait but the call's own end. Cancelled, it owes the place that its caller will
        release.
        """
        if self.try_acquire():
            return
        ticket: Future[bool] = get_running_loop().create_future()
        self._waiting.appendleft(ticket)
        try:
            await ticket
        except CancelledError:
            if ticket.cancelled():
                self._waiting.remove(ticket)
                self.free -= 1
            raise

    def release(self) -> None:
        """Give a place back: to the first who still waits, else to all."""
        if self.free < 0:
            self.free += 1
            return
        waiting = self._waiting
        while waiting:
            ticket = waiting.popleft()
            if not ticket.done():
                ticket.set_result(True)
                return
        self.free += 1

    async def _wait(self) -> None:
        if len(self._waiting) >= self._queue:
            raise Refusal(Reason.BUSY, "the queue for a place is full", retry_after_s=_RETRY_AFTER_S)
        loop = get_running_loop()
        ticket: Future[bool] = loop.create_future()
        self._waiting.append(ticket)
        alarm = loop.call_later(self._timeout_s, self._give_up, ticket)
        try:
            has_place = await ticket
        except CancelledError:
            self._leave(ticket)
            raise
        finally:
            alarm.cancel()
        if not has_place:
            raise Refusal(Reason.BUSY, "no place became free in time", retry_after_s=_RETRY_AFTER_S)

    def _give_up(self, ticket: "Future[bool]") -> None:
        if not ticket.done():
            self._waiting.remove(ticket)
            ticket.set_result(False)

    def _leave(self, ticket: "Future[bool]") -> None:
        """The waiter was cancelled. A place that was handed to it in the same turn must not be lost."""
        if not ticket.cancelled():
            if ticket.result():
                self.release()
        elif ticket in self._waiting:
            self._waiting.remove(ticket)


class Loan:
    """A place that one running call holds, and lends while it waits for answers.

    However much it asks at once, it has one place to lend, and takes it back when the first answer lets it go on.
    """

    __slots__ = ("_is_held", "_lease", "_taking")

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._is_held = True
        self._taking = Lock()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[None]:
        """Give the place to others for the length of the block, or until another such block ends."""
        if self._is_held and not self._taking.locked():
            self._is_held = False
            self._lease.release()
        try:
            yield
        finally:
            async with self._taking:
                if not self._is_held:
                    self._is_held = True  # cancelled, it owes the place, which comes to the same
                    await self._lease.take_back()
