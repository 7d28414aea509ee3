"""The values that a place in the arguments takes, in words that a model can act on: ``an integer of 1 to 100``.

The words are those of the published schema. Nothing that a caller sent is part of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from mcpward.config.names import nearest
from mcpward.core.subschema import Group, Place, kinds_of

_MOST_CHOICES: Final = 20
_LONGEST: Final = 300
_LONGEST_PATTERN: Final = 120
_LONGEST_NAME: Final = 64
_MOST_COMPARED: Final = 64
_encode: Final = msgspec.json.Encoder().encode
_FORMATS: Final[Mapping[str, str]] = {
    "date-time": "an RFC 3339 date-time such as 2026-03-01T00:00:00Z",
    "date": "a date such as 2026-03-01",
    "time": "an RFC 3339 time such as 08:30:00Z",
    "duration": "an ISO 8601 duration such as PT1H30M",
    "uuid": "a UUID such as 123e4567-e89b-12d3-a456-426614174000",
    "email": "an email address such as name@example.com",
    "uri": "a URI such as https://example.com/",
    "ipv4": "an IPv4 address such as 192.0.2.1",
    "ipv6": "an IPv6 address such as 2001:db8::1",
    "ipv4network": "an IPv4 network such as 192.0.2.0/24",
    "ipv6network": "an IPv6 network such as 2001:db8::/32",
}
_KINDS: Final = ("boolean", "integer", "number", "string", "array", "object")
_ARTICLE: Final = {"integer": "an integer", "number": "a number"}


def describe(place: Place) -> str:
    """Return what may stand at a place; "" if the schema does not say."""
    words = dict.fromkeys(map(_group, place.groups))
    if not words or "" in words:
        return ""
    return _cut(" or ".join(words))


def required(place: Place) -> str:
    """Return the rule for what is missing at a place."""
    words = describe(place)
    return f"required: {words}" if words else "required"


def undeclared(name: str, declared: Sequence[str], *, is_top: bool) -> str:
    """Return the rule for a name that the schema does not have, with the one that may be meant, or those there are."""
    rule = "not an argument of this tool" if is_top else "not a member of this object"
    if not declared:
        return f"{rule}, which {'takes none' if is_top else 'has none'}"
    if len(name) <= _LONGEST_NAME and len(declared) <= _MOST_COMPARED and (meant := nearest(name, declared)):
        return f"{rule}; did you mean {meant}?"
    others = ", ".join(declared[:_MOST_CHOICES]) + (", …" if len(declared) > _MOST_CHOICES else "")
    return _cut(f"{rule}; there are {others}")


def _group(group: Group) -> str:
    kinds = kinds_of(group)
    said: dict[str, Any] = {}
    for schema in group:
        said.update(schema)
    if "const" in said:
        return _value(said["const"])
    if isinstance(said.get("enum"), list):
        return _choice(said["enum"])
    if "number" in kinds:
        kinds -= {"integer"}
    words = [_kind(kind, said) for kind in _KINDS if kind in kinds]
    if "null" in kinds:
        words.append("null")
    return " or ".join(words) if 0 < len(words) <= 3 else ""


def _kind(kind: str, said: Mapping[str, Any]) -> str:
    match kind:
        case "boolean":
            return "true or false"
        case "integer" | "number":
            return _number(_ARTICLE[kind], said)
        case "string":
            return _string(said)
        case "array":
            once = ", without repetitions" if said.get("uniqueItems") is True else ""
            return "an array" + _size(said, "Items", "items") + once
        case _:
            return "an object" + _size(said, "Properties", "members")


def _number(name: str, said: Mapping[str, Any]) -> str:
    least, most = said.get("minimum"), said.get("maximum")
    bounds = _between(least, most)
    if "exclusiveMinimum" in said:
        bounds += f" above {said['exclusiveMinimum']}"
    if "exclusiveMaximum" in said:
        bounds += f"{' and' if 'exclusiveMinimum' in said else ''} below {said['exclusiveMaximum']}"
    step = f", a multiple of {said['multipleOf']}" if "multipleOf" in said else ""
    return name + bounds + step


def _string(said: Mapping[str, Any]) -> str:
    known = _FORMATS.get(said.get("format", ""))
    if known is not None:
        return known
    pattern = said.get("pattern")
    shape = f" that matches {_cut(pattern, _LONGEST_PATTERN)}" if isinstance(pattern, str) else ""
    return "a string" + _size(said, "Length", "characters") + shape


def _size(said: Mapping[str, Any], suffix: str, unit: str) -> str:
    bounds = _between(said.get(f"min{suffix}"), said.get(f"max{suffix}"))
    return f"{bounds} {unit}" if bounds else ""


def _between(least: Any, most: Any) -> str:
    if least is not None and most is not None:
        return f" of {least}" if least == most else f" of {least} to {most}"
    if most is not None:
        return f" of at most {most}"
    return f" of at least {least}" if least is not None else ""


def _choice(values: Iterable[Any]) -> str:
    words = [_value(value) for value in values]
    more = f" … ({len(words)} in all)" if len(words) > _MOST_CHOICES else ""
    return ("one of " if len(words) > 1 else "") + ", ".join(words[:_MOST_CHOICES]) + more


def _value(value: Any) -> str:
    return _cut(_encode(value).decode())


def _cut(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"
