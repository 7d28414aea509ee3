"""The slots that one call holds while it runs: of its server, its caller, its tool and each of its pools.

A call holds all of them or none: while it waits for one, it holds none of the others. It runs on one event loop, so no
thread shares it.
"""

from asyncio import CancelledError, Future
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

from msgspec import Struct

from mcpward.limits.concurrency.pipelined import Pipelined
from mcpward.limits.concurrency.semaphore import Semaphore
from mcpward.limits.concurrency.server_slots import ServerSlots
from mcpward.limits.concurrency.slot_request import SlotAnswer
from mcpward.limits.concurrency.waiter import Waiter

T = TypeVar("T")


class Lease(Struct, eq=False):
    """The slots of one call: ``async with hold:`` holds them. Made by ``CallSlots.hold``.

    Entering raises :class:`~mcpward.core.errors.Refusal` (busy, with ``policy`` naming the missing slots) when a queue
    is full or the wait was too long. Slots that :meth:`try_now` took before are kept.

    A block that costs less: ``if not hold.enter_now(): await hold.enter()``, and then ``try: ... finally: hold.end()``.
    ``_more`` are the slots that it needs beside those of the server and of the caller.
    """

    _server_slots: ServerSlots
    _caller: str
    _more: tuple[Semaphore, ...] = ()
    is_held: bool = False
    _is_over: bool = False
    _retained: int = 0
    _waiter: Waiter | None = None

    async def __aenter__(self) -> Self:
        await self.enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    async def enter(self) -> None:
        """Hold all slots, and wait for the missing ones. Raises as entering does, and holds nothing then."""
        if not self.try_now():
            await self._wait(goes_first=False)

    def try_now(self) -> bool:
        """Take all slots if all are free at this moment; :meth:`release` returns them."""
        if self.is_held:
            return True
        server_slots, caller = self._server_slots, self._caller
        server, counts = server_slots.server, server_slots.counts
        held = counts.get(caller, 0)
        if held >= counts.most or server.free <= 0:
            return False
        if self._more:
            for semaphore in self._more:
                if semaphore.free <= 0:
                    return False
            for semaphore in self._more:
                semaphore.free -= 1
        counts[caller] = held + 1
        server.free -= 1
        self.is_held = True
        return True

    #: Enter if no wait is needed; returns whether it has entered.
    enter_now = try_now

    def end(self) -> None:
        """The call has ended: return all slots, and take none any more."""
        self._is_over = True
        if self._retained:
            return
        server_slots = self._server_slots
        server = server_slots.server
        if self._more or not self.is_held or server.line.length or server_slots.crowded:
            self.release()
            return
        # The rest of the release, if no caller awaits it.
        self.is_held = False
        counts, caller = server_slots.counts, self._caller
        held = counts[caller]
        if held > 1:
            counts[caller] = held - 1
        else:
            del counts[caller]
        server.free += 1

    @property
    def is_retained(self) -> bool:
        """Whether a part of the call still runs that no caller awaits."""
        return self._retained > 0

    def retain(self) -> Callable[[], None]:
        """Keep all slots beyond the call's end, until the returned function is called, once for each time.

        A running call that released its slots for a while owes them from now on. One that has ended keeps nothing.
        """
        if self._is_over:
            return _nothing
        self._retained += 1
        if not self.is_held:
            self._owe()
        return self._let_go

    def _let_go(self) -> None:
        self._retained -= 1
        if self._is_over and not self._retained:
            self.release()

    def _owe(self) -> None:
        """Hold the slots, whether they are free or not. A waiter for them stops waiting and has them."""
        if self._waiter is None or not self._waiter.seize():
            self._server_slots.take(self._caller, self._semaphores)
        self.is_held = True

    @property
    def _semaphores(self) -> tuple[Semaphore, ...]:
        return (*self._more, self._server_slots.server)

    def has_ended(self) -> bool:
        """Whether the call has ended: no waiter is left for the slots that it still requests."""
        return self._is_over

    def ask_shared(self) -> Future[SlotAnswer] | None:
        """Request the same slots of the whole site, in this turn of the loop; None if there is nothing to request.

        Entering awaits the answer, so the caller need not. Only with slots taken by :meth:`try_now`.
        """
        return None

    async def alongside(self, charge: Awaitable[T]) -> T:
        """Await a charge, and request the slots in the same loop turn if the charge has to wait.

        A charged call enters then; a refused call has returned all of its slots.
        """
        try:
            return await Pipelined(charge, self._ask_now)
        except BaseException:
            self.release()
            raise

    def _ask_now(self) -> None:
        if self.try_now():
            self.ask_shared()

    def release(self) -> None:
        """Release all slots to waiting calls; no effect if nothing is held."""
        if self.is_held:
            self.is_held = False
            self._server_slots.give(self._caller, self._semaphores)

    async def take_back(self) -> None:
        """Take back the slots that a running call released for a while, before the calls that have not begun.

        Only the call's own end limits this wait. If it is cancelled, it owes the slots, and holds them: the call may
        continue, and its end returns them. A call that has ended takes nothing back.
        """
        if self.has_ended() or self.try_now():
            return
        try:
            await self._wait(goes_first=True)
        except CancelledError:
            if not self.has_ended() and not self.is_held:
                self._owe()
            raise
        if self.has_ended() and not self._retained:
            self.release()

    async def _wait(self, *, goes_first: bool) -> None:
        self._waiter = Waiter(self._server_slots, self._caller, self._semaphores, goes_first=goes_first)
        try:
            await self._waiter.wait()
        finally:
            self._waiter = None
        self.is_held = True


def _nothing() -> None:
    """Nothing is kept."""
