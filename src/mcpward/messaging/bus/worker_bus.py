"""The message bus between the workers of one site, through the store that all of them share.

An answer to a question, or a message about a running call, may arrive at any worker, which forwards it to the worker
concerned. Messages are sealed, because answers are a caller's own words. They are delivered at least once, in the order
in which each worker sent them, and deleted after a minute.

An awaited message may be lost with the store: every waiter has a time limit of its own.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

from msgspec import MsgspecError
from msgspec.json import Decoder, Encoder

from mcpward.core.clock import Clock
from mcpward.core.retry import Retry
from mcpward.messaging.bus.outbox import KEEP_S, BusMessage, BusStore, Outbox

_log: Final = logging.getLogger(__name__)
#: A payload beyond this is not taken. Answers are words and choices; larger ones would fill the store.
LONGEST: Final = 256 * 1024
#: A wait longer than this is for a person: then an answer may come a quarter of a second late.
_HURRY_FOR_S: Final = 10.0
_MARK_EVERY_S: Final = 15.0
#: How long a visitor may wait for the look of an only worker. Looking is one row, twice a second.
_VISIT_S: Final = 0.5
_MAX_VISITORS: Final = 64

Handler = Callable[[dict[str, Any]], None]
_encode: Final = Encoder().encode
_decode: Final = Decoder(dict[str, Any]).decode


class WorkerBus:
    """One worker's end of the bus: its messages to and from all others.

    ``worker`` names it: unguessable, without NUL, and never used twice. ``seal`` and ``open`` are authenticated
    encryption with associated data, with room for :data:`LONGEST` bytes. The worker looks for messages every ``poll_s``
    seconds, and every ``hurry_s`` while a caller has been waiting for a moment. ``alone``: there is no other worker.
    Then nothing is sent but to a visitor (an operator's command) that has written, and the worker looks for messages
    seldom.
    Raises ``ValueError`` for a ``seal`` that is too small.
    """

    def __init__(
        self,
        store: BusStore,
        seal: Callable[[bytes, bytes], str],
        open: Callable[[str, bytes], bytes | None],  # noqa: A002  # the verb of crypto.sealed
        clock: Clock,
        worker: str,
        poll_s: float = 0.25,
        hurry_s: float = 0.03,
        *,
        alone: bool = False,
    ) -> None:
        if open(seal(bytes(LONGEST), b"mail"), b"mail") is None:
            raise ValueError("the seal has no room for a long message")
        self.worker = worker
        self.seal = seal
        self.open = open
        self._store = store
        self._clock = clock
        self._own_poll_s = poll_s
        self._hurry_s = hurry_s
        self._is_alone = alone
        self._outbox = Outbox(store, clock)
        self._handlers: dict[str, Handler] = {}
        self._visitors: deque[str] = deque(maxlen=_MAX_VISITORS)
        self._seen = 0
        self._marks: deque[tuple[float, int]] = deque()
        self._in_hurry = 0
        self._hurry_until = 0.0
        self._reads = Retry(
            lambda error: _log.warning(
                "messages between workers cannot be read: trying again (%s)", type(error).__name__
            ),
            lambda: _log.warning("messages between workers are read again"),
        )
        self._is_strange = False
        self._is_stopping = False
        self._awake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def on(self, kind: str, handler: Handler) -> None:
        """Register ``handler`` for messages of ``kind``, on the event loop. Its exceptions are logged and go no
        further.

        Raises ``ValueError`` if the kind has a handler already.
        """
        if kind in self._handlers:
            raise ValueError(f"messages of the kind {kind!r} have a handler already")
        self._handlers[kind] = handler

    def ignore(self, *kinds: str) -> None:
        """Stop delivering messages of these kinds: other workers answer them."""
        for kind in kinds:
            self._handlers.pop(kind, None)

    def set_alone(self, is_alone: bool) -> None:
        """Set whether there are other workers now. Only on the event loop's thread."""
        self._is_alone = is_alone
        self._awake.set()

    def send(self, kind: str, payload: Mapping[str, Any], to: str | None = None) -> bool:
        """Send ``payload`` (JSON) to another worker, or to all others; returns at once.

        False if it will not be sent: no other worker, too long, or too many messages wait. Only on the event loop's
        thread.
        """
        message = self._message(kind, payload, to)
        return message is not None and self._outbox.put(message)

    async def post(self, kind: str, payload: Mapping[str, Any], to: str | None = None) -> None:
        """Send as :meth:`send` does, and wait until the store has the message, or it is given up after a minute."""
        message = self._message(kind, payload, to)
        if message is not None:
            await self._outbox.put_and_wait(message)

    @contextmanager
    def hurry(self) -> Iterator[None]:
        """Look for messages more often in this block, for its first seconds; an only worker has none to wait for."""
        if self._is_alone:
            yield
            return
        self._in_hurry += 1
        self._hurry_until = self._clock.monotonic() + _HURRY_FOR_S
        self._awake.set()
        try:
            yield
        finally:
            self._in_hurry -= 1

    async def start(self) -> None:
        """Begin at the present end: earlier messages are for others, or for no worker. Raises what the store raises."""
        self._seen = await self._store.newest()
        if self._is_alone:
            await self._store.forget(self._seen)  # left by other workers, when there were some
        self._marks.append((self._clock.monotonic(), self._seen))
        self._outbox.start()
        self._task = asyncio.create_task(self._run(), name="channel-mail")

    async def stop(self) -> None:
        """Send the waiting messages, for a short while, and look for messages no more."""
        self._is_stopping = True
        self._awake.set()
        await self._outbox.stop()
        if self._task is not None:
            await self._task
            self._task = None

    async def poll(self) -> None:
        """Deliver every message that has come since the last poll. Raises what the store raises."""
        while True:
            seen, messages = await self._store.since(self._seen, self.worker)
            self._seen = seen
            for message in messages:
                self._hand_over(message)
                await asyncio.sleep(0)  # long messages cost a millisecond each: calls go first
            if not messages:
                return

    def _message(self, kind: str, payload: Mapping[str, Any], to: str | None) -> BusMessage | None:
        if self._is_alone and to not in self._visitors:
            return None
        text = _encode(payload)
        if len(text) > LONGEST:
            _log.warning("a message to other workers is too long and was not sent (%s, %d bytes)", kind, len(text))
            return None
        return BusMessage(self.worker, to, kind, self.seal(text, _bound_to(self.worker, to, kind)))

    def _hand_over(self, message: BusMessage) -> None:
        handler = self._handlers.get(message.kind)
        if handler is None:
            return  # a newer release, in the middle of an upgrade
        text = self.open(message.sealed, _bound_to(message.sender, message.addressee, message.kind))
        if text is None:
            if not self._is_strange:  # a process that can write to the store must not fill the log as well
                _log.warning("a message of another worker cannot be decrypted: its master key may differ")
            self._is_strange = True
            return
        self._is_strange = False
        if self._is_alone and message.sender not in self._visitors:
            self._visitors.append(message.sender)
        try:
            handler(_decode(text))
        except MsgspecError:
            _log.warning("a message of another worker is not understood (%s)", message.kind)
        except Exception:  # noqa: BLE001  # one message must not stop the whole bus
            _log.exception("a message of another worker could not be handled (%s)", message.kind)

    async def _run(self) -> None:
        while not self._is_stopping:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._awake.wait(), self._pause_s())
            self._awake.clear()
            await self._reads.attempt(self._turn)

    def _pause_s(self) -> float:
        is_hurried = self._in_hurry and not self._reads.is_failing and self._clock.monotonic() < self._hurry_until
        if is_hurried:
            return self._hurry_s
        return max(self._own_poll_s, _VISIT_S) if self._is_alone else self._own_poll_s

    async def _turn(self) -> None:
        """Poll, and forget when it is time."""
        await self.poll()
        await self._forget()

    async def _forget(self) -> None:
        """Forget what has been there for a minute of our own time: no wall clock can make that sooner (attack 105)."""
        now, marks = self._clock.monotonic(), self._marks
        if not marks or now - marks[-1][0] >= _MARK_EVERY_S:
            marks.append((now, self._seen))
        if now - marks[0][0] >= KEEP_S:
            await self._store.forget(marks[0][1])
            marks.popleft()


def _bound_to(sender: str, addressee: str | None, kind: str) -> bytes:
    """The associated data of a message: it cannot be passed to another worker or taken for another kind."""
    return f"mail\0{kind}\0{sender}\0{addressee or ''}".encode()
