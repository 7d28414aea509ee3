"""Agreement of the routing headers with the body (2026-07-28, transports page: Server Validation).

Policy reads only the body. But a proxy in front may have judged by the headers. So a header that contradicts the body
deceives one of the two, and the request is refused (attack 59). Headers that came twice are refused for the same
reason: first-copy and last-copy readers disagree.
"""

import base64
import binascii
from typing import Final

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.uri import is_same
from mcpward.core.values import Arrival
from mcpward.protocol.methods import CALL, READ
from mcpward.protocol.versions import EVENT_HEADER, METHOD_HEADER, MODERN, NAME_HEADER, SESSION_HEADER, VERSION_HEADER

_ROUTING: Final = frozenset((VERSION_HEADER, METHOD_HEADER, NAME_HEADER, SESSION_HEADER, EVENT_HEADER))
_SENTINEL: Final = b"=?base64?"
_END: Final = b"?="
_CALL: Final = CALL.encode()
_MODERN: Final = MODERN.encode()


def require_single(arrival: Arrival) -> None:
    """Refuse a routing header that came more than once. Raises :class:`Refusal` (header-mismatch)."""
    if arrival.repeated and not _ROUTING.isdisjoint(arrival.repeated):
        raise Refusal(Reason.HEADER_MISMATCH, "a routing header is repeated")


def require_agreement(arrival: Arrival, method: str, target: str | None, *, demanded: bool) -> None:
    """Compare ``Mcp-Method`` and ``Mcp-Name`` with the body. ``target`` is None if the method names nothing.

    ``demanded``: the modern era's requests must carry them; elsewhere they may be absent but never wrong.
    Raises :class:`Refusal` (header-mismatch).
    """
    headers = arrival.headers
    said = headers.get(METHOD_HEADER)
    if said is None:
        if demanded:
            raise Refusal(Reason.HEADER_MISMATCH, "Mcp-Method is missing")
    elif said != method.encode():
        raise Refusal(Reason.HEADER_MISMATCH, "Mcp-Method differs from the body")
    if target is None:
        return
    said = headers.get(NAME_HEADER)
    if said is None:
        if demanded:
            raise Refusal(Reason.HEADER_MISMATCH, "Mcp-Name is missing")
    elif not says(said, target) and not (method == READ and _says_uri(said, target)):
        raise Refusal(Reason.HEADER_MISMATCH, "Mcp-Name differs from the body")


def _says_uri(said: bytes, uri: str) -> bool:
    """Return whether a header's value is another spelling of a URI (RFC 3986 §6.2.2): it names the same resource."""
    plain = unwrap(said) if is_wrapped(said) else said
    try:
        return plain is not None and is_same(plain.decode("utf-8"), uri)
    except UnicodeDecodeError:
        return False


def is_modern_call(arrival: Arrival, target: str) -> bool:
    """Return whether every routing header came once and says what a modern ``tools/call`` of ``target`` must say."""
    headers = arrival.headers
    if headers.get(VERSION_HEADER) != _MODERN or headers.get(METHOD_HEADER) != _CALL:
        return False
    name = headers.get(NAME_HEADER)
    return name is not None and says(name, target) and _ROUTING.isdisjoint(arrival.repeated)


def says(said: bytes, value: str) -> bool:
    """Return whether a header's value stands for ``value``: plain visible ASCII, or ``=?base64?…?=`` of its UTF-8."""
    if is_wrapped(said):
        return unwrap(said) == value.encode()
    return said.isascii() and said == value.encode() and value.isprintable()


def spelled(value: str) -> bytes:
    """Return ``value`` as a header says it: what :func:`says` agrees with."""
    plain = value.encode()
    if value.isascii() and value.isprintable() and value == value.strip() and not is_wrapped(plain):
        return plain
    return _SENTINEL + base64.b64encode(plain) + _END


def is_wrapped(said: bytes) -> bool:
    """Return whether a header's value is in base64; without both ends it stands for itself."""
    return said.startswith(_SENTINEL) and said.endswith(_END)


def unwrap(said: bytes) -> bytes | None:
    """Return what a wrapped value holds, None for base64 that is damaged or not the canonical one."""
    payload = said[len(_SENTINEL) : -len(_END)]
    try:
        plain = base64.b64decode(payload, validate=True)
    except binascii.Error:
        return None
    # Other spellings of the same bytes (stray trailing bits) would give one name many headers.
    return plain if base64.b64encode(plain) == payload else None
