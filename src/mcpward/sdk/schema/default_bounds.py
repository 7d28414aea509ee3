"""The bounds that hold where an author set none: put into the schema that is both published and enforced.

A core schema of pydantic is changed before validator and JSON schema are made of it. A hand-written schema is changed
itself, but for what stands in a condition: a bound in a ``not`` would allow what it should refuse.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mcpward.core.integral import LEAST, MOST
from mcpward.core.unbounded import CHARACTERS, ITEMS, MEMBERS
from mcpward.sdk.schema.schema_bounds import Document, Schema
from mcpward.sdk.schema.unbounded_parts import is_finite_pattern

_TEXTS: Final = frozenset({"str", "bytes", "url", "multi-host-url"})
_LISTS: Final = frozenset({"list", "set", "frozenset", "generator"})
#: Members of a core schema that hold no schemas, or those of names, which a message bounds.
_OPAQUE: Final = frozenset(
    {
        "cls", "computed_fields", "config", "custom_error_context", "default", "discriminator", "expected", "function",
        "keys_schema", "members", "metadata", "serialization",
    }
)  # fmt: skip
_NAMED: Final = frozenset({"fields", "choices"})


def bounded_model(schema: Any) -> Any:
    """Return a pydantic core schema with default bounds; the same object if it has all."""
    if isinstance(schema, tuple):
        return tuple(map(bounded_model, schema))
    if isinstance(schema, list):
        return list(map(bounded_model, schema))
    if not isinstance(schema, dict) or not isinstance(schema.get("type"), str):
        return schema
    made = {word: _member(word, said) for word, said in schema.items()}
    return made | _missing(made)


def _member(word: str, said: Any) -> Any:
    if word in _OPAQUE:
        return said
    if word in _NAMED and isinstance(said, dict):
        return {name: bounded_model(part) for name, part in said.items()}
    return bounded_model(said)


def _missing(schema: Mapping[str, Any]) -> dict[str, Any]:
    kind = schema["type"]
    if kind == "int":
        return _sides(schema, ("ge", "gt"), ("le", "lt"))
    if schema.get("max_length") is not None:
        return {}
    if kind in _TEXTS:
        pattern = schema.get("pattern")
        return {} if isinstance(pattern, str) and is_finite_pattern(pattern) else {"max_length": CHARACTERS}
    if kind in _LISTS or (kind == "tuple" and schema.get("variadic_item_index") is not None):
        return {"max_length": ITEMS}
    return {"max_length": MEMBERS} if kind == "dict" else {}


def _sides(schema: Mapping[str, Any], lower: tuple[str, str], upper: tuple[str, str]) -> dict[str, Any]:
    """Return the bound of each side that has none."""
    sides = ((lower, LEAST), (upper, MOST))
    return {words[0]: bound for words, bound in sides if all(schema.get(word) is None for word in words)}


def bounded_schema(document: Document) -> dict[str, Any]:
    """Return a hand-written JSON schema with default bounds."""
    conditional = {id(part) for start in _conditions(document) for part in _reached(document, start, _ALL)}
    changes = [
        (part, missing)
        for part in _reached(document, document.root, _POSITIVE)
        if id(part) not in conditional and (missing := _missing_words(part))
    ]
    for part, missing in changes:
        dict.update(part, missing)  # a private copy
    return document.root


def _missing_words(part: Schema) -> dict[str, Any]:
    if "enum" in part or "const" in part:
        return {}
    said = part.get("type")
    kinds = {said} if isinstance(said, str) else set(said) if isinstance(said, list) else set()
    found: dict[str, Any] = {}
    if "string" in kinds and not _is_bounded_text(part):
        found["maxLength"] = CHARACTERS
    if "array" in kinds and "maxItems" not in part and part.get("items") is not False:
        found["maxItems"] = ITEMS
    is_closed = part.get("additionalProperties") is False and not part.get("patternProperties")
    if "object" in kinds and "maxProperties" not in part and not is_closed:
        found["maxProperties"] = MEMBERS
    if "integer" in kinds and "number" not in kinds:
        sides = (("minimum", "exclusiveMinimum", LEAST), ("maximum", "exclusiveMaximum", MOST))
        found |= {word: bound for word, other, bound in sides if word not in part and other not in part}
    return found


def _is_bounded_text(part: Schema) -> bool:
    pattern = part.get("pattern")
    return "maxLength" in part or (isinstance(pattern, str) and is_finite_pattern(pattern))


_POSITIVE: Final = (
    ("items", "additionalProperties", "then", "else", "unevaluatedItems", "unevaluatedProperties"),
    ("allOf", "anyOf", "oneOf", "prefixItems", "properties", "patternProperties", "dependentSchemas"),
)
_CONDITIONS: Final = ("not", "if", "contains", "propertyNames")
_ALL: Final = ((*_POSITIVE[0], *_CONDITIONS), _POSITIVE[1])


def _conditions(document: Document) -> Iterator[Schema]:
    for part in _reached(document, document.root, _ALL):
        yield from (part[word] for word in _CONDITIONS if isinstance(part.get(word), dict))


def _reached(document: Document, start: Schema, words: tuple[tuple[str, ...], tuple[str, ...]]) -> list[Schema]:
    """Return the schemas that one leads to by these keywords and its references, itself included."""
    rest, seen, found = [start], set[int](), []
    while rest:
        part = rest.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        found.append(part)
        target = document.target(part)
        inner = [target, *(part.get(word) for word in words[0])]
        for word in words[1]:
            several = part.get(word)
            inner += several.values() if isinstance(several, dict) else several if isinstance(several, list) else ()
        rest += [one for one in inner if isinstance(one, dict)]
    return found
