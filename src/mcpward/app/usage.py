"""Reports the use of each limit to an operator's command, and refills buckets, over the encrypted messages between
workers.

A question and its answer are messages between the site's own processes: they open only with the master key. An answer
carries the unguessable name of its question. A question that is copied and sent again is recognised by its name and its
age. Questions and answers are bounded.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Iterator
from heapq import nlargest
from typing import Any, Final

from msgspec import convert, to_builtins
from msgspec.json import Encoder

from mcpward.app.fresh_messages import FreshMessages
from mcpward.core.clock import Clock
from mcpward.limits.rates.bucket_usage import BucketUsage
from mcpward.limits.rates.charge import Limits
from mcpward.messaging.bus.worker_bus import WorkerBus
from mcpward.operations.usage_question import ASKING, MOST_USES, TELLING, UsagePage, UsageQuestion, share_used

_log: Final = logging.getLogger(__name__)
#: Bytes of uses in one message, which may have 256 KiB.
_LETTER: Final = 128 * 1024
_MOST_WAITING: Final = 16
_encode: Final = Encoder().encode


class Usage:
    """One worker's answers. Questions are answered one after the other; when too many wait, further ones are not."""

    def __init__(self, bus: WorkerBus, limits: Limits, clock: Clock, worker: str, workers: int = 1) -> None:
        self._bus = bus
        self._limits = limits
        self._worker = worker
        self._workers = workers
        self._waiting: deque[UsageQuestion] = deque()
        self._letters_heard = FreshMessages(clock)
        self._task: asyncio.Task[None] | None = None
        bus.on(ASKING, self._hear)

    async def close(self) -> None:
        """Answer no more."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _hear(self, message: dict[str, Any]) -> None:
        asked = convert(message, UsageQuestion)
        if self._is_new(asked) and len(self._waiting) < _MOST_WAITING:
            self._waiting.append(asked)
            if self._task is None or self._task.done():
                self._task = asyncio.get_running_loop().create_task(self._answer_all(), name="limits-usage")

    def _is_new(self, asked: UsageQuestion) -> bool:
        """Whether the question is fresh and came for the first time: a copy of a message resets nothing."""
        if self._letters_heard.is_old(asked.at):
            _log.warning("a question about limits is too old, or the clock of its sender is wrong")
            return False
        return self._letters_heard.is_new(asked.name)

    async def _answer_all(self) -> None:
        while self._waiting:
            asked = self._waiting.popleft()
            try:
                replies = await self._replies(asked)
            except Exception as error:  # noqa: BLE001  # whatever fails, the answer reports that it did
                _log.warning("a question about limits could not be answered (%s)", type(error).__name__)
                replies = [self._told(asked, has_failed=True)]
            for reply in replies:
                self._bus.send(TELLING, to_builtins(reply), asked.by)

    async def _replies(self, asked: UsageQuestion) -> list[UsagePage]:
        if asked.is_reset:
            found = await self._limits.reset(asked.match)
            _log.warning("limits were reset by the operator (%d buckets)", found)
            return [self._told(asked, found=found)]
        uses = list(await self._limits.uses(asked.match))
        pages = list(_pages(nlargest(MOST_USES, uses, key=share_used))) or [[]]
        return [
            self._told(asked, page=number, pages=len(pages), uses=page, found=len(uses))
            for number, page in enumerate(pages)
        ]

    def _told(self, asked: UsageQuestion, **answer: Any) -> UsagePage:
        return UsagePage(name=asked.name, worker=self._worker, workers=self._workers, **answer)


def _pages(uses: Iterable[BucketUsage]) -> Iterator[list[BucketUsage]]:
    page: list[BucketUsage] = []
    room = _LETTER
    for use in uses:
        room -= len(_encode(use))
        if page and room < 0:
            yield page
            page, room = [], _LETTER - len(_encode(use))
        page.append(use)
    if page:
        yield page
