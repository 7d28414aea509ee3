"""Turns of addresses to have a credential looked up at its provider or in the store, a few at a time for each.

An address that sends made-up credentials all at once would otherwise have every one of them looked up before the first
has failed, and take the places in which the credentials of others are looked up. Its requests wait for one another
instead, and those behind are refused as soon as too many before them have failed.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason

AT_ONCE: Final = 8
_MOST_WAITING: Final = 256
_RETRY_AFTER_S: Final = 1


class _Line:
    """The requests of one address: how many are being looked up, and who waits."""

    __slots__ = ("busy", "waiting")

    def __init__(self) -> None:
        self.busy = 0
        self.waiting: deque[asyncio.Future[None]] = deque()


class Asking:
    """The lines of all addresses. An address has one only while something is looked up for it."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    def __len__(self) -> int:
        return len(self._lines)

    async def begin(self, bucket: str) -> None:
        """Wait until a place is free, the first come first.

        Raises:
            Refusal: identity-unavailable; too many wait.
        """
        line = self._lines.setdefault(bucket, _Line())
        if line.busy < AT_ONCE:
            line.busy += 1
            return
        if len(line.waiting) >= _MOST_WAITING:
            detail = "too many credentials from this address wait to be looked up"
            raise Refusal(Reason.IDENTITY_UNAVAILABLE, detail, retry_after_s=_RETRY_AFTER_S)
        turn = asyncio.get_running_loop().create_future()
        line.waiting.append(turn)
        try:
            await turn  # whoever ends hands its place on
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.end(bucket)
            elif turn in line.waiting:
                line.waiting.remove(turn)
            raise

    def end(self, bucket: str) -> None:
        """Hand the place on, or let the line go."""
        line = self._lines[bucket]
        while line.waiting:
            turn = line.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        line.busy -= 1
        if not line.busy:
            del self._lines[bucket]


class Turn:
    """One look-up: entering waits for a place and checks that the address may still ask."""

    __slots__ = ("_asking", "_bucket", "_require")

    def __init__(self, asking: Asking, bucket: str, require: Callable[[str], Any]) -> None:
        self._asking = asking
        self._bucket = bucket
        self._require = require

    async def __aenter__(self) -> None:
        self._require(self._bucket)
        await self._asking.begin(self._bucket)
        try:
            self._require(self._bucket)  # others before it may have failed meanwhile
        except Refusal:
            self._asking.end(self._bucket)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._asking.end(self._bucket)
