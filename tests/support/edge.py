"""Only the edge of mcpward: a real listener with its connections, before a request handler that the test writes."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from msgspec import structs

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Arrival, Reply, ResponseStream
from mcpward.ingress import render
from mcpward.ingress.acceptor import Acceptor
from mcpward.ingress.connection import Connection
from mcpward.ingress.gates import Rules
from mcpward.ingress.listener import Listener, Timeouts
from mcpward.ingress.peer import PeerResolver
from mcpward.ingress.routes import Address, Routes
from support.clock import ManualClock
from support.waiting import SOON_S, soon

Serve = Callable[[Arrival, ResponseStream], Coroutine[Any, Any, Reply]]
ORIGIN = b"https://app.example"
PATIENCE = Timeouts(
    head_s=5, body_s=10, idle_s=20, stranger_idle_s=8, write_s=30, linger_s=2, quiet_s=10, keep_alive_s=15,
    max_connections=5000, max_held=1 << 20,
)  # fmt: skip
BOTH = "application/json, text/event-stream"


class Inside:
    """A request handler that serves with the function it was given, and knows every caller with any key."""

    def __init__(self, serve: Serve) -> None:
        self.answer = serve

    async def serve(self, arrival: Arrival, wire: ResponseStream) -> Reply:
        """Serve one arrival."""
        return await self.answer(arrival, wire)

    def refuse(self, no: Refusal, *, peer: str, bucket: str, server: str, bytes_in: int) -> Reply:
        """Refuse."""
        del peer, bucket, server, bytes_in
        return render.refusal(no)

    def vouch(self, arrival: Arrival) -> Refusal | None:
        """Know every caller with a key."""
        return None if b"x-api-key" in arrival.headers else Refusal(Reason.CREDENTIAL_MISSING)

    def knows(self, server: str, secret: str) -> bool:
        """Know one secret."""
        return (server, secret) == ("hidden", "s" * 48)


class Peer:
    """A client at the level of bytes. Waits are bounded."""

    def __init__(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.port = port
        self.reader = reader
        self.writer = writer

    def ask(self, verb: str = "POST", path: str = "/mcp", body: bytes = b"", *, http: str = "1.1", **more: str) -> None:
        """Send a whole request; ``more`` are headers, with ``_`` for ``-``."""
        fields = {"accept": BOTH} | {name.replace("_", "-"): value for name, value in more.items()}
        if verb == "POST":
            fields = {"content-type": "application/json", "content-length": str(len(body))} | fields
        lines = [f"{verb} {path} HTTP/{http}", f"host: 127.0.0.1:{self.port}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def until(self, end: bytes) -> bytes:
        """Read up to these bytes."""
        return await asyncio.wait_for(self.reader.readuntil(end), SOON_S)

    async def answer(self) -> bytes:
        """Read one answer with a length, whole."""
        head = await self.until(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
        return head + await asyncio.wait_for(self.reader.readexactly(length), SOON_S)

    async def rest(self) -> bytes:
        """Read until the other side has closed."""
        return await asyncio.wait_for(self.reader.read(), SOON_S)

    def hold(self) -> None:
        """Read nothing from now on."""
        transport: Any = self.writer.transport  # uvloop's is of no class that asyncio has
        transport.pause_reading()

    def leave(self) -> None:
        """Close at once."""
        self.writer.transport.abort()


class Edge:
    """One listener. Nothing moves but by the clock of the test: ``watch`` is the look that the watch takes."""

    def __init__(self, serve: Serve, clock: ManualClock, patience: Timeouts = PATIENCE) -> None:
        self.clock = clock
        self.state = SimpleNamespace(tasks=set(), connections=set())
        self.patience = patience
        self.inside = Inside(serve)
        self.peers: list[Peer] = []
        self.front: Listener
        self.port = 0

    @asynccontextmanager
    async def listening(
        self, origins: frozenset[bytes] = frozenset(), tls: ssl.SSLContext | None = None
    ) -> AsyncIterator["Edge"]:
        """Listen until the end of the block; then everything of it is ended."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=2000)
        self.port = listener.getsockname()[1]
        host = f"127.0.0.1:{self.port}".encode()
        self.front = Listener(
            rules=Rules(frozenset({host}), origins, max_body=1 << 20, max_fields=50, max_head=8192),
            routes=Routes([Address("open", "/mcp"), Address("hidden", "/hidden/mcp", unlisted=True)]),
            doorstep=PeerResolver(),
            patience=self.patience,
            inside=self.inside,
            house=lambda _: Reply(status=200, body=b"{}"),
            clock=self.clock,
        )
        server = self.server = Acceptor(listener, self._accept, self.front.table, tls=tls)
        server.start()
        try:
            yield self
        finally:
            server.close()
            for peer in self.peers:
                peer.leave()
            for connection in list(self.state.connections):
                connection.cut_off()
            for task in list(self.state.tasks):
                task.cancel()
            await soon(lambda: not self.state.connections and not self.state.tasks)

    def _accept(self) -> Connection:
        return Connection(config=None, server_state=self.state, app_state={"front": self.front})

    async def peer(self, address: str = "127.0.0.1", trust: ssl.SSLContext | None = None) -> Peer:
        """Connect from an address of the loopback network."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0), ssl=trust)
        self.peers.append(Peer(self.port, reader, writer))
        return self.peers[-1]

    def watch(self, seconds: float) -> None:
        """Let time go by, and look at every connection."""
        self.clock.advance(seconds)
        for connection in list(self.front.connections):
            connection.tick(self.clock.monotonic())

    def shut_down(self) -> None:
        """Notify every connection that the server stops, as uvicorn does."""
        for connection in list(self.state.connections):
            connection.shutdown()


def patience(**changes: Any) -> Timeouts:
    """Return the usual patience with some changes."""
    return structs.replace(PATIENCE, **changes)
