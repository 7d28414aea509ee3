"""Bounds that stand on a type which has none: ``Limit`` on a text, ``max_length`` on a number.

pydantic takes them, publishes nothing of them, and fails at the first call.
"""

import typing
from collections.abc import Iterator
from typing import Annotated, Any, Final

import annotated_types
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.guards.length import Length
from mcpward.sdk.guards.number_limit import Limit
from mcpward.sdk.guards.parameter_guard import ParameterGuard, name_of
from mcpward.sdk.signature import Parameter

_ORDERED: Final = (annotated_types.Ge, annotated_types.Gt, annotated_types.Le, annotated_types.Lt, Limit)
_SIZED: Final = (annotated_types.MinLen, annotated_types.MaxLen, annotated_types.Len, Length)
_NUMBERS: Final = frozenset({"integer", "number"})
#: The words of a guard's kinds, and a type of each.
_READ: Final = {
    "array": "lists", "integer": "whole numbers", "number": "numbers", "object": "mappings",
    "ordered": "dates and times", "string": "texts", "boolean": "booleans",
}  # fmt: skip
_TYPES: Final = {
    "array": "list[str]", "integer": "int", "number": "float", "object": "dict[str, str]", "ordered": "datetime",
    "string": "str", "boolean": "bool",
}  # fmt: skip
_WITH_SIZE: Final = frozenset({"string", "array", "object"})


def require_fitting(parameters: tuple[Parameter, ...], what: str, where: str) -> None:
    """Refuse bounds of a parameter, at any depth, that its type cannot keep.

    Raises:
        AuthoringError: names the parameter, and says which bound its type has.
    """
    for parameter in parameters:
        own = parameter.default if isinstance(parameter.default, FieldInfo) else None
        annotation = Annotated[parameter.annotation, own] if own is not None else parameter.annotation
        for kind, bounds in annotated(annotation, set()):
            _require(f"{what}: parameter {parameter.name!r}", kind, bounds, where)


def _require(who: str, kind: Any, bounds: list[Any], where: str) -> None:
    types = _types(kind)
    if not types:
        return
    for bound in bounds:
        name = name_of(bound) if isinstance(bound, ParameterGuard) else type(bound).__name__.lower()
        if isinstance(bound, _ORDERED) and not types & (_NUMBERS | {"ordered"}):
            most = getattr(bound, "max", None) or getattr(bound, "le", None) or getattr(bound, "lt", None) or 100
            written = f"Annotated[{_name(kind)}, Field(max_length={most})]"
            hint = f"write {written}" if types & _WITH_SIZE else f"remove {name}"
            raise AuthoringError(f"{who}: {name} bounds numbers, and {_name(kind)} is not a number", where, hint)
        if isinstance(bound, _SIZED) and not types & _WITH_SIZE:
            most = getattr(bound, "max_length", None) or getattr(bound, "max", None) or 100
            hint = f"write Annotated[{_name(kind)}, Limit(max={most})]"
            raise AuthoringError(f"{who}: a length bounds texts and lists, and {_name(kind)} is neither", where, hint)
        if isinstance(bound, ParameterGuard) and bound.kinds and not types & bound.kinds and not is_native(bound):
            read = " or ".join(_READ[one] for one in sorted(bound.kinds))
            raise AuthoringError(f"{who}: {name} reads {read}, and the type is {_name(kind)}", where, _fitting(bound))


def is_native(bound: ParameterGuard) -> bool:
    """Whether pydantic knows the bound itself, and it was looked at above."""
    return isinstance(bound, Limit | Length)


def _fitting(bound: ParameterGuard) -> str:
    """Return the annotation that a guard could stand in."""
    first = next(
        _TYPES[one] for one in ("ordered", "string", "array", "integer", "number", "object") if one in bound.kinds
    )
    return f"write Annotated[{first}, {name_of(bound)}(…)]"


def annotated(annotation: Any, seen: set[Any]) -> Iterator[tuple[Any, list[Any]]]:
    """Yield each type that has something in ``Annotated``, with that, at every depth and in models too."""
    if typing.get_origin(annotation) is Annotated:
        kind, *metadata = typing.get_args(annotation)
        yield kind, [one for part in metadata for one in (part.metadata if isinstance(part, FieldInfo) else [part])]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation not in seen:
            seen.add(annotation)
            for field in annotation.model_fields.values():
                yield field.annotation, field.metadata
                yield from annotated(field.annotation, seen)
        return
    for part in typing.get_args(annotation):
        if not isinstance(part, str | int | bytes | bool):  # a Literal's
            yield from annotated(part, seen)


def _types(kind: Any) -> frozenset[str]:
    """Return the JSON types of a type, ``ordered`` for dates and times; none if that is not to be said."""
    try:
        schema = TypeAdapter(kind).json_schema()
    except Exception:  # noqa: BLE001 reported elsewhere, with its line
        return frozenset()
    found: set[str] = set()
    for part in schema.get("anyOf", [schema]):
        if part.get("format") in {"date", "date-time", "time", "duration"}:
            found.add("ordered")
        elif isinstance(part.get("type"), str):
            found.add(part["type"])
        else:
            return frozenset()
    return frozenset(found - {"null"})


def _name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and typing.get_origin(kind) is None else str(kind)
