"""Keeps what a worker holds back in step with the operator's approvals, which count within a second.

If the store cannot be read, what was held back stays held back, and what was approved stays approved.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from mcpward.core.errors import Untrusted
from mcpward.core.retry import Retry, every
from mcpward.tools.pin import Pin

_log: Final = logging.getLogger("mcpward.pins")
INTERVAL_S: Final = 0.4
Renew = Callable[[Mapping[str, Pin]], None]


class PinSource(Protocol):
    """The pins, followed from the beginning. A port of the storage package."""

    async def news(self, *, whole: bool = False) -> tuple[bool, Sequence[Pin]]:
        """Return the pins added or changed since the last time; with True, all there are."""
        ...


class PinFollower:
    """Belongs to one event loop. ``renew`` is called with all pins after each change."""

    def __init__(self, source: PinSource, renew: Renew) -> None:
        self._source = source
        self._renew = renew
        self._pins: dict[str, Pin] = {}
        self._reads = Retry(_tell, lambda: _log.warning("the pins can be read again"), cause_of=str)
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Follow until :meth:`stop`."""
        self._task = asyncio.create_task(every(INTERVAL_S, self._stopping, self._turn), name="pin-follower")

    async def stop(self) -> None:
        """End after the present turn."""
        self._stopping.set()
        if self._task is not None:
            await self._task
            self._task = None

    async def poll(self) -> None:
        """Hand on what has changed. Raises what the store raises."""
        is_whole, pins = await self._source.news()
        if not pins and not is_whole:
            return
        if is_whole:
            self._pins.clear()
        self._pins |= {one.id: one for one in pins}
        self._renew(self._pins)

    async def _turn(self) -> None:
        await self._reads.attempt(self.poll)


def _tell(error: Exception) -> None:
    if isinstance(error, Untrusted):
        finding = error.findings[0]
        _log.error("%s: what was held back stays so: %s", finding.what, finding.hint)
    else:
        _log.warning("the pins cannot be read: what was held back stays so (%s)", type(error).__name__)
