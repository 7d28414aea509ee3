"""One TCP connection: HTTP/1.1 framing by httptools, with the bounds that uvicorn's own class does not set.

uvicorn with httptools takes two Host lines, a header of any size and chunk extensions without end, and waits for the
rest of a request indefinitely. This class stands in its place: it counts bytes as they come, keeps only the fields that
mcpward reads, refuses what two HTTP readers could read differently (RFC 9112 §§3.2, 6.3, 11.2), and answers one request
after the other, so that no request can draw two answers.
"""

import asyncio
from collections import deque
from typing import Any, Final

import httptools

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.ingress import render
from mcpward.ingress.exchange import Exchange
from mcpward.ingress.fields import folded, size_of
from mcpward.ingress.gates import Head
from mcpward.ingress.head_cache import LONGEST, CachedHead, kept, remember
from mcpward.ingress.listener import Listener
from mcpward.ingress.routes import Route
from mcpward.ingress.table import Entry

_NONE: Final[frozenset[bytes]] = frozenset()
#: Framing bytes that a chunked body may spend beyond its content (attack 45: extensions, one-byte chunks).
_FRAMING_ALLOWANCE: Final = 16 * 1024
_MAX_QUEUED: Final = 32
_FRAMING: Final = (b"content-length", b"transfer-encoding")
#: A client has a head for each tool that it calls; with ever new ones there is nothing to be learnt.
_MAX_FAMILIAR: Final = 4
_LESSONS: Final = 16


class Connection(asyncio.Protocol):
    """Built for each accepted socket; ``front`` comes from the lifespan's state. The acceptor sets ``entry``."""

    entry: Entry

    def __init__(  # uvicorn's call
        self,
        config: Any,  # noqa: ARG002
        server_state: Any,
        app_state: dict[str, Any],
        _loop: Any = None,
    ) -> None:
        self.front: Listener = app_state["front"]
        self.loop: asyncio.AbstractEventLoop = _loop or asyncio.get_running_loop()
        self.tasks: set[asyncio.Task[None]] = server_state.tasks
        self._open: set[Any] = server_state.connections
        self.address = "unknown"
        self.number = 0
        self.gone = False
        self._transport: asyncio.Transport
        self._parser = httptools.HttpRequestParser(self)
        self._current: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._reading: Exchange | None = None
        self._deaf = False  # nothing more is read from this connection
        self._closing = False
        self._rests = False  # until a later turn of the loop: a large body comes
        self._devoted = False  # to an endless stream, after which there is nothing
        self._paused_at: float | None = None
        self._thirst: asyncio.Future[None] | None = None  # of a stream that waits until the peer reads again
        self._since: float = self.front.monotonic()
        self._fresh = True  # nothing came yet
        self._in_head = False
        self._in_body = False
        self._familiar: tuple[CachedHead, ...] = ()
        self._lessons = _LESSONS  # that are tried before one of them has been of use
        self._begun = 0
        self._taken: Exchange | None = None
        self._declined: Head | None = None  # a request that asked for another protocol, until its body is read
        self._begin()

    def _begin(self) -> None:
        self._target = b""
        self._lines: list[tuple[bytes, bytes]] = []
        self._trailer_bytes = 0
        self._wire_bytes = 0  # as they came, since the packet after the one in which this part began

    # ---- the transport's calls ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer connected, and is behind its TLS handshake where there is one."""
        self._transport = transport  # type: ignore[assignment]  # uvicorn listens on streams alone
        peername = transport.get_extra_info("peername")
        if isinstance(peername, tuple):
            self.address = str(peername[0])
        self.entry.connection = self
        if self.entry.is_gone:  # it had to leave before it was made
            self._transport.abort()
        self.number = self.front.number(self.address)
        self.front.connections.add(self)
        self._open.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came: count them, read them, judge what they cost."""
        if self._deaf:
            return
        is_inside = self._in_body or self._in_head
        if is_inside:
            self._wire_bytes += len(data)
        else:
            for known in self._familiar:
                body = known.body_of(data)
                if body is not None:
                    self._take_familiar(known, body)
                    return
        self._parse(data, begun=self._begun if self._lessons > 0 and not is_inside else None)

    def _take_familiar(self, known: CachedHead, body: bytes) -> None:
        """Take a request whose head was judged before, past the parser, which stands between two requests."""
        self._lessons = _LESSONS
        exchange = Exchange(self, known.head, known.route, None)
        no = exchange.take(body)
        if no is not None:
            self._reading = exchange
            self._cut_body(no)
        else:
            self._enqueue(exchange)

    def _parse(self, data: bytes, begun: int | None) -> None:
        """Let the parser read ``data``. ``begun`` counts the requests so far where one that is alone may be learnt."""
        rest = self._fed(data, begun)
        while rest and not self._deaf:  # one packet may hold any number of requests that ask for another protocol
            rest = self._fed(rest, None)

    def _fed(self, data: bytes, begun: int | None) -> bytes:
        """Let the parser read ``data``, and return what it has left behind a head whose Upgrade is not taken."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._declined is not None:
                self._read_on(self._declined)
                return data[upgrade.args[0] :]
            # CONNECT, or an Upgrade: refused in on_headers_complete; what follows is not HTTP.
            self._deaf = True
            return b""
        except httptools.HttpParserError:
            self._unreadable()
            return b""
        finally:
            taken, self._taken = self._taken, None
        # The parser gives a field when it is whole: one that never ends is seen in the bytes alone.
        if self._in_head and max(self._head_bytes(), self._wire_bytes) > self.front.rules.max_head:
            self._refuse_head(Refusal(Reason.HEADER_TOO_LARGE))
        elif self._in_body and self._wire_bytes > self._allowed_wire_bytes():
            self._cut_body(Refusal(Reason.REQUEST_MALFORMED, "chunk framing outweighs the body"))
        elif begun is not None and self._begun == begun + 1 and not self._in_head and not self._in_body:
            _note(taken, data)
        return b""

    def _read_on(self, head: Head) -> None:
        """Make ready to read the body, and what follows it, of a request whose Upgrade is not taken: it stays HTTP/1.1.

        The parser stops behind such a head. Another one is told how long the body is, in the words of the same head.
        """
        framing = [b"%b: %b\r\n" % (name, head.fields[name]) for name in _FRAMING if name in head.fields]
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(framing))

    def learn(self, data: bytes, exchange: Exchange) -> None:
        """Keep the head of the one request that ``data`` was, and that was let in: no stranger has anything kept."""
        self._lessons -= 1
        if any(known.body_of(data) is not None for known in self._familiar):
            return  # it came again before it was answered
        known = None if exchange.route is None else remember(data, exchange.head, exchange.route, self.front.rules)
        if known is not None:
            self._familiar = kept(known, self._familiar, _MAX_FAMILIAR)

    def _head_bytes(self) -> int:
        """Bytes of the head as the parser gave them."""
        return len(self._target) + size_of(self._lines)

    def _allowed_wire_bytes(self) -> int:
        reading = self._reading
        return _FRAMING_ALLOWANCE + 2 * (reading.body_size if reading is not None else 0)

    def eof_received(self) -> None:
        """The peer has said all: it gets what it was answered, and the transport closes; connection_lost follows."""
        self.front.outbox.flush()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The peer has gone: let go of everything, and tell the call that runs."""
        self.gone = True
        self.entry.leave()
        self._quench()
        self._deaf = True
        self.front.connections.discard(self)
        self._open.discard(self)
        if self._reading is not None:
            self._reading.let_go()
            self._reading = None
        while self._waiting:
            self._waiting.popleft().let_go()
        if self._current is not None:
            self._current.caller_left()

    def pause_writing(self) -> None:
        """The peer reads slowly: remember since when."""
        self._paused_at = self.front.monotonic()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._paused_at = None
        self._quench()
        if self._current is None and self._waiting:
            self._take_next()

    async def drained(self) -> None:
        """Return when the peer has read most of what was written, or has gone. For one waiter: one exchange writes."""
        while self._paused_at is not None and not self.gone:
            self._thirst = self.loop.create_future()
            await self._thirst

    def _quench(self) -> None:
        if self._thirst is not None and not self._thirst.done():
            self._thirst.set_result(None)
        self._thirst = None

    def shutdown(self) -> None:
        """Called by uvicorn when the server stops: idle connections close now, others after their answer."""
        self.front.drain()
        if self._current is not None:
            self._current.server_stops()
        elif not self._in_head and not self._in_body:
            self.front.outbox.flush()
            self._transport.close()

    # ---- the parser's calls ---------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        if self._declined is not None:
            return
        self._begin()
        self._begun += 1
        self._in_head = True
        self._in_body = False
        self._fresh = False
        # Not with the first byte: empty lines before a request (RFC 9112 §2.2) would keep a connection open for ever.
        if self._current is None:
            self._since = self.front.monotonic()

    def on_url(self, url: bytes) -> None:
        """A part of the request target."""
        if self._declined is not None:
            return
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field, whole. It is looked at when the head is whole."""
        if not self._in_body:
            self._lines.append((name, value))
            return
        # A trailer field is dropped (RFC 9112 §7.1.2): fields must not change after they were judged.
        self._trailer_bytes += size_of(((name, value),))
        if self._trailer_bytes > _FRAMING_ALLOWANCE:
            self._cut_body(Refusal(Reason.REQUEST_MALFORMED, "trailer fields without end"))

    def on_headers_complete(self) -> None:
        """The head is whole: judge it before anything of the body is kept."""
        if self._deaf:
            return
        if self._declined is not None:
            self._declined = None  # its head was judged before
            return
        self._in_head = False
        parser = self._parser
        rules = self.front.rules
        route: Route | None = None
        no: Refusal | None
        is_large = len(self._lines) > rules.max_fields or self._head_bytes() > rules.max_head
        fields, repeated = folded(self._lines[: rules.max_fields] if is_large else self._lines)
        head = Head(parser.get_method(), self._target, fields, repeated, parser.get_http_version())
        if is_large:
            no = Refusal(Reason.HEADER_TOO_LARGE)
        else:
            route, no = self.front.route(head)
            if no is None and parser.should_upgrade():
                if head.verb == b"POST":  # a server may ignore the field (RFC 9110 §7.8); Java's client always asks
                    self._declined = head
                else:
                    no = Refusal(Reason.REQUEST_MALFORMED, "upgrade")
        if route is None or no is not None:
            self._take_refused(head, route, no or Refusal(Reason.ROUTE_UNKNOWN))
        else:
            self._take(head, route)

    def _take(self, head: Head, route: Route) -> None:
        exchange = Exchange(self, head, route, None)
        exchange.keep_alive = head.version == "1.1" and self._parser.should_keep_alive()
        self._reading = self._taken = exchange
        self._in_body = True
        self._wire_bytes = self._trailer_bytes = 0
        if b"expect" in head.fields and not self._waiting and self._current is None and _waits_to_continue(head):
            self.write(render.CONTINUE)

    def _take_refused(self, head: Head, route: Route | None, no: Refusal) -> None:
        exchange = Exchange(self, head, route, no)
        fields = head.fields
        announced = b"transfer-encoding" in fields or fields.get(b"content-length", b"0") != b"0"
        # A body that is announced will not be read: the connection ends after the answer.
        exchange.keep_alive = (
            not announced
            and no.reason is not Reason.REQUEST_MALFORMED
            and no.reason is not Reason.HEADER_TOO_LARGE
            and not self._parser.should_upgrade()
            and head.version == "1.1"
            and self._parser.should_keep_alive()
        )
        if exchange.keep_alive:
            self._reading = exchange
            self._in_body = True
        else:
            self._deaf = True
            self._enqueue(exchange)

    def on_body(self, body: bytes) -> None:
        """A part of the body, without its framing."""
        exchange = self._reading
        if exchange is None or self._deaf:
            return
        no = exchange.take(body)
        if no is not None:
            self._cut_body(no)

    def on_message_complete(self) -> None:
        """The request is whole: its turn comes when those before it are answered."""
        if self._declined is not None:
            return  # the parser does not read the body of a request that asks for another protocol
        exchange = self._reading
        self._in_body = False
        if exchange is None or self._deaf:
            return
        self._reading = None
        if not exchange.keep_alive:
            self._deaf = True
        self._enqueue(exchange)

    # ---- one after the other --------------------------------------------------------------------------------------

    def _enqueue(self, exchange: Exchange) -> None:
        if self._current is None and self._paused_at is None:
            self._current = exchange
            exchange.start()
            return
        self._waiting.append(exchange)
        if len(self._waiting) >= _MAX_QUEUED:
            self._transport.pause_reading()

    def finished(self, *, close: bool) -> None:
        """Called by the exchange that wrote its answer: take the next one, or wait, or close."""
        if self._current is not None:
            self._current.let_go()
            self._current = None
        self._since = self.front.monotonic()
        if self.gone:
            return
        if close:
            self._linger()
        elif self._waiting and self._paused_at is None:
            self._take_next()

    def moved_on(self, *, close: bool) -> None:
        """Called by the exchange whose answer ends before its work does: its body stays counted until that is over."""
        self._current = None
        self.finished(close=close)

    def devote(self) -> None:
        """Called by the exchange whose answer has no end: what else came here, or comes, would wait indefinitely."""
        self._devoted = self._deaf = True
        self._in_head = self._in_body = False
        if self._reading is not None:
            self._reading.let_go()
            self._reading = None
        if len(self._waiting) >= _MAX_QUEUED:
            self._transport.resume_reading()  # or its leaving would not be seen
        while self._waiting:
            self._waiting.popleft().let_go()

    def _take_next(self) -> None:
        """Only while the peer takes its answers: who asks and does not read would have us keep them all."""
        if len(self._waiting) == _MAX_QUEUED:
            self._transport.resume_reading()
        self._current = self._waiting.popleft()
        # Not from within the one before: a long queue must not become a deep stack.
        self.loop.call_soon(self._current.start)

    def _refuse_head(self, no: Refusal) -> None:
        self._in_head = False
        if self._deaf:
            return  # the head stands behind a request that ended this connection
        self._deaf = True
        self._answer_out_of_turn(no)

    def _cut_body(self, no: Refusal) -> None:
        if self._deaf:
            return
        self._in_body = False
        self._deaf = True
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.let_go()
        self._answer_out_of_turn(no, reading)

    def _unreadable(self) -> None:
        self._in_head = self._in_body = False
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.let_go()
        if self._deaf:
            return  # an answer is on its way already
        self._deaf = True
        self._answer_out_of_turn(Refusal(Reason.REQUEST_MALFORMED, "not HTTP"), reading)

    def _answer_out_of_turn(self, no: Refusal, about: Exchange | None = None) -> None:
        """Answer for a request that will never be whole; ``about`` is as much of it as there is."""
        fields, _ = folded(self._lines[: self.front.rules.max_fields])
        head = Head(verb=b"", target=b"", fields=fields, repeated=_NONE, version="1.1")
        exchange = Exchange(self, head if about is None else about.head, None if about is None else about.route, no)
        exchange.keep_alive = False
        self._enqueue(exchange)

    # ---- the transport, for exchanges -----------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Write, in this turn of the loop, unless the peer has gone."""
        if not self.gone:
            self.front.outbox.put(self._transport, data)

    def unread(self) -> int:
        """Bytes written that the peer has not taken yet."""
        return self._transport.get_write_buffer_size()

    @property
    def is_answering(self) -> bool:
        """Whether a request is being answered; a stream is an answer."""
        return self._current is not None

    @property
    def used_at(self) -> float:
        """When it was made, the last request began, or was answered."""
        return self._since

    def rest(self) -> bool:
        """Read nothing more until :meth:`read_on`. Return whether it was read until now."""
        if self._rests or self._transport.is_closing():
            return False
        self._rests = True
        self._transport.pause_reading()
        return True

    def read_on(self) -> None:
        """Read again, unless as many requests wait as may."""
        self._rests = False
        if not self.gone and not self._transport.is_closing() and len(self._waiting) < _MAX_QUEUED:
            self._transport.resume_reading()

    def cut_off(self) -> None:
        """End the connection now, whatever is still to be written to it."""
        self._transport.abort()

    def _linger(self) -> None:
        """Close so that the answer arrives: a close over unread input makes the kernel send a reset instead.

        A peer that listened to an endless stream has nothing on its way to us; and a thousand of them that do not
        close their side must not keep a server from stopping.
        """
        self._deaf = True
        self._closing = True
        while self._waiting:  # nobody could be answered: they do not run
            self._waiting.popleft().let_go()
        self.front.outbox.flush()
        self._since = self.front.monotonic()
        if self._transport.can_write_eof() and not self._devoted:
            self._transport.write_eof()
        else:
            self._transport.close()

    # ---- the watch ------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """End what took too long; see :class:`~mcpward.ingress.listener.Timeouts`."""
        patience = self.front.patience
        waited = now - self._since
        if self._closing:
            if waited > patience.linger_s:
                self._transport.abort()
        elif self._paused_at is not None and now - self._paused_at > patience.write_s:
            self._transport.abort()
        elif self._current is not None:
            self._current.tick(now)
        elif self._in_body:
            if waited > patience.body_s:
                self._cut_body(Refusal(Reason.BODY_TOO_SLOW))
        elif self._in_head or self._fresh:
            if waited > patience.head_s:
                self._refuse_head(Refusal(Reason.BODY_TOO_SLOW, "head"))
        elif waited > (patience.idle_s if self.entry.is_trusted else patience.stranger_idle_s):
            self._transport.close()


def _waits_to_continue(head: Head) -> bool:
    """Return whether the client holds its body back. In HTTP/1.0 the expectation is ignored (RFC 9110 §10.1.1)."""
    return head.version == "1.1" and head.fields[b"expect"].lower() == b"100-continue"


def _note(taken: Exchange | None, data: bytes) -> None:
    """Keep the one request that ``data`` was until it is answered: its head may be learnt then."""
    if taken is not None and len(data) <= LONGEST:
        taken.lesson = data
