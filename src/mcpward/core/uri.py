"""The one spelling that stands for all equivalent ones of a URI (RFC 3986 §6.2.2).

Raw characters that no URI holds are escaped as their UTF-8 (RFC 3987 §3.1). Escapes of unreserved characters are
undone, and all others are in capitals. The case of scheme and host is kept: servers give both a meaning.
"""

import re
from typing import Final

_UNRESERVED: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_RESERVED: Final = ":/?#[]@!$&'()*+,;="
_PLAIN: Final = re.compile(rf"[{re.escape(_UNRESERVED + _RESERVED)}]*")
_OTHER: Final = re.compile(rf"%[0-9A-Fa-f]{{2}}|[^{re.escape(_UNRESERVED + _RESERVED)}]")


def canonical(uri: str) -> str | None:
    """Return the canonical spelling of a URI or a part of one.

    None for what cannot be meant as one: a ``%`` that begins no escape, a brace (a template that was not expanded), or
    half a surrogate pair.
    """
    if _PLAIN.fullmatch(uri):
        return uri
    try:
        return _OTHER.sub(_respelt, uri)
    except ValueError:  # UnicodeEncodeError is one
        return None


def is_same(one: str, other: str) -> bool:
    """Return whether two texts are spellings of one URI."""
    return one == other or ((known := canonical(one)) is not None and known == canonical(other))


def _respelt(found: re.Match[str]) -> str:
    spelt = found[0]
    if len(spelt) == 3:
        character = chr(int(spelt[1:], 16))
        return character if character in _UNRESERVED else spelt.upper()
    if spelt in "%{}":
        raise ValueError("neither an escape nor a character of a URI")
    return "".join(f"%{byte:02X}" for byte in spelt.encode("utf-8"))
