"""The response: read within its size, without content coding; mcpward's own calls take only strict JSON."""

import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, Final

from httpcore2 import Response
from msgspec import Struct

from mcpward.core.jsonio import Bounds, JsonRefused, decode
from mcpward.egress.failures import EgressFailed, Failure

#: Fields that a caller may need beside the document: how long it holds, and when to ask again.
_KEPT: Final = frozenset({"age", "cache-control", "content-type", "date", "etag", "expires", "retry-after"})
_JSON: Final = re.compile(r"application/(?:[a-z0-9!#$&^_.-]+\+)?json(?:\s*;.*)?", re.IGNORECASE)
_BOUNDS: Final = Bounds(depth=32, members=20_000)
# Chunks of a byte each cost a thousand times their weight. Real servers send kilobytes.
_MOST_PIECES: Final = 4_096
#: Bytes of a piece, on the average, beyond that number: an answer of many megabytes has more pieces.
_LEAST_PIECE: Final = 64


class Fetched(Struct, frozen=True):
    """A response: its status, its JSON value (None only if the status is not 2xx), a few header fields by lower-case
    name. The value may hold a token: it has no readable ``repr``.
    """

    status: int
    value: Any
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Fetched(status={self.status})"


class Received(Struct, frozen=True):
    """A response as it came, with its header fields by lower-case name. It has no readable ``repr``."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def __repr__(self) -> str:
        return f"Received(status={self.status})"


async def receive(response: Response, max_bytes: int, *, has_body: bool) -> Received:
    """Read one response of any kind. ``has_body`` is False for HEAD, whose answer has the length of GET's.

    Raises :class:`EgressFailed` (protocol-broken, coding-refused, too-large).
    """
    status, headers = _head(response)
    if int(headers.get("content-length", "0")) > max_bytes and has_body and status != 304:
        raise EgressFailed(Failure.TOO_LARGE, f"the answer is larger than {max_bytes} bytes")
    return Received(status, headers, await _body(response, max_bytes))


async def read(response: Response, max_bytes: int) -> Fetched:
    """Read one response. The body of an error is read if it is JSON, as OAuth's errors are, and left if it is not.

    Raises :class:`EgressFailed` (redirected, protocol-broken, coding-refused, media-refused, too-large, not-json).
    """
    if 300 <= response.status < 400:
        raise EgressFailed(Failure.REDIRECTED, f"the answer is a redirect ({response.status})")
    status, headers = _head(response)
    kept = {name: value for name, value in headers.items() if name in _KEPT}
    if not _JSON.fullmatch(headers.get("content-type", "").strip()):
        if status < 300:
            raise EgressFailed(Failure.MEDIA_REFUSED, "the answer is not application/json")
        return Fetched(status, None, kept)
    if int(headers.get("content-length", "0")) > max_bytes:  # h11 has seen to it that this is one number
        raise EgressFailed(Failure.TOO_LARGE, f"the answer is larger than {max_bytes} bytes")
    try:
        body = await _body(response, max_bytes)
        return Fetched(
            status, decode(body.removeprefix(BOM_UTF8), _BOUNDS), kept
        )  # RFC 8259 §8.1 lets a reader skip it
    except JsonRefused as refused:
        raise EgressFailed(Failure.NOT_JSON, str(refused)) from None


def _head(response: Response) -> tuple[int, dict[str, str]]:
    if not 200 <= response.status < 600:
        raise EgressFailed(Failure.PROTOCOL_BROKEN, f"the answer has the status {response.status}")
    headers = _headers(response)
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise EgressFailed(Failure.CODING_REFUSED, "the answer has a content coding that was not asked for")
    return response.status, headers


def _headers(response: Response) -> dict[str, str]:
    """Return the fields by lower-case name; those that come several times as one list (RFC 9110, 5.3)."""
    fields: dict[str, str] = {}
    for name, value in response.headers:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        fields[key] = f"{fields[key]}, {text}" if key in fields else text
    return fields


async def _body(response: Response, max_bytes: int) -> bytes:
    body = bytearray()
    pieces = 0
    async with aclosing(response.aiter_stream()) as stream:
        async for piece in stream:
            body += piece
            pieces += 1
            if len(body) > max_bytes:
                raise EgressFailed(Failure.TOO_LARGE, f"the answer is larger than {max_bytes} bytes")
            if pieces > _MOST_PIECES and pieces * _LEAST_PIECE > len(body):
                raise EgressFailed(Failure.TOO_LARGE, "the answer comes in too many pieces")
    return bytes(body)
