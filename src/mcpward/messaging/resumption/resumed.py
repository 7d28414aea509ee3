"""The rest of a stream, for a client that has come back: the messages it missed, then those still to come."""

from collections.abc import Callable
from typing import Protocol, Self

from mcpward.messaging.resumption.buffer import Buffer
from mcpward.messaging.resumption.event_id import EventId


class Source(Protocol):
    """The source of the rest."""

    async def next(self) -> bytes:
        """Wait for the next message. Raises ``StopAsyncIteration`` when there will be none."""
        ...

    def close(self) -> None:
        """The reader has left."""
        ...


class Resumed:
    """Iterates over (message, event id) until the stream has finished.

    Use it as an asynchronous context manager: leaving the block returns the reader's slot.
    """

    __slots__ = ("_after", "_close", "_is_closed", "_source")

    def __init__(self, source: Source, after: EventId, close: Callable[[], None]) -> None:
        self._source = source
        self._after = after
        self._close = close
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[bytes, str]:
        """Wait for the next message. Closes itself at the end, and when its waiter is cancelled."""
        if self._is_closed:
            raise StopAsyncIteration
        try:
            message = await self._source.next()
        except BaseException:
            self.close()
            raise
        after = self._after = EventId(self._after.worker, self._after.stream, self._after.number + 1)
        return message, str(after)

    def close(self) -> None:
        """Read no more. A second time changes nothing."""
        if not self._is_closed:
            self._is_closed = True
            self._source.close()
            self._close()


class LocalSource:
    """Reads a stream that is kept at this worker."""

    __slots__ = ("_number", "_replay")

    def __init__(self, replay: Buffer, after: int) -> None:
        self._replay = replay
        self._number = after

    async def next(self) -> bytes:
        """Wait for the next message; a reader that fell behind what is kept has reached the end."""
        while (message := self._replay.find(self._number + 1)) is None:
            if self._replay.is_drained(self._number):
                raise StopAsyncIteration
            await self._replay.news()
        self._number += 1
        return message

    def close(self) -> None:
        """Nothing to release."""
