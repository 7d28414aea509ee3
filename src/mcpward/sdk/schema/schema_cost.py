"""The cost of checking against a schema. A small schema can have an unbounded cost (attack 76).

References to references double the work with each step, and a schema that stands within itself doubles it with each
level of the arguments. So what it unfolds to is counted before it is used, and the arguments' depth is bounded.
"""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from mcpward.sdk.schema.schema_bounds import Document, Schema, parts

UNBOUNDED: Final = 1_000
_MOST_UNFOLDED: Final = 10_000
_MOST_VISITS: Final = 1_000_000
_SHALLOWEST: Final = 4
_BESIDE_ONE: Final = ("not", "if", "then", "else")
_BESIDE_MANY: Final = ("allOf", "anyOf", "oneOf", "dependentSchemas")
#: Keywords whose schemas look at parts of the value. A named property is one place; the others may all see the same.
_ITEMS: Final = ("items", "prefixItems", "contains", "unevaluatedItems")
_MEMBERS: Final = ("additionalProperties", "patternProperties", "propertyNames", "unevaluatedProperties")
_NAMED: Final = "properties"


def deepest(document: Document) -> int:
    """Return how many levels the arguments may have, so that checking them stays cheap; :data:`UNBOUNDED` for any.

    Raises:
        AuthoringError: it refers to itself in a cycle, or unfolds without bounds.
    """
    return _Unfolding(document).deepest()


class _Unfolding:
    """Counts what a schema becomes when its references are put in place."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._sizes: dict[int, int] = {}
        self._open: set[int] = set()
        self._reached: dict[int, frozenset[int]] = {}

    def deepest(self) -> int:
        try:
            size = self._size(self._document.root)
        except RecursionError:
            self._document.refuse("has too long a chain of references")
        ways = max(self._ways(schema) for schema in parts(self._document.root))
        if ways <= 1:
            return UNBOUNDED
        return max(_SHALLOWEST, int(math.log(_MOST_VISITS / size) / math.log(ways)))

    def _size(self, schema: Schema) -> int:
        """Return how many schemas look at a value and its parts; a schema within itself counts once."""
        key = id(schema)
        if key in self._open:
            return 1
        if key not in self._sizes:
            self._open.add(key)
            self._require_progress(schema)
            size = 1 + sum(self._size(child) for child in (*self._beside(schema), *_below(schema)))
            self._open.discard(key)
            if size > _MOST_UNFOLDED:
                self._document.refuse(f"unfolds to more than {_MOST_UNFOLDED} schemas")
            self._sizes[key] = size
        return self._sizes[key]

    def _require_progress(self, schema: Schema) -> None:
        """Without a step into the value, checking it would never end."""
        rest, seen = list(self._beside(schema)), set[int]()
        while rest:
            part = rest.pop()
            if part is schema:
                self._document.refuse("refers to itself in a circle")
            if id(part) not in seen:
                seen.add(id(part))
                rest += self._beside(part)

    def _ways(self, schema: Schema) -> int:
        """Return by how many ways one level of a value comes back to ``schema`` at one place of the next level."""
        ways: Counter[str] = Counter()
        rest = [schema]
        while rest:
            part = rest.pop()
            rest += self._beside(part)
            for label, child in _labelled(part):
                ways[label] += id(schema) in self._reach(child)
        members, items = ways.pop(_MEMBERS[0], 0), ways.pop(_ITEMS[0], 0)
        return max(members + max(ways.values(), default=0), items)

    def _reach(self, schema: Schema) -> frozenset[int]:
        key = id(schema)
        if key not in self._reached:
            rest, seen = [schema], set[int]()
            while rest:
                part = rest.pop()
                if id(part) not in seen:
                    seen.add(id(part))
                    rest += (*self._beside(part), *_below(part))
            self._reached[key] = frozenset(seen)
        return self._reached[key]

    def _beside(self, schema: Schema) -> Iterator[Schema]:
        """Return the schemas that look at the same value."""
        target = self._document.target(schema)
        if target is not None:
            yield target
        for keyword in _BESIDE_ONE:
            yield from _schemas([schema.get(keyword)])
        for keyword in _BESIDE_MANY:
            yield from _schemas(schema.get(keyword))


def _below(schema: Schema) -> Iterator[Schema]:
    """Return the schemas that look at parts of the value."""
    return (child for _, child in _labelled(schema))


def _labelled(schema: Schema) -> Iterator[tuple[str, Schema]]:
    properties = schema.get(_NAMED)
    for name, child in properties.items() if isinstance(properties, dict) else ():
        if isinstance(child, dict):
            yield f".{name}", child
    for keywords in (_ITEMS, _MEMBERS):
        for keyword in keywords:
            value = schema.get(keyword)
            is_one = keyword not in {"prefixItems", "patternProperties"}
            yield from ((keywords[0], child) for child in _schemas([value] if is_one else value))


def _schemas(value: Any) -> Iterator[Schema]:
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    yield from (member for member in members if isinstance(member, dict))
