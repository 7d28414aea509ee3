"""Finds what a JSON schema (2020-12) leaves without a bound: texts, arrays, numbers, open objects, values of any type.

For the schemas that mcpward publishes, made from annotations or written by hand. A part is bounded by a keyword of its
own, by a list of values, or by a form that has an end: a date, a UUID, a pattern that is anchored and finite.
"""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from mcpward.core.unbounded import DEFAULTS, Unbounded

#: Formats whose values have an end.
_FINITE: Final = frozenset(
    {
        "date", "date-time", "duration", "email", "hostname", "idn-email", "idn-hostname", "ipv4", "ipv6", "time",
        "uuid",
    }
)  # fmt: skip
#: Keywords that bound a value wherever they stand beside the schemas of its types.
_OUTER: Final = frozenset(
    {
        "const", "enum", "exclusiveMaximum", "exclusiveMinimum", "format", "maxItems", "maxLength", "maxProperties",
        "maximum", "minimum", "pattern",
    }
)  # fmt: skip
_MOST_FOUND: Final = 200
_DEEPEST: Final = 16
_LONGEST: Final = 100_000
_OBJECT_WORDS: Final = frozenset({"properties", "required", "additionalProperties", "patternProperties"})
_ASSERTIONS: Final = frozenset({"$ref", "allOf", "anyOf", "const", "enum", "if", "not", "oneOf", "type"})
_Walk = Iterator[tuple[str, str]]

_ANNOTATED: Final = {
    "string": "Annotated[str, Field(max_length=200)]",
    "array": "Annotated[list[…], Field(max_length=100)]",
    "integer": "Annotated[int, Field(ge=0, le=1000)]",
    "number": "Annotated[float, Field(ge=0, le=1000)]",
    "object": "a class with its fields (BaseModel, TypedDict), or Annotated[dict[str, …], Field(max_length=100)]",
    "any": "a type, such as str or a BaseModel",
}
_WRITTEN: Final = {
    "string": '"maxLength": 200',
    "array": '"maxItems": 100',
    "integer": '"minimum": 0, "maximum": 1000',
    "number": '"minimum": 0, "maximum": 1000',
    "object": '"additionalProperties": false, or "maxProperties": 100',
    "any": '"type": "string", "maxLength": 200',
}


def unbounded_parts(schema: Mapping[str, Any], *, is_written: bool) -> tuple[Unbounded, ...]:
    """Return the parts without a bound, in their order, each path and kind once; at most 200.

    ``is_written``: the author wrote the schema by hand, so that the fix is a keyword.
    """
    fixes = _WRITTEN if is_written else _ANNOTATED
    found: dict[tuple[str, str], None] = {}
    for path, kind in _walk(schema, schema, "", frozenset(), {}):
        found[path, kind] = None
        if len(found) >= _MOST_FOUND:
            break
    return tuple(Unbounded(path, kind, _fix(path, fixes[kind], is_written), DEFAULTS[kind]) for path, kind in found)


def _fix(path: str, fix: str, is_written: bool) -> str:
    return fix if is_written or not path.isidentifier() else f"{path}: {fix}"


def _walk(schema: Any, root: Mapping[str, Any], path: str, within: frozenset[int], outer: Mapping[str, Any]) -> _Walk:
    """``within`` are the schemas that this one is a part of: one that refers to itself is walked once. ``outer`` are
    the bounds that hold for the same value beside it: guards write theirs beside an ``anyOf`` with null.
    """
    if schema is True or schema == {}:
        yield path, "any"
    if not isinstance(schema, Mapping) or id(schema) in within or len(within) > _DEEPEST:
        return
    within |= {id(schema)}
    bounds = {**outer, **schema} if outer else schema
    for kind, is_bounded in _kinds(bounds):
        if not is_bounded(bounds):
            yield path, kind
    outer = {word: bounds[word] for word in _OUTER & bounds.keys()}
    target = _target(root, schema.get("$ref"))
    for beside in (target, schema.get("then"), schema.get("else"), *_listed(schema, "allOf")):
        if isinstance(beside, Mapping) and beside:
            yield from _walk(beside, root, path, within, outer)
    for keyword in ("anyOf", "oneOf"):
        for choice in _listed(schema, keyword):
            yield from _walk(choice, root, path, within, outer)
    yield from _below(schema, root, path, within)


def _below(schema: Mapping[str, Any], root: Mapping[str, Any], path: str, within: frozenset[int]) -> _Walk:
    for name, part in _mapped(schema, "properties").items():
        yield from _walk(part, root, f"{path}.{name}" if path else name, within, {})
    for part in (*_mapped(schema, "patternProperties").values(), schema.get("additionalProperties")):
        if isinstance(part, Mapping):
            yield from _walk(part, root, f"{path}.*" if path else "*", within, {})
    for part in (*_listed(schema, "prefixItems"), schema.get("items")):
        if isinstance(part, Mapping) or part is True:
            yield from _walk(part, root, f"{path}[]", within, {})


def _kinds(schema: Mapping[str, Any]) -> Iterator[tuple[str, Callable[[Mapping[str, Any]], bool]]]:
    if "enum" in schema or "const" in schema:
        return
    said = schema.get("type")
    kinds = [said] if isinstance(said, str) else said if isinstance(said, list) else []
    if not kinds and _OBJECT_WORDS & schema.keys():
        kinds = ["object"]
    for kind in kinds:
        if kind in _BOUNDED:
            yield kind, _BOUNDED[kind]
    if not kinds and not _ASSERTIONS & schema.keys():
        yield "any", _never


def _string(schema: Mapping[str, Any]) -> bool:
    pattern = schema.get("pattern")
    return (
        "maxLength" in schema
        or schema.get("format") in _FINITE
        or (isinstance(pattern, str) and is_finite_pattern(pattern))
    )


def _array(schema: Mapping[str, Any]) -> bool:
    return "maxItems" in schema or schema.get("items") is False or schema.get("unevaluatedItems") is False


def _number(schema: Mapping[str, Any]) -> bool:
    return bool({"minimum", "exclusiveMinimum"} & schema.keys() and {"maximum", "exclusiveMaximum"} & schema.keys())


def _object(schema: Mapping[str, Any]) -> bool:
    is_closed = schema.get("additionalProperties") is False or schema.get("unevaluatedProperties") is False
    return "maxProperties" in schema or (is_closed and not schema.get("patternProperties"))


def _never(_schema: Mapping[str, Any]) -> bool:
    return False


_BOUNDED: Final = {"string": _string, "array": _array, "integer": _number, "number": _number, "object": _object}


def is_finite_pattern(pattern: str) -> bool:
    """Return whether a pattern matches only whole texts of a bounded length. One that Python cannot read is not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parsed = re._parser.parse(pattern)  # type: ignore[attr-defined]  # noqa: SLF001  the one parser there is
    except (re.error, RecursionError, OverflowError):
        return False
    marks = [argument for operation, argument in parsed if str(operation) == "AT"]
    is_whole = (
        len(parsed) > 1
        and str(parsed[0][0]) == "AT"
        and str(parsed[-1][0]) == "AT"
        and str(marks[0]) in {"AT_BEGINNING", "AT_BEGINNING_STRING"}
        and str(marks[-1]) in {"AT_END", "AT_END_STRING"}
    )
    return bool(is_whole and parsed.getwidth()[1] <= _LONGEST)


def _target(root: Mapping[str, Any], reference: Any) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found: Any = root
    for token in reference.split("/")[1:]:
        step = token.replace("~1", "/").replace("~0", "~")
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _mapped(schema: Mapping[str, Any], keyword: str) -> Mapping[str, Any]:
    found = schema.get(keyword)
    return found if isinstance(found, Mapping) else {}


def _listed(schema: Mapping[str, Any], keyword: str) -> list[Any]:
    found = schema.get(keyword)
    return found if isinstance(found, list) else []
