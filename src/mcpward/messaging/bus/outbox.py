"""Messages on their way into the store: written in batches by a background task, and retried while the store fails."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

from msgspec import Struct

from mcpward.core.clock import Clock
from mcpward.core.retry import Retry, doubling

_log: Final = logging.getLogger(__name__)
#: How long a message is worth delivering, and how long it is kept for workers that have not read it.
KEEP_S: Final = 60.0
_MAX_WAITING: Final = 1024
_MAX_WEIGHT: Final = 16 * 1024 * 1024
_BATCH: Final = 64
_BATCH_WEIGHT: Final = 1024 * 1024
_PAUSES_S: Final = doubling(0.1, 5.0)
_PATIENCE_S: Final = 2.0


class BusMessage(Struct, frozen=True):
    """A message of one worker to another, or to all others (``addressee`` None). ``sealed`` is the payload."""

    sender: str
    addressee: str | None
    kind: str
    sealed: str


class BusStore(Protocol):
    """The store of messages, numbered in the order in which they become visible. A port of the storage package."""

    async def newest(self) -> int:
        """Return the number of the last message."""
        ...

    async def put(self, messages: Sequence[BusMessage]) -> None:
        """Store these messages, all or none."""
        ...

    async def since(self, seq: int, reader: str) -> tuple[int, Sequence[BusMessage]]:
        """Return the number to ask with next time, and messages after ``seq`` for ``reader`` that others sent.

        Not necessarily all at once: the next call returns the rest. An empty result means that there are no more.
        """
        ...

    async def forget(self, through: int) -> None:
        """Delete every message up to this number."""
        ...


class _Waiting(Struct, eq=False):
    message: BusMessage
    since: float
    done: "asyncio.Future[None] | None" = None


class Outbox:
    """A bounded queue, and the task that empties it."""

    def __init__(self, store: BusStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._queue: deque[_Waiting] = deque()
        self._weight = 0
        self._writes = Retry(
            lambda error: _log.warning(
                "messages to other workers cannot be written: trying again (%s)", type(error).__name__
            ),
            lambda: _log.warning("messages to other workers are written again"),
            pauses_s=_PAUSES_S,
        )
        self._is_stopping = False
        self._awake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def put(self, message: BusMessage) -> bool:
        """Queue a message. False if the queue has no room."""
        return self._put(_Waiting(message, self._clock.monotonic()))

    async def put_and_wait(self, message: BusMessage) -> None:
        """Queue a message and wait until the store has it, or it is given up."""
        done = asyncio.get_running_loop().create_future()
        if self._put(_Waiting(message, self._clock.monotonic(), done)):
            await done

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run(), name="channel-outbox")

    async def stop(self) -> None:
        """Write the waiting messages, for a short while, and give up the rest."""
        self._is_stopping = True
        self._awake.set()
        if self._task is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._task, _PATIENCE_S)
            self._task = None
        while self._queue:
            self._leave(self._queue[0])

    def _put(self, waiting: _Waiting) -> bool:
        size = len(waiting.message.sealed)
        if self._is_stopping or len(self._queue) >= _MAX_WAITING or self._weight + size > _MAX_WEIGHT:
            return False
        self._queue.append(waiting)
        self._weight += size
        self._awake.set()
        return True

    async def _run(self) -> None:
        while self._queue or not self._is_stopping:
            await self._awake.wait()
            if not self._is_stopping:
                self._awake.clear()
            while self._queue:
                await self._write(self._batch())

    def _batch(self) -> list[_Waiting]:
        """Return the oldest messages that are still worth sending, as many as make a short transaction."""
        too_old = self._clock.monotonic() - KEEP_S
        while self._queue and self._queue[0].since <= too_old:
            self._leave(self._queue[0])
        batch: list[_Waiting] = []
        weight = 0
        for waiting in self._queue:
            weight += len(waiting.message.sealed)
            if batch and (len(batch) >= _BATCH or weight > _BATCH_WEIGHT):
                break
            batch.append(waiting)
        return batch

    async def _write(self, batch: list[_Waiting]) -> None:
        """Write a batch, or wait a little if the store does not take it: some of it may be too old by then."""
        if not await self._writes.attempt(lambda: self._store.put([waiting.message for waiting in batch])):
            await asyncio.sleep(self._writes.pause_s)
            return
        for waiting in batch:
            self._leave(waiting)

    def _leave(self, waiting: _Waiting) -> None:
        """Take the oldest message out of the queue and wake its waiter."""
        assert self._queue[0] is waiting
        self._queue.popleft()
        self._weight -= len(waiting.message.sealed)
        if waiting.done is not None and not waiting.done.done():
            waiting.done.set_result(None)
