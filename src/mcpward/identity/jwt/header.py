"""The protected header of a token: three names that are read, and those that refuse the token.

Every name that the registry has for other uses has opened some implementation, so a token with one of them is refused.
They are keys and addresses of keys (``jwk``, ``jku``, ``x5c``, ``x5u``: attacks 3-5), and other rules for reading
(``crit``, ``b64``: attacks 7, 8). The rest are compression, encryption and nesting (``zip``, ``enc``, ``p2c``, ``cty``:
9, 10). Unregistered names are ignored, as RFC 7515 §4 asks: some providers keep notes of their own there.
"""

from typing import Final

from msgspec import Struct

from mcpward.core.jsonio import Bounds, JsonRefused, decode
from mcpward.identity.jwt.errors import TokenRefused

#: The names that are read, and thumbprints of a certificate, which some providers send beside the kid.
_TEXTS: Final = frozenset({"alg", "kid", "typ", "x5t", "x5t#S256"})
#: The other names of the registry "JSON Web Signature and Encryption Header Parameters" (IANA), and every name that
#: differs from a known one only by its case: another reader may fold them.
_REFUSED: Final = frozenset({
    "alg", "kid", "typ", "x5t", "x5t#s256", "jku", "jwk", "x5u", "x5c", "cty", "crit", "b64", "ppt", "url", "svt",
    "trust_chain", "enc", "zip", "epk", "apu", "apv", "iv", "tag", "p2s", "p2c", "iss", "sub", "aud",
})  # fmt: skip
_BOUNDS: Final = Bounds(depth=4, members=64)  # a certificate or a key is read as such, and refused by its name
LONGEST_KID: Final = 256


class Header(Struct, frozen=True):
    """``algorithm`` as the token spells it, ``kid`` if it names a key, and ``typ`` in lower case, short form."""

    algorithm: str
    kid: str | None
    typ: str | None


def is_kid(value: object) -> bool:
    """Return whether ``value`` may name a key: a short text that can be printed. It is compared, and nothing else."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_KID and value.isprintable()


def read(text: bytes) -> Header:
    """Read a header from its JSON. Raises :class:`TokenRefused`."""
    try:
        value = decode(text, _BOUNDS)
    except JsonRefused:
        raise TokenRefused("the header is not strict JSON") from None
    if not isinstance(value, dict) or not _REFUSED.isdisjoint(map(str.lower, value.keys() - _TEXTS)):
        raise TokenRefused("the header has a name that is not accepted")
    if not all(isinstance(value[name], str) for name in _TEXTS & value.keys()) or "alg" not in value:
        raise TokenRefused("the header has no algorithm, or a value that is no text")
    kid, typ = value.get("kid"), value.get("typ")
    if kid is not None and not is_kid(kid):
        raise TokenRefused("the key id has not the form of one")
    return Header(value["alg"], kid, None if typ is None else _media_type(typ))


def _media_type(typ: str) -> str:
    """RFC 7515 §4.1.9: a media type has no case, and ``application/`` may be left out."""
    return typ.lower().removeprefix("application/") if typ.isascii() else typ
