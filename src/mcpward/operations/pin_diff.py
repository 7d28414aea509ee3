"""What changed of something that a server offers, in words: one line for each field, bounded."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from mcpward.sanitize.screens.invisible import strip

_MOST: Final = 12
"""Fields of one diff."""
_LONGEST: Final = 160
_NODES: Final = 4_000
_KEYS: Final = 100
_NONE: Final = object()


def diff(before: Any, after: Any) -> list[str]:
    """Return a line for each field that differs: ``description: "old" → "new"``. The last one counts the rest."""
    old, new = (dict(_fields(entry)) if entry != {} else {} for entry in (before, after))
    names = [name for name in (*old, *(name for name in new if name not in old)) if _at(old, name) != _at(new, name)]
    lines = [_line(name, _at(old, name), _at(new, name)) for name in names[:_MOST]]
    if len(names) > _MOST:
        lines.append(f"and {len(names) - _MOST} more fields")
    return lines or ["in a part that is too large to be shown"]


def _at(fields: dict[str, Any], name: str) -> Any:
    return fields.get(name, _NONE)


def _line(name: str, before: Any, after: Any) -> str:
    if before is _NONE:
        return f"{name} added: {_shown(after)}"
    if after is _NONE:
        return f"{name} removed: {_shown(before)}"
    if isinstance(before, str) and isinstance(after, str):
        same = next(
            (at for at, (one, other) in enumerate(zip(before, after, strict=False)) if one != other),
            min(len(before), len(after)),
        )
        start = max(0, same - 40)
        return f"{name}: {_shown(before, start)} → {_shown(after, start)}"
    return f"{name}: {_shown(before)} → {_shown(after)}"


def _shown(value: Any, start: int = 0) -> str:
    """Return a value on one line. What people do not see is written out: it may be all that changed."""
    if isinstance(value, str):
        is_cut = len(value) > start + _LONGEST
        piece = ("…" if start else "") + value[start : start + _LONGEST] + ("…" if is_cut else "")
        return json.dumps(piece, ensure_ascii=strip(piece) != piece)
    return json.dumps(value)[:_LONGEST]


def _fields(entry: Any) -> Iterator[tuple[str, Any]]:
    return islice(_flat("", entry), _NODES)


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    waiting = [(path, value)]
    while waiting:
        place, one = waiting.pop(0)
        place = place[:_LONGEST]
        if isinstance(one, dict) and one:
            waiting[:0] = [(f"{place}.{name}" if place else str(name), part) for name, part in one.items()]
        elif isinstance(one, list) and one:
            waiting[:0] = [(f"{place}[{at}]", part) for at, part in enumerate(one[:_KEYS])]
        else:
            yield place, one
