"""What changed of something that a server offers, in words: one line for each field, bounded."""

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from msgspec import Struct

from mcpward.sanitize.screens.invisible import strip

_MOST: Final = 12
"""Fields of one diff in the log."""
_LONGEST: Final = 160
_NODES: Final = 4_000
_KEYS: Final = 100
_ALL: Final = 1_000_000
_AROUND: Final = 40
"""Characters that are the same, before and after those that differ."""
_PLAIN: Final = re.compile(r"[\w$-]+", re.ASCII)
_NONE: Final = object()


class _Caps(Struct, frozen=True):
    fields: int
    characters: int
    nodes: int
    keys: int


_FOR_LOG: Final = _Caps(_MOST, _LONGEST, _NODES, _KEYS)
_FOR_APPROVAL: Final = _Caps(_ALL, _ALL, _ALL, _ALL)


def diff(before: Any, after: Any, *, is_whole: bool = False) -> list[str]:
    """Return a line for each field that differs: ``description: "old" → "new"``. The last one counts the rest.

    With ``is_whole`` nothing is cut: nobody approves what they were not shown.
    """
    caps = _FOR_APPROVAL if is_whole else _FOR_LOG
    old, new = dict(_fields(before, caps)), dict(_fields(after, caps))
    names = [name for name in (*old, *(name for name in new if name not in old)) if _at(old, name) != _at(new, name)]
    lines = [_line(name, _at(old, name), _at(new, name), caps.characters) for name in names[: caps.fields]]
    if len(names) > caps.fields:
        lines.append(f"and {len(names) - caps.fields} more fields")
    return lines or ["in a part that is too large to be shown"]


def _at(fields: dict[str, Any], name: str) -> Any:
    return fields.get(name, _NONE)


def _line(name: str, before: Any, after: Any, longest: int) -> str:
    if before is _NONE:
        return f"{name} added: {_shown(after, longest)}"
    if after is _NONE:
        return f"{name} removed: {_shown(before, longest)}"
    if isinstance(before, str) and isinstance(after, str):
        start, end = _same(before, after)
        start, end = max(0, start - _AROUND), max(0, end - _AROUND)
        return f"{name}: {_shown(before, longest, start, end)} → {_shown(after, longest, start, end)}"
    return f"{name}: {_shown(before, longest)} → {_shown(after, longest)}"


def _same(before: str, after: str) -> tuple[int, int]:
    """Return how many characters are the same at the beginning, and at the end."""
    most = min(len(before), len(after))
    start = next((at for at in range(most) if before[at] != after[at]), most)
    rest = most - start
    return start, next((at for at in range(rest) if before[-1 - at] != after[-1 - at]), rest)


def _shown(value: Any, longest: int, start: int = 0, end: int = 0) -> str:
    """Return a value on one line. What people do not see is written out: it may be all that changed."""
    if isinstance(value, str):
        stop = min(len(value) - end, start + longest)
        piece = ("…" if start else "") + value[start:stop] + ("…" if stop < len(value) else "")
        return json.dumps(piece, ensure_ascii=strip(piece) != piece)
    return json.dumps(value)[:longest]


def _fields(entry: Any, caps: _Caps) -> Iterator[tuple[str, Any]]:
    return islice(_flat("", entry, caps), caps.nodes)


def _step(name: object) -> str:
    """Return a name as a part of a path: one with dots would stand for a path of others, and hide what is there."""
    text = str(name)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def _flat(path: str, value: Any, caps: _Caps) -> Iterator[tuple[str, Any]]:
    waiting = [(path, value)]
    while waiting:
        place, one = waiting.pop()
        place = place[: caps.characters]
        if isinstance(one, dict) and one:
            members = [(f"{place}.{_step(name)}" if place else _step(name), part) for name, part in one.items()]
            waiting += reversed(members)
        elif isinstance(one, list) and one:
            waiting += reversed([(f"{place}[{at}]", part) for at, part in enumerate(one[: caps.keys])])
        else:
            yield place, one
