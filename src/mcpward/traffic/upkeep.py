"""Keeps the record within its bounds, and knows whether it can be written: by trying, once a second at most.

Three bounds: by age, by ``traffic.max_size``, and by the disk, which the record by itself never fills. Refusals go
first, down to an eighth of all rows, so that a flood of calls does not hide every trace of an attack; then calls.
Always the oldest of a chain, in bulk, in the store's thread.
"""

import asyncio
import logging
from contextlib import suppress
from functools import partial
from typing import Final

from mcpward.core.clock import Clock
from mcpward.core.retry import Retry
from mcpward.traffic.metrics import Metrics
from mcpward.traffic.record import CALLS, REFUSALS
from mcpward.traffic.sink import NoRoom, RecordSink, Usage

_log: Final = logging.getLogger("mcpward.traffic")
_DAY_S: Final = 86_400.0
_TICK_S: Final = 1.0
#: Ticks between attempts to write while nothing else is written and nothing is wrong.
_IDLE_TICKS: Final = 5
_TEND_TICKS: Final = 5
_AT_ONCE: Final = 1000
#: Between bulks, so that batches and revocations get their turn at the store.
_PAUSE_S: Final = 0.005
#: A record that is too large is cut back by this part, so that it is not looked through at every batch.
_CUT: Final = 16
_LEAST_CUT: Final = 128 * 1024
_REFUSALS_KEPT: Final = 8


class Upkeep:
    """The tasks beside the writer. ``is_full`` is for the hot path: the disk has no room, so no call may be let in."""

    def __init__(
        self, sink: RecordSink, clock: Clock, metrics: Metrics, *, retention_days: float, max_size: int
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._retention_s = retention_days * _DAY_S
        self._max_size = max_size
        self._tasks: list[asyncio.Task[None]] = []
        self._is_tried = False
        self._bounding = Retry(partial(self._warn, "the traffic record cannot be kept within its bounds now"))
        self._used = 0
        self._removed = 0
        self.is_full = False
        self.is_failing = False
        metrics.gauges["mcpward_traffic_writable"] = lambda: not (self.is_full or self.is_failing)
        metrics.gauges["mcpward_traffic_size_bytes"] = lambda: self._used
        metrics.gauges["mcpward_traffic_max_size_bytes"] = lambda: max_size
        metrics.counters["mcpward_traffic_rows_removed"] = lambda: self._removed

    @property
    def can_write(self) -> bool:
        """Whether the last attempt to write succeeded."""
        return not (self.is_full or self.is_failing)

    def wrote(self) -> None:
        """Note that the store has taken a batch: the best attempt there is."""
        self._is_tried = True
        self._set(is_full=False, is_failing=False)

    def failed(self, error: BaseException) -> None:
        """Note that the store has not taken a batch."""
        is_full = isinstance(error, NoRoom)
        self._set(is_full=is_full, is_failing=not is_full)

    def start(self) -> None:
        """Begin."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(work()) for work in (self._forget_old, self._watch, self._bound)]

    async def stop(self) -> None:
        """End."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def bound(self) -> None:
        """Remove the oldest rows while the record is larger than it may be. Raises what the store raises."""
        usage = await self._look()
        if not self._is_over(usage, cut=0):
            return
        counts = dict(await self._sink.counts())
        while self._is_over(usage, cut=max(_LEAST_CUT, min(self._max_size, usage.used) // _CUT)):
            refusals, all_rows = counts.get(REFUSALS, 0), sum(counts.values())
            chain = REFUSALS if refusals * _REFUSALS_KEPT > all_rows else CALLS
            removed = await self._sink.prune_oldest(chain, _AT_ONCE)
            if not removed or self.is_full:
                return
            counts[chain] = max(0, counts[chain] - removed)
            self._removed += removed
            await asyncio.sleep(_PAUSE_S)
            usage = await self._look()

    async def tick(self, number: int) -> None:
        """Look whether anything can be written, and after what is beside the rows: due each second. Raises nothing."""
        await self._try(number)
        if self.is_full or number % _TEND_TICKS == 0:
            await self._bounding.attempt(self._sink.tend)

    async def keep_bounds(self) -> None:
        """Call :meth:`bound`, due each second. Raises nothing.

        A full disk does not take a removal either, and would gain nothing by it.
        """
        if not self.is_full:
            await self._bounding.attempt(self.bound)

    async def _try(self, number: int) -> None:
        """Look for room; write something if nothing else was: each second while that fails, else now and then."""
        is_tried, self._is_tried = self._is_tried, False
        try:
            if not self.can_write or not (is_tried or number % _IDLE_TICKS):
                await self._sink.try_write()
            else:
                await self._sink.require_room()
        except Exception as error:  # noqa: BLE001  # whatever the store raises: it does not take rows
            self.failed(error)
        else:
            self._set(is_full=False, is_failing=False)

    def _set(self, *, is_full: bool, is_failing: bool) -> None:
        if is_full and not self.is_full:
            _log.error("the disk is full: requests cannot be recorded; free some space, and the record continues")
        elif self.is_full and not is_full:
            _log.warning("the disk has space again")
        self.is_full, self.is_failing = is_full, is_failing

    async def _look(self) -> Usage:
        usage = await self._sink.usage()
        self._used = usage.used
        return usage

    def _is_over(self, usage: Usage, cut: int) -> bool:
        """Return whether there is more than there may be, or less room for the next rows than there must be."""
        if usage.used > self._max_size - cut:
            return True
        return usage.growth is not None and usage.free + usage.growth < _LEAST_CUT + cut

    async def _watch(self) -> None:
        number = 0
        while True:
            await asyncio.sleep(_TICK_S)
            number += 1
            await self.tick(number)

    async def _bound(self) -> None:
        # By itself: a record that was never bounded takes long to become small, and its store is looked at meanwhile.
        while True:
            await self.keep_bounds()
            await asyncio.sleep(_TICK_S)

    async def _forget_old(self) -> None:
        """Forget what is past its time, at the start and once a day."""
        while True:
            try:
                await self._sink.prune(self._clock.now() - self._retention_s)
            except Exception as error:  # noqa: BLE001  # forgetting may wait until tomorrow; serving may not
                self._warn("old traffic records could not be removed", error)
            await asyncio.sleep(_DAY_S)

    def _warn(self, what: str, error: Exception) -> None:
        _log.warning("%s (%s)", what, type(error).__name__)
