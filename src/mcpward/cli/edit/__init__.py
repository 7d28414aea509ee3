"""Settings files of other programs: read, and changed at one place while everything else stays as a person wrote it."""

from types import ModuleType
from typing import Any, Literal

from mcpward.cli.edit.path import Item, NotEditable, Path, found, with_value, without

__all__ = ["Format", "Item", "NotEditable", "Path", "drop", "found", "load", "put"]

Format = Literal["json", "toml", "yaml"]


def load(kind: Format, text: str) -> Any:
    """Return the content of a text.

    Raises:
        NotEditable: it cannot be parsed, or its content is not an object.
    """
    content = _editor(kind).load(text)
    if not isinstance(content, dict):
        raise NotEditable("not an object")
    return content


def put(kind: Format, text: str, path: Path, value: Any) -> str:
    """Return the text with ``value`` at ``path``, and nothing else changed in its meaning.

    Raises:
        NotEditable: that cannot be done.
    """
    after: str = _editor(kind).put(text, path, value)
    return _proven(kind, after, with_value(load(kind, text), path, value))


def drop(kind: Format, text: str, path: Path) -> str:
    """Return the text without the value at ``path``, and nothing else changed in its meaning.

    Raises:
        NotEditable: that cannot be done.
    """
    after: str = _editor(kind).drop(text, path)
    expected = without(load(kind, text), path)
    # In TOML an outer table may be there by its inner ones only, and go with the last of them.
    is_emptied = kind == "toml" and len(path) > 1 and not found(expected, path[:-1])
    return _proven(kind, after, expected, without(expected, path[:-1]) if is_emptied else expected)


def _editor(kind: Format) -> ModuleType:
    # Each parser is loaded for a file of its kind only: the command line starts fast.
    if kind == "json":
        from mcpward.cli.edit import jsonc

        return jsonc
    if kind == "toml":
        from mcpward.cli.edit import toml

        return toml
    from mcpward.cli.edit import yaml

    return yaml


def _proven(kind: Format, after: str, *expected: Any) -> str:
    if load(kind, after) not in expected:
        raise NotEditable("the change would change more than it should")
    return after
