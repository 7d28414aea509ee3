"""The errors of a hand-written schema as problems: path and rule of each field, never its value (trap T15).

A rule is the keyword that failed, with its bound where that stands in the published schema.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from jsonschema_rs import ValidationError

from mcpward.validation.paths import public_path

_MOST: Final = 16
#: Keywords whose bound is one number or word of the schema, and the attribute that has it.
_BOUNDS: Final = {
    "maximum": "limit",
    "minimum": "limit",
    "exclusiveMaximum": "limit",
    "exclusiveMinimum": "limit",
    "maxLength": "limit",
    "minLength": "limit",
    "maxItems": "limit",
    "minItems": "limit",
    "maxProperties": "limit",
    "minProperties": "limit",
    "multipleOf": "multiple_of",
    "format": "format",
    "pattern": "pattern",
}


def problems_of(errors: Iterable[Exception]) -> list[dict[str, str]]:
    """Give up to 16 problems, each ``{"path": "limit", "rule": "maximum 100"}``.

    Raises:
        TypeError: an error of another kind is among them.
    """
    problems: list[dict[str, str]] = []
    for error in errors:
        if not isinstance(error, ValidationError):
            raise TypeError("no error of a schema")
        problems += [{"path": public_path(path), "rule": rule} for path, rule in _told(error)]
    return problems[:_MOST]


def _told(error: ValidationError) -> Iterator[tuple[list[str | int], str]]:
    kind: Any = error.kind
    match kind.name:
        case "required":
            yield [*error.instance_path, kind.property], "required"
        case "additionalProperties" | "unevaluatedProperties":
            for name in kind.unexpected[:_MOST]:
                yield [*error.instance_path, name], "not an argument of this tool"
        case "type":
            yield error.instance_path, " or ".join(kind.types)
        case name if name in _BOUNDS:
            yield error.instance_path, f"{name} {getattr(kind, _BOUNDS[name])}"
        case name:
            yield error.instance_path, name
