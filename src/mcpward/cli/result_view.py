"""A tool's result as a person reads it: text as it is, a list of records as a table, other data as JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mcpward.cli import ui

#: A table with more columns than this is harder to read than JSON.
_MOST_COLUMNS: Final = 8
_LONGEST_CELL: Final = 60
_PLAIN: Final = (str, int, float, bool, type(None))


def result_lines(result: Mapping[str, Any]) -> list[str]:
    """Return the lines of a result (``content`` and ``structuredContent``), safe for a terminal."""
    structured = result.get("structuredContent")
    content = result.get("content", [])
    if structured is None:
        return [line for block in content for line in _block(block)]
    lines = _data(structured)
    # Content that is no text beside the data, such as an image; the text repeats the data for older clients.
    return [*lines, *(line for block in content if block.get("type") != "text" for line in _block(block))]


def _data(value: Any) -> list[str]:
    if isinstance(value, Mapping) and list(value) == ["result"]:  # how a bare value is wrapped into an object
        value = value["result"]
    if isinstance(value, str):
        return [ui.safe(line) for line in value.splitlines()] or [""]
    if isinstance(value, list) and _is_table(value):
        return _table(value)
    return [ui.safe(line) for line in json.dumps(value, indent=2, ensure_ascii=False).splitlines()]


def _is_table(rows: Sequence[Any]) -> bool:
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        return False
    first = list(rows[0])
    return 0 < len(first) <= _MOST_COLUMNS and all(
        list(row) == first and all(isinstance(cell, _PLAIN) for cell in row.values()) for row in rows
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    cells = [[_cell(cell) for cell in row.values()] for row in rows]
    return ui.aligned([list(rows[0]), *cells])


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else "-" if value is None else json.dumps(value)
    return text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…"


def _block(block: Mapping[str, Any]) -> Iterator[str]:
    match block.get("type"):
        case "text":
            yield from (ui.safe(line) for line in str(block.get("text", "")).splitlines() or [""])
        case "resource_link":
            yield f"link: {ui.safe(block.get('uri', ''))}"
        case "resource":
            inner = block.get("resource", {})
            yield f"resource: {ui.safe(inner.get('uri', ''))}"
            yield from (ui.safe(line) for line in str(inner.get("text", "")).splitlines())
        case kind:
            size = len(str(block.get("data", ""))) * 3 // 4
            mime = ui.safe(block.get("mimeType", "?"))
            yield f"{ui.safe(kind or 'content')}: {mime}, about {size:,} bytes (--json has it)"
