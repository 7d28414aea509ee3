"""Marks of a text that may hold a secret in disguise: escapes that nobody needs, and characters that nobody sees.

A mark is a reason to look, not a finding. Most results have none, and then need no look.
"""

from typing import Final

from mcpward.sanitize.matcher import Matcher
from mcpward.sanitize.screens.invisible import marks
from mcpward.sanitize.views import CONTROLS

_LETTERS: Final = [*range(0x30, 0x3A), *range(0x41, 0x5B), *range(0x61, 0x7B)]
#: JSON and Python write so what they need not; and a percent sign that is escaped itself.
_ESCAPES: Final = Matcher([b"\\u", b"\\b", b"\\f", b"\\x", b"\\/"])
_PERCENT: Final = Matcher([b"%25", *(f"%{point:{case}}".encode() for point in _LETTERS for case in ("02X", "02x"))])
_ENTITIES: Final = Matcher(
    [
        *(f"&#{point}"[:4].encode() for point in _LETTERS),
        *(f"&#{letter}{digit}".encode() for letter in "xX" for digit in "034567"),
        b"&#0",
    ]
)
#: Full width, letters of mathematics, letters in circles: other code points for the letters of ASCII.
_STYLED: Final = (
    *(chr(point).encode() for point in range(0xFF10, 0xFF1A)),
    *(chr(point).encode() for point in (*range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))),
    b"\xe2\x92", b"\xe2\x93", b"\xf0\x9d\x90", b"\xf0\x9d\x91", b"\xf0\x9d\x92", b"\xf0\x9d\x93", b"\xf0\x9d\x94",
    b"\xf0\x9d\x95", b"\xf0\x9d\x96", b"\xf0\x9d\x97", b"\xf0\x9d\x98", b"\xf0\x9d\x99", b"\xf0\x9d\x9a",
    b"\xf0\x9d\x9b", b"\xf0\x9d\x9c", b"\xf0\x9d\x9d", b"\xf0\x9d\x9e", b"\xf0\x9d\x9f",
    b"\xf0\x9f\x84", b"\xf0\x9f\x85",
)  # fmt: skip
_UNSEEN: Final = Matcher([mark for mark in marks() if not mark.isascii()])
_OTHER: Final = Matcher(_STYLED)


def has_mark(data: bytes) -> bool:
    """Return whether ``data``, a JSON text, shows any mark. Those of what is not seen are all there."""
    if b"\\" in data and _ESCAPES.matches(data):
        return True
    if b"%" in data and _PERCENT.matches(data):
        return True
    if b"&" in data and _ENTITIES.matches(data):
        return True
    if data.isascii():
        return b"\x7f" in data
    return b"\x7f" in data or _UNSEEN.matches(data) or _OTHER.matches(data)


def has_control(data: bytes) -> bool:
    """Return whether ``data``, a text as it is, has a control character that is not seen."""
    return len(data.translate(None, CONTROLS)) < len(data)
