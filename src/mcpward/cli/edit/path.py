"""The place of a value in a settings file, and the file's content with it changed."""

from copy import deepcopy
from typing import Any

from msgspec import Struct


class NotEditable(ValueError):
    """The text cannot be parsed, or cannot be changed at one place without changing another."""


class Item(Struct, frozen=True):
    """A step into a list: the object whose ``field`` has this value."""

    field: str
    value: str


Step = str | Item
Path = tuple[Step, ...]


def nested(path: Path, value: Any) -> Any:
    """Return ``value`` inside the containers that ``path`` names."""
    for step in reversed(path):
        value = {step: value} if isinstance(step, str) else [value]
    return value


def found(content: Any, path: Path) -> Any:
    """Return the value at ``path``; None if there is none."""
    for step in path:
        at = None if content is None else _position(content, step)
        if at is None:
            return None
        content = content[at]
    return content


def with_value(content: Any, path: Path, value: Any) -> Any:
    """Return a copy of ``content`` with ``value`` at ``path``.

    Raises:
        NotEditable: the path leads through a value that holds no others.
    """
    if not path:
        return value
    copy = deepcopy(content)
    inner = copy
    for depth, step in enumerate(path):
        at = _position(inner, step)
        rest = path[depth + 1 :]
        if at is None and isinstance(step, str):
            inner[step] = nested(rest, value)
        elif at is None:
            inner.append(nested(rest, value))
        elif not rest or inner[at] is None:
            inner[at] = nested(rest, value)
        else:
            inner = inner[at]
            continue
        return copy
    return copy


def without(content: Any, path: Path) -> Any:
    """Return a copy of ``content`` without the value at ``path``."""
    copy = deepcopy(content)
    inner = found(copy, path[:-1])
    at = None if inner is None else _position(inner, path[-1])
    if at is not None:
        del inner[at]
    return copy


def _position(container: Any, step: Step) -> Any:
    """Return the key or index of ``step`` in its container; None if it is not there."""
    if isinstance(step, str):
        if not isinstance(container, dict):
            raise NotEditable("not an object")
        return step if step in container else None
    if not isinstance(container, list):
        raise NotEditable("not a list")
    same = [at for at, one in enumerate(container) if isinstance(one, dict) and one.get(step.field) == step.value]
    return same[0] if same else None
