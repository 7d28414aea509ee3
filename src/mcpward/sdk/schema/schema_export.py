"""JSON schemas as pydantic makes them, brought into the form in which they are published."""

import sys
from collections.abc import Callable
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

#: Formats that every value we serialize has, as JSON Schema's own validators check them (ajv-formats above all). Not
#: among them: ``duration`` (RFC 3339 has no negative ones, pydantic writes some), ``ipv6`` (no zone), ``uri`` and
#: ``email`` (pydantic takes more than their RFCs), and those that JSON Schema does not define: a strict client does not
#: compile a schema with a format that it does not know.
_PROMISED: Final = frozenset({"date", "date-time", "time", "uuid", "ipv4"})
#: Keywords that say nothing of what goes out, or not the same to every client. Patterns are pydantic's, in the syntax
#: of Rust or Python: a client that cannot compile one drops all tools of the server. Multiples and uniqueness are
#: decided by rounding if numbers are doubles, and two secrets in a set are alike once they are redacted. A member's
#: name is a text, whatever the schema of its type says.
_DROPPED: Final = frozenset({"default", "pattern", "writeOnly", "multipleOf", "uniqueItems", "propertyNames"})
_SCHEMAS_BY_NAME: Final = ("properties", "$defs", "dependentSchemas")
_SCHEMAS: Final = ("items", "additionalProperties", "propertyNames", "not", "if", "then", "else", "contains")
_SCHEMA_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_FUNCTIONS: Final = frozenset({"function-plain", "function-wrap"})
_NUMBERS: Final = frozenset({"integer", "number"})
_ANNOTATIONS: Final = frozenset({"default", "description", "title", "examples", "deprecated"})
_MOST_PLACED: Final = 100


class Untitled(GenerateJsonSchema):
    """A JSON schema without the titles that pydantic makes from names: they tell a model nothing and cost tokens."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  pydantic calls it so
        """Never."""
        return False


class Outgoing(Untitled):
    """The schema of what is serialized: of anything, if an author's serializer does not declare what it returns."""

    def bytes_schema(self, schema: Any) -> JsonSchemaValue:  # noqa: ARG002  pydantic calls it so
        """Return the schema of bytes as they go out. Bounds are of the bytes, and not of their text."""
        return {"type": "string", "contentEncoding": "base64"}

    def ser_schema(self, schema: Any) -> JsonSchemaValue | None:
        """Return the schema of a serializer; None leaves it to the type's own."""
        returns_anything = schema["type"] in _FUNCTIONS and schema.get("return_schema") is None
        if returns_anything and not _is_pydantics(schema["function"]):
            return {}
        return super().ser_schema(schema)


def promised(schema: dict[str, Any]) -> dict[str, Any]:
    """Return an output schema without what cannot be promised of every value."""

    def keep(part: dict[str, Any]) -> dict[str, Any]:
        kept = {word: value for word, value in part.items() if word not in _DROPPED}
        if "format" in kept and kept["format"] not in _PROMISED:
            del kept["format"]
        patterned = list(kept.pop("patternProperties", {}).values())
        if patterned:  # members whose names match a pattern become members of any name
            kept["additionalProperties"] = patterned[0] if len(patterned) == 1 else {"anyOf": patterned}
        return kept

    return dict(_every(schema, keep))


def bounded(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema whose numbers are those that a double holds: the others are infinity to most clients."""

    def bound(part: dict[str, Any]) -> dict[str, Any]:
        if part.get("type") in _NUMBERS:
            return {"minimum": -sys.float_info.max, "maximum": sys.float_info.max, **part}
        return part

    return dict(_every(schema, bound))


def _every(schema: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Change a schema and each schema within it; properties may be named like keywords."""
    if not isinstance(schema, dict):
        return schema
    changed = change(schema)
    within: dict[str, Any] = {}
    for word, value in changed.items():
        if word in _SCHEMAS_BY_NAME and isinstance(value, dict):
            within[word] = {name: _every(part, change) for name, part in value.items()}
        elif word in _SCHEMA_LISTS and isinstance(value, list):
            within[word] = [_every(part, change) for part in value]
        elif word in _SCHEMAS:
            within[word] = _every(value, change)
    return {**changed, **within}


def _is_pydantics(function: Any) -> bool:
    """Those of its own types return what their types' schemas say."""
    return str(getattr(function, "__module__", "")).partition(".")[0] in {"pydantic", "pydantic_core"}


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with each definition in the places that refer to it: many clients drop a tool that has ``$ref``.

    A schema that refers to itself, or would grow too large, is returned as it is.
    """
    definitions, left = schema.get("$defs"), _MOST_PLACED

    def place(part: dict[str, Any]) -> dict[str, Any]:
        nonlocal left
        while "$ref" in part:
            left -= 1
            name = str(part["$ref"]).removeprefix("#/$defs/")
            found = (definitions or {}).get(name)
            beside = {word: said for word, said in part.items() if word != "$ref"}
            if left < 0 or not isinstance(found, dict) or not all(map(_is_annotation, beside)):
                raise _Stays
            own = {word: said for word, said in found.items() if word != "title" or said != name}
            part = {**own, **beside}
        # Not of JSON Schema: it names definitions, and chooses among alternatives that exclude each other anyway.
        return {word: said for word, said in part.items() if word != "discriminator"}

    if not isinstance(definitions, dict):
        return schema
    try:
        return dict(_every({word: said for word, said in schema.items() if word != "$defs"}, place))
    except _Stays:
        return schema


class _Stays(Exception):
    """A schema whose definitions stay where they are."""


def _is_annotation(word: str) -> bool:
    return word in _ANNOTATIONS or word.startswith("x-")


def inline_root(schema: dict[str, Any]) -> dict[str, Any]:
    """Put a referenced root in place: MCP wants ``"type": "object"`` at the root itself."""
    root = schema.get("$ref")
    if root is None:
        return schema
    definitions = schema["$defs"]
    return {**definitions[root.removeprefix("#/$defs/")], "$defs": definitions}


def first_line(error: Exception) -> str:
    """Return the first line of an error's text, for a message that stays one line."""
    return str(error).strip().partition("\n")[0]
