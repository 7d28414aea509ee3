"""A row as one line of text, whatever is in it (attack 110): for files, pipes and terminals."""

import json
from collections.abc import Mapping
from typing import Any


def line(row: Mapping[str, Any]) -> str:
    """Return the row as JSON in printable ASCII, without a line break.

    Every control character, escape sequence, bidirectional mark and separator from a caller is escaped. So it can
    neither break the line nor act on a terminal; ``json.loads`` gives it back as it was.
    """
    return json.dumps(row, ensure_ascii=True, separators=(",", ":"))


def visible(text: str) -> str:
    """Return a text for people: what is printable stays, anything else shows as its escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
