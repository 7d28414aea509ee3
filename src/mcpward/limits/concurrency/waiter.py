"""One call that waits until it can have all its slots at once."""

from asyncio import CancelledError, Future, TimerHandle, get_running_loop
from itertools import count
from typing import Final

from mcpward.core.errors import Refusal
from mcpward.limits.concurrency.semaphore import Semaphore, Slots
from mcpward.limits.concurrency.server_slots import ServerSlots

#: So often it may find one of two slots free when the other is taken, and lose the turn that it had waited for.
_PATIENCE: Final = 3
#: An alarm that comes so late follows a pause of the event loop, in which no call could return a slot.
_LATE_S: Final = 0.05
_numbers: Final = count()


class Waiter:
    """Stands in the queue of the slots it lacks, and holds nothing meanwhile.

    A waiter for two scarce kinds of slots could miss them in turn indefinitely: waiters for only one kind always find
    it. After a few times it keeps the slots it finds, all but the server's. Only one call of the whole site may do so
    at a time, so no two ever wait for each other.
    """

    __slots__ = (
        "_alarm",
        "_at",
        "_is_excused",
        "_is_seized",
        "_kept",
        "_misses",
        "_semaphores",
        "_server_slots",
        "_since",
        "_ticket",
        "_wanted",
        "caller",
        "goes_first",
        "seq",
    )  # fmt: skip

    def __init__(
        self, server_slots: ServerSlots, caller: str, semaphores: tuple[Semaphore, ...], *, goes_first: bool
    ) -> None:
        loop = get_running_loop()
        self.caller = caller
        self.goes_first = goes_first
        self.seq = next(_numbers)
        self._server_slots = server_slots
        self._semaphores = self._wanted = semaphores
        self._kept: tuple[Semaphore, ...] = ()
        self._misses = 0
        self._since = loop.time()
        self._ticket: Future[Refusal | None] = loop.create_future()
        self._is_seized = False
        self._at: Slots | None = None
        self._alarm: TimerHandle | None = None
        self._is_excused = False

    async def wait(self) -> None:
        """Return with all slots taken.

        Raises:
            Refusal: busy, with ``policy`` naming the missing slots: its queue is full, or the wait was too long.
        """
        lacking = self.missing()
        assert lacking is not None  # a waiter that lacks nothing takes it
        self._stand(lacking)
        try:
            no = await self._ticket
        except CancelledError:
            self._call_off()
            raise
        finally:
            if self._alarm is not None:
                self._alarm.cancel()
        if no is not None:
            self._leave()
            raise no

    def missing(self) -> Slots | None:
        """Return the first slots of which none is free."""
        return self._server_slots.missing(self.caller, self._wanted)

    def seat(self) -> None:
        """Take all slots, unless it was called off in this very turn."""
        self._at = None
        if not self._ticket.done():
            self._server_slots.take(self.caller, self._wanted)
            self._retire()
            self._ticket.set_result(None)

    def seize(self) -> bool:
        """Hold all slots at once, free or not; False if it waits no longer, and has none."""
        ticket = self._ticket
        if not ticket.done():
            if self._at is not None:
                self._at.line.leave(self)
            self.seat()
        self._is_seized = not ticket.cancelled() and ticket.result() is None
        return self._is_seized

    def move(self, to: Slots) -> None:
        """Move to another queue: the slot it waited for was free, and this one is not."""
        self._misses += 1
        senior = self._server_slots.senior
        if self._misses >= _PATIENCE and senior.waiter in (None, self) and not self._ticket.done():
            senior.waiter = self
            self._keep()
        self._stand(to)

    def refuse(self, no: Refusal) -> None:
        """End the wait. It stands in no queue any more."""
        self._at = None
        if not self._ticket.done():
            self._ticket.set_result(no)

    def _stand(self, at: Slots) -> None:
        self._at = at
        if not self.goes_first:
            if self._alarm is not None:
                self._alarm.cancel()
            # A queue's own timeout counts from the first moment of the wait, in any queue.
            self._alarm = get_running_loop().call_at(self._since + at.timeout_s, self._late)
        at.join(self)

    def _late(self) -> None:
        at = self._at
        if at is not None:
            loop = get_running_loop()
            late_s = loop.time() - (self._since + at.timeout_s)
            if late_s > _LATE_S and not self._is_excused:
                self._is_excused = True
                self._since += late_s + min(late_s, at.timeout_s)
                self._alarm = loop.call_at(self._since + at.timeout_s, self._late)
                return
            at.line.leave(self)
            self.refuse(at.busy(f"none of the {at.label} became free in time"))

    def _keep(self) -> None:
        server = self._server_slots.server
        found = tuple(semaphore for semaphore in self._wanted if semaphore.free > 0 and semaphore is not server)
        for semaphore in found:
            semaphore.free -= 1
        self._kept += found
        self._wanted = tuple(semaphore for semaphore in self._wanted if semaphore not in found)

    def _call_off(self) -> None:
        """The waiter was cancelled. Slots that were passed to it in the same turn must not be lost."""
        ticket = self._ticket
        if not ticket.cancelled() and ticket.result() is None:
            if not self._is_seized:
                self._server_slots.give(self.caller, self._semaphores)
        else:
            self._leave()

    def _leave(self) -> None:
        if self._at is not None:
            self._at.line.leave(self)
            self._at = None
        self._retire()
        kept, self._kept = self._kept, ()
        for semaphore in kept:
            semaphore.free += 1
        for semaphore in kept:
            semaphore.serve()
        self._server_slots.tidy(self.caller)

    def _retire(self) -> None:
        if self._server_slots.senior.waiter is self:
            self._server_slots.senior.waiter = None
