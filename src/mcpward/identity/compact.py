"""The compact serialization of a signed token (RFC 7515 §7.1), taken apart by one strict reading.

Knows nothing of keys and claims. What passes has one spelling, so two readers cannot disagree about it.
"""

import re
from typing import Final

from msgspec import Struct

from mcpward.identity import base64url, header
from mcpward.identity.header import Header
from mcpward.identity.token_refused import TokenRefused

MAX_TOKEN_BYTES: Final = 8192
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


def read(token: bytes) -> Compact:
    """Take a token apart. Costs nothing that grows with the length of a token that is too long (attack 16).

    Raises :class:`TokenRefused`.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenRefused("the token is too long")
    form = _FORM(token)
    if form is None:
        raise TokenRefused("the token is not three segments of base64url")
    try:
        head, payload, signature = map(base64url.decode, form.groups())
    except ValueError:
        raise TokenRefused("a segment is not canonical base64url") from None
    return Compact(header.read(head), payload, signature, token[: form.start(3) - 1])
