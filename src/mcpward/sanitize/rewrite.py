"""JSON values rebuilt with every text in them changed, names of members included. Does not know what it changes."""

from collections.abc import Callable
from typing import Any


def rewritten(value: Any, text: Callable[[str], str], other: Callable[[Any], Any]) -> Any:
    """Give ``value`` with ``text`` applied to every string and name, ``other`` to numbers and the like.

    Raises ``RecursionError`` for values that are nested too deep.
    """
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list | tuple):
        return [rewritten(item, text, other) for item in value]
    if not isinstance(value, dict):
        return other(value)
    members: dict[Any, Any] = {}
    for name, item in value.items():
        clean = text(name) if isinstance(name, str) else name
        while clean in members:
            clean = f"{clean}'"  # two names that became equal: neither member is lost
        members[clean] = rewritten(item, text, other)
    return members
