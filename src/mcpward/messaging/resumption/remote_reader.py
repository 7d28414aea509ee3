"""Reads streams that live at other workers: requests them over the bus, and returns them piece by piece."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from msgspec import convert, to_builtins
from msgspec.structs import replace

from mcpward.core import ids
from mcpward.core.clock import Clock
from mcpward.messaging.bus.worker_bus import WorkerBus
from mcpward.messaging.resumption.buffer import Owner
from mcpward.messaging.resumption.event_id import EventId
from mcpward.messaging.resumption.messages import ASKING, TELLING, ReadingPage, ReadingRequest, ReadingStep
from mcpward.messaging.resumption.timeouts import RemoteTimeouts

_NAME_LENGTH: Final = 22
_MOST_PAGES: Final = 64
"""Pages that wait for one reader. Messages are sent on as they come, so more means that no client reads."""


class RemoteSource:
    """Yields the messages of one stream as the other worker sends them."""

    def __init__(self, bus: WorkerBus, clock: Clock, patience: RemoteTimeouts, asked: ReadingRequest, to: str) -> None:
        self._bus = bus
        self._clock = clock
        self._patience = patience
        self._asked = asked
        self._to = to
        self._pages: deque[ReadingPage] = deque()
        self._awake = asyncio.Event()
        self._expected = 0
        self._is_broken = False
        self._is_over = False
        self._pieces: list[str] = []
        self._ready: deque[bytes] = deque()
        self._heard_at = self._renewed_at = clock.monotonic()
        self.left: Callable[[], None] = lambda: None

    def arrived(self, told: ReadingPage) -> None:
        """Take a page: each once, and in order. After a gap none is taken."""
        if self._is_broken or told.number < self._expected:
            return  # it came twice
        if told.number > self._expected or len(self._pages) >= _MOST_PAGES:
            self._is_broken = True
        else:
            self._expected += 1
            self._pages.append(told)
        self._awake.set()

    async def begin(self) -> bool:
        """Ask for the stream; False if the other worker does not know it for this caller, or does not answer."""
        if not self._bus.send(ASKING, to_builtins(self._asked), self._to):
            return False
        try:
            with self._bus.hurry():
                told = await self._page(self._patience.answer_s)
        except (TimeoutError, StopAsyncIteration):
            return False
        self._unpack(told)
        return told.is_known

    async def next(self) -> bytes:
        """Wait for the next message. The end may also be that the other worker has gone: the client comes again."""
        while not self._ready:
            if self._is_over:
                raise StopAsyncIteration
            self._renew()
            try:
                self._unpack(await self._page(self._patience.renew_s))
            except TimeoutError:
                if self._clock.monotonic() - self._heard_at > self._patience.silence_s:
                    raise StopAsyncIteration from None
        return self._ready.popleft()

    def close(self) -> None:
        """Signal the other worker that reading has ended."""
        self.left()
        if not self._is_over:
            self._send(ReadingStep.LEAVE)

    async def _page(self, timeout_s: float) -> ReadingPage:
        while not self._pages:
            if self._is_broken:
                raise StopAsyncIteration
            self._awake.clear()
            await asyncio.wait_for(self._awake.wait(), timeout_s)
        return self._pages.popleft()

    def _unpack(self, told: ReadingPage) -> None:
        self._heard_at = self._clock.monotonic()
        self._is_over = told.is_over or not told.is_known
        for text, is_last in told.pieces:
            self._pieces.append(text)
            if is_last:
                self._ready.append("".join(self._pieces).encode("latin-1"))
                self._pieces.clear()

    def _renew(self) -> None:
        now = self._clock.monotonic()
        if now - self._renewed_at >= self._patience.renew_s:
            self._renewed_at = now
            self._send(ReadingStep.STILL)

    def _send(self, wish: ReadingStep) -> None:
        self._bus.send(ASKING, to_builtins(replace(self._asked, wish=wish)), self._to)


class RemoteReader:
    """All that this worker reads at others."""

    def __init__(self, bus: WorkerBus, clock: Clock, worker: str, patience: RemoteTimeouts) -> None:
        self._bus = bus
        self._clock = clock
        self._worker = worker
        self._patience = patience
        self._sources: dict[str, RemoteSource] = {}
        bus.on(TELLING, self._told)

    def __len__(self) -> int:
        return len(self._sources)

    async def open(self, owner: Owner, after: EventId) -> RemoteSource | None:
        """Return what comes after the event, None if there is no such stream for this owner."""
        reading = ids.base62(_NAME_LENGTH)
        asked = ReadingRequest(
            reading=reading,
            wish=ReadingStep.BEGIN,
            worker=self._worker,
            stream=after.stream,
            after=after.number,
            principal=owner.principal,
            session=owner.session,
        )
        source = RemoteSource(self._bus, self._clock, self._patience, asked, after.worker)
        source.left = lambda: self._left(reading)
        self._sources[reading] = source
        is_known = False
        try:
            is_known = await source.begin()
        finally:
            if not is_known:
                source.close()
        return source if is_known else None

    def _left(self, reading: str) -> None:
        del self._sources[reading]

    def _told(self, message: dict[str, Any]) -> None:
        told = convert(message, ReadingPage)
        source = self._sources.get(told.reading)
        if source is not None:
            source.arrived(told)
