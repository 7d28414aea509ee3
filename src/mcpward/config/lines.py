"""The line of each key in a TOML text. ``tomllib`` does not report it, and an error without a line is half an error.

The text has been parsed by ``tomllib`` before, so this only has to follow its structure, not to judge it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

Path = tuple[str, ...]

_PART: Final = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_DOTTED: Final = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_TABLE: Final = re.compile(rf"[ \t]*\[\[?[ \t]*({_DOTTED})[ \t]*\]")
_KEY: Final = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=")
_TOKEN: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'" r"|\#[^\n]*|[\[\]{}\n]",
    re.DOTALL,
)


def _split(dotted: str) -> Path:
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))


def _end_of_value(text: str, start: int) -> int:
    """Return the position after the line break that ends the value which begins at ``start``."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        if token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
        elif token[0] == "\n" and depth <= 0:
            return token.end()
    return len(text)


class Statement(Struct, frozen=True):
    """One statement of the text: its keys, the start of the first of them, and its own end."""

    keys: Path
    start: int
    end: int
    number: int
    is_table: bool


def statements_of(text: str) -> Iterator[Statement]:
    """Return every header of a table and every key outside of inline tables, in their order; lines count from 1."""
    position, number = 0, 1
    while position < len(text):
        end = _end_of_value(text, position)
        if header := _TABLE.match(text, position):
            end = text.find("\n", position) + 1 or len(text)
            yield Statement(_split(header[1]), header.start(1), end, number, is_table=True)
        elif entry := _KEY.match(text, position):
            yield Statement(_split(entry[1]), entry.start(1), end, number, is_table=False)
        number += text.count("\n", position, end)
        position = end


def key_lines(text: str) -> dict[Path, int]:
    """Map every table and every key outside of inline tables to its line, counted from 1; the first mention wins."""
    lines: dict[Path, int] = {}
    table: Path = ()
    for statement in statements_of(text):
        if statement.is_table:
            table = statement.keys
        _note(lines, table if statement.is_table else table + statement.keys, statement.number)
    return lines


def _note(lines: dict[Path, int], path: Path, number: int) -> None:
    for length in range(1, len(path) + 1):
        lines.setdefault(path[:length], number)


def line_of(lines: Mapping[Path, int], path: Path) -> int | None:
    """Find the line of a key, or of the nearest table around it."""
    for length in range(len(path), 0, -1):
        if (number := lines.get(path[:length])) is not None:
            return number
    return None
