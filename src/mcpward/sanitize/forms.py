"""How one text of a secret is usually written: raw, base64, hex, URL-encoded, JSON-escaped, printed by Python or HTML.

A form is found and masked where it stands. What is written in more than one of these ways at once, or in a way that is
not listed, is found in a view: see ``views.py``. Not covered: encryption, compression, other alphabets; a tool that
wants to leak can always invent one. This stops leaks, not a hostile tool (attack 85).
"""

import base64
import html
import json
from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring
from typing import Final
from urllib.parse import quote, quote_plus

from mcpward.sanitize.parts import SHORTEST
from mcpward.sanitize.screens.invisible import bare, strip

_COMPONENT: Final = "!'()*"
"""What JavaScript's encodeURIComponent leaves as it is."""


def forms(value: str) -> frozenset[bytes]:
    """Return every form of ``value`` that may stand in a text. Empty for values that are too short to be looked for."""
    found: set[bytes] = set()
    for spelling in spellings(value):
        if len(spelling) >= SHORTEST:
            found.update(_plain(spelling))
    return frozenset(with_escapes(with_escapes(found)))


def encoded_forms(value: str) -> frozenset[bytes]:
    """Return all of :func:`forms`, and each of them as it stands in a text that is written as a JSON string."""
    return frozenset(with_escapes(forms(value)))


def as_json(value: str) -> set[bytes]:
    """Return ``value`` as it is, in JSON, and in JSON within JSON."""
    return with_escapes(with_escapes([utf8(spelling) for spelling in spellings(value)]))


def spellings(value: str) -> set[str]:
    """Return ``value`` with and without the invisible characters that a text loses before it leaves."""
    if value.isascii() and value.isprintable():
        return {value}
    return {value, strip(value), bare(strip(value))} - {""}


def _plain(value: str) -> Iterator[bytes]:
    raw = utf8(value)
    yield from escapes(value)
    yield from map(utf8, (value.lower(), value.upper(), value[::-1]))
    yield from aligned_base64(raw)
    yield from (letters := base64.b32encode(raw).rstrip(b"="), letters.lower())
    for digits in (raw.hex(), raw.hex(":"), raw.hex(" "), "".join(f"%{byte:02x}" for byte in raw)):
        yield digits.encode()
        yield digits.upper().encode()


def escapes(value: str) -> Iterator[bytes]:
    """Yield ``value`` as it stands in a text, and as URLs, JSON, Python and HTML escape its characters."""
    raw = utf8(value)
    yield raw
    yield from _url(raw)
    yield from _code_points(value)
    yield repr(value)[1:-1].encode("utf-8", "replace")
    yield ascii(value)[1:-1].encode()
    yield repr(raw)[2:-1].encode()
    yield html.escape(value).encode("utf-8", "replace")


def utf8(value: str) -> bytes:
    """The bytes a secret had in the environment: those that are not UTF-8 came in as lone surrogates."""
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")


def aligned_base64(raw: bytes) -> Iterator[bytes]:
    """At all three alignments, without the characters that also hold bits of a neighbour or padding."""
    for before in range(3):
        first = (0, 2, 3)[before]
        whole = (before + len(raw)) * 8 // 6
        text = base64.b64encode(bytes(before) + raw)[first:whole]
        yield text
        if b"+" in text or b"/" in text:
            yield text.translate(bytes.maketrans(b"+/", b"-_"))


def _url(raw: bytes) -> Iterator[bytes]:
    for text in (quote(raw, safe=""), quote(raw), quote(raw, safe=_COMPONENT), quote_plus(raw)):
        yield text.encode()
        if "%" in text:
            yield _lower_hex(text).encode()


def _lower_hex(text: str) -> str:
    head, *rest = text.split("%")
    return "%".join([head, *(part[:2].lower() + part[2:] for part in rest)])


def _code_points(value: str) -> Iterator[bytes]:
    """Every character as a JSON escape, and, as some writers do, only those outside of ASCII."""
    units = value.encode("utf-16-be", "surrogatepass")
    every = "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
    for text in (every, json.dumps(value)[1:-1]):
        yield text.encode()
        yield _upper_hex(text).encode()


def with_escapes(texts: Iterable[bytes]) -> set[bytes]:
    """Add how JSON writers spell them within a string. Twice, because a result that is JSON is mirrored as text."""
    found = set(texts)
    for text in tuple(found):
        if text.isalnum():
            continue
        spelled = encode_basestring(text.decode("utf-8", "replace"))[1:-1].encode("utf-8", "replace")
        found.add(spelled)
        if b"/" in spelled:
            found.add(spelled.replace(b"/", b"\\/"))
    return found


def _upper_hex(text: str) -> str:
    head, *rest = text.split("\\u")
    return "\\u".join([head, *(part[:4].upper() + part[4:] for part in rest)])
