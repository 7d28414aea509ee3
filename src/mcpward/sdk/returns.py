"""What a tool gives back: the output schema from the return annotation, and the one pass that checks and encodes.

Objects are published as they are; anything else is wrapped as ``{"result": …}``, as FastMCP does. Content values
(``Image`` and its kin), ``ToolResult``, ``None`` and missing annotations have no schema.
"""

import typing
from collections.abc import Callable
from types import NoneType
from typing import Any, Final

import msgspec
import pydantic
from msgspec import Struct
from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError

from mcpward.sdk.arguments import has_foreign_reference
from mcpward.sdk.content import Content
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.published import Untitled, inline_root
from mcpward.sdk.result import ToolResult
from mcpward.sdk.signature import REQUIRED

_UNDECLARED: Final = (REQUIRED, Any, object, None, NoneType)


class ReturnMismatch(Exception):
    """A tool gave back something else than it declares. The message names the rule, never the value."""


class Returns(Struct, frozen=True):
    """A declared return: ``schema`` as published, ``encode`` from a value to JSON, ``wrapped`` if not an object.

    ``encode`` is None where nothing is declared; it raises :class:`ReturnMismatch`.
    """

    schema: dict[str, Any] | None = None
    encode: Callable[[Any], bytes] | None = None
    wrapped: bool = False


def read_returns(annotation: Any, structured: bool | None, what: str, where: str) -> Returns:
    """Read a return annotation. ``structured`` False publishes nothing; True insists.

    Raises:
        AuthoringError: the annotation has no JSON schema, or ``structured=True`` without an annotation.
    """
    if structured is False:
        return Returns()
    if annotation in _UNDECLARED or _has_content(annotation):
        if structured:
            raise AuthoringError(f"{what}: structured=True needs a return annotation that has a schema", where)
        return Returns()
    try:
        schema, encode = _by_pydantic(annotation)
    except (PydanticUserError, TypeError):
        try:
            schema, encode = _by_msgspec(annotation)
        except TypeError as error:
            hint = "annotate another type or say structured=False"
            raise AuthoringError(f"{what}: the return type has no JSON schema; {hint}", where) from error
    if has_foreign_reference(schema):
        raise AuthoringError(f"{what}: its return schema refers to another document; nobody will fetch that", where)
    schema = inline_root(schema)
    if schema.get("type") == "object":
        schema.pop("title", None)
        return Returns(schema, encode)
    return Returns(_wrap(schema), encode, wrapped=True)


def _by_pydantic(annotation: Any) -> tuple[dict[str, Any], Callable[[Any], bytes]]:
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    validate, dump = adapter.validator.validate_python, adapter.serializer.to_json

    def encode(value: Any) -> bytes:
        try:
            return dump(validate(value), by_alias=True)
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            raise ReturnMismatch(f"{'.'.join(map(str, first['loc']))}: {first['type']}") from None

    return adapter.json_schema(schema_generator=Untitled, mode="serialization", by_alias=True), encode


def _by_msgspec(annotation: Any) -> tuple[dict[str, Any], Callable[[Any], bytes]]:
    schemas, definitions = msgspec.json.schema_components([annotation], ref_template="#/$defs/{name}")
    schema = {**schemas[0], "$defs": definitions} if definitions else dict(schemas[0])
    encoder = msgspec.json.Encoder()

    def encode(value: Any) -> bytes:
        try:
            msgspec.convert(msgspec.to_builtins(value), annotation)
            return encoder.encode(value)
        except (msgspec.ValidationError, TypeError) as error:
            raise ReturnMismatch(type(error).__name__) from None

    return schema, encode


def _wrap(schema: dict[str, Any]) -> dict[str, Any]:
    inner = dict(schema)
    definitions = inner.pop("$defs", None)
    wrapped = {"type": "object", "properties": {"result": inner}, "required": ["result"]}
    return {**wrapped, "$defs": definitions} if definitions else wrapped


def _has_content(annotation: Any) -> bool:
    """Say whether a content value may stand anywhere in the annotation."""
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return issubclass(annotation, (Content, ToolResult))
    return any(_has_content(part) for part in typing.get_args(annotation) if part is not ...)
