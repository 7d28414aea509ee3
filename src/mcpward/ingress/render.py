"""Replies as bytes on the wire, and refusals of the HTTP channel as replies. The only place that writes HTTP."""

import json
import re
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from msgspec import structs

from mcpward.core.challenge import Challenge
from mcpward.core.errors import Refusal
from mcpward.core.facts import Allow, RetryAfter
from mcpward.core.reasons import WIRE, Reason
from mcpward.core.values import Reply
from mcpward.protocol.reply import error_body

Fields = tuple[tuple[bytes, bytes], ...]
#: On every response: no sniffing, no framing, no Referer to the next site (attack 38); nor kept, as a rule.
_ALWAYS: Final = b"x-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\n"
_LINE: Final = {status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus}
_STATUS: Final = {status: line + b"cache-control: no-store\r\n" + _ALWAYS for status, line in _LINE.items()}
#: For the few responses that state their own lifetime in caches.
_STATUS_KEPT: Final = {status: line + _ALWAYS for status, line in _LINE.items()}
_JSON: Final = b"content-type: application/json\r\n"
STREAM_HEAD: Final = (
    _STATUS[200] + b"content-type: text/event-stream\r\nx-accel-buffering: no\r\ntransfer-encoding: chunked\r\n"
)
STREAM_END: Final = b"0\r\n\r\n"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_CLOSE: Final = b"connection: close\r\n"
_TYPED: Final = b"content-type"
_RATED: Final = b"ratelimit-policy"
_KEPT: Final = b"cache-control"
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]")
#: RFC 6750 §3.1. A request without a credential gets no error code.
_ERRORS: Final = {
    Reason.CREDENTIAL_AMBIGUOUS: "invalid_request",
    Reason.CREDENTIAL_INVALID: "invalid_token",
    Reason.SCOPE_MISSING: "insufficient_scope",
}


def response(reply: Reply, *, date: bytes, close: bool, bodyless: bool = False) -> bytes:
    """Return the whole response. ``date`` is a header line; ``bodyless`` is for HEAD: the length without the body.

    A reply whose first header is the type of its body is not JSON; one whose first header is its lifetime in caches is
    public, and JSON.
    """
    body, headers = reply.body, reply.headers
    first = headers[0][0] if headers else b""
    if first == _RATED and body and not close and not bodyless:  # nearly all; the long way has the same result
        length = b"content-length: %d\r\n\r\n" % len(body)
        return b"".join((_STATUS[reply.status], date, _JSON, _rated(headers), length, body))
    status = (_STATUS_KEPT if first == _KEPT else _STATUS)[reply.status]
    typed = _JSON if body and first != _TYPED else b""
    fields = _lines(headers)
    end = b"\r\n" if reply.status == 204 else b"content-length: %d\r\n\r\n" % len(body)
    return b"".join((status, date, typed, fields, _CLOSE if close else b"", end, b"" if bodyless else body))


def _lines(headers: Fields) -> bytes:
    return b"".join([b"%b: %b\r\n" % field for field in headers])


#: Only for fields of limits, which are few and identify no caller: others may hold a session's id.
_rated = lru_cache(maxsize=4096)(_lines)


def stream_head(headers: tuple[tuple[bytes, bytes], ...], *, date: bytes, close: bool) -> bytes:
    """Return the head of an event stream (chunked, so that the connection lives on)."""
    extra = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    return STREAM_HEAD + date + extra + (_CLOSE if close else b"") + b"\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(message: bytes, event_id: str | None = None) -> bytes:
    """Return one server-sent event as one chunk; an empty message makes the priming event, to resume from."""
    return _chunk(_event(message, event_id))


def only_event(reply: Reply) -> Reply:
    """Return a reply whose body is an event stream of one event, for a client that reads nothing else."""
    return structs.replace(
        reply,
        headers=((_TYPED, b"text/event-stream"), *reply.headers),
        body=_event(reply.body, reply.event_id),
    )


def _event(message: bytes, event_id: str | None) -> bytes:
    """Write one event.

    A line break would end the field and let the next text pass for another one. JSON as we encode it has none. In JSON
    of others it can only stand between tokens, where a space means the same.
    """
    if b"\n" in message or b"\r" in message:
        message = message.replace(b"\n", b" ").replace(b"\r", b" ")
    named = b"event: message\n" if message else b""
    return b"%b%bdata: %b\n\n" % (_id_field(event_id), named, message)


def _id_field(event_id: str | None) -> bytes:
    """An id that is not all visible ASCII is left out: nothing can be resumed from it, and it breaks out of nothing."""
    if not event_id or not event_id.isascii() or not event_id.isprintable() or " " in event_id:
        return b""
    return b"id: %b\n" % event_id.encode("ascii")


def retry(milliseconds: int) -> bytes:
    """Return the field that tells a client how long to wait before it retries, as one chunk."""
    return _chunk(b"retry: %d\n\n" % milliseconds)


KEEP_ALIVE: Final = _chunk(b": keep-alive\n\n")


def refusal(no: Refusal, *, realm: str = "mcpward") -> Reply:
    """Return the HTTP response of a refusal: a JSON-RPC error with a null id, and the challenge that its status
    demands.

    The message was not read, or is not what was refused, so the error has no id; clients show its sentence. A missing
    credential gets a challenge without ``error`` (RFC 6750 §3.1). Only in OAuth mode it has ``resource_metadata``, so
    that clients do not look for an authorization server that does not exist.
    """
    row = WIRE[no.reason]
    headers: list[tuple[bytes, bytes]] = []
    challenge = no.find(Challenge)
    if challenge is not None:
        headers.append((b"www-authenticate", _challenge(challenge, no.reason).encode("ascii", "replace")))
    elif row.status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="%b"' % realm.encode("ascii", "replace")))
    allowed = no.find(Allow)
    if allowed is not None:
        headers.append((b"allow", allowed.allow.encode("ascii")))
    retry = no.find(RetryAfter)
    if retry is not None:
        headers.append((b"retry-after", b"%d" % max(1, -(-int(retry.seconds * 1000) // 1000))))
    return Reply(row.status, tuple(headers), error_body(no, row.code), no.reason.value)


def document_refusal(no: Refusal) -> Reply:
    """Return the answer of a metadata document that is not to be had: no MCP client reads it, so it is plain JSON."""
    row = WIRE[no.reason]
    body = json.dumps({"error": no.reason.value, "message": row.sentence}, separators=(",", ":")).encode()
    return structs.replace(refusal(no), body=body)


def _challenge(challenge: Challenge, reason: Reason) -> str:
    """Write a challenge (RFC 6750 §3, RFC 9728 §5.1): the error, the metadata URL, and the scopes to request."""
    parts: list[tuple[str, str]] = []
    if reason in _ERRORS:
        parts += [("error", _ERRORS[reason]), ("error_description", WIRE[reason].sentence)]
    parts.append(("resource_metadata", challenge.metadata))
    if challenge.scopes:
        parts.append(("scope", " ".join(challenge.scopes)))
    return "Bearer " + ", ".join(f'{name}="{_quotable(value)}"' for name, value in parts)


def _quotable(value: str) -> str:
    """Escape characters that would end a quoted string (RFC 9110 §5.6.4); it may come from the operator's own URL.

    Characters that would end the line, or are no ASCII, are not repeated (attack 83).
    """
    return _UNPRINTABLE.sub("?", value).replace("\\", "\\\\").replace('"', '\\"')
