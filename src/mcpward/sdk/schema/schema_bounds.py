"""The bounds of a hand-written schema: JSON Schema 2020-12, of bounded size, self-contained (attack 76).

Nothing is ever fetched, by us or by a client that follows a reference.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

import msgspec

from mcpward.sdk.errors import AuthoringError

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_MOST_BYTES: Final = 65_536
_MOST_PARTS: Final = 2_000
_DEEPEST: Final = 32
#: These need the way by which a schema was reached; their cost and meaning cannot be determined beforehand.
_DYNAMIC: Final = ("$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary")
_PLAIN: Final = "simplify it, or use annotations instead of input_schema"
Schema = Mapping[str, Any]


class Document:
    """A private copy of one schema, with its references resolved.

    Raises :class:`AuthoringError`: no JSON, no object at its root, another dialect, too large, a reference that leads
    out of it or nowhere.
    """

    def __init__(self, schema: Any, what: str, where: str, option: str = "input_schema") -> None:
        self._option = option
        self._what = what
        self._where = where
        self.root = self._copied(schema)
        self._anchors: dict[str, Schema] = {}
        for part in parts(self.root):
            self._read(part)
        for part in parts(self.root):
            self.target(part)

    def target(self, schema: Schema) -> Schema | None:
        """Return what a schema's ``$ref`` stands for, None if it has none."""
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return None
        name = reference.removeprefix("#")
        if name == reference:
            self.refuse("refers to another document, which mcpward does not fetch", "copy it into $defs")
        if name and not name.startswith("/"):
            found: Any = self._anchors.get(name)
        else:
            found = _walked(self.root, name.split("/")[1:])
        if isinstance(found, bool):
            return {}
        if not isinstance(found, dict):
            self.refuse("refers to a missing definition", "add it to $defs, or correct the $ref")
        return found

    def refuse(self, problem: str, hint: str = _PLAIN) -> NoReturn:
        """Return what is wrong with it. Always raises :class:`AuthoringError`."""
        raise AuthoringError(f"{self._what}: {self._option} {problem}", self._where, hint)

    def _copied(self, schema: Any) -> dict[str, Any]:
        try:
            raw = msgspec.json.encode(schema)
            own: Any = msgspec.json.decode(raw)
        except (TypeError, ValueError, RecursionError):
            self.refuse("is not JSON")
        if not isinstance(own, dict) or own.get("type") != "object":
            self.refuse('needs "type": "object" at its root', 'write {"type": "object", "properties": {…}}')
        if own.get("$schema", DIALECT) != DIALECT:
            self.refuse("is of another dialect than 2020-12")
        if len(raw) > _MOST_BYTES or _depth(own) > _DEEPEST or sum(1 for _ in parts(own)) > _MOST_PARTS:
            self.refuse(f"is larger than {_MOST_BYTES // 1024} KiB, {_DEEPEST} levels or {_MOST_PARTS} objects")
        return own

    def _read(self, part: Schema) -> None:
        if any(isinstance(part.get(keyword), str) for keyword in _DYNAMIC):
            self.refuse("has a dynamic reference; only $ref, $defs and $anchor are served")
        if part is not self.root and isinstance(part.get("$id"), str):
            self.refuse("has an inner $id, which changes the meaning of its references")
        anchor = part.get("$anchor")
        if isinstance(anchor, str):
            if anchor in self._anchors:
                self.refuse("has an $anchor twice")
            self._anchors[anchor] = part


def parts(value: Any) -> Iterator[Schema]:
    """Return every object within a JSON value, itself included, whether it is a schema or not."""
    rest = [value]
    while rest:
        part = rest.pop()
        if isinstance(part, dict):
            yield part
            rest += part.values()
        elif isinstance(part, list):
            rest += part


def _walked(root: Any, tokens: list[str]) -> Any:
    """Follow a JSON pointer (RFC 6901)."""
    found = root
    for token in tokens:
        step = token.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list):
            found = found[int(step)] if step.isdecimal() and int(step) < len(found) else None
        else:
            found = found.get(step) if isinstance(found, dict) else None
    return found


def _depth(value: Any) -> int:
    deepest, rest = 0, [(value, 1)]
    while rest:
        part, depth = rest.pop()
        deepest = max(deepest, depth)
        if isinstance(part, dict | list):
            rest += [(member, depth + 1) for member in (part.values() if isinstance(part, dict) else part)]
    return deepest
