"""One TCP connection, as uvicorn and the loop see it: input goes to its framing, and requests to its queue.

This class replaces uvicorn's own, which waits for the rest of a request indefinitely.
"""

import asyncio
from typing import Any

from mcpward.ingress.deadlines import Deadlines
from mcpward.ingress.exchange_queue import ExchangeQueue
from mcpward.ingress.framing import Framing
from mcpward.ingress.link import Link
from mcpward.ingress.listener import Listener
from mcpward.ingress.table import Entry


class Connection(asyncio.Protocol):
    """Built for each accepted socket; ``front`` comes from the lifespan's state. The acceptor sets ``entry``."""

    entry: Entry
    _link: Link
    _queue: ExchangeQueue
    _framing: Framing
    _deadlines: Deadlines

    def __init__(  # uvicorn's call
        self,
        config: Any,  # noqa: ARG002
        server_state: Any,
        app_state: dict[str, Any],
        _loop: Any = None,
    ) -> None:
        self._front: Listener = app_state["front"]
        self._loop: asyncio.AbstractEventLoop = _loop or asyncio.get_running_loop()
        self._state = server_state
        self._made_at = self._front.monotonic()

    # ---- the transport's calls ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer connected, and is behind its TLS handshake if there is one."""
        stream: Any = transport  # uvicorn listens only on streams
        self._link = link = Link(self._front, self._loop, self._state.tasks, stream, self.entry)
        self._queue = ExchangeQueue(link, self._made_at)
        self._framing = Framing(link, self._queue)
        self._deadlines = Deadlines(link, self._queue, self._framing)
        self.entry.connection = self
        if self.entry.is_gone:  # it had to leave before it was made
            link.cut_off()
        self._front.connections.add(self)
        self._state.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came: a request whose head is known, or something for the parser."""
        link, framing = self._link, self._framing
        if link.is_deaf:
            return
        if not framing.in_body and not framing.in_head:
            for known in link.heads.known:
                body = known.body_of(data)
                if body is not None:
                    framing.take_known(known, body)
                    return
        framing.feed(data)

    def eof_received(self) -> None:
        """The peer has sent all: it gets its pending responses, and the transport closes; connection_lost follows."""
        self._front.outbox.flush()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The peer has gone: release everything, and notify the running call."""
        self._link.leave()
        self._front.connections.discard(self)
        self._state.connections.discard(self)
        self._queue.leave()

    def pause_writing(self) -> None:
        """The peer reads slowly."""
        self._link.pause()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._link.resume()
        self._queue.resume()

    def shutdown(self) -> None:
        """Called by uvicorn when the server stops: idle connections close now, others after their answer."""
        self._front.drain()
        if self._queue.current is not None:
            self._queue.current.server_stops()
        elif not self._framing.in_head and not self._framing.in_body:
            self._front.outbox.flush()
            self._link.transport.close()

    # ---- for the table, and for the watch -------------------------------------------------------------------------

    @property
    def is_answering(self) -> bool:
        """Whether a request is being answered; a stream is an answer."""
        return self._queue.current is not None

    @property
    def used_at(self) -> float:
        """When it was made, the last request began, or was answered."""
        return self._queue.used_at

    def cut_off(self) -> None:
        """End the connection now, whatever is still to be written to it."""
        self._link.cut_off()

    def tick(self, now: float) -> None:
        """End what took too long."""
        self._deadlines.tick(now)
