"""Structured field values (RFC 9651) as a strict client reads them: lists of items with parameters, nothing lenient."""

import re
from dataclasses import dataclass, field

Bare = str | int | bool | bytes
_KEY = re.compile(r"[a-z*][a-z0-9_\-.*]*")
_INTEGER = re.compile(r"-?[0-9]{1,15}(?![0-9.])")
_STRING = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+\-.^_`|~:/]*")


@dataclass(frozen=True)
class Item:
    """One item of a list."""

    value: Bare
    parameters: dict[str, Bare] = field(default_factory=dict)


def read_list(text: str) -> list[Item]:
    """Read a List of Items (RFC 9651 §4.2.1). Raises ``ValueError`` for anything that a parser must fail on."""
    rest = text.strip(" ")
    found: list[Item] = []
    while rest:
        item, rest = _item(rest)
        found.append(item)
        rest = rest.lstrip(" \t")
        if not rest:
            return found
        if rest[0] != ",":
            raise ValueError(f"no comma: {rest!r}")
        rest = rest[1:].lstrip(" \t")
        if not rest:
            raise ValueError("a comma at the end")
    return found


def _item(rest: str) -> tuple[Item, str]:
    value, rest = _bare(rest)
    parameters: dict[str, Bare] = {}
    while rest.startswith(";"):
        rest = rest[1:].lstrip(" ")
        name = _KEY.match(rest)
        if name is None:
            raise ValueError(f"no key: {rest!r}")
        rest = rest[name.end() :]
        parameters[name[0]] = True
        if rest.startswith("="):
            parameters[name[0]], rest = _bare(rest[1:])
    return Item(value, parameters), rest


def _bare(rest: str) -> tuple[Bare, str]:
    if found := _STRING.match(rest):
        return re.sub(r"\\(.)", r"\1", found[1]), rest[found.end() :]
    if found := _INTEGER.match(rest):
        return int(found[0]), rest[found.end() :]
    if found := _TOKEN.match(rest):
        return found[0], rest[found.end() :]
    raise ValueError(f"no item: {rest!r}")
