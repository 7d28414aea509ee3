"""The exchanges of one connection, answered one after the other, so that no request can draw two answers."""

from collections import deque
from typing import Final

from mcpward.ingress.exchange import Exchange
from mcpward.ingress.link import Link

_MOST_WAITING: Final = 32


class ExchangeQueue:
    """Implements :class:`~mcpward.ingress.exchange.ExchangeOwner`.

    ``current`` is being answered, ``reading`` is still coming in.
    ``used_at`` is when the connection was made, its last request began, or was answered. ``is_closing``: its end was
    written, and the peer is to close its side.
    """

    __slots__ = (
        "_is_devoted", "_link", "_monotonic", "_rests", "_waiting", "current", "is_closing", "reading", "used_at",
    )  # fmt: skip

    def __init__(self, link: Link, made_at: float) -> None:
        self._link = link
        self._monotonic = link.front.monotonic
        self._waiting: deque[Exchange] = deque()
        self._rests = False  # until a later turn of the loop: a large body comes
        self._is_devoted = False  # to an endless stream, after which there is nothing
        self.current: Exchange | None = None
        self.reading: Exchange | None = None
        self.is_closing = False
        self.used_at = made_at

    @property
    def is_idle(self) -> bool:
        """Whether nothing is answered, and nothing waits for that."""
        return self.current is None and not self._waiting

    def put(self, exchange: Exchange) -> None:
        """Have a whole request answered when those before it are."""
        if self.current is None and self._link.paused_at is None:
            self.current = exchange
            exchange.start()
            return
        self._waiting.append(exchange)
        if len(self._waiting) >= _MOST_WAITING:
            self._link.transport.pause_reading()

    def finished(self, *, close: bool) -> None:
        """Called by the exchange that wrote its answer: take the next one, or wait, or close."""
        if self.current is not None:
            self.current.let_go()
            self.current = None
        self.used_at = self._monotonic()
        link = self._link
        if link.is_gone:
            return
        if close:
            self._linger()
        elif self._waiting and link.paused_at is None:
            self._take_next()

    def moved_on(self, *, close: bool) -> None:
        """Called by the exchange whose answer ends before its work does: its body stays counted until that is over."""
        self.current = None
        self.finished(close=close)

    def devote(self) -> None:
        """Called by the exchange whose response has no end: every other request on the connection would wait
        indefinitely.
        """
        self._is_devoted = self._link.is_deaf = True
        if len(self._waiting) >= _MOST_WAITING:
            self._link.transport.resume_reading()  # or its leaving would not be seen
        self.drop()
        self._let_go_waiting()

    def resume(self) -> None:
        """The peer takes its answers again."""
        if self.current is None and self._waiting:
            self._take_next()

    def drop(self) -> Exchange | None:
        """Forget the request that is coming in, and return it: it will never be whole."""
        reading, self.reading = self.reading, None
        if reading is not None:
            reading.let_go()
        return reading

    def leave(self) -> None:
        """The peer has gone: release everything, and notify the running call."""
        self.drop()
        self._let_go_waiting()
        if self.current is not None:
            self.current.caller_left()

    def rest(self) -> bool:
        """Read nothing more until :meth:`read_on`. Return whether it was read until now."""
        transport = self._link.transport
        if self._rests or transport.is_closing():
            return False
        self._rests = True
        transport.pause_reading()
        return True

    def read_on(self) -> None:
        """Read again, unless as many requests wait as may."""
        self._rests = False
        link = self._link
        if not link.is_gone and not link.transport.is_closing() and len(self._waiting) < _MOST_WAITING:
            link.transport.resume_reading()

    def _take_next(self) -> None:
        """Only while the peer takes its responses: a peer that sends and does not read would have us keep them all."""
        if len(self._waiting) == _MOST_WAITING:
            self._link.transport.resume_reading()
        self.current = self._waiting.popleft()
        # Not from within the one before: a long queue must not become a deep stack.
        self._link.loop.call_soon(self.current.start)

    def _let_go_waiting(self) -> None:
        while self._waiting:
            self._waiting.popleft().let_go()

    def _linger(self) -> None:
        """Close so that the answer arrives: a close over unread input makes the kernel send a reset instead.

        A peer that listened to an endless stream has nothing on its way to us; and a thousand of them that do not
        close their side must not keep a server from stopping.
        """
        link = self._link
        link.is_deaf = self.is_closing = True
        self._let_go_waiting()  # no response could reach their callers: they do not run
        link.front.outbox.flush()
        self.used_at = self._monotonic()
        if link.transport.can_write_eof() and not self._is_devoted:
            link.transport.write_eof()
        else:
            link.transport.close()
