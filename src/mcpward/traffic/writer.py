"""Hands records to the store in small batches, behind the requests' backs.

The queue is bounded. When it is full, or the disk is, nothing can be recorded, and ``when_full`` says what becomes of
calls: by default none is let in. Refusals of strangers may fill a quarter of the queue, or half if they name a
credential. So a flood of refused requests neither stops the others nor hides them. Records that do not fit, or only
repeat earlier ones, are counted and become one row (:mod:`mcpward.traffic.aggregation`).

Batches are small (64) because the store's thread and the event loop share one interpreter: a larger one would hold up
the calls in between. Only when records pile up do they grow, for then the rows a batch costs less.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from operator import attrgetter
from typing import Final

from mcpward.core.clock import Clock
from mcpward.core.retry import Retry, doubling
from mcpward.core.values import AuthMethod
from mcpward.traffic.aggregation import Aggregation
from mcpward.traffic.metrics import Metrics
from mcpward.traffic.record import MAX_RAW_ARGUMENTS, REFUSALS, Record
from mcpward.traffic.row import COLUMNS, Row, RowMaker
from mcpward.traffic.share import share
from mcpward.traffic.sink import RecordSink
from mcpward.traffic.upkeep import Upkeep

_log: Final = logging.getLogger("mcpward.traffic")
#: Records gather this long before a batch that is not full is written.
_GATHER_S: Final = 0.025
#: So many batches that wait make one.
_BEHIND: Final = 8
_PAUSES_S: Final = doubling(0.1, 1.0)
_ARGUMENT_BYTES: Final = 64 * 1024 * 1024
#: The pause between two looks whether a window of counts is over.
_LOOK_S: Final = 1.0
_MINUTE_S: Final = 60.0
_NOT_FULL: Final = 4
_ANONYMOUS: Final = AuthMethod.ANONYMOUS
_arguments_of: Final = attrgetter("arguments")


class Writer:
    """The queue, the task that empties it, and what is counted beside it.

    ``when_full`` is "refuse" or "continue": whether calls that change nothing for good run unrecorded when nothing can
    be recorded.
    """

    def __init__(
        self,
        sink: RecordSink,
        clock: Clock,
        *,
        batch: int = 64,
        queue: int = 10_000,
        retention_days: float = 30,
        max_size: int = 1024**3,
        when_full: str = "refuse",
        metrics: Metrics | None = None,
    ) -> None:
        self.metrics = metrics or Metrics()
        self.rows = RowMaker()
        self.continues = when_full == "continue"
        self.upkeep = Upkeep(sink, clock, self.metrics, retention_days=retention_days, max_size=max_size)
        self._sink = sink
        self._monotonic = clock.monotonic
        self._batch = batch
        self._last = min(batch, queue, _ARGUMENT_BYTES // MAX_RAW_ARGUMENTS) - 1
        self._capacity = queue
        self._queue: list[Record] = []
        self._weight = 0
        self._is_crowded = False
        self._aggregation = Aggregation(clock, max_size)
        self._counted: Iterator[Record] | None = None
        self._unrecorded = 0
        self._said_unrecorded_at = float("-inf")
        self._writes = Retry(
            lambda error: _log.error("traffic records cannot be written: trying again (%s)", type(error).__name__),
            lambda: _log.warning("traffic records are written again"),
            pauses_s=_PAUSES_S,
        )
        self._awake = asyncio.Event()
        self._is_stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._alarm: asyncio.TimerHandle | None = None
        self.metrics.gauges["mcpward_traffic_queue_depth"] = self._queue.__len__
        self.metrics.gauges["mcpward_traffic_queue_capacity"] = lambda: queue
        self.metrics.counters["mcpward_traffic_calls_unrecorded"] = lambda: self._unrecorded

    @property
    def depth(self) -> int:
        """How many records wait."""
        return len(self._queue)

    @property
    def full(self) -> bool:
        """The record of one more call does not fit, in the queue or on the disk."""
        return self.upkeep.is_full or self._is_crowded

    @property
    def refuses(self) -> bool:
        """Nothing can be recorded, so no call may be let in."""
        return (self._is_crowded or self.upkeep.is_full) and not self.continues

    def _look(self) -> None:
        """Look whether there is room in the queue: due when it grew beyond a batch, or became shorter."""
        self._is_crowded = len(self._queue) >= self._capacity or self._weight >= _ARGUMENT_BYTES

    @property
    def is_recording(self) -> bool:
        """Whether there is room, and the store took what was written last."""
        return self.upkeep.can_write and not self._is_crowded

    def offer(self, record: Record, *, always: bool = False) -> bool:
        """Queue a record. False if it will not be written whole: it is counted then, or, of a call, lost.

        A call that was served is taken, full or not: it was let in while there was room. Unless calls go on without a
        record (``continues``): then only what must be kept ``always`` is, the outcome of a call whose intent is.
        """
        queue = self._queue
        waiting = len(queue)
        if record.chain == REFUSALS:
            has_room = waiting < share(record, self._capacity)
            if not self._aggregation.takes_refusal(record, has_room=has_room):
                self.metrics.observe((record,))
                return False
        elif not always:
            if self.continues and self._is_crowded:
                self._lose(record)
                return False
            who = record.subject.principal
            if who is not None and who.way is _ANONYMOUS and not self._aggregation.takes_call(record):
                self.metrics.observe((record,))
                return False
        queue.append(record)
        if (arguments := record.arguments) is not None:
            self._weight += len(arguments)
        if waiting >= self._last:  # fewer never fill it, however much they carry
            self._look()
            if waiting == self._last:
                self._awake.set()
        elif not waiting:
            self._gather()
        return True

    def _lose(self, record: Record) -> None:
        """Count a call that runs unrecorded; logged once a minute."""
        self._unrecorded += 1
        self.metrics.lose(record)
        now = self._monotonic()
        if now - self._said_unrecorded_at >= _MINUTE_S:
            self._said_unrecorded_at = now
            _log.error("calls run unrecorded, as traffic.when_full says (%d since the start)", self._unrecorded)

    async def write_now(self, record: Record) -> None:
        """Write one record durably, past the queue. Raises what the store raises."""
        await self._sink.append_intent(COLUMNS, self.rows.of(record))

    async def start(self) -> None:
        """Begin to write, to count and to prune. Looks first whether the store takes anything."""
        self._is_stopping = False
        await self.upkeep.tick(0)
        self.upkeep.start()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._write()), loop.create_task(self._close_windows())]
        if self._queue:
            self._awake.set()

    async def stop(self, patience_s: float = 10.0) -> None:
        """Write all that waits and was counted, for at most ``patience_s`` seconds, and end. Logs what was lost."""
        self._is_stopping = True
        self._awake.set()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if not self._tasks:
            return
        writing, closing = self._tasks
        self._tasks = []
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(writing, patience_s)
        await self.upkeep.stop()
        if self._queue:
            _log.error("traffic records lost: the store took none before the end (%d)", len(self._queue))

    def _gather(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # the writer does not run yet: start() will look
            return
        self._alarm = loop.call_later(_GATHER_S, self._awake.set)

    async def _close_windows(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            if self._aggregation.is_due:
                self.close_window()

    def close_window(self) -> None:
        """Have what was counted written. A window stays open while the rows of the last one wait for their turn."""
        if self._counted is None:
            self._counted = self._aggregation.close()
            self._awake.set()

    def _fill_up(self) -> None:
        """Queue some rows of what was counted: not so many that they take the place of calls."""
        if self._counted is not None and len(self._queue) < self._capacity // _NOT_FULL:
            some = list(islice(self._counted, self._batch))
            self._queue += some
            self._look()
            if not some:
                self._counted = None

    async def _write(self) -> None:
        queue, batch = self._queue, self._batch
        while not self._is_stopping:
            await self._awake.wait()
            self._awake.clear()
            self._fill_up()
            if queue:
                await self._write_batch()
            while self._counted is not None or len(queue) >= batch:
                self._fill_up()
                if queue:
                    await self._write_batch()
            if queue:
                self._gather()
        await self._write_rest()

    async def _write_rest(self) -> None:
        """Write what waits, what was counted in windows that are over, and what was counted in the open one."""
        for counted in (self._counted or iter(()), self._aggregation.close()):
            while some := list(islice(counted, self._batch)):
                self._queue += some
                self._look()
                await self._write_batch()
        while self._queue:
            await self._write_batch()

    async def _write_batch(self) -> None:
        """Write the oldest records; they stay in the queue, and count against it, until the store has them."""
        queue = self._queue
        is_behind = len(queue) >= _BEHIND * self._batch
        records = queue[: self._batch * (_BEHIND if is_behind else 1)]
        self.metrics.observe(records)
        await self._deliver(self.rows.all(records))
        del queue[: len(records)]
        self._weight -= sum(map(len, filter(None, map(_arguments_of, records))))
        self._look()

    async def _deliver(self, rows: list[Row]) -> None:
        """Try until the store has the rows: whatever it raises, the records must not be lost."""
        await self._writes.until_done(lambda: self._append(rows))

    async def _append(self, rows: list[Row]) -> None:
        try:
            await self._sink.append(COLUMNS, rows)
        except Exception as error:
            self.upkeep.failed(error)
            self.metrics.failed_writes += 1
            raise
        self.upkeep.wrote()
