"""Hands records to the store in small batches, behind the requests' backs.

The queue is bounded. When it is full the house stops taking calls (``full``) instead of serving them unseen: no record,
no call. What strangers cause may fill a quarter of it, or half where it tells of a credential, so that a flood of
refused requests neither stops the others nor hides them. Records that find no room are counted, in the metrics and by
reason, and are lost.

Batches are small (64) because the store's thread and the event loop share one interpreter: a larger one would hold up
the calls in between. Only when records pile up do they grow, for then the rows a batch costs less.
"""

import asyncio
import logging
from contextlib import suppress
from operator import attrgetter
from typing import Final, Protocol

from mcpward.core.clock import Clock
from mcpward.traffic.metrics import Metrics
from mcpward.traffic.record import Record, Result
from mcpward.traffic.row import COLUMNS, Row, Rows
from mcpward.traffic.share import AddressRefusals, share

_log: Final = logging.getLogger("mcpward.traffic")
#: Records gather this long before a batch that is not full is written.
_GATHER_S: Final = 0.025
#: So many batches that wait make one.
_BEHIND: Final = 8
_FIRST_RETRY_S: Final = 0.1
_LAST_RETRY_S: Final = 5.0
_DAY_S: Final = 86_400.0
_ARGUMENT_BYTES: Final = 64 * 1024 * 1024
_REFUSED: Final = Result.REFUSED
_arguments_of: Final = attrgetter("arguments")


class RecordSink(Protocol):
    """Where records are kept. ``columns`` names what each value of a row is."""

    async def append(self, columns: tuple[str, ...], rows: list[Row]) -> None:
        """Keep these rows, all or none."""
        ...

    async def append_intent(self, columns: tuple[str, ...], row: Row) -> None:
        """Keep this row, and return only when it would survive a power cut."""
        ...

    async def prune(self, before: float) -> object:
        """Forget what is older than ``before`` (seconds since 1970)."""
        ...


class Writer:
    """The queue, the task that empties it, and the one that forgets old records."""

    def __init__(
        self,
        sink: RecordSink,
        clock: Clock,
        *,
        batch: int = 64,
        queue: int = 10_000,
        retention_days: float = 30,
        metrics: Metrics | None = None,
    ) -> None:
        self.metrics = metrics or Metrics()
        self.rows = Rows()
        self._sink = sink
        self._clock = clock
        self._batch = batch
        self._last = batch - 1
        self._capacity = queue
        self._retention_s = retention_days * _DAY_S
        self._queue: list[Record] = []
        self._weight = 0
        self._address_refusals = AddressRefusals(clock)
        self._awake = asyncio.Event()
        self._is_stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._alarm: asyncio.TimerHandle | None = None
        self.metrics.gauges["mcpward_traffic_queue_depth"] = self._queue.__len__
        self.metrics.gauges["mcpward_traffic_queue_capacity"] = lambda: queue

    @property
    def depth(self) -> int:
        """How many records wait."""
        return len(self._queue)

    @property
    def full(self) -> bool:
        """No room for the record of one call more: calls must be refused."""
        return len(self._queue) >= self._capacity or self._weight >= _ARGUMENT_BYTES

    def offer(self, record: Record) -> bool:
        """Queue a record. False if it will not be written: there was no room for it, or it tells nothing new.

        Both are counted; the first counts as lost.

        A call that was served is always taken, full or not: it was let in while there was room.
        """
        queue = self._queue
        waiting = len(queue)
        if record.outcome is _REFUSED and not self._is_wanted(record, waiting):
            return False
        queue.append(record)
        if (arguments := record.arguments) is not None:
            self._weight += len(arguments)
        if waiting == self._last:
            self._awake.set()
        elif not waiting:
            self._gather()
        return True

    def _is_wanted(self, record: Record, waiting: int) -> bool:
        """Tell whether the record of a refusal is to be written; where it is not, it is counted all the same."""
        if waiting >= share(record, self._capacity):
            self.metrics.lose(record)
            return False
        if not self._address_refusals.is_news(record):
            self.metrics.observe((record,))
            return False
        return True

    async def write_now(self, record: Record) -> None:
        """Write one record durably, past the queue. Raises what the store raises."""
        await self._sink.append_intent(COLUMNS, self.rows.of(record))

    async def start(self) -> None:
        """Begin to write and to prune."""
        self._is_stopping = False
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._write()), loop.create_task(self._prune())]
        if self._queue:
            self._awake.set()

    async def stop(self, patience_s: float = 10.0) -> None:
        """Write all that waits, for at most ``patience_s`` seconds, and end. Says in the log what was lost."""
        self._is_stopping = True
        self._awake.set()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if not self._tasks:
            return
        writing, pruning = self._tasks
        self._tasks = []
        pruning.cancel()
        with suppress(TimeoutError):
            await asyncio.wait_for(writing, patience_s)
        with suppress(asyncio.CancelledError):
            await pruning
        if self._queue:
            _log.error("traffic records lost: the store took none before the end (%d)", len(self._queue))

    def _gather(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # nobody runs yet: start() will look
            return
        self._alarm = loop.call_later(_GATHER_S, self._awake.set)

    async def _write(self) -> None:
        queue, batch = self._queue, self._batch
        while not (self._is_stopping and not queue):
            await self._awake.wait()
            self._awake.clear()
            if queue:
                await self._write_batch()
            while len(queue) >= batch or (queue and self._is_stopping):
                await self._write_batch()
            if queue:
                self._gather()

    async def _write_batch(self) -> None:
        """Write the oldest records; they stay in the queue, and count against it, until the store has them."""
        queue = self._queue
        is_behind = len(queue) >= _BEHIND * self._batch
        records = queue[: self._batch * (_BEHIND if is_behind else 1)]
        self.metrics.observe(records)
        await self._deliver(self.rows.all(records))
        del queue[: len(records)]
        self._weight -= sum(map(len, filter(None, map(_arguments_of, records))))

    async def _deliver(self, rows: list[Row]) -> None:
        """Try until the store has the rows, with growing pauses; the log hears of an outage once."""
        pause_s = _FIRST_RETRY_S
        while True:
            try:
                await self._sink.append(COLUMNS, rows)
            except Exception as error:  # noqa: BLE001  # whatever the store raises, the records must not be lost
                if pause_s == _FIRST_RETRY_S:
                    _log.error("traffic records cannot be written: trying again (%s)", type(error).__name__)
                self.metrics.failed_writes += 1
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LAST_RETRY_S)
            else:
                if pause_s != _FIRST_RETRY_S:
                    _log.warning("traffic records are written again")
                return

    async def _prune(self) -> None:
        """Forget what is past its time, at the start and once a day."""
        while True:
            try:
                await self._sink.prune(self._clock.now() - self._retention_s)
            except Exception as error:  # noqa: BLE001  # forgetting may wait until tomorrow; serving may not
                _log.warning("old traffic records could not be removed (%s)", type(error).__name__)
            await asyncio.sleep(_DAY_S)
