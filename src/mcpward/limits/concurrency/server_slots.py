"""One server's slots: its own, and those of each of its callers."""

from mcpward.limits.concurrency.semaphore import CallerSemaphore, Counts, Semaphore, Slots


class SeniorWaiter:
    """The one waiter of the site that keeps the free slots it found while it waits for the rest; see ``Waiter``."""

    __slots__ = ("waiter",)

    def __init__(self) -> None:
        self.waiter: object | None = None


class ServerSlots:
    """The slots that every call of one server holds: one of the server's, and one of its caller's at this server.

    A caller without a running or waiting call leaves nothing behind. ``crowded`` are the slots of callers whose calls
    wait for them.
    """

    __slots__ = ("_queue", "counts", "crowded", "senior", "server")

    def __init__(self, server: Semaphore, queue: int, most: int, senior: SeniorWaiter) -> None:
        self.server = server
        self.counts = Counts(most)
        self.senior = senior
        self._queue = queue
        self.crowded: dict[str, CallerSemaphore] = {}

    @property
    def callers_held(self) -> int:
        """The number of callers whose calls wait for slots of their own."""
        return len(self.crowded)

    def missing(self, caller: str, semaphores: tuple[Semaphore, ...]) -> Slots | None:
        """Return the first slots of which none is free: of pools and the tool, of the caller, of the server."""
        for semaphore in semaphores:
            if semaphore.free <= 0 and semaphore is not self.server:
                return semaphore
        counts = self.counts
        if counts.get(caller, 0) >= counts.most:
            caller_slots = self.crowded.get(caller)
            if caller_slots is None:
                caller_slots = self.crowded[caller] = CallerSemaphore(
                    caller, counts, self._queue, self.server.timeout_s
                )
            return caller_slots
        return self.server if self.server in semaphores and self.server.free <= 0 else None

    def take(self, caller: str, semaphores: tuple[Semaphore, ...], *, of_caller: bool = True) -> None:
        """Take a slot of each and one of the caller's, whether they are free or owed."""
        if of_caller:
            self.counts[caller] = self.counts.get(caller, 0) + 1
        for semaphore in semaphores:
            semaphore.free -= 1

    def give(self, caller: str, semaphores: tuple[Semaphore, ...], *, of_caller: bool = True) -> None:
        """Release all slots to waiting calls."""
        if of_caller:
            counts = self.counts
            held = counts[caller]
            if held > 1:
                counts[caller] = held - 1
            else:
                del counts[caller]
        for semaphore in semaphores:
            semaphore.free += 1
        for semaphore in semaphores:
            if semaphore.line.length:
                semaphore.serve()
        if self.crowded:
            self.tidy(caller)

    def tidy(self, caller: str) -> None:
        """Serve the waiters for this caller's slots, and drop the queue when it is empty."""
        caller_slots = self.crowded.get(caller)
        if caller_slots is not None:
            caller_slots.serve()
            if not caller_slots.line:
                del self.crowded[caller]

    def resize(self, most: int) -> None:
        """Let another number of calls of one caller run at once from now on."""
        self.counts.most = most
        for caller in tuple(self.crowded):
            self.tidy(caller)
