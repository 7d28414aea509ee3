"""The protected header of a token: three names that mean something, two that are tolerated, and no other.

A closed list, although RFC 7515 §4 would ignore strangers: each of the names that are missing here has let somebody
in somewhere. Keys and addresses of keys (``jwk``, ``jku``, ``x5c``, ``x5u``: attacks 3-5), other rules for reading
(``crit``, ``b64``: attacks 7, 8), compression, encryption and nesting (``zip``, ``enc``, ``p2c``, ``cty``: 9, 10).
"""

from typing import Final

from msgspec import Struct

from mcpward.core.jsonio import Bounds, JsonRefused, decode
from mcpward.identity.token_refused import TokenRefused

# Thumbprints of a certificate: some providers send them beside the kid. Nothing reads them.
_NAMES: Final = frozenset({"alg", "kid", "typ", "x5t", "x5t#S256"})
_BOUNDS: Final = Bounds(depth=4, members=64)  # a certificate or a key is read as such, and refused by its name
LONGEST_KID: Final = 256


class Header(Struct, frozen=True):
    """``algorithm`` as the token spells it, ``kid`` if it names a key, and ``typ`` in lower case, short form."""

    algorithm: str
    kid: str | None
    typ: str | None


def is_kid(value: object) -> bool:
    """Say whether ``value`` may name a key: a short text that can be printed. It is compared, and nothing else."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_KID and value.isprintable()


def read(text: bytes) -> Header:
    """Read a header from its JSON. Raises :class:`TokenRefused`."""
    try:
        value = decode(text, _BOUNDS)
    except JsonRefused:
        raise TokenRefused("the header is not strict JSON") from None
    if not isinstance(value, dict) or not value.keys() <= _NAMES:
        raise TokenRefused("the header has a name that is not accepted")
    if not all(isinstance(each, str) for each in value.values()) or "alg" not in value:
        raise TokenRefused("the header has no algorithm, or a value that is no text")
    kid, typ = value.get("kid"), value.get("typ")
    if kid is not None and not is_kid(kid):
        raise TokenRefused("the key id has not the form of one")
    return Header(value["alg"], kid, None if typ is None else _media_type(typ))


def _media_type(typ: str) -> str:
    """RFC 7515 §4.1.9: a media type has no case, and ``application/`` may be left out."""
    return typ.lower().removeprefix("application/") if typ.isascii() else typ
