"""A tool's return value: the output schema from the return annotation, and the one pass that checks and encodes.

Objects are published as they are; anything else is wrapped as ``{"result": …}``, as FastMCP does. Content values
(``Image`` and its kin), ``ToolResult``, ``None`` and missing annotations have no schema.
"""

import json
import re
import typing
from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any, Final

import jsonschema_rs
import msgspec
import pydantic
import pydantic_core
from msgspec import Struct
from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic_core import SchemaError

from mcpward.sdk.content import Content
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.result import ToolResult
from mcpward.sdk.schema.arguments import has_foreign_reference
from mcpward.sdk.schema.jsonable import NotJson, builtins_of, jsonable
from mcpward.sdk.schema.mended import mended
from mcpward.sdk.schema.mismatch import unfit, wanted
from mcpward.sdk.schema.schema_export import Outgoing, bounded, inline_root, inlined, promised
from mcpward.sdk.schema.schema_validator import schema_validator
from mcpward.sdk.schema.schemaless import return_error
from mcpward.sdk.schema.serializer import serializer_of
from mcpward.sdk.signature import REQUIRED

_UNDECLARED: Final = (REQUIRED, Any, object, None, NoneType)
_NO_TEXT: Final = frozenset({"string_unicode"})
#: Names that stand in no schema are data, and may be a secret: only those that look like a field's are shown.
_FIELD: Final = re.compile(r"[A-Za-z_]{1,24}", re.ASCII)
#: Messages of msgspec that quote no value.
_MSGSPEC_RULE: Final = re.compile(
    r"(Expected `[^`]*`(?:, got `[^`]*`)?|Object missing required field `\w+`|Number out of range)"
)
_MSGSPEC_PATH: Final = re.compile(r" - at `\$\.?([^`]*)`$")
#: A number that no double holds has more digits than this; numbers are checked if there are as many.
_MANY_DIGITS: Final = b"0" * 308
_DIGITS: Final = bytes(ord("0") if chr(byte).isdecimal() else ord(" ") for byte in range(256))
_decode: Final = msgspec.json.Decoder().decode
Encode = Callable[[Any], bytes]


class ReturnMismatch(Exception):
    """A tool returned something else than it declares. The message has path and rule, never the value."""


class Returns(Struct, frozen=True):
    """A declared return: ``schema`` as published, ``encode`` from a value to JSON, ``wrapped`` if not an object.

    ``encode`` is None if nothing is declared; it raises :class:`ReturnMismatch`. ``misfit`` returns what of a
    decoded value the schema does not allow, None if it allows all. ``is_text`` says that any text fits and nothing
    else does.
    """

    schema: dict[str, Any] | None = None
    encode: Encode | None = None
    wrapped: bool = False
    misfit: Callable[[Any], str | None] | None = None
    is_text: bool = False


def read_returns(annotation: Any, structured: bool | None, what: str, where: str) -> Returns:
    """Read a return annotation. ``structured`` False publishes nothing; True insists.

    Raises:
        AuthoringError: the annotation has no JSON schema, or ``structured=True`` without an annotation.
    """
    if structured is False:
        return Returns()
    if annotation in _UNDECLARED or _has_content(annotation):
        if structured:
            problem = f"{what}: structured=True needs a return annotation that has a schema"
            raise AuthoringError(problem, where, "write -> list[Order], or remove structured")
        return Returns()
    try:
        schema, encode = _by_pydantic(annotation)
    except (PydanticUserError, SchemaError, TypeError):
        try:
            schema, encode = _by_msgspec(annotation)
        except TypeError as error:
            raise return_error(annotation, what, where) from error
    if has_foreign_reference(schema):
        problem = f"{what}: its return schema refers to another document, which mcpward does not fetch"
        raise AuthoringError(problem, where, "say structured=False")
    schema = promised(inlined(inline_root(schema)))
    fits = _Fits(schema, what, where)
    wrapped = schema.get("type") != "object"
    if not wrapped:
        schema.pop("title", None)
    published = _wrap(schema) if wrapped else schema
    is_text = annotation is str
    checked = encode if is_text else _checked(encode, fits)  # pydantic has looked at a text, and a schema asks no more
    return Returns(published, checked, wrapped, fits.wrapped if wrapped else fits, is_text)


def path_text(path: Sequence[str | int], declared: frozenset[str] = frozenset()) -> str:
    """Return a path for the operator, as ``rows.0.price``. A name that is data, not a field's, is ``*``."""
    return ".".join(
        str(step) if isinstance(step, int) or step in declared or _FIELD.fullmatch(step) else "*" for step in path
    )


def explained(problem: NotJson, declared: frozenset[str] = frozenset()) -> str:
    """Return path and rule in one text."""
    path = path_text(problem.path, declared)
    return f"{path}: {problem.rule}" if path else problem.rule


def fits(schema: dict[str, Any], what: str, where: str) -> Callable[[Any], str | None]:
    """Return what says which part of decoded structured content a published schema does not allow."""
    return _Fits(schema, what, where)


def checked_by(
    schema: dict[str, Any], encode: Encode, what: str, where: str
) -> tuple[Encode, Callable[[Any], str | None]]:
    """Return an encoder that checks what it encodes against a schema, and the check alone."""
    check = _Fits(schema, what, where)
    return _checked(encode, check), check


class _Fits:
    """Checks decoded values against a published schema, formats included, as strict clients do."""

    def __init__(self, schema: dict[str, Any], what: str, where: str) -> None:
        try:
            self._validator = schema_validator(schema)
        except (jsonschema_rs.ValidationError, ValueError) as error:
            raise AuthoringError(
                f"{what}: its return schema is not a JSON schema", where, "say structured=False"
            ) from error
        self._schema = schema
        self._bounded = schema_validator(bounded(schema))
        self.declared = frozenset(_declared_names(schema))

    def __call__(self, value: Any) -> str | None:
        return self._misfit(self._validator, value)

    def bounded(self, value: Any) -> str | None:
        """Check numbers too: what a double cannot hold is infinity to most clients."""
        return self._misfit(self._bounded, value)

    def _misfit(self, validator: Any, value: Any) -> str | None:
        if validator.is_valid(value):
            return None
        problem = next(validator.iter_errors(value))
        path = tuple(problem.instance_path)
        return explained(NotJson(unfit(self._schema, problem.schema_path, value, path), path), self.declared)

    def wrapped(self, value: Any) -> str | None:
        """Check the value of ``{"result": …}``."""
        return self(value.get("result")) if isinstance(value, dict) else "not an object"


def _declared_names(schema: Any) -> typing.Iterator[str]:
    if isinstance(schema, dict):
        properties = schema.get("properties")
        yield from properties if isinstance(properties, dict) else ()
        for part in schema.values():
            yield from _declared_names(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _declared_names(part)


def _checked(encode: Encode, fits: _Fits) -> Encode:
    """Check what was encoded: an author's serializer, or a model that was changed after it was made, may break it."""

    def encode_and_check(value: Any) -> bytes:
        encoded = encode(value)
        try:
            decoded = _decode(encoded)
            is_long = len(encoded) > len(_MANY_DIGITS) and _MANY_DIGITS in encoded.translate(_DIGITS)
            problem = fits.bounded(decoded) if is_long else fits(decoded)
        except msgspec.MsgspecError:  # NaN, infinity, or a number that no double holds
            problem = "not JSON"
        if problem is not None:
            raise ReturnMismatch(_unfit_number(encoded, fits.declared) or problem)
        return encoded

    return encode_and_check


def _unfit_number(encoded: bytes, declared: frozenset[str]) -> str | None:
    """Return path and rule of the first number that is none to most clients: it says more than what it breaks."""
    try:
        jsonable(json.loads(encoded))
    except NotJson as problem:
        return explained(problem, declared)
    return None


def _by_pydantic(annotation: Any) -> tuple[dict[str, Any], Encode]:
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    schema = adapter.json_schema(schema_generator=Outgoing, mode="serialization", by_alias=True)
    declared = frozenset(_declared_names(schema))
    validate, dump = adapter.validator.validate_python, serializer_of(adapter.core_schema, jsonable).to_json

    def encode(value: Any) -> bytes:
        try:
            return dump(validate(value), by_alias=True, warnings=False)
        except (ValueError, TypeError) as error:  # pydantic's errors are such
            whole = mended(value) if _is_of_text(error) else value
            if whole != value:
                return encode(whole)
            raise ReturnMismatch(_why(value, error, declared)) from None

    return schema, encode


def _is_of_text(error: Exception) -> bool:
    """Return whether half of a surrogate pair may be what is wrong."""
    if isinstance(error, pydantic.ValidationError):
        return any(each["type"] in _NO_TEXT for each in error.errors(include_url=False, include_input=False))
    return isinstance(error, pydantic_core.PydanticSerializationError | UnicodeError)


def _why(value: Any, error: Exception, declared: frozenset[str]) -> str:
    if isinstance(error, pydantic.ValidationError):
        return explained(NotJson(*wanted(error)), declared)
    try:
        jsonable(value)
    except NotJson as problem:
        return explained(problem, declared)
    return f"not serializable: {type(error).__name__}"


def _by_msgspec(annotation: Any) -> tuple[dict[str, Any], Encode]:
    schemas, definitions = msgspec.json.schema_components([annotation], ref_template="#/$defs/{name}")
    schema = {**schemas[0], "$defs": definitions} if definitions else dict(schemas[0])

    def encode(value: Any) -> bytes:
        try:
            msgspec.convert(msgspec.to_builtins(value), annotation)
            return pydantic_core.to_json(jsonable(builtins_of(value)))
        except NotJson as problem:
            raise ReturnMismatch(explained(problem)) from None
        except msgspec.ValidationError as error:
            raise ReturnMismatch(_msgspec_words(str(error))) from None
        except TypeError as error:
            raise ReturnMismatch(type(error).__name__) from None

    return schema, encode


def _msgspec_words(text: str) -> str:
    rule, path = _MSGSPEC_RULE.match(text), _MSGSPEC_PATH.search(text)
    words = rule[1].replace("`", "") if rule else "ValidationError"
    return f"{path[1]}: {words}" if path and path[1] else words


def _wrap(schema: dict[str, Any]) -> dict[str, Any]:
    inner = dict(schema)
    definitions = inner.pop("$defs", None)
    wrapped = {"type": "object", "properties": {"result": inner}, "required": ["result"]}
    return {**wrapped, "$defs": definitions} if definitions else wrapped


def _has_content(annotation: Any) -> bool:
    """Return whether a content value may stand anywhere in the annotation."""
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return issubclass(annotation, (Content, ToolResult))
    return any(_has_content(part) for part in typing.get_args(annotation) if part is not ...)
