"""JSON from strangers: decoded once, strictly, within bounds on size, depth, members and numbers; no name twice.

Two parsers that disagree about ``{"name": "a", "name": "b"}`` are a way around every check (CVE-2026-27896), so a
repeated name is refused, in every object at every depth. Costs are bounded before anything is built: brackets and
commas are counted first.
"""

import json
import re
from itertools import accumulate
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
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
# RFC 8259 allows a lone surrogate escape, but it is no character: it cannot be encoded again.
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise JsonRefused("a name is repeated in an object")
    return members


def _no_constant(_: str) -> Any:
    raise JsonRefused("not valid JSON")


def _measure(text: bytes, bounds: Bounds) -> None:
    """Raise if the text nests too deep or has too many members, without building any of it."""
    opened = text.count(b"[") + text.count(b"{")
    if opened <= bounds.depth and opened + text.count(b",") <= bounds.members:
        return  # the common case: brackets and commas inside strings included, still within the bounds
    bare = _STRING.sub(b"", text)
    brackets = bare.translate(None, _NOT_BRACKETS)
    if bare.count(b",") + len(brackets) > bounds.members:
        raise JsonRefused("too many members")
    if max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > bounds.depth:
        raise JsonRefused("nested too deep")


def decode(text: bytes, bounds: Bounds = DEFAULT_BOUNDS) -> Any:
    """Decode one JSON text.

    Raises :class:`JsonRefused` for anything that is not exactly one RFC 8259 text in UTF-8 without a byte order
    mark, for repeated names, lone surrogates, numbers outside of what a double holds, and for what exceeds ``bounds``.
    """
    _measure(text, bounds)
    try:
        value = _decode(text)
        # Equal bytes after a round trip prove that no name was dropped; the slow look is for all others.
        if _encode(value) != text:
            _require_no_twins(text)
    except JsonRefused:
        raise
    except (ValueError, RecursionError, OverflowError, msgspec.MsgspecError):
        raise JsonRefused("not valid JSON") from None
    return value


def _require_no_twins(text: bytes) -> None:
    """The standard decoder calls us for each object with its names as they came, escapes resolved."""
    value = json.loads(text.decode(), object_pairs_hook=_no_twins, parse_constant=_no_constant)
    if _SURROGATE.search(text):
        json.dumps(value, ensure_ascii=False).encode()  # raises for a lone surrogate, a ValueError
