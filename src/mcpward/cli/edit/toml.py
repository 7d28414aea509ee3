"""Changes one value in a TOML text and keeps the rest: a new table goes to the end, tomlkit does anything else."""

import tomllib
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable, Table

from mcpward.cli.edit.jsonc import newline_of
from mcpward.cli.edit.path import NotEditable, Path, found, with_value

_MARK = "\ufeff"


def load(text: str) -> Any:
    """Return the content of a text."""
    try:
        return tomllib.loads(text.removeprefix(_MARK))
    except (ValueError, RecursionError) as wrong:
        raise NotEditable("not TOML") from wrong


def put(text: str, path: Path, value: Any) -> str:
    """Return the text with ``value`` at ``path``.

    Raises:
        NotEditable: the text cannot be parsed, or not be changed only at that place.
    """
    content = load(text)
    if isinstance(value, dict) and found(content, path) is None:
        appended = _appended(text, path, value)
        if _says(appended, with_value(content, path, value)):
            return appended
    return _edited(text, path, value)


def drop(text: str, path: Path) -> str:
    """Return the text without the member at ``path``."""
    if found(load(text), path) is None:
        return text
    return _edited(text, path, None)


def _says(text: str, content: Any) -> bool:
    try:
        return bool(load(text) == content)
    except NotEditable:
        return False


def _appended(text: str, path: Path, value: dict[str, Any]) -> str:
    line = newline_of(text)
    shown = f"[{'.'.join(tomlkit.key(str(step)).as_string() for step in path)}]\n{_table(value).as_string()}"
    head = text.rstrip("\r\n")
    blank = not head.strip(_MARK + " \t")
    return (text if blank else head + 2 * line) + shown.replace("\n", line)


def _table(value: dict[str, Any]) -> Table:
    table = tomlkit.table()
    for key, one in value.items():
        table.add(key, one)
    return table


def _edited(text: str, path: Path, value: Any) -> str:
    mark = _MARK if text.startswith(_MARK) else ""
    try:
        document = tomlkit.parse(text.removeprefix(_MARK))
        inner: Any = document
        for step in path[:-1]:
            if step not in inner:
                inner[step] = tomlkit.inline_table() if isinstance(inner, InlineTable) else tomlkit.table()
            inner = inner[step]
        if value is None:
            del inner[path[-1]]
        elif path[-1] in inner or isinstance(inner, InlineTable) or not isinstance(value, dict):
            inner[path[-1]] = value
        else:
            inner[path[-1]] = _table(value)
        after = tomlkit.dumps(document)
    except (TOMLKitError, TypeError, KeyError, ValueError, AttributeError, RecursionError) as wrong:
        raise NotEditable("not to be changed in place") from wrong
    is_crlf = "\r\n" in text and "\n" not in text.replace("\r\n", "")
    return mark + (after.replace("\r\n", "\n").replace("\n", "\r\n") if is_crlf else after)
