"""The slots of one name: of a server, a tool, a pool, or of one caller at one server.

A waiter stands in one queue: that of the slots which are missing. So while some calls wait for a pool they hold
nothing, and calls that do not need it pass them. Invariant, whenever other code runs: a free slot implies an empty
queue. So a caller that finds a slot free may take it.
"""

from abc import ABC, abstractmethod
from typing import Final, Protocol

from mcpward.core.errors import Refusal
from mcpward.core.facts import RetryAfter
from mcpward.core.reasons import Reason
from mcpward.limits.concurrency.fair_queue import FairQueue, Waiting

OF_CALLER: Final = "slots of this caller"
_RETRY_AFTER_S: Final = 1


def busy(label: str, detail: str) -> Refusal:
    """Return the refusal of a call for which no slot is free; ``label`` names the kind of slot."""
    return Refusal(Reason.BUSY, detail, RetryAfter(_RETRY_AFTER_S, policy=label))


class Candidate(Waiting, Protocol):
    """A waiter for slots. A port: ``Waiter`` is made of this module."""

    def missing(self) -> "Slots | None":
        """Return the first slots of which none is free for it, None if it can have all it needs."""
        ...

    def seat(self) -> None:
        """Take its slots, which are free."""
        ...

    def move(self, to: "Slots") -> None:
        """Stand in another queue."""
        ...

    def refuse(self, no: Refusal) -> None:
        """Refuse it."""
        ...


class Slots(ABC):
    """Slots and the queue of their waiters. ``label`` names them in a refusal."""

    __slots__ = ("label", "line", "timeout_s")

    def __init__(self, label: str, queue: int, timeout_s: float) -> None:
        self.label = label
        self.timeout_s = timeout_s
        self.line: FairQueue[Candidate] = FairQueue(queue)

    @property
    @abstractmethod
    def free(self) -> int:
        """The number of free slots; negative if running calls owe some."""

    def serve(self) -> None:
        """Assign free slots to waiting calls in turn. A call that still lacks another slot waits for that one."""
        line = self.line
        while self.free > 0 and (one := line.next()) is not None:
            line.go(one)
            lacking = one.missing()
            if lacking is None:
                one.seat()
            else:
                one.move(lacking)

    def join(self, one: Candidate) -> None:
        """Add a waiter. A full queue turns away a waiter without a position in it."""
        loser = self.line.join(one)
        if loser is not None:
            loser.refuse(self.busy(f"the queue for {self.label} is full"))

    def send_away(self, why: str) -> None:
        """Refuse all waiters, but for calls that run already."""
        while (one := self.line.next()) is not None and not one.goes_first:
            self.line.leave(one)
            one.refuse(self.busy(why))

    def busy(self, detail: str) -> Refusal:
        """Return the refusal that names these slots."""
        return busy(self.label, detail)


class Semaphore(Slots):
    """A number of slots, which may change while some are taken."""

    __slots__ = ("free", "slots")
    free: int

    def __init__(self, label: str, slots: int, queue: int, timeout_s: float) -> None:
        super().__init__(label, queue, timeout_s)
        self.slots = self.free = slots

    def resize(self, slots: int) -> None:
        """Set another number of slots from now on. No running call loses its own."""
        self.free += slots - self.slots
        self.slots = slots
        self.serve()


class CallerSemaphore(Slots):
    """The slots of one caller, while some of its calls wait for them. Otherwise a caller is a number."""

    __slots__ = ("_caller", "_counts")

    def __init__(self, caller: str, counts: "Counts", queue: int, timeout_s: float) -> None:
        super().__init__(OF_CALLER, queue, timeout_s)
        self._caller = caller
        self._counts = counts

    @property
    def free(self) -> int:
        """How many calls of the caller may begin."""
        return self._counts.most - self._counts.get(self._caller, 0)


class Counts(dict[str, int]):
    """The number of slots that each caller holds. A caller that holds none is not in it."""

    __slots__ = ("most",)

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
