"""Texts that are JSON: a result's mirror, or what a tool has read from elsewhere. Screened as values, written anew.

Does not know what is screened. A text that is no JSON is none of its concern, and nor is one in which nothing changes:
that stays as it was written, to the last blank.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from mcpward.sanitize.screens.invisible import strip

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode
_BEGINS: Final = re.compile(r"\s*[\[{]").match
_UNREADABLE: Final = (ValueError, msgspec.MsgspecError)


def changed(text: str, change: Callable[[Any], Any]) -> str:
    """Return ``text`` with ``change`` applied to the array or object that it is, or that each line of it is.

    ``change`` returns the same object for a value that it leaves alone; so does this for a text. Raises
    ``RecursionError`` for values that are nested too deep.
    """
    seen = strip(text)
    if not _BEGINS(seen):
        return text
    whole = _changed(seen, change)
    if whole is not None:
        return text if whole is seen else whole
    lines = seen.split("\n")  # JSON lines
    if len(lines) == 1:
        return text
    written = [(_changed(line, change) or line) if _BEGINS(line) else line for line in lines]
    return text if written == lines else "\n".join(written)


def _changed(text: str, change: Callable[[Any], Any]) -> str | None:
    """Return the text anew, the same object if nothing changes, None if it is no JSON."""
    try:
        value = _decode(text)
    except _UNREADABLE:
        return _loosely(text, change)
    clean = change(value)
    return text if clean is value else _encode(clean).decode()


def _loosely(text: str, change: Callable[[Any], Any]) -> str | None:
    """JSON as Python writes it, which has NaN and infinity."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    clean = change(value)
    return text if clean is value else json.dumps(clean, ensure_ascii=False, separators=(",", ":"))
