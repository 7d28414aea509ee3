"""The form of an elicitation: flat, of strings, numbers, booleans and choices (``client/elicitation``, form mode).

A form comes from a model or from a hand-written schema. Both are brought into the specification's restricted schema,
which a client can draw. They are refused if that is not possible or if they ask for a secret. Rules that the
specification does not have (a pattern, a multiple) are not published; a model checks them all the same.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs
import msgspec
import pydantic
from msgspec import Struct
from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError

from mcpward.core import rfc3339
from mcpward.core.integral import exact
from mcpward.core.subschema import Place, Subschemas
from mcpward.sdk.client.ask import Unfit
from mcpward.sdk.client.field import field
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.schema.schema_export import Untitled, first_line, inline_root

_CACHED: Final = 256
_FIELDS: Final = 64
_LARGEST: Final = 65_536
_LEAST: Final = -(2**63)
_MOST: Final = 2**64 - 1
_MODEL: Final = 'pass a flat pydantic model or dataclass, or schema={"type": "object", "properties": {…}}'
_ROOT: Final = frozenset({"$schema", "type", "properties", "required", "title", "description", "additionalProperties"})
_encode: Final = msgspec.json.Encoder().encode


class Form(Struct, frozen=True):
    """``schema`` as it is asked, ``read`` from a client's content to the author's data. Raises :class:`Unfit`."""

    schema: Mapping[str, Any]
    read: Callable[[Any], Any]


@lru_cache(_CACHED)
def form_of(model: Any) -> Form:
    """Return the form of a pydantic model or a dataclass.

    Raises:
        AuthoringError: a field is none of a form's, or asks for a secret.
    """
    what = f"the form {getattr(model, '__name__', model)!r}"
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(model)
        raw = inline_root(adapter.json_schema(schema_generator=Untitled, mode="validation", by_alias=True))
    except PydanticUserError as error:
        raise AuthoringError(f"{what} has no JSON schema: {first_line(error)}", hint=_MODEL) from error
    schema = _restricted(raw, what, strict=False)
    require = _requirement(schema)

    def read(content: Any) -> Any:
        encoded = require(content)
        try:
            return adapter.validator.validate_json(encoded, strict=True)
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            raise Unfit(f"{_known(first['loc'], schema)}: {first['type']}") from None

    return Form(schema, read)


def form_by_hand(schema: Mapping[str, Any]) -> Form:
    """Return the form of a schema that an author wrote. Its data is a dict.

    Raises:
        AuthoringError: the schema is not of the restricted kind, or asks for a secret.
    """
    what = "the schema of a form"
    unknown = sorted(set(schema) - _ROOT)
    if unknown:
        raise AuthoringError(f"{what} has {unknown[0]!r}, which is not for a form", hint=f"remove {unknown[0]!r}")
    restricted = _restricted(schema, what, strict=True)
    require = _requirement(restricted)

    def read(content: Any) -> Any:
        return msgspec.json.decode(require(content))

    return Form(restricted, read)


def _restricted(raw: Mapping[str, Any], what: str, *, strict: bool) -> dict[str, Any]:
    properties = raw.get("properties", {})
    required = raw.get("required", [])
    if raw.get("type") != "object" or not isinstance(properties, Mapping) or not isinstance(required, list):
        raise AuthoringError(f"{what} is not an object with fields", hint=_MODEL)
    if len(properties) > _FIELDS:
        raise AuthoringError(f"{what} has more than {_FIELDS} fields", hint="ask in two forms")
    definitions = raw.get("$defs", {})
    fields = {name: field(name, part, definitions, what, strict=strict) for name, part in properties.items()}
    strangers = [name for name in required if name not in fields]
    if strangers:
        raise AuthoringError(f"{what} requires {strangers[0]!r}, which is not among them", hint="add it to properties")
    schema: dict[str, Any] = {"type": "object", "properties": fields}
    if required:
        schema["required"] = list(required)
    return schema


def _requirement(schema: Mapping[str, Any]) -> Callable[[Any], bytes]:
    """Everything published is required, whatever an author's own type would take besides."""
    try:
        validator = _validator({**schema, "additionalProperties": False})
        for name, part in schema["properties"].items():
            if "default" in part and not _validator(part).is_valid(part["default"]):
                raise AuthoringError(
                    f"the form's field {name!r} has a default that does not fit it", hint="change the default"
                )
    except (ValueError, jsonschema_rs.ValidationError) as error:
        raise AuthoringError(f"the schema of a form cannot be read: {first_line(error)}", hint=_MODEL) from error

    top = Subschemas(schema).top

    def require(content: Any) -> bytes:
        if isinstance(content, dict):
            content = _settled(content, top)
        try:
            encoded = _encode(content)
            fits = len(encoded) <= _LARGEST and validator.is_valid(content) and not _has_long_number(content)
        except (TypeError, ValueError, OverflowError, RecursionError):
            fits = False
            encoded = b""
        if not fits:
            raise Unfit("the content is not what the form asks for")
        return encoded

    return require


def _settled(content: Mapping[str, Any], top: Place) -> dict[str, Any]:
    """Return the content as its form asks for it, also if a client writes it otherwise.

    ``5.0`` is an integer, null in a field that may be left out is left out, a time without an offset is one in UTC.
    """
    settled: dict[str, Any] = {}
    for name, value in content.items():
        place = top.member(name)
        if value is None and top.is_optional(name) and not place.admits_null:
            continue
        if isinstance(value, float) and place.is_integer:
            whole = exact(value)
            settled[name] = value if whole is None else whole
        elif isinstance(value, str) and place.formats:
            settled[name] = rfc3339.settled(value, place.formats)
        else:
            settled[name] = value
    return settled


def _has_long_number(content: Mapping[str, Any]) -> bool:
    """Whether a whole number has more than 64 bits, which arguments may not have either."""
    return any(isinstance(value, int) and not _LEAST <= value <= _MOST for value in content.values())


def _validator(schema: Mapping[str, Any]) -> Any:
    return jsonschema_rs.Draft202012Validator(dict(schema), validate_formats=True)


def _known(place: tuple[int | str, ...], schema: Mapping[str, Any]) -> str:
    """The field's name if it is one of ours: any other was thought of by the client."""
    return str(place[0]) if place and place[0] in schema["properties"] else "content"
