"""The open streams of this worker, and the delivery of a change to all of them, here and at the other workers.

A change is sent here at once, and posted from a queue that merges. So an author who announces the same update a
thousand times in a row writes few messages. Nothing is kept for later streams: the specification has no replay of
changes.
"""

import asyncio
import logging
import threading
from contextlib import suppress
from typing import Any, Final

from msgspec import MsgspecError, convert, to_builtins

from mcpward.core.change import Change
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.retry import Retry
from mcpward.core.values import Call
from mcpward.messaging.bus.worker_bus import WorkerBus
from mcpward.messaging.subscriptions.coalescing_queue import CoalescingQueue
from mcpward.messaging.subscriptions.stream import Stream, Subscriptions
from mcpward.messaging.subscriptions.stream_limits import StreamLimits

_log: Final = logging.getLogger(__name__)
_KIND: Final = "change"
_OUTBOX: Final = 1024
_LAST_POSTS_S: Final = 2.0


class Streams:
    """All streams of one worker. ``per_caller`` and ``total`` count only this worker's (attack 48)."""

    def __init__(self, bus: WorkerBus, *, per_caller: int = 16, total: int = 4096) -> None:
        self._bus = bus
        self._places = StreamLimits("streams", per_caller, total)
        self._open: dict[Stream, None] = {}
        self._of_session: dict[str, Stream] = {}
        self._outbox = CoalescingQueue(_OUTBOX)
        self._has_post = asyncio.Event()
        self._soon = CoalescingQueue(_OUTBOX)
        self._soon_lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._posting: asyncio.Task[None] | None = None
        self._is_closed = False
        bus.on(_KIND, self._arrived)

    def __len__(self) -> int:
        return len(self._open)

    async def start(self) -> None:
        """Begin to post published changes; those published from threads before are sent now."""
        loop = asyncio.get_running_loop()
        self._posting = loop.create_task(self._post(), name="channel-streams")
        with self._soon_lock:
            self._loop = loop
        self._publish_soon()

    async def stop(self) -> None:
        """End all streams, and allow the last messages a moment to be posted."""
        self.close()
        with self._soon_lock:
            self._loop = None
        if self._posting is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._posting, _LAST_POSTS_S)
            self._posting = None

    def open(self, call: Call, wanted: Subscriptions) -> Stream:
        """Open a stream for the caller of ``call``. Whether the caller may know of what is wanted was decided before.

        Raises:
            Refusal: rate-exceeded, with a ``RetryAfter``, when the caller or the worker has too many; busy when the
                worker is stopping.
        """
        if self._is_closed:
            raise Refusal(Reason.BUSY, "the streams are closed")
        before = self._of_session.get(call.session or "")
        if before is not None:
            # Each message goes to one stream of a session (2025-11-25, transports): to the one that was opened last,
            # for the client may have lost the other unnoticed.
            before.end("replaced")
        self._places.take(call.principal.key)
        stream = Stream(call, wanted, self._left)
        self._open[stream] = None
        if call.session is not None:
            self._of_session[call.session] = stream
        return stream

    def publish(self, change: Change, *, local_only: bool = False) -> None:
        """Notify all listeners, here at once and at the other workers soon. On the event loop's thread."""
        for stream in self._open:
            stream.offer(change)
        if not local_only and not self._is_closed:
            self._outbox.add(change)
            self._has_post.set()

    def publish_soon(self, change: Change) -> None:
        """Publish from any thread. However many come before the loop has its turn, it is woken once."""
        with self._soon_lock:
            is_first = not self._soon
            self._soon.add(change)
            if is_first and self._loop is not None:
                with suppress(RuntimeError):  # the loop is closed: no stream is open any more
                    self._loop.call_soon_threadsafe(self._publish_soon)

    def close(self) -> None:
        """End all streams; none is opened after this."""
        self._is_closed = True
        self._has_post.set()
        for stream in list(self._open):
            stream.end("closed")

    def _publish_soon(self) -> None:
        with self._soon_lock:
            changes = [self._soon.take() for _ in range(len(self._soon))]
        for change in changes:
            self.publish(change)

    def _left(self, stream: Stream) -> None:
        del self._open[stream]
        if stream.session is not None and self._of_session.get(stream.session) is stream:
            del self._of_session[stream.session]
        self._places.give_back(stream.caller)

    def _arrived(self, message: dict[str, Any]) -> None:
        with suppress(MsgspecError):  # a worker of another release: its meaning is not known here
            self.publish(convert(message, Change), local_only=True)

    async def _post(self) -> None:
        posts = Retry(lambda error: _log.warning("a change could not be sent to the other workers", exc_info=error))
        while True:
            while not self._outbox:
                if self._is_closed:
                    return
                self._has_post.clear()
                await self._has_post.wait()
            # Whatever the bus raises, this worker's own streams continue.
            await posts.attempt(lambda: self._bus.post(_KIND, to_builtins(self._outbox.take())))
