"""The cost of decoding a JSON text in one call, estimated from its bytes before it is decoded.

Size is the wrong unit: of two texts of 1 MiB one takes half a millisecond and the other a hundred (attack 119). The
estimate counts the parts that take a decoder's time. The figures are those of the slowest decoder, pydantic's, rounded
up.
"""

import re
from typing import Final

from mcpward.core.jsonio import Bounds, JsonRefused, has_extremes

#: Nanoseconds, each.
_VALUE_NS: Final = 100
_BRACKET_NS: Final = 150
_NAME_NS: Final = 250
_ESCAPE_NS: Final = 15
_DIGITS_NS: Final = 300
#: On top of those for its parts, since decoding takes the square of a number's length.
_THOUSAND_DIGITS_NS: Final = 20_000
#: A number near an end of what a double holds, to msgspec: pydantic takes a hundredth of that.
_EXTREME_NS: Final = 11_000
#: Characters beyond ASCII, by the first byte that their UTF-8 has: of two, three and four bytes.
_TWO_BYTES_NS, _THREE_BYTES_NS, _FOUR_BYTES_NS = 5, 9, 13
#: The cost of each member that the bounds allow: 100,000 of them 8 ms.
_NS_PER_MEMBER: Final = 80
_LEAST_NS: Final = 1_000_000
#: Twenty digits of a number beyond 64 bits.
_LONG_DIGITS: Final = re.compile(rb"[0-9]{20}")
_THOUSAND_DIGITS: Final = re.compile(rb"[0-9]{1000}")
_EXTREME: Final = re.compile(rb"[eE][-+]?0*[2-9][0-9]{2}")
_BELOW_TWO, _BELOW_THREE, _BELOW_FOUR = (bytes(range(first)) for first in (0xC0, 0xE0, 0xF0))


class Cost:
    """Adds up what a text costs, part by part, and refuses it as soon as it is too much."""

    def __init__(self, bounds: Bounds) -> None:
        self._left_ns = max(_LEAST_NS, bounds.members * _NS_PER_MEMBER)
        self._left = bounds.members

    def add_chunk(self, content: bytes, outside: bytes, brackets: int, *, is_cut: bool) -> None:
        """Add a part of the text; ``outside`` is what of it stands outside of strings, ``is_cut``: a comma follows.

        Raises:
            JsonRefused: the text has too many members, or costs too much.
        """
        values = outside.count(b",") + is_cut
        self._left -= values + brackets
        if self._left < 0:
            raise JsonRefused("too many members")
        self._left_ns -= _VALUE_NS * values + _BRACKET_NS * brackets + _NAME_NS * outside.count(b":")
        long_digits = len(_LONG_DIGITS.findall(outside))
        if long_digits:
            self._left_ns -= _DIGITS_NS * long_digits + _THOUSAND_DIGITS_NS * len(_THOUSAND_DIGITS.findall(outside))
        if has_extremes(outside):
            self._left_ns -= _EXTREME_NS * len(_EXTREME.findall(outside))
        self.add_text(content)

    def add_text(self, piece: bytes) -> None:
        """Add what the characters of a part of the text cost. Raises as :meth:`add_chunk` does."""
        escapes = piece.count(b"\\") - piece.count(b"\\\\")
        if escapes:
            self._left_ns -= _ESCAPE_NS * escapes
        if not piece.isascii():
            self._left_ns -= _beyond_ascii_ns(piece)
        if self._left_ns < 0:
            raise JsonRefused("it costs too much to read: too many names, objects, escapes, digits or characters")

    def add_value(self) -> None:
        """Add a value whose comma is of no part."""
        self._left -= 1
        self._left_ns -= _VALUE_NS


def _beyond_ascii_ns(piece: bytes) -> int:
    two = piece.translate(None, _BELOW_TWO)
    three = two.translate(None, _BELOW_THREE)
    four = three.translate(None, _BELOW_FOUR)
    more = (_THREE_BYTES_NS - _TWO_BYTES_NS) * len(three) + (_FOUR_BYTES_NS - _THREE_BYTES_NS) * len(four)
    return _TWO_BYTES_NS * len(two) + more
