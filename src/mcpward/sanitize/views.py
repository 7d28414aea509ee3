"""A text as it reads once its disguise is taken off: unescaped, without marks, in lower case, decoded.

A *view* is searched, never shown. Every view is made in time that grows with the text and with nothing else: what a
caller may send, and what a tool may return, decides how long it is.
"""

import base64
import binascii
import html
import re
import sys
import unicodedata
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

from mcpward.core.pace import step
from mcpward.sanitize.screens.invisible import bare

_ROUNDS: Final = 5
"""Escapes are taken off so often: JSON within JSON within a URL."""
_MOST: Final = 12
"""Views of one text, whatever it escapes in whatever way."""
_BLANKS: Final = b" \t\n\r"
CONTROLS: Final = bytes(byte for byte in (*range(0x20), 0x7F) if byte not in b"\t\n\r")
"""Control characters that nobody sees."""
_LOWER: Final = bytes(range(256)).lower()
_SEPARATORS: Final = b" \t\n\r:-,"
_ESCAPED: Final = re.compile(
    r"((?:\\x[0-9A-Fa-f]{2})+)|((?:\\u[0-9A-Fa-f]{4})+)|\\(?:u\{([0-9A-Fa-f]{1,6})\}|U([0-9A-Fa-f]{8})|([\s\S]))"
)
_OCTETS: Final = re.compile(r"(?:\\x[0-9A-Fa-f]{2})+")
_HALVES: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")
#: Blocks of combining marks, which stand over, under or around the letter before.
_MARKS: Final = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")
_SIMPLE: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "0": "\0"}
_ENTITY: Final = re.compile(r"&#?\w{1,31};?")
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]{7,}")
_BASE32: Final = re.compile(rb"[A-Z2-7]{10,}|[a-z2-7]{10,}")
_HEX: Final = re.compile(rb"[0-9A-Fa-f]{8,}")
#: A line of xxd, hexdump -C or od -t x1: where it stands, at most sixteen octets in groups, and perhaps their letters.
_DUMP: Final = re.compile(
    rb"^[ \t]*[0-9A-Fa-f]{6,16}:?[ \t]+([0-9A-Fa-f][0-9A-Fa-f \t]*)(?:[^0-9A-Fa-f\n][^\n]*)?$", re.MULTILINE
)
_DUMPED_DIGITS: Final = 32
#: The first octets of a dump, or two of a list: in JSON, its line ends are escaped.
_OCTETS_AHEAD: Final = re.compile(
    rb"0x[0-9A-Fa-f]{1,2}(?:[,; \t\r\n]|\\[nrt])+0x[0-9A-Fa-f]{1,2}(?![0-9A-Fa-f])"
    rb"|0000000(?:0(?:: |  )| )[0-9A-Fa-f]{2}"
)


def skeleton(text: str) -> bytes:
    """Return the ASCII of ``text`` in lower case: no accents, marks, invisible characters, controls, full width."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text)
    return text.encode("ascii", "ignore").translate(_LOWER, CONTROLS)


def skeleton_of(data: bytes) -> bytes:
    """Return what was decoded in lower case and without controls: of UTF-16, its ASCII."""
    return data.translate(_LOWER, CONTROLS)


def folded(text: str) -> bytes:
    """Return ``text`` without marks and invisible characters, in one case: for secrets beyond ASCII."""
    text = _MARKS.sub("", unicodedata.normalize("NFKD", bare(text))).casefold()
    return text.encode("utf-8", "surrogatepass")


def bare_of_blanks(data: bytes) -> bytes:
    """Return ``data`` without blanks and line ends."""
    return data.translate(None, _BLANKS)


def of_utf16(data: bytes) -> Iterator[bytes]:
    """Yield ``data`` read as UTF-16 of either order of bytes, from its first byte on and from its second, folded."""
    for first in range(2):
        for order in ("utf-16-le", "utf-16-be"):
            yield folded(data[first:].decode(order, "ignore"))


def unescapings(text: str) -> Iterator[str]:
    """Yield ``text``, then what it is without one layer of escapes, and so on while that changes it.

    Backslashes, percent signs and entities are taken off one kind at a time: what was escaped in one way may hold the
    signs of another as they are.
    """
    views = {text: 0}
    for view, depth in _growing(views):
        yield view
        if depth == _ROUNDS or len(views) > _MOST:
            continue
        for sign, unescaped in _UNESCAPED:
            if sign in view:
                views.setdefault(step(unescaped(view)), depth + 1)


def plainest(text: str) -> str:
    """Return ``text`` without backslashes and percent signs, however many layers of them there are."""
    for _ in range(_ROUNDS):
        if "\\" not in text and "%" not in text:
            break
        text = step(_without_percents(_without_backslashes(text)))
    return text


def decodings(text: str) -> Iterator[bytes]:
    """Yield what the runs of hexadecimal, base64 and base32 digits in ``text`` say, at every alignment.

    Blanks and line ends within a run are passed over, and so is what a dump writes beside its octets.
    """
    data = text.encode("ascii", "replace")
    tight = bare_of_blanks(data)
    for decoded in (_of_hex(data.translate(None, _SEPARATORS)), _of_base64(tight), _of_base32(tight), _of_dump(data)):
        if decoded:
            yield decoded


def has_octets(data: bytes) -> bool:
    """Return whether ``data`` has a dump of octets, or a list of them."""
    return _OCTETS_AHEAD.search(data) is not None


def without_dumps(text: str, mask: str) -> str:
    """Return ``text`` with ``mask`` in the place of each line of a dump of octets; the same object if there is none."""
    data = text.encode("utf-8", "surrogateescape")
    masked = _DUMP.sub(mask.encode(), data)
    return text if masked == data else masked.decode("utf-8", "surrogateescape")


def _growing(views: dict[str, int]) -> Iterator[tuple[str, int]]:
    """Yield the items of a dictionary, those too that come in meanwhile."""
    done = 0
    while done < len(views):
        for item in list(views.items())[done:]:
            done += 1
            yield item


def _without_backslashes(text: str) -> str:
    """Halves of a surrogate pair may come from two layers of escapes, and become the character that they are."""
    plain = _ESCAPED.sub(_characters, text)
    return plain if plain.isascii() or not _HALVES.search(plain) else _HALVES.sub(_joined, plain)


def _joined(halves: re.Match[str]) -> str:
    return halves[0].encode("utf-16-be", "surrogatepass").decode("utf-16-be")


def _without_octets(text: str) -> str:
    """Python writes so each byte of UTF-8, and also each letter of Latin-1: this is of the bytes."""
    return _OCTETS.sub(
        lambda found: bytes.fromhex(found[0].replace("\\x", "")).decode("utf-8", "surrogateescape"), text
    )


def _without_percents(text: str) -> str:
    return unquote_to_bytes(_octets(text)).decode("utf-8", "surrogateescape")


def _without_entities(text: str) -> str:
    return _ENTITY.sub(lambda found: html.unescape(found[0]), text)


def _without_pluses(text: str) -> str:
    return text.replace("+", " ")


_UNESCAPED: Final = (
    ("\\", _without_backslashes), ("\\x", _without_octets), ("%", _without_percents), ("&", _without_entities),
    ("+", _without_pluses),
)  # fmt: skip


def _octets(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _characters(found: re.Match[str]) -> str:
    octets, units, short, long, char = found.groups()
    if octets:
        return bytes.fromhex(octets.replace("\\x", "")).decode("latin-1")
    if units:
        return bytes.fromhex(units.replace("\\u", "")).decode("utf-16-be", "surrogatepass")
    if char:
        return _SIMPLE.get(char, char)
    point = int(short or long, 16)
    return chr(point) if point <= sys.maxunicode else ""


def _of_hex(data: bytes) -> bytes:
    runs = _HEX.findall(data.replace(b"0x", b""))
    digits = [run[first : first + (len(run) - first) // 2 * 2].decode() for first in range(2) for run in runs]
    return b"\n".join(map(bytes.fromhex, digits))


def _of_dump(data: bytes) -> bytes:
    lines = [b"".join(octets.split())[:_DUMPED_DIGITS] for octets in _DUMP.findall(data)]
    return bytes.fromhex("".join(line[: len(line) // 2 * 2].decode() for line in lines))


def _of_base64(data: bytes) -> bytes:
    runs = _BASE64.findall(data.translate(_URL_SAFE))
    return b"\n".join([binascii.a2b_base64(_whole(run[first:], 4, (1,))) for first in range(4) for run in runs])


def _of_base32(data: bytes) -> bytes:
    runs = [run.upper() for run in _BASE32.findall(data)]
    return b"\n".join([base64.b32decode(_whole(run[first:], 8, (1, 3, 6))) for first in range(8) for run in runs])


def _whole(digits: bytes, group: int, useless: tuple[int, ...]) -> bytes:
    """Pad to whole groups of digits. After a last group of a ``useless`` length comes no byte of one more digit."""
    if len(digits) % group in useless:
        digits = digits[:-1]
    return digits + b"=" * (-len(digits) % group)
