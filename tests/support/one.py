"""One connection of the edge without a network: what a test gives it is what came, byte for byte and turn by turn."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from types import SimpleNamespace
from typing import Any

from mcpward.core.errors import Refusal
from mcpward.core.values import Arrival, Reply, ResponseStream
from mcpward.ingress.connection import Connection
from mcpward.ingress.gates import Rules
from mcpward.ingress.listener import Listener
from mcpward.ingress.peer import PeerResolver
from mcpward.ingress.routes import Address, Routes
from support.clock import ManualClock
from support.edge import BOTH, PATIENCE, Inside

TURNS = 8
HEAD = (
    b"POST /mcp HTTP/1.1\r\nHost: ward.test\r\nContent-Type: application/json\r\nAccept: " + BOTH.encode() + b"\r\n"
    b"X-API-Key: key-1\r\nContent-Length: %d\r\nMcp-Name: orders\r\n\r\n"
)


def request(body: bytes = b'{"n":1}', head: bytes = HEAD) -> bytes:
    return head % len(body) + body


class Bytes(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 50000)})
        self.written = b""
        self.ended = self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.ended = self.closed = True

    abort = close

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading


class Noting(Inside):
    """A request handler that notes the callers that it refuses."""

    def refuse(self, no: Refusal, **about: Any) -> Reply:
        self.refused = [*getattr(self, "refused", ()), (no.reason, *about.items())]
        return super().refuse(no, **about)


class House:
    """One connection, and what arrives through it."""

    def __init__(self, **rules: int) -> None:
        self.arrivals: list[Arrival] = []
        #: The events that a test may have its requests wait for.
        self.pause: Callable[[], Awaitable[object]] | None = None
        self.reply: Reply | None = None
        self.inside = Noting(self.serve)
        self.transport = Bytes()
        bounds: dict[str, Any] = {"max_body": 1 << 20, "max_fields": 20, "max_head": 8192} | rules
        self.front = Listener(
            rules=Rules(frozenset({b"ward.test"}), frozenset({b"https://app.test"}), **bounds),
            routes=Routes([Address("open", "/mcp"), Address("hidden", "/hidden/mcp", unlisted=True)]),
            doorstep=PeerResolver(),
            patience=PATIENCE,
            inside=self.inside,
            house=lambda _: Reply(status=200, body=b"{}"),
            clock=ManualClock(),
        )
        state = SimpleNamespace(tasks=set(), connections=set())
        self.connection = Connection(None, state, {"front": self.front})
        entry = self.front.table.admit("127.0.0.1")
        assert entry is not None
        self.connection.entry = entry
        self.connection.connection_made(self.transport)

    async def serve(self, arrival: Arrival, wire: ResponseStream) -> Reply:
        del wire
        self.arrivals.append(arrival)
        if self.pause is not None:
            await self.pause()
        return self.reply or Reply(status=200, body=b'{"got":%b}' % (arrival.body or b"null"))

    async def take(self, packets: Iterable[bytes]) -> None:
        for packet in packets:
            self.connection.data_received(packet)
            for _ in range(TURNS):
                await asyncio.sleep(0)

    def seen(self) -> tuple[bytes, bool, list[tuple[object, ...]]]:
        """The bytes that the peer sees, and the requests to mcpward."""
        asked = [
            (one.body, one.server, one.verb, one.peer, {**one.headers, b"content-length": b""}, one.repeated)
            for one in self.arrivals
        ]
        return self.transport.written, self.transport.ended, [*asked, *getattr(self.inside, "refused", ())]
