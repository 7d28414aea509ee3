"""The work of pydantic on a value, as nodes whose visits can be counted: read from its own core schema.

Source: ``pydantic_core.core_schema``. An unknown kind counts as one that sees its value, and so does everything in
it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeGuard

from mcpward.sdk.schema.visits import Node

#: The places of inner schemas in a core schema, for a type that only passes its value on, or is not known here.
_WITHIN: Final = (
    "schema", "steps", "choices", "strict_schema", "json_schema", "items_schema", "values_schema", "keys_schema",
    "arguments_schema", "extras_schema",
)  # fmt: skip
_LISTS: Final = frozenset({"list", "set", "frozenset", "generator"})
_OBJECTS: Final = frozenset({"model-fields", "typed-dict", "dataclass-args"})
_CHOICES_PER_VISIT: Final = 16
#: A text of millions of digits becomes a number at once, and each sum with it takes as long again.
_DIGIT: Final = 5


def nodes_of(schema: Mapping[str, Any]) -> Node:
    """Return the node of a core schema."""
    return _Reading().node(schema)


class _Reading:
    def __init__(self) -> None:
        self._named: dict[str, Node] = {}

    def node(self, schema: Mapping[str, Any]) -> Node:
        kind = schema.get("type")
        if kind == "definition-ref":
            return self._named.setdefault(schema["schema_ref"], Node())
        reference = schema.get("ref")
        node = self._named.setdefault(reference, Node()) if isinstance(reference, str) else Node()
        if kind == "definitions":
            for definition in schema["definitions"]:
                self.node(definition)
        self._fill(node, kind, schema)
        return node

    def _fill(self, node: Node, kind: object, schema: Mapping[str, Any]) -> None:
        if kind in _LISTS:
            node.items = self._each(schema, "items_schema")
        elif kind == "tuple":
            items, at = schema["items_schema"], schema.get("variadic_item_index", len(schema["items_schema"]))
            node.first = [[self.node(item)] for item in items[:at]]
            node.items = [self.node(item) for item in items[at:]]
        elif kind == "dict":
            node.others = [*self._each(schema, "values_schema"), *self._each(schema, "keys_schema")]
        elif kind in _OBJECTS:
            self._object(node, schema)
        elif kind == "tagged-union" and isinstance(schema["discriminator"], str):
            node.tag = schema["discriminator"]
            node.tagged = {getattr(tag, "value", tag): self.node(choice) for tag, choice in schema["choices"].items()}
        elif kind == "decimal":
            node.letters = _DIGIT
        elif kind in {"literal", "enum"}:
            node.weight += len(schema.get("expected", schema.get("members", ()))) // _CHOICES_PER_VISIT
        else:
            node.beside += [self.node(part) for part in _parts(schema)]

    def _object(self, node: Node, schema: Mapping[str, Any]) -> None:
        fields = schema["fields"]
        named = fields.items() if isinstance(fields, Mapping) else [(field["name"], field) for field in fields]
        required = set[str]()
        for name, field in named:
            alias = field.get("validation_alias", name)
            alias = alias if isinstance(alias, str) else name
            node.fields[alias] = [self.node(field["schema"])]
            if field.get("required", field["schema"].get("type") != "default"):
                required.add(alias)
        node.required = frozenset(required)
        node.others = self._each(schema, "extras_schema")
        node.is_closed = not node.others

    def _each(self, schema: Mapping[str, Any], member: str) -> list[Node]:
        part = schema.get(member)
        return [] if part is None else [self.node(part)]


def _parts(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Return the schemas that stand directly within one."""
    for member in _WITHIN:
        value = schema.get(member)
        if _is_schema(value):
            yield value
        elif isinstance(value, list | Mapping):
            for part in value.values() if isinstance(value, Mapping) else value:
                one = part[0] if isinstance(part, tuple) else part  # a choice with a label
                if _is_schema(one):
                    yield one


def _is_schema(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """A mapping of choices may have a tag that is called "type" too."""
    return isinstance(value, Mapping) and isinstance(value.get("type"), str)
