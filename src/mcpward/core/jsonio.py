"""JSON from strangers: decoded once, strictly, within bounds on size, depth, members and numbers; no name twice.

Two parsers that disagree about ``{"name": "a", "name": "b"}`` are a way around every check (CVE-2026-27896), so a
repeated name is refused, in every object at every depth. Costs are bounded before anything is built: brackets and
commas are counted first. Whatever looks at every byte is one call into C: 4 MiB of a stranger's choice may hold the
event loop for milliseconds only (attack 55).
"""

from itertools import accumulate
from math import isinf
from typing import Any, Final

import msgspec
from msgspec import Struct


class JsonRefused(Exception):
    """The text is not JSON, or not within the bounds. The message is public: it never quotes the text."""


class Bounds(Struct, frozen=True):
    """How large a JSON text may be: nesting depth, and members of all arrays and objects together."""

    depth: int = 64
    members: int = 100_000


DEFAULT_BOUNDS: Final = Bounds()
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_NOT_STRUCTURE: Final = bytes(set(range(256)) - set(b'"[]{},:'))
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_DIGITS: Final = bytes.maketrans(b"123456789E-", b"000000000e+")
#: Numbers near the ends of what a double holds that are decoded in msgspec's way, at some 10 µs each.
_MOST_EXTREME: Final = 4
#: 80 of them fit in here: they cost less than the request does otherwise.
_TOO_SHORT: Final = 512
_decode = msgspec.json.Decoder().decode
spell = msgspec.json.Encoder().encode
"""Encodes a decoded value, compactly."""


def _structure(text: bytes) -> bytes:
    """Return the brackets, commas, colons and quotes of a JSON text, without those that are escaped."""
    # In this order: a backslash left over from a run without its pairs escapes the character after it.
    return text.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _NOT_STRUCTURE)


def _bare(structure: bytes) -> bytes:
    """Leave out the content of strings. Exact up to the first position, if any, at which the text is no JSON."""
    return b"".join(structure.split(b'"')[::2])


def _names(text: bytes) -> int:
    """Count the names of all objects of a JSON text that is known to be one."""
    return _bare(_structure(text)).count(b":")


def _measure(text: bytes, bounds: Bounds) -> None:
    """Raise if the text nests too deep or has too many members, without building any of it."""
    opened = text.count(b"[") + text.count(b"{")
    if opened <= bounds.depth and opened + text.count(b",") <= bounds.members:
        return  # the common case: brackets and commas inside strings included, still within the bounds
    # A member of an object has two strings; each string two quotes. More than that is refused before it is split.
    structure = _structure(text)
    if structure.count(b'"') > 4 * bounds.members + 2:
        raise JsonRefused("too many members")
    bare = _bare(structure)
    brackets = bare.translate(None, _NOT_BRACKETS)
    if bare.count(b",") + len(brackets) > bounds.members:
        raise JsonRefused("too many members")
    if max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > bounds.depth:
        raise JsonRefused("nested too deep")


def _float(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise ValueError
    return number


_decode_extreme = msgspec.json.Decoder(float_hook=_float).decode


def has_extremes(text: bytes) -> bool:
    """Return whether a text may have many exponents of three digits or more. Those in strings are counted as well."""
    if len(text) <= _TOO_SHORT:
        return False
    shape = text.translate(_DIGITS)
    return shape.count(b"e000") + shape.count(b"e+000") > _MOST_EXTREME


def decode_known(text: bytes) -> Any:
    """Decode a text that :func:`read` has taken. Raises ``ValueError`` for any other, or returns what msgspec does.

    msgspec takes 10 µs for 1e300, and Python half of one: 4 MiB of such numbers are seconds (attack 119).
    """
    return (_decode_extreme if has_extremes(text) else _decode)(text)


def decode(text: bytes, bounds: Bounds = DEFAULT_BOUNDS) -> Any:
    """Decode one JSON text.

    Raises :class:`JsonRefused` for anything that is not exactly one RFC 8259 text in UTF-8 without a byte order mark.
    Also for repeated names, lone surrogates, numbers that a double cannot hold, and a text that exceeds ``bounds``.
    """
    return read(text, bounds)[0]


def read(text: bytes, bounds: Bounds = DEFAULT_BOUNDS) -> tuple[Any, bool]:
    """Decode as :func:`decode` does; and report whether the text is spelt as :func:`spell` would spell it.

    Then each part of the value, spelt, is that part of the text, byte for byte.
    """
    # No text has more members than bytes: in a short one nothing but the brackets is counted.
    if len(text) > bounds.members or text.count(b"[") + text.count(b"{") > bounds.depth:
        _measure(text, bounds)
    try:
        value = _decode(text) if len(text) <= _TOO_SHORT else decode_known(text)
        # Equal bytes after a round trip prove that no name was dropped; so do equal numbers of names.
        again = spell(value)
        if again == text:
            return value, True
        if _names(again) != _names(text):
            raise JsonRefused("a name is repeated in an object")
    except (ValueError, RecursionError, OverflowError, msgspec.MsgspecError):
        raise JsonRefused("not valid JSON") from None
    return value, False
