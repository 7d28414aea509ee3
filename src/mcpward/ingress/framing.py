"""HTTP/1.1 framing by httptools, with the bounds that uvicorn's own class does not set.

uvicorn with httptools takes two Host lines, a header of any size and chunk extensions without end. This class replaces
it. It counts bytes as they come, and keeps only the fields that mcpward reads. It refuses input that two HTTP readers
could read differently (RFC 9112 §§3.2, 6.3, 11.2).
"""

from typing import Final

import httptools

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.ingress import render
from mcpward.ingress.exchange import Exchange
from mcpward.ingress.exchange_queue import ExchangeQueue
from mcpward.ingress.fields import folded, size_of
from mcpward.ingress.gates import Head
from mcpward.ingress.head_cache import LESSONS, LONGEST, CachedHead
from mcpward.ingress.link import Link
from mcpward.ingress.routes import Route

_NONE: Final[frozenset[bytes]] = frozenset()
#: Framing bytes that a chunked body may spend beyond its content (attack 45: extensions, one-byte chunks).
_FRAMING_ALLOWANCE: Final = 16 * 1024
_FRAMING: Final = (b"content-length", b"transfer-encoding")


class Framing:
    """The parser of one connection, and what it has read of the request that is coming in.

    ``is_fresh``: nothing came yet.
    """

    __slots__ = (
        "_begun", "_declined", "_front", "_lines", "_link", "_parser", "_queue", "_taken", "_target",
        "_trailer_bytes", "in_body", "in_head", "is_fresh", "wire_bytes",
    )  # fmt: skip

    def __init__(self, link: Link, queue: ExchangeQueue) -> None:
        self._link = link
        self._queue = queue
        self._front = link.front
        self._parser = httptools.HttpRequestParser(self)
        self.is_fresh = True
        self.in_head = False
        self.in_body = False
        self._begun = 0
        self._taken: Exchange | None = None
        self._declined: Head | None = None  # a request that asked for another protocol, until its body is read
        self._begin()

    def _begin(self) -> None:
        self._target = b""
        self._lines: list[tuple[bytes, bytes]] = []
        self._trailer_bytes = 0
        self.wire_bytes = 0  # as they came, since the packet after the one in which this part began

    def take_known(self, known: CachedHead, body: bytes) -> None:
        """Take a request whose head was judged before, past the parser, which stands between two requests."""
        link, queue = self._link, self._queue
        link.heads.lessons = LESSONS
        exchange = Exchange(link, queue, known.head, known.route, None)
        no = exchange.take(body)
        if no is not None:
            queue.reading = exchange
            self.cut_body(no)
        else:
            queue.put(exchange)

    def feed(self, data: bytes) -> None:
        """Let the parser read ``data``; if it is exactly one request, its head may be remembered."""
        begun = None
        if self.in_body or self.in_head:
            self.wire_bytes += len(data)
        elif self._link.heads.lessons > 0:
            begun = self._begun
        rest = self._fed(data, begun)
        while rest and not self._link.is_deaf:  # one packet may hold any number that ask for another protocol
            rest = self._fed(rest, None)

    def _fed(self, data: bytes, begun: int | None) -> bytes:
        """Let the parser read ``data``, and return what it has left behind a head whose Upgrade is not taken."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._declined is not None:
                self._read_on(self._declined)
                return data[upgrade.args[0] :]
            # CONNECT, or an Upgrade: refused in on_headers_complete; the bytes after it are not HTTP.
            self._link.is_deaf = True
            return b""
        except httptools.HttpParserError:
            self._unreadable()
            return b""
        finally:
            taken, self._taken = self._taken, None
        # The parser delivers a field when it is whole: one that never ends is seen only in the bytes.
        if self.in_head and max(self._head_bytes(), self.wire_bytes) > self._front.rules.max_head:
            self.refuse_head(Refusal(Reason.HEADER_TOO_LARGE))
        elif self.in_body and self.wire_bytes > self._allowed_wire_bytes():
            self.cut_body(Refusal(Reason.REQUEST_MALFORMED, "chunk framing outweighs the body"))
        elif begun is not None and self._begun == begun + 1 and not self.in_head and not self.in_body:
            _note(taken, data)
        return b""

    def _read_on(self, head: Head) -> None:
        """Make ready to read the body, and the bytes after it, of a request whose Upgrade is refused: it stays
        HTTP/1.1.

        The parser stops behind such a head. Another one gets the length of the body, by the fields of the same head.
        """
        framing = [b"%b: %b\r\n" % (name, head.fields[name]) for name in _FRAMING if name in head.fields]
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(framing))

    def _head_bytes(self) -> int:
        """Bytes of the head as the parser returned them."""
        return len(self._target) + size_of(self._lines)

    def _allowed_wire_bytes(self) -> int:
        reading = self._queue.reading
        return _FRAMING_ALLOWANCE + 2 * (reading.body_size if reading is not None else 0)

    # ---- the parser's calls ---------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        if self._declined is not None:
            return
        self._begin()
        self._begun += 1
        self.in_head = True
        self.in_body = False
        self.is_fresh = False
        # Not with the first byte: empty lines before a request (RFC 9112 §2.2) would keep a connection open
        # indefinitely.
        if self._queue.current is None:
            self._queue.used_at = self._front.monotonic()

    def on_url(self, url: bytes) -> None:
        """A part of the request target."""
        if self._declined is not None:
            return
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field, whole. It is looked at when the head is whole."""
        if not self.in_body:
            self._lines.append((name, value))
            return
        # A trailer field is dropped (RFC 9112 §7.1.2): fields must not change after they were judged.
        self._trailer_bytes += size_of(((name, value),))
        if self._trailer_bytes > _FRAMING_ALLOWANCE:
            self.cut_body(Refusal(Reason.REQUEST_MALFORMED, "trailer fields without end"))

    def on_headers_complete(self) -> None:
        """The head is whole: judge it before anything of the body is kept."""
        if self._link.is_deaf:
            return
        if self._declined is not None:
            self._declined = None  # its head was judged before
            return
        self.in_head = False
        parser = self._parser
        rules = self._front.rules
        route: Route | None = None
        no: Refusal | None
        is_large = len(self._lines) > rules.max_fields or self._head_bytes() > rules.max_head
        fields, repeated = folded(self._lines[: rules.max_fields] if is_large else self._lines)
        head = Head(parser.get_method(), self._target, fields, repeated, parser.get_http_version())
        if is_large:
            no = Refusal(Reason.HEADER_TOO_LARGE)
        else:
            route, no = self._front.route(head)
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
        exchange = Exchange(self._link, self._queue, head, route, None)
        exchange.keep_alive = head.version == "1.1" and self._parser.should_keep_alive()
        self._queue.reading = self._taken = exchange
        self.in_body = True
        self.wire_bytes = self._trailer_bytes = 0
        if b"expect" in head.fields and self._queue.is_idle and _waits_to_continue(head):
            self._link.write(render.CONTINUE)

    def _take_refused(self, head: Head, route: Route | None, no: Refusal) -> None:
        exchange = Exchange(self._link, self._queue, head, route, no)
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
            self._queue.reading = exchange
            self.in_body = True
        else:
            self._link.is_deaf = True
            self._queue.put(exchange)

    def on_body(self, body: bytes) -> None:
        """A part of the body, without its framing."""
        exchange = self._queue.reading
        if exchange is None or self._link.is_deaf:
            return
        no = exchange.take(body)
        if no is not None:
            self.cut_body(no)

    def on_message_complete(self) -> None:
        """The request is whole: its turn comes when those before it are answered."""
        if self._declined is not None:
            return  # the parser does not read the body of a request that asks for another protocol
        exchange = self._queue.reading
        self.in_body = False
        if exchange is None or self._link.is_deaf:
            return
        self._queue.reading = None
        if not exchange.keep_alive:
            self._link.is_deaf = True
        self._queue.put(exchange)

    def refuse_head(self, no: Refusal) -> None:
        """Answer a head that goes on too long, and read no more."""
        self.in_head = False
        if self._link.is_deaf:
            return  # the head stands behind a request that ended this connection
        self._link.is_deaf = True
        self._answer_out_of_turn(no)

    def cut_body(self, no: Refusal) -> None:
        """Answer a body that goes on too long, or is not wanted, and read no more."""
        if self._link.is_deaf:
            return
        self.in_body = False
        self._link.is_deaf = True
        reading = self._queue.drop()
        self._answer_out_of_turn(no, reading)

    def _unreadable(self) -> None:
        self.in_head = self.in_body = False
        reading = self._queue.drop()
        if self._link.is_deaf:
            return  # an answer is on its way already
        self._link.is_deaf = True
        self._answer_out_of_turn(Refusal(Reason.REQUEST_MALFORMED, "not HTTP"), reading)

    def _answer_out_of_turn(self, no: Refusal, about: Exchange | None = None) -> None:
        """Answer for a request that will never be whole; ``about`` is as much of it as there is."""
        fields, _ = folded(self._lines[: self._front.rules.max_fields])
        head = Head(verb=b"", target=b"", fields=fields, repeated=_NONE, version="1.1")
        route = None if about is None else about.route
        exchange = Exchange(self._link, self._queue, head if about is None else about.head, route, no)
        exchange.keep_alive = False
        self._queue.put(exchange)


def _waits_to_continue(head: Head) -> bool:
    """Return whether the client holds its body back. In HTTP/1.0 the expectation is ignored (RFC 9110 §10.1.1)."""
    return head.version == "1.1" and head.fields[b"expect"].lower() == b"100-continue"


def _note(taken: Exchange | None, data: bytes) -> None:
    """Keep the one request that ``data`` was until it is answered: its head may be remembered then."""
    if taken is not None and len(data) <= LONGEST:
        taken.lesson = data
