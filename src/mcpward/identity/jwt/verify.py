"""JWT access tokens (RFC 9068): their content, and whether they are valid. Pure: no clock, no network, no store.

The order: form and size, header, then the claims as untrusted input (:func:`peek`, to choose issuer and key). Then
comes the signature, and only then the meaning of the claims (:func:`check`).
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from mcpward.core.jsonio import Bounds, JsonRefused, decode
from mcpward.identity.jwt import claims, compact, signature, token_type
from mcpward.identity.jwt.claims import Claims
from mcpward.identity.jwt.compact import MAX_TOKEN_BYTES, Compact
from mcpward.identity.jwt.errors import KeyDoubtful, KeyUnknown, TokenRefused
from mcpward.identity.jwt.header import Header
from mcpward.identity.jwt.issuer_rules import IssuerRules
from mcpward.identity.jwt.key_set import KeySet

_BOUNDS: Final = Bounds(depth=16, members=2000)


class Peeked(Struct, frozen=True, eq=False):
    """A token that has the form of one. Nothing in it is proved: it only names the issuer and key to use."""

    header: Header
    issuer: str
    raw: Mapping[str, Any]
    compact: Compact

    def __repr__(self) -> str:
        return "Peeked(***)"


def peek(token: bytes, longest: int = MAX_TOKEN_BYTES) -> Peeked:
    """Read a token of at most ``longest`` bytes without believing it. Raises :class:`TokenRefused`."""
    parts = compact.read(token, longest)
    try:
        raw = decode(parts.payload, _BOUNDS)
    except JsonRefused:
        raise TokenRefused("the claims are not strict JSON") from None
    issuer = raw.get("iss") if isinstance(raw, dict) else None
    if not isinstance(issuer, str):
        raise TokenRefused("the token names no issuer")
    return Peeked(parts.header, issuer, raw, parts)


def check(token: bytes | Peeked, keys: KeySet, rules: IssuerRules, now: float) -> Claims:
    """Return the claims of a token if it is valid at ``now`` (seconds since 1970) by ``rules``.

    Raises :class:`TokenRefused` for every other token, and nothing else. Of these, :class:`KeyUnknown` means that only
    the key is missing from ``keys``, :class:`KeyDoubtful` that the key of that name did not sign it.
    """
    peeked = token if isinstance(token, Peeked) else peek(token)
    header = peeked.header
    if header.algorithm not in rules.algorithms:
        raise TokenRefused("the algorithm is not allowed for this issuer")
    if peeked.issuer != rules.issuer:
        raise TokenRefused("the token is of another issuer")
    kid = header.kid
    key = keys.only(header.algorithm) if kid is None else keys.find(kid, header.algorithm)
    if key is None:
        if kid in keys.kids:
            raise KeyDoubtful("the signature is not of an algorithm that the key of that name takes")
        raise KeyUnknown("the issuer has no such key")
    if not signature.holds(peeked.compact, key):
        raise KeyDoubtful("the signature is wrong")
    token_type.require_access_token(header.typ, peeked.raw, rules)
    judged = claims.judge(peeked.raw, rules, now, key.thumbprint)
    token_type.require_client(judged.client, rules)
    return judged
