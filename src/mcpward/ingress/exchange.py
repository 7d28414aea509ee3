"""One request and its response: runs the handler as a task and writes the result, as JSON or as a stream."""

import asyncio
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import Final, Protocol

from msgspec import structs

from mcpward.core.errors import Refusal
from mcpward.core.ids import request_id
from mcpward.core.reasons import Reason
from mcpward.core.secret import Secret
from mcpward.core.values import Arrival, Reply
from mcpward.ingress import cors, render
from mcpward.ingress.gates import Head, reads_events
from mcpward.ingress.link import Link
from mcpward.ingress.read_pace import Sender
from mcpward.ingress.routes import DOCUMENTS, Place, Route
from mcpward.ingress.table import Rank

#: A body up to this size is read from strangers too; it is more than most calls have.
_SMALL = 64 * 1024
#: An endless stream holds the body that opened it for as long as it lasts. With longer ones a few callers could hold
#: all body memory indefinitely.
_LONGEST_OPENING = 32 * 1024
#: Notifications may be dropped, never buffered without end for a reader that does not read. An endless stream is cut
#: instead: its reader would never learn what it missed.
_MAX_UNREAD = 1 << 20
_MCP: Final = Place.MCP
Serve = Callable[[Arrival, "Exchange"], Awaitable[Reply]]
_STRANGER: Final = Rank.STRANGER
#: Refusals of a request's shape. A client whose credential is missing or wrong gets the challenge instead. It asks with
#: any verb and media types for the place to sign in, and learns the rest once it is admitted.
_OF_SHAPE: Final = frozenset({Reason.VERB_REFUSED, Reason.MEDIA_REFUSED, Reason.ACCEPT_REFUSED, Reason.BODY_TOO_LARGE})
_CHALLENGED: Final = frozenset({Reason.CREDENTIAL_MISSING, Reason.CREDENTIAL_INVALID, Reason.CREDENTIAL_AMBIGUOUS})


class ExchangeOwner(Sender, Protocol):
    """The order of exchanges on a connection. A port, because the queue of exchanges is made of these."""

    def finished(self, *, close: bool) -> None:
        """The answer is written: the next request has its turn, or the connection ends."""
        ...

    def moved_on(self, *, close: bool) -> None:
        """The answer has ended, and the work goes on: its body stays counted until that is over."""
        ...

    def devote(self) -> None:
        """The answer has no end: nothing else is read or answered."""
        ...


def _gathering(first: bytes) -> BytesIO:
    gathered = BytesIO()
    gathered.write(first)
    return gathered


class Exchange:
    """Implements :class:`~mcpward.core.values.ResponseStream` for one request.

    Attributes that most requests never change stand in the class: setting them for each request would cost as much as a
    gate.
    """

    body = b""
    gathered: BytesIO | None = None
    held = 0
    bucket: str | None = None
    keep_alive = True
    task: asyncio.Task[None] | None = None
    streaming = False
    working = False
    cancels = False
    may_stream = False
    endless = False
    released = False
    quiet_since = 0.0
    lesson: bytes | None = None

    def __init__(
        self, link: Link, owner: ExchangeOwner, head: Head, route: Route | None, refusal: Refusal | None
    ) -> None:
        self._link = link
        self._owner = owner
        self.head = head
        self.route = route
        self.refusal = refusal

    # ---- the body -------------------------------------------------------------------------------------------------

    def take(self, part: bytes) -> Refusal | None:
        """Take a part of the body, or return the reason why no more of it is read.

        A small body is taken from any sender. For more, the caller must be known, and one address may hold an eighth of
        the total. Otherwise a few strangers who never finish would leave no room for others (attack 46).
        """
        front = self._link.front
        count = len(part)
        size = self.held + count
        if size > front.rules.max_body:
            return Refusal(Reason.BODY_TOO_LARGE)
        if size == count:
            self.body = part  # most bodies come whole
        else:
            if self.gathered is None:
                self.gathered, self.body = _gathering(self.body), b""
            self.gathered.write(part)
        self.held = size
        held = front.held = front.held + count
        if size > _SMALL:
            front.pace.took(count, self._owner)
            return self._vouched(count)
        if held > front.half_held:
            return self._vouched(count)
        return None

    @property
    def body_size(self) -> int:
        """Bytes of the body that were taken."""
        return len(self.body) if self.gathered is None else self.gathered.tell()

    def _gathered_body(self, gathered: BytesIO) -> bytes:
        # No copy: the memory of 4 MiB, touched for the first time, is a pause of the loop (attack 119).
        self.gathered, self.body = None, gathered.getvalue()
        return self.body

    def _vouched(self, count: int) -> Refusal | None:
        front = self._link.front
        if self.bucket is None:
            assert self.route is not None  # only a routed request has a body to take
            arrival = self._arrival(self.route, b"")
            no = front.inside.vouch(arrival)
            if no is not None:
                return no
            self.bucket = arrival.bucket
            count = self.held
        total = front.held_by[self.bucket] = front.held_by.get(self.bucket, 0) + count
        if front.held > front.patience.max_held or total > front.patience.max_held // 8:
            return Refusal(Reason.BUSY, "request bodies held")
        return None

    def let_go(self) -> None:
        """The body is no longer held. May be called twice."""
        front = self._link.front
        front.held -= self.held
        if self.bucket is not None:
            left = front.held_by.get(self.bucket, 0) - self.held
            if left > 0:
                front.held_by[self.bucket] = left
            else:
                front.held_by.pop(self.bucket, None)
            self.bucket = None
        self.held = 0

    # ---- the answer -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Answer now, or start the work that will."""
        route = self.route
        if route is not None and route.place is _MCP and self.refusal is None and self.head.verb != b"OPTIONS":
            link = self._link
            body = self.body if self.gathered is None else self._gathered_body(self.gathered)
            task = self.task = link.loop.create_task(self._work(self._arrival(route, body), link.front.inside.serve))
            link.tasks.add(task)
        elif route is not None and route.place is Place.APPROVAL and self.refusal is None:
            self._start_page(route)
        else:
            self._answer(self._at_once(route))

    def _start_page(self, route: Route) -> None:
        link = self._link
        pages = link.front.pages
        assert pages is not None  # else there is no such route
        body = self.body if self.gathered is None else self._gathered_body(self.gathered)
        task = self.task = link.loop.create_task(self._work(self._arrival(route, body), pages.answer))
        link.tasks.add(task)

    def _at_once(self, route: Route | None) -> Reply:
        """Return the answer that needs no work."""
        front, is_preflight = self._link.front, self.head.verb == b"OPTIONS"
        if self.refusal is not None or route is None:
            return self._refused(self.refusal or Refusal(Reason.ROUTE_UNKNOWN), route)
        if route.place in DOCUMENTS:
            return front.discovery.answer(route.server, route.place, route.url, is_preflight=is_preflight)
        if route.place is not Place.MCP:
            return front.house(route.place)
        return cors.preflight(self.head.fields.get(b"access-control-request-headers", b""))

    def _refused(self, no: Refusal, route: Route | None) -> Reply:
        link = self._link
        if route is not None and route.place is _MCP and no.reason in _OF_SHAPE:
            no = self._credential_first(route, no)
        peer = link.front.peer(link.address, self.head)
        return link.front.inside.refuse(
            no,
            peer=peer.address,
            bucket=peer.bucket,
            server=route.server if route is not None else "",
            bytes_in=self.body_size,
        )

    def _credential_first(self, route: Route, no: Refusal) -> Refusal:
        """Return the fault of the caller's credential, else ``no``. Waits for nothing, and reads no body."""
        other = self._link.front.inside.vouch(self._arrival(route, b""))
        return no if other is None or other.reason not in _CHALLENGED else other

    def _arrival(self, route: Route, body: bytes) -> Arrival:
        link = self._link
        front = link.front
        head = self.head
        peer = head.peer or front.peer(link.address, head)
        return Arrival(
            request_id(),
            front.now(),
            front.monotonic(),
            peer.address,
            peer.bucket,
            "POST" if head.verb == b"POST" else head.verb.decode("ascii"),
            route.server,
            head.fields,
            head.repeated,
            body,
            None if route.secret is None else Secret(route.secret),
            head.visit,
            route.url,
            link.number,
        )

    async def _work(self, arrival: Arrival, serve: Serve) -> None:
        try:
            self._answer(await serve(arrival, self))
        except asyncio.CancelledError:
            # Not raised on: no caller awaits this task, and its traceback would keep body and credential in a circle.
            self._unheard()
        except BaseException:  # a bug of ours: it is in the log, and the connection and the body are released
            self._unheard()
            raise
        finally:
            # Here and not in a callback of the task, which would cost another turn of the loop.
            if self.task is not None:
                self._link.tasks.discard(self.task)

    def _answer(self, reply: Reply) -> None:
        link = self._link
        close = not self.keep_alive or link.front.draining
        if self.lesson is not None:
            self._end_lesson(is_let_in=reply.reason is None)
        if link.is_gone or self.released:
            self._unheard()
        elif self.streaming:
            last = render.event(reply.body, reply.event_id) if reply.body else b""
            link.write(last + render.STREAM_END)
            self._owner.finished(close=close)
        else:
            if self.head.events_only and reply.body and reply.status == 200:
                reply = render.only_event(reply)
            if b"origin" in self.head.fields:
                reply = structs.replace(reply, headers=reply.headers + self._grants())
            bodyless = self.head.verb == b"HEAD"
            link.write(render.response(reply, date=link.front.date, close=close, bodyless=bodyless))
            self._owner.finished(close=close)

    def _end_lesson(self, *, is_let_in: bool) -> None:
        """Keep the head, or do not, as soon as that is known: a running call does not hold its packet as well."""
        lesson, self.lesson = self.lesson, None
        if lesson is not None and is_let_in and self.route is not None:
            self._link.heads.learn(lesson, self.head, self.route, self._link.front.rules)

    def _unheard(self) -> None:
        """The work is over and no caller waits for its response here."""
        if self.released:
            self.let_go()  # the connection is busy with another request, or gone
        else:
            self.keep_alive = False
            self._owner.finished(close=True)

    def _grants(self) -> tuple[tuple[bytes, bytes], ...]:
        origin = self.head.fields.get(b"origin")
        if self.route is not None and self.route.place in DOCUMENTS and self.refusal is None:
            return ()  # the document is for all origins, and has its own header for that
        if origin is None or origin.lower() not in self._link.front.rules.origins:
            return ()
        return cors.grants(origin)

    # ---- the way back while the work goes on ----------------------------------------------------------------------

    def let_in(self, *, is_known: bool) -> None:
        """The caller may proceed; ``is_known``: it has shown a valid credential."""
        entry = self._link.entry
        if not entry.is_served or entry.rank is _STRANGER:
            entry.serve(is_known=is_known)

    def queue(self, *, cancel_on_disconnect: bool) -> None:
        """The call waits for its turn; a caller that leaves also leaves the queue.

        Raises:
            CancelledError: the caller has left already, and its leaving cancels.
        """
        self.cancels = cancel_on_disconnect
        if cancel_on_disconnect and self._link.is_gone:
            raise asyncio.CancelledError

    def begin(self, *, cancel_on_disconnect: bool, endless: bool = False) -> None:
        """The work starts: the response may become a stream; an endless one does at once.

        Raises:
            CancelledError: the caller has left already, and its leaving cancels; or the stream is endless and the
                server stops.
            Refusal: if the stream is endless, accept-refused: the caller reads no streams; body-too-large.
        """
        link = self._link
        if self.lesson is not None:
            self._end_lesson(is_let_in=True)
        self.working = True
        self.cancels = cancel_on_disconnect or endless
        self.may_stream = reads_events(self.head)
        self.quiet_since = link.front.monotonic()
        if self.cancels and link.is_gone:
            raise asyncio.CancelledError  # before the work begins, not at its first pause
        if endless:
            self._begin_endless()

    def _begin_endless(self) -> None:
        if not self.may_stream:
            raise Refusal(Reason.ACCEPT_REFUSED, "an endless response for a caller that reads no streams")
        if self.body_size > _LONGEST_OPENING:
            raise Refusal(Reason.BODY_TOO_LARGE, "a stream would hold it for as long as it lasts")
        link = self._link
        self.endless = True
        self.keep_alive = False
        self.body = b""  # the arrival has it; a stream must not hold it indefinitely
        self._owner.devote()
        self._open_stream()
        if link.front.draining:
            raise asyncio.CancelledError

    @property
    def is_gone(self) -> bool:
        """The caller has left, or its stream was released."""
        return self._link.is_gone or self.released

    @property
    def can_stream(self) -> bool:
        """The caller names event streams among what it reads, and its HTTP has chunks."""
        return reads_events(self.head)

    async def drained(self) -> None:
        """Wait until the peer has read most of what was written, or has gone."""
        await self._link.drained()

    def notify(self, message: bytes, event_id: str | None = None) -> None:
        """Send one message as an event; dropped if no client reads or can read it."""
        link = self._link
        if link.is_gone or self.released or not self.may_stream or self._falls_behind():
            return
        self._open_stream()
        link.write(render.event(message, event_id))
        self.quiet_since = link.front.monotonic()

    def release(self, retry_ms: int) -> None:
        """End the stream and continue without it: the connection takes its next request, the work is not disturbed."""
        link = self._link
        if not self.streaming or self.endless or link.is_gone or self.released:
            return
        link.write(render.retry(retry_ms) + render.STREAM_END)
        self.released = True
        self._owner.moved_on(close=not self.keep_alive or link.front.draining)

    def _falls_behind(self) -> bool:
        if self._link.unread() <= _MAX_UNREAD:
            return False
        if self.endless:
            self._link.cut_off()
        return True

    def tick(self, now: float) -> None:
        """Keep a silent call alive: open the stream after a while, then comment on it now and then."""
        link = self._link
        if not self.working or not self.may_stream or link.is_gone or self._falls_behind():
            return
        patience = link.front.patience
        if now - self.quiet_since < (patience.keep_alive_s if self.streaming else patience.quiet_s):
            return
        self._open_stream()
        link.write(render.KEEP_ALIVE)
        self.quiet_since = now

    def _open_stream(self) -> None:
        if not self.streaming:
            self.streaming = True
            date = self._link.front.date
            self._link.write(render.stream_head(self._grants(), date=date, close=not self.keep_alive))

    def caller_left(self) -> None:
        """The connection is gone: cancel the work if the era requires it."""
        if self.cancels and self.task is not None:
            self.task.cancel()

    def server_stops(self) -> None:
        """No more requests are taken: end what would last indefinitely; all else may finish."""
        if self.endless and self.task is not None:
            self.task.cancel()
