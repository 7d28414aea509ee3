"""Renames a server in the text of ``mcpward.toml``, and changes nothing else."""

import re
import tomllib
from typing import Any, Final

from mcpward.config.lines import statements_of

_PART: Final = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_KEY: Final = re.compile(rf"({_PART})([ \t]*\.[ \t]*)?")


class NotRenamed(ValueError):
    """The text cannot be changed so that only the name differs."""


def renamed_server(text: str, old: str, new: str) -> str:
    """Return the text with server ``old`` under the name ``new``, ``site.default_server`` too if that names it.

    Raises:
        NotRenamed: the text is no TOML, has no such server, or has the other one. Also if it writes the name in a way
            that is not supported here, such as inside of an inline table.
    """
    wanted = _wanted(text, old, new)
    pieces: list[str] = []
    table: tuple[str, ...] = ()
    done = 0
    for statement in statements_of(text):
        outer = () if statement.is_table else table
        if statement.is_table:
            table = statement.keys
        place = _place_of(outer, statement.keys, old)
        if place is not None:
            start, end = _span(text, statement.start, place)
            pieces += [text[done:start], new]
            done = end
        elif (*outer, *statement.keys) == ("site", "default_server"):
            value = text[statement.start : statement.end]
            if changed := _value(value, old, new):
                pieces += [text[done : statement.start], changed]
                done = statement.end
    after = "".join([*pieces, text[done:]])
    try:
        if tomllib.loads(after) == wanted:
            return after
    except tomllib.TOMLDecodeError:
        pass
    raise NotRenamed("the name is written in a way that cannot be changed in place")


def _wanted(text: str, old: str, new: str) -> dict[str, Any]:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise NotRenamed("not TOML") from None
    servers = content.get("servers")
    if not isinstance(servers, dict) or old not in servers or new in servers:
        raise NotRenamed("no such server, or both names exist")
    content["servers"] = {new if name == old else name: table for name, table in servers.items()}
    site = content.get("site")
    if isinstance(site, dict) and site.get("default_server") == old:
        site["default_server"] = new
    return content


def _place_of(table: tuple[str, ...], keys: tuple[str, ...], old: str) -> int | None:
    """Return which of the keys of a statement is the server's name; None if none is."""
    whole = (*table, *keys)
    at = 1 - len(table)
    return at if whole[:2] == ("servers", old) and at >= 0 else None


def _span(text: str, start: int, place: int) -> tuple[int, int]:
    """Return the position of the key at ``place`` in a statement whose first key starts at ``start``."""
    at = start
    for number in range(place + 1):
        part = _KEY.match(text, at)
        if part is None:
            raise NotRenamed("a key that is not understood")
        if number == place:
            return part.start(1), part.end(1)
        at = part.end()
    raise NotRenamed("a missing key")


def _value(statement: str, old: str, new: str) -> str | None:
    found = re.search(rf"""(=[ \t]*)(["']){re.escape(old)}\2""", statement)
    return None if found is None else f"{statement[: found.end(1)]}{found[2]}{new}{found[2]}{statement[found.end() :]}"
