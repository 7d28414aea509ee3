"""JSON values rebuilt with every text in them changed, names of members included. Does not know what it changes.

A result is large and holds one thing to change, or an attacker made it expensive. So values are taken by the slice: one
that needs no change is found so at once, and the texts of the others are changed together.
"""

from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from msgspec import Struct

from mcpward.core.pace import step

_SLICE: Final = 256
_TEXTS: Final = {str}
#: A slice is judged as a whole at so many levels; at all levels, the cost would grow with the depth.
_LEVELS: Final = 3


class Rewrite(Struct, frozen=True):
    """``texts`` changes strings and names, one for one; ``other`` numbers and the like.

    ``is_clean`` says of a list or of members that nothing in it would change.
    """

    texts: Callable[[list[str]], list[str]]
    other: Callable[[Any], Any]
    is_clean: Callable[[Any], bool]


def rewritten(value: Any, change: Rewrite, levels: int = _LEVELS) -> Any:
    """Return ``value`` with the change applied. Two names that become equal are distinguished by a number.

    Raises ``RecursionError`` for values that are nested too deep.
    """
    if isinstance(value, str):
        return change.texts([value])[0]
    if isinstance(value, list | tuple):
        return _items(value, change, levels)
    if isinstance(value, dict):
        return _members(value, change, levels)
    return change.other(value)


def _items(items: list[Any] | tuple[Any, ...], change: Rewrite, levels: int) -> list[Any]:
    if len(items) <= _SLICE:
        return _each(items, change, levels)
    changed: list[Any] = []
    for start in range(0, len(items), _SLICE):
        part = step(items[start : start + _SLICE])
        changed += part if levels and change.is_clean(part) else _each(part, change, max(levels - 1, 0))
    return changed


def _each(part: Any, change: Rewrite, levels: int) -> list[Any]:
    if set(map(type, part)) == _TEXTS:
        return change.texts(list(part))
    return [rewritten(item, change, levels) for item in part]


def _members(value: dict[Any, Any], change: Rewrite, levels: int) -> dict[Any, Any]:
    members: dict[Any, Any] = {}
    counts: dict[Any, int] = {}
    if len(value) <= _SLICE:
        _add(members, counts, value, change, levels)
        return members
    rest = iter(value.items())
    while part := step(dict(islice(rest, _SLICE))):
        if levels and change.is_clean(part) and members.keys().isdisjoint(part):
            members |= part
        else:
            _add(members, counts, part, change, max(levels - 1, 0))
    return members


def _add(members: dict[Any, Any], counts: dict[Any, int], part: dict[Any, Any], change: Rewrite, levels: int) -> None:
    names = change.texts(list(part)) if set(map(type, part)) == _TEXTS else _odd_names(part, change)
    items = _each(list(part.values()), change, levels)
    for name, item in zip(names, items, strict=True):
        members[_another(name, members, counts) if name in members else name] = item


def _odd_names(part: dict[Any, Any], change: Rewrite) -> list[Any]:
    """An author's dict, not yet JSON, may have numbers for names."""
    return [change.texts([name])[0] if isinstance(name, str) else name for name in part]


def _another(name: Any, members: dict[Any, Any], counts: dict[Any, int]) -> str:
    """Count on from the last number given to this name: to begin at 1 each time is quadratic, and strangers know it."""
    count = counts.get(name, 0) + 1
    while (another := f"{name}'{count}") in members:
        count += 1
    counts[name] = count
    return another
