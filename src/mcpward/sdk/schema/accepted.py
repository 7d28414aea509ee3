"""An honest JSON schema of the accepted values: whatever it allows, the type takes.

pydantic publishes more than it takes for some types: a format that the type narrows, any text for a decimal, any name
for an integer key. Rules that a schema cannot express (an author's own checks, ``max_digits``, a past date, the year 0)
are reported only when they are broken.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic.json_schema import JsonSchemaValue

from mcpward.core.email_pattern import EMAIL
from mcpward.sdk.schema.schema_bounds import parts
from mcpward.sdk.schema.schema_export import Untitled

_DECIMAL: Final = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?$"
_INTEGER: Final = r"^-?(?:0|[1-9][0-9]{0,17})$"
_NUMBER: Final = r"^-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?$"
_BASE64: Final = r"^(?:[A-Za-z0-9{0}]{{4}})*(?:[A-Za-z0-9{0}]{{2}}==|[A-Za-z0-9{0}]{{3}}=)?$"
_BOUNDS: Final = ("ge", "gt", "le", "lt", "multiple_of")
#: Replacements for formats that JSON Schema does not have, or that mean something else there: a strict client compiles
#: no schema with a format that it does not know, and Python's patterns are not ECMAScript's.
_INSTEAD: Final[Mapping[str, Mapping[str, Any]]] = {
    "ipvanyaddress": {"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]},
    "ipv4network": {"examples": ["192.0.2.0/24"]},
    "ipv6network": {"examples": ["2001:db8::/32"]},
    "ipvanynetwork": {"examples": ["192.0.2.0/24", "2001:db8::/32"]},
    "ipv4interface": {"examples": ["192.0.2.1/24"]},
    "ipv6interface": {"examples": ["2001:db8::1/32"]},
    "ipvanyinterface": {"examples": ["192.0.2.1/24", "2001:db8::1/32"]},
    "name-email": {"examples": ["Name <name@example.com>"]},
    "email": {"format": "email", "pattern": EMAIL},
    "base64": {"contentEncoding": "base64", "pattern": _BASE64.format("+/")},
    "base64url": {"contentEncoding": "base64url", "pattern": _BASE64.format("_-")},
    "binary": {},
    "path": {},
    "file-path": {},
    "directory-path": {},
    "multi-host-uri": {},
    "regex": {},
    "json-string": {},
    "color": {},
}
#: How a date-time or a time of day without an offset ends, as a whole string.
_NAIVE: Final = rb':[0-9][0-9](?:[.,][0-9]+)?"(?<![+-][0-9]{2}:[0-9]{2}")'
_TRUTH: Final = rb"true|false"
_DIGIT: Final = rb"[0-9]"
#: A number that may be an integer with a point or an exponent.
_POINTED: Final = rb"[0-9]\.0|[0-9][eE]"
_MOMENTS: Final = frozenset({"date-time", "time"})


class Accepted(Untitled):
    """Generates the schema of what is taken."""

    def decimal_schema(self, schema: Any) -> JsonSchemaValue:
        """Return numbers, and those strings that are one; of a string no schema can say how large the number is."""
        options = [option for option in super().decimal_schema(schema)["anyOf"] if option.get("type") == "number"]
        if len(options) == 1 and any(word in schema for word in _BOUNDS):
            return dict(options[0])
        return {"anyOf": [*options, {"type": "string", "pattern": _DECIMAL}]}

    def datetime_schema(self, schema: Any) -> JsonSchemaValue:
        """Return RFC 3339, which has an offset: a type that takes none publishes no format."""
        if schema.get("tz_constraint") == "naive":
            return {"type": "string", "examples": ["2026-03-01T00:00:00"]}
        return super().datetime_schema(schema)

    def url_schema(self, schema: Any) -> JsonSchemaValue:
        """Return URIs of the schemes that are taken."""
        made = super().url_schema(schema)
        schemes = schema.get("allowed_schemes")
        if schemes:
            made["pattern"] = f"^(?:{'|'.join(map(re.escape, schemes))}):"
        return made

    def dict_schema(self, schema: Any) -> JsonSchemaValue:
        """Return objects with the names that the keys' type takes."""
        made = super().dict_schema(schema)
        keys = _plain(schema.get("keys_schema", {}))
        pattern = {"int": _INTEGER, "float": _NUMBER, "decimal": _NUMBER, "bool": "^(?:true|false)$"}.get(keys)
        if pattern is not None:
            made.setdefault("propertyNames", {"pattern": pattern})
        return made


def honest(schema: Any) -> Any:
    """Put in the place of each format what the type behind it takes, in place."""
    for part in list(parts(schema)):
        name = part.get("format")
        if isinstance(name, str) and part.get("type") == "string" and name in _INSTEAD and isinstance(part, dict):
            del part["format"]
            for word, value in _INSTEAD[name].items():
                part.setdefault(word, value)
    return schema


def suspects_of(schema: Mapping[str, Any], *, is_typed: bool) -> Callable[[bytes], object | None] | None:
    """Return what finds, in raw arguments, values that may be taken for something else than they are.

    A date-time without an offset would be bound without one; to Python, a choice of 1 has ``true`` in it. Arguments
    that are not ``is_typed`` reach their function as they were decoded, so that ``5.0`` would be no int there.
    """
    found: set[bytes] = set()
    for part in parts(schema):
        if not is_typed:
            said = part.get("type")
            if said == "integer" or (isinstance(said, list) and "integer" in said):
                found.add(_POINTED)
            continue
        if part.get("format") in _MOMENTS:
            found.add(_NAIVE)
        choices = part.get("enum")
        for choice in choices if isinstance(choices, list) else [part.get("const")]:
            if type(choice) in {int, float} and choice in {0, 1}:
                found.add(_TRUTH)
            elif type(choice) is bool:
                found.add(_DIGIT)
    return re.compile(b"|".join(sorted(found))).search if found else None


def _plain(schema: Mapping[str, Any]) -> str:
    """Return the type of a core schema, without what is around it."""
    while isinstance(schema.get("schema"), Mapping):
        schema = schema["schema"]
    return str(schema.get("type", ""))
