"""Sends the rest of local streams to other workers, to which their clients have reconnected."""

import asyncio
import logging
from typing import Any, Final

from msgspec import Struct, convert, to_builtins

from mcpward.core.clock import Clock
from mcpward.messaging.bus.worker_bus import WorkerBus
from mcpward.messaging.resumption.buffer import Buffer, Owner
from mcpward.messaging.resumption.buffers import Buffers
from mcpward.messaging.resumption.messages import ASKING, TELLING, ReadingPage, ReadingRequest, ReadingStep, packed
from mcpward.messaging.resumption.timeouts import RemoteTimeouts

_log: Final = logging.getLogger(__name__)
_MOST: Final = 512
"""Readings at once; the reading workers count their callers."""


class _Reading(Struct, eq=False):
    worker: str
    heard_at: float
    task: "asyncio.Task[None] | None" = None


class RemoteSender:
    """Answers the requests of readers. A reader that stays silent for ``patience.silence_s`` has gone."""

    def __init__(self, bus: WorkerBus, buffers: Buffers, clock: Clock, patience: RemoteTimeouts) -> None:
        self._bus = bus
        self._buffers = buffers
        self._clock = clock
        self._patience = patience
        self._readings: dict[str, _Reading] = {}
        bus.on(ASKING, self._asked)

    def __len__(self) -> int:
        return len(self._readings)

    async def stop(self) -> None:
        """Stop sending."""
        tasks = [reading.task for reading in self._readings.values() if reading.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _asked(self, payload: dict[str, Any]) -> None:
        asked = convert(payload, ReadingRequest)
        reading = self._readings.get(asked.reading)
        if asked.wish is ReadingStep.BEGIN:
            if reading is None:  # a message may come twice
                self._begin(asked)
        elif reading is not None and asked.wish is ReadingStep.STILL:
            reading.heard_at = self._clock.monotonic()
        elif reading is not None and reading.task is not None:
            reading.task.cancel()

    def _begin(self, asked: ReadingRequest) -> None:
        replay = self._buffers.find(Owner(asked.principal, asked.session), asked.stream)
        if replay is None or not replay.has(asked.after) or len(self._readings) >= _MOST:
            self._bus.send(TELLING, to_builtins(ReadingPage(reading=asked.reading, is_known=False)), asked.worker)
            return
        reading = self._readings[asked.reading] = _Reading(asked.worker, self._clock.monotonic())
        reading.task = asyncio.get_running_loop().create_task(self._tell(asked, replay, reading))

    async def _tell(self, asked: ReadingRequest, replay: Buffer, reading: _Reading) -> None:
        try:
            await self._tell_all(asked, replay, reading)
        except Exception:  # noqa: BLE001  # the reader misses it, and its client comes again
            _log.exception("a stream could not be sent to another worker")
        finally:
            del self._readings[asked.reading]

    async def _tell_all(self, asked: ReadingRequest, replay: Buffer, reading: _Reading) -> None:
        pages = 0
        after = asked.after
        while True:
            waiting: list[bytes] = []
            while (message := replay.find(after + 1)) is not None:
                waiting.append(message)
                after += 1
            is_over = replay.is_drained(after)
            parcels = list(packed(waiting)) or [[]]  # an empty page reports that the stream is known and continues
            for pieces in parcels:
                told = ReadingPage(
                    reading=asked.reading,
                    number=pages,
                    pieces=pieces,
                    is_over=is_over and pieces is parcels[-1],
                )
                pages += 1
                await self._bus.post(TELLING, to_builtins(told), asked.worker)
            if is_over:
                return
            if replay.find(after + 1) is None and not replay.is_drained(after):
                await self._wait(replay)
            if self._clock.monotonic() - reading.heard_at > self._patience.silence_s:
                return

    async def _wait(self, replay: Buffer) -> None:
        try:
            await asyncio.wait_for(replay.news(), self._patience.renew_s)
        except TimeoutError:
            return
