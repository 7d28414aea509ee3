"""A caller's value as the type of the parameter that it fills: converted strictly, or not at all.

A text (a subject, a tag) fills what JSON writes as a string, and integers in their one plain spelling. A claim fills
what its JSON value is: ``"42"`` is no integer, and ``1`` is not true.
"""

import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import pydantic
from msgspec import Struct
from pydantic import TypeAdapter, create_model
from pydantic_core import to_json

from mcpward.core.caller_path import CallerPath
from mcpward.core.integral import whole_number
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.from_caller import BoundParameter, FromCaller
from mcpward.sdk.schema.arguments import type_name
from mcpward.sdk.schema.schemaless import UNREADABLE


class BoundArgument(Struct, frozen=True, eq=False):
    """An argument of a tool that the caller's ``path`` fills.

    ``convert`` returns the value as the parameter's type, and raises ``ValueError`` for one that is not of it.
    """

    name: str
    path: CallerPath
    convert: Callable[[Any], Any]


def read_bound(parameter: BoundParameter, what: str, where: str) -> BoundArgument:
    """Return the argument of a parameter.

    Raises:
        AuthoringError: no value of that path fits the parameter's type.
    """
    try:
        convert = converter(parameter.annotation, parameter.path)
    except ValueError as error:
        hint = f'annotate {parameter.name}: Annotated[str, FromCaller("{parameter.path}")], or int, or UUID'
        raise AuthoringError(f"{what}: parameter {parameter.name!r}: {error}", where, hint) from None
    return BoundArgument(parameter.name, parameter.path, convert)


def converter(annotation: Any, path: CallerPath | None) -> Callable[[Any], Any]:
    """Return what makes values of a type of a caller's; of JSON values, if ``path`` is None.

    Raises:
        ValueError: the type is none that such a value could have.
    """
    if _is_plain_text(annotation):
        return _text
    try:
        # As a field, so that what ``Field`` says of a field (an alias) is in its place.
        field = create_model("Filled", value=(annotation, ...)).model_fields["value"]
        adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
        schema = adapter.json_schema()
    except UNREADABLE as error:
        raise ValueError("its type has no JSON schema") from error
    is_number = False
    if path is not None and path.is_text:
        kinds = _kinds(schema, schema.get("$defs", {}))
        if not kinds & {"string", "integer", ""}:
            raise ValueError(f"{path} is a text, and {_name(annotation)} is not one")
        is_number = "string" not in kinds and "" not in kinds
    validate = adapter.validator.validate_json

    def convert(value: Any) -> Any:
        if is_number:
            value = _number(value)
        try:
            return validate(to_json(value, fallback=_plain), strict=True)
        except pydantic.ValidationError:
            # Outside of the error's text, which quotes the value.
            pass
        raise ValueError(f"is not {_name(annotation)}")

    return convert


def _name(annotation: Any) -> str:
    is_annotated = typing.get_origin(annotation) is Annotated
    return type_name(typing.get_args(annotation)[0] if is_annotated else annotation)


def _is_plain_text(annotation: Any) -> bool:
    if typing.get_origin(annotation) is Annotated:
        kind, *metadata = typing.get_args(annotation)
        return kind is str and all(isinstance(one, FromCaller) for one in metadata)
    return annotation is str


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("is not str")
    return value


def _number(value: Any) -> int:
    number = whole_number(value)
    if number is None:
        raise ValueError("is not int")
    return number


def _plain(value: Any) -> Any:
    """Claims are frozen all the way down."""
    if isinstance(value, Mapping):
        return dict(value)
    raise ValueError("is no JSON")


def _kinds(schema: Any, definitions: Mapping[str, Any], depth: int = 8) -> set[str]:
    """Return the JSON types of a schema, with "" if it does not say."""
    if not isinstance(schema, Mapping) or not depth:
        return {""}
    if isinstance(schema.get("$ref"), str):
        return _kinds(definitions.get(schema["$ref"].removeprefix("#/$defs/")), definitions, depth - 1)
    for keyword in ("anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(keyword), list):
            return set().union(*(_kinds(part, definitions, depth - 1) for part in schema[keyword]))
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return {"string" if isinstance(one, str) else "integer" if type(one) is int else "other" for one in values}
    said = schema.get("type", "")
    return {said} if isinstance(said, str) else set(said)
