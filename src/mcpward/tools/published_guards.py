"""A tool's entry in the list with what its guards say: members of the schema, and sentences of the descriptions."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mcpward.core.subschema import Subschemas
from mcpward.sdk.guards.parameter_guard import Guard
from mcpward.sdk.schema.sentences import described

_LEAST: Final = frozenset({"minimum", "minLength", "minItems", "minProperties"})
_MOST: Final = frozenset({"maximum", "maxLength", "maxItems", "maxProperties"})
#: The types of JSON for which a keyword says anything.
_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "minimum": ("number", "integer"), "maximum": ("number", "integer"),
    "minLength": ("string",), "maxLength": ("string",), "pattern": ("string",), "format": ("string",),
    "minItems": ("array",), "maxItems": ("array",), "uniqueItems": ("array",),
    "minProperties": ("object",), "maxProperties": ("object",),
}  # fmt: skip


def with_guards(entry: dict[str, Any], guards: Sequence[Guard], *, written: Mapping[str, str] = {}) -> dict[str, Any]:
    """Return a tool's entry with its guards. ``written`` are the names of parameters in the schema."""
    if not guards:
        return entry
    schema = entry["inputSchema"]
    properties = {
        name: dict(part) if isinstance(part, Mapping) else part for name, part in schema.get("properties", {}).items()
    }
    top = Subschemas(schema).top
    sentences: list[str] = []
    for guard in guards:
        names = [written.get(name, name) for name in guard.parameters]
        if properties.keys().isdisjoint(names):  # filled by mcpward: nothing that the model could heed
            continue
        keywords = getattr(guard, "keywords", None)
        for parameter, name in zip(guard.parameters, names, strict=True):
            part = properties.get(name)
            if isinstance(part, dict) and keywords is not None:
                place = top.member(name)
                kinds = frozenset(
                    kind for kind in ("string", "number", "integer", "array", "object") if place.admits(kind)
                )
                _narrow(part, keywords(parameter), kinds, admits_null=place.admits_null)
        describe = getattr(guard, "describe", None)
        sentence = describe() if describe is not None else ""
        part = properties.get(names[0]) if len(names) == 1 else None
        if sentence and isinstance(part, dict):
            part["description"] = described(part.get("description", ""), [sentence])
        elif sentence:
            sentences.append(sentence)
    return entry | {
        "description": described(entry["description"], sentences, "\n\n"),
        "inputSchema": {**schema, "properties": properties},
    }


def _narrow(part: dict[str, Any], keywords: Mapping[str, Any], kinds: frozenset[str], *, admits_null: bool) -> None:
    """Add keywords to a parameter's schema, in place: the narrower bound stays, and a pattern of its own too."""
    for word, value in keywords.items():
        of = _OF.get(word)
        if of is not None and kinds.isdisjoint(of):
            continue
        if word in _LEAST:
            part[word] = max(value, part.get(word, value))
        elif word in _MOST:
            part[word] = min(value, part.get(word, value))
        elif word == "enum":
            listed = [one for one in part[word] if one in value] if word in part else [*value]
            part[word] = [*listed, None] if admits_null and None not in listed else listed
        else:
            part.setdefault(word, value)
