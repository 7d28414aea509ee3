"""The state that all connections of one listener share: rules, routes, the handler, and the watch on slow ones."""

import asyncio
from collections.abc import Callable
from email.utils import formatdate
from itertools import count
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from mcpward.core.clock import Clock
from mcpward.core.errors import Refusal
from mcpward.core.ids import request_id
from mcpward.core.reasons import Reason
from mcpward.core.values import Arrival, Reply, ResponseStream
from mcpward.ingress.advice import Advice
from mcpward.ingress.discovery import Discovery
from mcpward.ingress.gates import Head, Rules, judge_place, judge_shape
from mcpward.ingress.handshakes import HandshakePace
from mcpward.ingress.host import known_as
from mcpward.ingress.peer import Peer, PeerResolver
from mcpward.ingress.read_pace import ReadPace
from mcpward.ingress.routes import Place, Route, Routes
from mcpward.ingress.table import ConnectionTable
from mcpward.ingress.write_batch import WriteBatch

#: How often slow, idle and silent connections are looked for; the error of every time limit at the edge.
WATCH_S: Final = 0.5


class RequestHandler(Protocol):
    """The handler of a request behind the edge; never raises anything but cancellation."""

    async def serve(self, arrival: Arrival, wire: ResponseStream) -> Reply:
        """Return the answer to one arrival."""
        ...

    def refuse(self, no: Refusal, *, peer: str, bucket: str, server: str, bytes_in: int) -> Reply:
        """Return the answer to a request that the gates refused, and put it on record."""
        ...

    def vouch(self, arrival: Arrival) -> Refusal | None:
        """Return, from the head only, why this caller would be refused; None if the body must be read."""
        ...

    def knows(self, server: str, secret: str) -> bool:
        """Return whether an unlisted server's secret segment is right."""
        ...


class Pages(Protocol):
    """The pages for people. A port: they are made of the approvals of a worker."""

    async def answer(self, arrival: Arrival, wire: ResponseStream) -> Reply:
        """Return the page at the link in the arrival's path, or what its form has done."""
        ...


class Timeouts(Struct, frozen=True):
    """How long the edge waits, in seconds; and how much it holds: connections, and bytes of bodies.

    ``stranger_idle_s`` is for connections without an accepted request that are not a declared proxy's.
    """

    head_s: float
    body_s: float
    idle_s: float
    stranger_idle_s: float
    write_s: float
    linger_s: float
    quiet_s: float
    keep_alive_s: float
    max_connections: int
    max_held: int


class Watched(Protocol):
    """A connection, as the watch sees it. A port: connections are made of their listener."""

    def tick(self, now: float) -> None:
        """Look at the time; close what took too long, keep alive what is silent."""
        ...


def _is_unlisted(route: Route) -> bool:
    return route.secret is not None and route.place is Place.MCP


def _date_line(now: float) -> bytes:
    """The Date header (RFC 9110 §6.6.1), made twice a second and not per answer."""
    return b"date: %b\r\n" % formatdate(now, usegmt=True).encode("ascii")


class Listener:
    """Shared by all connections of a listener. Mutable in its counts only: connections, and body bytes held."""

    def __init__(
        self,
        *,
        rules: Rules,
        routes: Routes,
        doorstep: PeerResolver,
        patience: Timeouts,
        inside: RequestHandler,
        house: Callable[[Place], Reply],
        clock: Clock,
        discovery: Discovery | None = None,
        advice: Advice | None = None,
        pace: HandshakePace | None = None,
        pages: Pages | None = None,
    ) -> None:
        self.rules = replace(rules, public=routes.public, any_host=routes.any_host, forms=routes.forms)
        self.routes = routes
        self.doorstep = doorstep
        self.patience = patience
        self.inside = inside
        self.house = house
        self.pages = pages
        self.discovery = discovery or Discovery({})
        self.advice = advice or Advice(clock)
        self.clock = clock
        self.now, self.monotonic = clock.now, clock.monotonic
        self.connections: set[Watched] = set()
        self.table = ConnectionTable(patience.max_connections, doorstep, clock, pace)
        self.held = 0
        self.half_held = patience.max_held // 2
        self.held_by: dict[str, int] = {}
        self.stopping = False  # the end is near: calls still pass, and /readyz reports it
        self.draining = False
        self.draining_since: float | None = None
        self.on_drain: list[Callable[[], None]] = []
        self.date = _date_line(clock.now())
        self.outbox = WriteBatch()
        self.pace = ReadPace(lambda act: asyncio.get_running_loop().call_soon(act))
        self._watch: asyncio.Task[None] | None = None
        self._numbers = count(int(request_id(), 16))  # no two workers have the same

    def number(self, address: str) -> int:
        """Return the number of a new connection from ``address``; 0 for a proxy's, on which many clients may be."""
        return 0 if self.doorstep.is_proxy(address) else next(self._numbers)

    def start(self) -> None:
        """Start the watch. Must run in the loop that serves."""
        self._watch = asyncio.get_running_loop().create_task(self._keep_watch())

    def drain(self) -> None:
        """No connection stays open after its present response. May be called again."""
        if not self.draining:
            self.draining = True
            for tell in self.on_drain:
                tell()
            self.draining_since = self.clock.monotonic()

    async def stop(self) -> None:
        """End the watch."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)

    async def _keep_watch(self) -> None:
        looked_at, was_late = self.clock.monotonic(), False
        while True:
            await asyncio.sleep(WATCH_S)
            now, before = self.clock.monotonic(), looked_at
            looked_at = now
            self.date = _date_line(self.clock.now())
            if now - before > 2 * WATCH_S and not was_late:
                was_late = True  # the loop stood still: waiting input is read before any peer counts as slow
                continue
            was_late = False
            for connection in list(self.connections):
                connection.tick(now)
            self.table.turned_away.tell()

    def route(self, head: Head) -> tuple[Route | None, Refusal | None]:
        """Return the route of a request if it has one, and the refusal of the first gate that it fails."""
        rules = self.rules
        no = judge_place(head, rules)
        if no is not None:
            return None, self._advised(no, head)
        host = head.fields.get(b"host", b"").lower()
        path, _, _ = head.target.partition(b"?")
        route = self.routes.find(host if host in rules.hosts else known_as(host), path)
        # A wrong secret is an unknown path before any other verdict on the request (attack 38).
        if route is None or (_is_unlisted(route) and not self.inside.knows(route.server, route.secret or "")):
            return None, Refusal(Reason.ROUTE_UNKNOWN)
        return route, judge_shape(head, route, rules)

    def _advised(self, no: Refusal, head: Head) -> Refusal:
        """Add to the refusal of a host or an origin what the operator could write to allow it."""
        if no.reason is Reason.HOST_REFUSED:
            no.detail = self.advice.on_host(head.fields.get(b"host", b""))
        elif no.reason is Reason.ORIGIN_REFUSED:
            no.detail = self.advice.on_origin(head.fields.get(b"origin", b""))
        return no

    def peer(self, transport_address: str, head: Head) -> Peer:
        """Return the peer behind a connection, as a request's head shows it. A head belongs to one connection only."""
        peer = head.peer
        if peer is None:
            peer = head.peer = self.doorstep.peer(transport_address, head.fields)
        return peer
