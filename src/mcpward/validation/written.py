"""The errors of a hand-written schema as problems: path and rule of each field, never its value.

A rule says what the published schema takes there; else it is the keyword that failed.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from jsonschema_rs import ValidationError

from mcpward.core.facts import Problem
from mcpward.core.subschema import Place
from mcpward.validation.paths import public_path
from mcpward.validation.wording import describe, required, undeclared

_MOST: Final = 16
#: Keywords that say nothing of the value's own type, bounds or form.
_WORDS: Final = {
    "anyOf": "a value for one of the schema's alternatives (anyOf)",
    "oneOf": "a value for exactly one of the schema's alternatives (oneOf)",
    "not": "not what the schema excludes (not)",
    "contains": "an array with an item that the schema requires (contains)",
    "uniqueItems": "an array without repeated items",
    "propertyNames": "only names that the schema allows (propertyNames)",
}


def problems_of(errors: Iterable[Exception], top: Place) -> list[Problem]:
    """Return up to 16 problems: ``Problem("limit", "an integer of at most 100")``.

    Raises:
        TypeError: an error of another kind is among them.
    """
    problems: dict[tuple[str, str], None] = {}
    for error in errors:
        if not isinstance(error, ValidationError):
            raise TypeError("no error of a schema")
        for path, rule in _told(error, top):
            problems[public_path(path), rule] = None
    return [Problem(path, rule) for path, rule in [*problems][:_MOST]]


def _told(error: ValidationError, top: Place) -> Iterator[tuple[list[str | int], str]]:
    kind: Any = error.kind
    path: list[str | int] = list(error.instance_path)
    place = _at(top, path)
    match kind.name:
        case "required":
            yield [*path, kind.property], required(place.member(kind.property))
        case "additionalProperties" | "unevaluatedProperties":
            for name in kind.unexpected[:_MOST]:
                yield [*path, name], undeclared(name, place.names, is_top=not path)
        case name if name in _WORDS:
            yield path, (describe(place) if path else "") or _WORDS[name]
        case name:
            yield path, describe(place) or f"what the schema says ({name})"


def _at(top: Place, path: list[str | int]) -> Place:
    place = top
    for part in path:
        place = place.item(part) if isinstance(part, int) else place.member(part)
    return place
