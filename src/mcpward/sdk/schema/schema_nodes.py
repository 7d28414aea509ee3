"""The work of jsonschema-rs on a value, as nodes whose visits can be counted: read from a hand-written schema."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mcpward.sdk.schema.schema_bounds import Document, Schema
from mcpward.sdk.schema.visits import Node

_SAME_ONE: Final = ("not", "if", "then", "else")
_SAME_MANY: Final = ("allOf", "anyOf", "oneOf", "dependentSchemas")
_ITEMS: Final = ("items", "contains", "unevaluatedItems")
_MEMBERS: Final = ("additionalProperties", "propertyNames", "unevaluatedProperties")
#: Keywords that cost more than a comparison, in visits (measured: a visit takes some 30 ns).
_DIVISION: Final = 64
_DISTINCT: Final = 8
_PATTERN: Final = 2
_PLAIN: Final = (str, int)


def nodes_of(document: Document) -> Node:
    """Return the node of a schema."""
    return _Reading(document).node(document.root)


class _Reading:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._made: dict[int, Node] = {}

    def node(self, schema: Schema) -> Node:
        node = self._made.get(id(schema))
        if node is None:
            node = self._made[id(schema)] = Node()  # before what is in it: that may lead back here
            self._fill(node, schema)
        return node

    def _fill(self, node: Node, schema: Schema) -> None:
        target = self._document.target(schema)
        same = [part for word in _SAME_ONE for part in _schemas([schema.get(word)])]
        same += [part for word in _SAME_MANY for part in _schemas(schema.get(word))]
        node.beside = [self.node(part) for part in (same if target is None else [target, *same])]
        node.weight += _own(schema)
        node.each = _DISTINCT if schema.get("uniqueItems") is True else 0
        node.items = [self.node(part) for word in _ITEMS for part in _schemas([schema.get(word)])]
        beside = [self.node(part) for word in _ITEMS[1:] for part in _schemas([schema.get(word)])]
        node.first = [[self.node(part), *beside] for part in _schemas(schema.get("prefixItems"))]
        patterned = schema.get("patternProperties")
        patterns = len(patterned) if isinstance(patterned, dict) else 0
        node.each += _PATTERN * patterns
        others = [self.node(part) for word in _MEMBERS for part in _schemas([schema.get(word)])]
        node.others = [*others, *(self.node(part) for part in _schemas(patterned))]
        properties = schema.get("properties")
        for name, part in properties.items() if isinstance(properties, Mapping) else ():
            own = [self.node(part)] if isinstance(part, dict) else []
            node.fields[name] = [*own, *node.others]


def _own(schema: Schema) -> int:
    """Return what the schema's own keywords cost for one value. Texts and integers are found by their hash."""
    listed = schema.get("enum")
    choices = listed if isinstance(listed, list) else []
    kinds = set(map(type, choices))
    weight = len(choices) if len(kinds) > 1 or not kinds <= set(_PLAIN) else 0
    if any(isinstance(choice, dict | list) for choice in choices):
        weight *= _DISTINCT
    if "multipleOf" in schema:
        weight += _DIVISION
    return weight + (_PATTERN if "pattern" in schema else 0)


def _schemas(value: Any) -> Iterator[Schema]:
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    yield from (member for member in members if isinstance(member, dict))
