"""One caller's stream of changes: its subscriptions, its waiting changes, and how it ends."""

import asyncio
from collections.abc import Callable, Container
from typing import Protocol, Self

from mcpward.core.change import Change, Topic
from mcpward.core.values import Call
from mcpward.messaging.subscriptions.coalescing_queue import CoalescingQueue


class Subscriptions(Protocol):
    """The subscriptions of a stream. Read anew for every change, so that it may follow a session's subscriptions."""

    @property
    def topics(self) -> Container[Topic]:
        """Lists whose changes are wanted."""
        ...

    @property
    def uris(self) -> Container[str]:
        """Resources whose updates are wanted."""
        ...

    @property
    def tasks(self) -> Container[str]:
        """Ids of the tasks that are wanted, if they are the caller's own."""
        ...


class Stream:
    """Iterates over changes until it is ended. Made by :meth:`~mcpward.messaging.subscriptions.streams.Streams.open`.

    Use it as a context manager: leaving the block closes it, whatever happened. For one reader.
    """

    __slots__ = ("_ended", "_left", "_pending", "_wake", "_wanted", "caller", "server", "session")

    def __init__(self, call: Call, wanted: Subscriptions, left: "Callable[[Stream], None]") -> None:
        self.caller = call.principal.key
        self.server = call.principal.server
        self.session = call.session
        self._wanted = wanted
        self._left = left
        self._pending = CoalescingQueue()
        self._wake = asyncio.Event()
        self._ended: str | None = None

    @property
    def ended(self) -> str | None:
        """Why the stream has ended; None while it goes on."""
        return self._ended

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end("left")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        """Wait for the next change."""
        while self._ended is None:
            if self._pending:
                return self._pending.take()
            self._wake.clear()
            await self._wake.wait()
        raise StopAsyncIteration

    def offer(self, change: Change) -> None:
        """Queue the change, if it is one of this stream's."""
        if self._ended is None and self._wants(change):
            self._pending.add(change)
            self._wake.set()

    def end(self, reason: str) -> None:
        """End the stream at once: waiting changes are not sent. A second call changes nothing.

        ``reason`` is for the log and the record.
        """
        if self._ended is None:
            self._ended = reason
            self._wake.set()
            self._left(self)

    def _wants(self, change: Change) -> bool:
        # The owner of the change is checked first: no subscription shows one caller another's task (attack 60).
        if change.server != self.server or change.owner not in {None, self.caller}:
            return False
        if change.topic is Topic.TASK:
            return change.owner is not None and change.subject in self._wanted.tasks
        if change.topic is Topic.RESOURCE:
            return change.subject in self._wanted.uris
        return change.topic in self._wanted.topics
