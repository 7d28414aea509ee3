"""The messages of one call's stream, kept for a client that lost the connection and comes back for the rest."""

import asyncio
from collections import deque
from typing import Final, Protocol, Self

from msgspec import Struct

from mcpward.messaging.resumption.event_id import EventId

OVERHEAD: Final = 64
"""The cost of a kept message beside its bytes, so that many small ones are not free."""


class Owner(Struct, frozen=True):
    """The owner of a stream: the principal's key and the session. Both must be the same to resume it (attack 63)."""

    principal: str
    session: str


class BufferOwner(Protocol):
    """Counts the kept messages, and drops them. A port: ``Buffers`` is made of this module."""

    def resized(self, replay: "Buffer", change: int) -> None:
        """Count ``change`` bytes more (or fewer) for the stream."""
        ...

    def finished(self, replay: "Buffer") -> None:
        """Note that nothing more will come on the stream."""
        ...


class Bounds(Struct, frozen=True, kw_only=True):
    """How much is kept: events and bytes of a stream; streams and bytes of a caller, and of all. Times in seconds.

    ``keep_s`` is how long a stream is kept after it has finished.
    """

    events: int = 256
    stream_size: int = 1024 * 1024
    caller_streams: int = 32
    caller_size: int = 4 * 1024 * 1024
    total_streams: int = 4096
    total_size: int = 64 * 1024 * 1024
    keep_s: float = 60.0


class Buffer:
    """The messages of one stream, numbered from 1. Made by :meth:`~mcpward.messaging.resumption.replay.Replays.begin`.

    Use it as a context manager, or call :meth:`finish`: a stream that is never finished is kept as a running one.
    """

    __slots__ = ("_bell", "_bounds", "_holder", "_messages", "_next", "_worker", "is_over", "name", "owner", "size")

    def __init__(self, owner: Owner, worker: str, name: str, holder: BufferOwner, bounds: Bounds) -> None:
        self.owner = owner
        self.name = name
        self.size = 0
        self.is_over = False
        self._worker = worker
        self._holder = holder
        self._bounds = bounds
        self._messages: deque[bytes] = deque()
        self._next = 1
        self._bell: asyncio.Event | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def append(self, message: bytes) -> str:
        """Keep ``message`` as the stream's next event and return the event's id.

        A stream that is over keeps nothing more: nothing can be resumed from the id that is given then.
        """
        event_id = EventId(self._worker, self.name, self._next)
        self._next += 1
        if not self.is_over:
            self._messages.append(message)
            change = len(message) + OVERHEAD
            while len(self._messages) > self._bounds.events or self.size + change > self._bounds.stream_size:
                change -= len(self._messages.popleft()) + OVERHEAD
            self._resize(change)
            self._ring()
        return str(event_id)

    def finish(self) -> None:
        """Mark the stream as complete. A second call has no effect."""
        if not self.is_over:
            self.is_over = True
            self._holder.finished(self)
            self._ring()

    def let_go(self) -> None:
        """Forget all messages, and keep none of those to come."""
        self.is_over = True
        self._messages.clear()
        self._resize(-self.size)
        self._ring()

    def has(self, number: int) -> bool:
        """Return whether all that came after event ``number`` is still here."""
        return self._next - len(self._messages) <= number + 1 <= self._next

    def find(self, number: int) -> bytes | None:
        """Return the message of event ``number``, None if it has not come yet or is here no longer."""
        at = number - (self._next - len(self._messages))
        return self._messages[at] if 0 <= at < len(self._messages) else None

    def is_drained(self, number: int) -> bool:
        """Return whether nothing will ever come after event ``number``, or what comes cannot follow it any more."""
        return not self.has(number) or (self.is_over and number + 1 == self._next)

    async def news(self) -> None:
        """Wait for the next message, or for the end."""
        if self._bell is None:
            self._bell = asyncio.Event()
        await self._bell.wait()

    def _resize(self, change: int) -> None:
        self.size += change
        self._holder.resized(self, change)

    def _ring(self) -> None:
        if self._bell is not None:
            self._bell.set()
            self._bell = None
