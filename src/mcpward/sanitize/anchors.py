"""A few short strings for each secret text, one of which stands in every form of it: what is searched in every result.

A letter or a digit is written alike raw, in JSON, in URLs and in HTML. So six of them in a row stand for all of these
forms. Base64, hexadecimal and UTF-16 need anchors of their own. What no anchor is in (every letter escaped, full width)
shows one of the marks of :mod:`mcpward.sanitize.disguise`.
"""

import re
from base64 import b32encode
from binascii import b2a_base64
from collections.abc import Iterator
from typing import Final

from mcpward.sanitize.forms import escapes, spellings, utf8, with_escapes
from mcpward.sanitize.views import folded

_WINDOW: Final = 6
#: The best windows first: few spellings by case, and no plain words, which harmless results hold. What is looked ahead
#: for is near: a value of 64 KiB may be one letter again and again.
_WINDOWS: Final = tuple(
    map(
        re.compile,
        (
            rf"(?=[a-z]{{0,5}}[0-9]{{1,6}}[a-z])[a-z0-9]{{{_WINDOW}}}|(?=[A-Z]{{0,5}}[0-9]{{1,6}}[A-Z])[A-Z0-9]{{{_WINDOW}}}",
            rf"(?=[a-zA-Z]{{0,5}}[0-9]{{1,6}}[A-Za-z])[A-Za-z0-9]{{{_WINDOW}}}",
            r"[A-Za-z0-9]{8}",
            rf"[A-Za-z0-9]{{{_WINDOW}}}",
        ),
    )
)
_AWKWARD: Final = 10
_WIDE: Final = 4
#: Bytes whose hexadecimal digits are decimal: one spelling in both cases.
_CASELESS: Final = re.compile(rb"[0-9a-iA-Ip-yP-Y]{5}")
_ASCII: Final = re.compile(rf"[0-9a-iA-Ip-yP-Y]{{{_WIDE}}}")
#: Credentials begin alike and end at random.
_TAIL: Final = 24
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


#: How octets stand in a list. They are of no secret: a text with octets is looked through, because those of a secret
#: may be in any groups there.
LISTS: Final = frozenset([b" 0x", b",0x"])
#: How dumps of octets begin: with ``NAUGHT``, which is searched for by itself. In one automaton with anchors, each zero
#: of a text of many would be a beginning to be followed up.
NAUGHT: Final = b"0000000"
DUMPS: Final = (b"00000000: ", b"00000000  ", b"0000000 ")


def anchors(part: str) -> tuple[set[bytes], set[bytes]]:
    """Return short strings, one of which stands in each form of ``part`` that shows no mark of a disguise.

    The second set is for texts with line ends: of base64 that is broken into lines, one of the two stands whole.
    """
    found: set[bytes] = set()
    broken: set[bytes] = set()
    for spelling in spellings(part):
        raw = utf8(spelling)
        found.update(_of_text(spelling), _encoded(raw), _wide(spelling))
        if len(raw) >= 2 * _WINDOW:
            broken.update(_base64(raw[-2 * _WINDOW : -_WINDOW]))
    return found, broken


def beginning(raw: bytes) -> bytes:
    """Return how ``raw`` begins in base32, which is cut into groups of five bytes from the first on."""
    return b32encode(raw[: 10 if len(raw) >= 10 else 5])


def _of_text(part: str) -> Iterator[bytes]:
    for window in _WINDOWS:
        if (found := window.search(part)) is not None:
            text = found[0].encode()
            yield from (text, text.lower(), text.upper(), text[::-1])
            return
    piece = _least_escaped(part)
    cases = {piece, piece.lower(), piece.upper(), piece[::-1], piece.lower()[::-1]}
    written = {text for case in cases for text in (*escapes(case), *_needless(case))}
    for _ in range(3):  # JSON within JSON within the JSON that leaves
        written = with_escapes(written)
    yield from written
    # of what is left once marks are taken off: a piece of the text as it is may be nothing but marks
    yield _least_escaped(folded(part).decode("utf-8", "surrogatepass")).encode("utf-8", "surrogatepass")


def _needless(piece: str) -> Iterator[bytes]:
    """Every character escaped: of signs, unlike letters, that is no mark of a disguise."""
    for form in ("02x", "02X"):
        yield "".join(f"%{byte:{form}}" for byte in utf8(piece)).encode()
    yield "".join(f"&#{ord(char)};" for char in piece).encode()
    for form in ("x", "X"):
        yield "".join(f"&#x{ord(char):{form}};" for char in piece).encode()


def _least_escaped(part: str) -> str:
    """Return the piece of ``part`` with the fewest characters that any writer would escape."""
    starts = range(max(1, min(len(part) - _AWKWARD, 64) + 1))
    best = min(starts, key=lambda at: sum(not char.isalnum() for char in part[at : at + _AWKWARD]))
    return part[best : best + _AWKWARD]


def _encoded(raw: bytes) -> Iterator[bytes]:
    yield from _base64(raw[-_WINDOW:])
    yield from (beginning(raw), beginning(raw).lower())
    caseless = _CASELESS.search(raw, max(len(raw) - _TAIL, 0)) or _CASELESS.search(raw)
    piece = raw[-5:] if caseless is None else caseless[0]
    four = piece[:4]
    for digits in (piece.hex(), four.hex(":"), four.hex(" ")):
        yield digits.encode()
        if caseless is None:
            yield digits.upper().encode()


def _base64(raw: bytes) -> Iterator[bytes]:
    """At all three alignments, without the characters that also hold bits of a neighbour."""
    for before, first in ((b"", 0), (b"\0", 2), (b"\0\0", 3)):
        text = b2a_base64(before + raw, newline=False)[first : (len(before) + len(raw)) * 8 // 6]
        yield text
        if b"+" in text or b"/" in text:
            yield text.translate(_URL_SAFE)


def _wide(part: str) -> Iterator[bytes]:
    """UTF-16, of either order of bytes: between its zeros the letters of ASCII are the same in both."""
    found = _ASCII.search(part, max(len(part) - _TAIL, 0)) or _ASCII.search(part)
    if found is not None:
        wides = [found[0].encode("utf-16-le")[:-1]]
    else:
        piece = part[:_WIDE]
        wides = [piece.encode("utf-16-le", "surrogatepass"), piece.encode("utf-16-be", "surrogatepass")]
    for wide in wides:
        yield from _base64(wide)
        yield wide.hex().encode()
        if found is None:
            yield wide.hex().upper().encode()
