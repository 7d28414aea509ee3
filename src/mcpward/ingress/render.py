"""Replies as bytes on the wire, and refusals of the HTTP channel as replies. The only place that writes HTTP."""

import json
from http import HTTPStatus
from typing import Final

from mcpward.core.errors import Refusal
from mcpward.core.reasons import WIRE
from mcpward.core.values import Reply

#: On every answer: nothing is cached, sniffed, framed or told to the next site (attack 38: no Referer).
_ALWAYS: Final = b"cache-control: no-store\r\nx-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\n"
_STATUS: Final = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode()) + _ALWAYS for status in HTTPStatus
}
_JSON: Final = b"content-type: application/json\r\n"
STREAM_HEAD: Final = (
    _STATUS[200] + b"content-type: text/event-stream\r\nx-accel-buffering: no\r\ntransfer-encoding: chunked\r\n"
)
STREAM_END: Final = b"0\r\n\r\n"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_CLOSE: Final = b"connection: close\r\n"
_TYPED: Final = b"content-type"


def response(reply: Reply, *, date: bytes, close: bool, bodyless: bool = False) -> bytes:
    """Give the whole response. ``date`` is a header line; ``bodyless`` is for HEAD: the length without the body."""
    body = reply.body
    parts = [_STATUS[reply.status], date]
    if body and not (reply.headers and reply.headers[0][0] == _TYPED):
        parts.append(_JSON)
    for name, value in reply.headers:
        parts += (name, b": ", value, b"\r\n")
    if close:
        parts.append(_CLOSE)
    parts.append(b"\r\n" if reply.status == 204 else b"content-length: %d\r\n\r\n" % len(body))
    if not bodyless:
        parts.append(body)
    return b"".join(parts)


def stream_head(headers: tuple[tuple[bytes, bytes], ...], *, date: bytes, close: bool) -> bytes:
    """Give the head of an event stream (chunked, so that the connection lives on)."""
    extra = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    return STREAM_HEAD + date + extra + (_CLOSE if close else b"") + b"\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(message: bytes, event_id: str | None = None) -> bytes:
    """Give one server-sent event as one chunk; an empty message gives the priming event: a place to resume from.

    A line break would end the field and let what follows pass for another one. JSON as we encode it has none, and in
    JSON of others it can only stand between tokens, where a space says the same.
    """
    if b"\n" in message or b"\r" in message:
        message = message.replace(b"\n", b" ").replace(b"\r", b" ")
    named = b"event: message\n" if message else b""
    return _chunk(b"%b%bdata: %b\n\n" % (_id_field(event_id), named, message))


def _id_field(event_id: str | None) -> bytes:
    """An id that is not all visible ASCII is left out: nothing can be resumed from it, and it breaks out of nothing."""
    if not event_id or not event_id.isascii() or not event_id.isprintable() or " " in event_id:
        return b""
    return b"id: %b\n" % event_id.encode("ascii")


def retry(milliseconds: int) -> bytes:
    """Give the field that tells a client how long to wait before it comes back, as one chunk."""
    return _chunk(b"retry: %d\n\n" % milliseconds)


KEEP_ALIVE: Final = _chunk(b": keep-alive\n\n")


def refusal(no: Refusal, *, realm: str = "mcpward") -> Reply:
    """Give the HTTP answer of a refusal: its public name and sentence, and the challenge that its status demands.

    A missing credential gets a challenge without ``error`` (RFC 6750 §3.1); never ``resource_metadata`` here, so that
    clients do not go looking for an authorization server where there is none.
    """
    row = WIRE[no.reason]
    headers: list[tuple[bytes, bytes]] = []
    if row.status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="%b"' % realm.encode("ascii", "replace")))
    allow = no.facts.get("allow")
    if allow:
        headers.append((b"allow", str(allow).encode("ascii")))
    retry_after = no.facts.get("retry_after_s")
    if retry_after is not None:
        headers.append((b"retry-after", b"%d" % max(1, -(-int(retry_after * 1000) // 1000))))
    body = json.dumps({"error": no.reason.value, "message": row.sentence}, separators=(",", ":")).encode()
    return Reply(status=row.status, headers=tuple(headers), body=body, reason=no.reason.value)
