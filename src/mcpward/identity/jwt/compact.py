"""The compact serialization of a signed token (RFC 7515 §7.1), taken apart by one strict reading.

Knows nothing of keys and claims. An accepted token has one spelling, so two readers cannot disagree about it.
"""

import re
from typing import Final

from msgspec import Struct

from mcpward.identity.jwt import base64url, header
from mcpward.identity.jwt.algorithm import ALGORITHMS
from mcpward.identity.jwt.errors import TOO_LONG, TokenRefused
from mcpward.identity.jwt.header import Header

MAX_TOKEN_BYTES: Final = 16 * 1024
"""The longest token unless the operator sets another limit. Entra ID writes up to 200 groups into one: 11,260 bytes."""
MOST_TOKEN_BYTES: Final = 64 * 1024
"""The longest that any setting allows."""
# In base64url characters: a header is short, and the longest signature is that of RSA with 8192 bits.
_LONGEST_HEAD: Final = 4096
_LONGEST_SIGNATURE: Final = 1366
# A payload may be empty as far as RFC 7515 goes (a detached one looks like that); as claims it is refused later.
_FORM: Final = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)\.([A-Za-z0-9_-]+)").fullmatch


class Compact(Struct, frozen=True, eq=False):
    """The parts of a token. ``signed`` are the bytes that the signature is over."""

    header: Header
    payload: bytes
    signature: bytes
    signed: bytes

    def __repr__(self) -> str:
        return "Compact(***)"


def read(token: bytes, longest: int = MAX_TOKEN_BYTES) -> Compact:
    """Take a token of at most ``longest`` bytes apart. A longer one costs nothing that grows with it (attack 16).

    The header is judged before the claims, which may be long, are decoded.

    Raises :class:`TokenRefused`.
    """
    if len(token) > longest:
        raise TokenRefused(TOO_LONG)
    form = _FORM(token)
    if form is None:
        raise TokenRefused("the token is not three segments of base64url")
    if form.end(1) > _LONGEST_HEAD or len(token) - form.start(3) > _LONGEST_SIGNATURE:
        raise TokenRefused("the header or the signature is too long to be one")
    judged = header.read(_octets(form[1]))
    if judged.algorithm not in ALGORITHMS:
        raise TokenRefused("the algorithm is none of the asymmetric ones")
    return Compact(judged, _octets(form[2]), _octets(form[3]), token[: form.start(3) - 1])


def _octets(segment: bytes) -> bytes:
    try:
        return base64url.decode(segment)
    except ValueError:
        raise TokenRefused("a segment is not canonical base64url") from None
