"""Integers of more than 64 bits: every database and most languages fail on them, each in its own way (attack 73)."""

import re
from typing import Any, Final

import msgspec

from mcpward.validation.paths import public_path

LONG_NUMBER: Final = re.compile(rb"[0-9]{19}")
_RULE: Final = "integer within 64 bits"
_MOST: Final = 8
_decode = msgspec.json.Decoder().decode


def find_long_integers(raw: bytes) -> list[dict[str, str]]:
    """Give a problem for each integer outside of -2^63 … 2^63-1; the first few, and none if ``raw`` is no JSON."""
    try:
        value = _decode(raw)
    except (msgspec.MsgspecError, RecursionError):
        return []  # the schema says better what is wrong
    problems: list[dict[str, str]] = []
    rest: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while rest and len(problems) < _MOST:
        path, part = rest.pop()
        if isinstance(part, dict):
            rest.extend(((*path, name), member) for name, member in part.items())
        elif isinstance(part, list):
            rest.extend(((*path, place), member) for place, member in enumerate(part))
        elif isinstance(part, int) and not -(2**63) <= part < 2**63:
            problems.append({"path": public_path(path), "rule": _RULE})
    return problems
