"""Keeps the running tasks of one worker alive for all others to see, and ends tasks that have outlived their time.

A worker that dies leaves its tasks without a heartbeat. The first worker that sees this records them as failed, so that
no caller waits in vain.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from mcpward.core.clock import Clock
from mcpward.core.retry import Retry, every
from mcpward.tasks.job import Job
from mcpward.tasks.record import Record, Store
from mcpward.tasks.results import Cut
from mcpward.tasks.task_writer import TaskWriter

_log: Final = logging.getLogger(__name__)
BEAT_EVERY_S: Final = 5.0
DEAD_AFTER_S: Final = 20.0
_PRUNE_EVERY_S: Final = 60.0
_TURN_EVERY_S: Final = 1.0


class Heartbeat:
    """One background task per worker. ``turn`` may also be called directly. ``lose`` writes a dead task down."""

    def __init__(
        self,
        store: Store,
        board: TaskWriter,
        clock: Clock,
        jobs: Mapping[str, Job],
        lose: Callable[[Record], Awaitable[None]],
    ) -> None:
        self._store = store
        self._board = board
        self._clock = clock
        self._jobs = jobs
        self._lose = lose
        self._beat_at = self._prune_at = clock.monotonic()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self, dead_before: float) -> None:
        """Write down the tasks that died before that time, then keep watch. Raises what the store raises."""
        await self._bury(dead_before)
        self._task = asyncio.create_task(self._run(), name="tasks-keeper")

    async def stop(self) -> None:
        """Keep watch no more."""
        self._stopping.set()
        if self._task is not None:
            await self._task
            self._task = None

    async def turn(self) -> None:
        """Do what is due. Raises what the store raises."""
        now = self._clock.monotonic()
        for job in list(self._jobs.values()):
            if now >= job.ends_at:
                job.end(Cut.EXPIRED)
            elif job.has_news:
                await self._board.say(job)
        if now >= self._beat_at:
            await self._beat()
            await self._bury(self._clock.now() - DEAD_AFTER_S)
            self._beat_at = now + BEAT_EVERY_S
        if now >= self._prune_at:
            await self._store.prune(self._clock.now())
            self._prune_at = now + _PRUNE_EVERY_S

    async def _beat(self) -> None:
        running = [job for job in self._jobs.values() if job.work is not None]
        if not running:
            return
        unfinished = await self._store.beat([job.id for job in running], self._clock.now())
        for job in running:
            is_cancel_asked = unfinished.get(job.id)
            if is_cancel_asked is None:
                job.end(Cut.LOST)  # another worker wrote it down as dead: what it does has no use any more
            elif is_cancel_asked:
                job.end(Cut.CANCELLED)

    async def _bury(self, before: float) -> None:
        for record in await self._store.stale(before):
            await self._lose(record)

    async def _run(self) -> None:
        turns = Retry(lambda error: _log.warning("the tasks cannot be stored: trying again (%s)", type(error).__name__))
        await every(_TURN_EVERY_S, self._stopping, lambda: turns.attempt(self.turn))
