"""The arguments of a tool: a strict pydantic model made from the signature, and its JSON schema (2020-12).

Arguments are validated from their raw bytes, in JSON mode, without coercion, and whatever is not declared is
refused at every depth: also inside nested models, and also where such a model says otherwise for itself.
An open object is written ``dict[str, …]``.
"""

import re
import typing
from collections.abc import Callable
from copy import copy as shallow_copy
from decimal import Decimal
from typing import Annotated, Any, Final, cast

import pydantic
from pydantic import BaseModel, ConfigDict, TypeAdapter, create_model
from pydantic.fields import FieldInfo
from pydantic_core import SchemaValidator

from mcpward.core import rfc3339
from mcpward.core.integral import integral
from mcpward.core.model_words import model_words
from mcpward.core.subschema import Place, Subschemas
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.guards.number_limit import Limit
from mcpward.sdk.header import KEYWORD, has_header, mirrored
from mcpward.sdk.schema.accepted import Accepted, honest, suspects_of
from mcpward.sdk.schema.bounds import require_fitting
from mcpward.sdk.schema.default_bounds import bounded_model
from mcpward.sdk.schema.effort import of_model
from mcpward.sdk.schema.linear import slow_patterns
from mcpward.sdk.schema.schema_export import inline_root, inlined
from mcpward.sdk.schema.schemaless import UNREADABLE, parameter_error
from mcpward.sdk.schema.sentences import with_sentences
from mcpward.sdk.signature import REQUIRED, Parameter

_STRICT: Final = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())
_LENIENT: Final = ConfigDict(extra="forbid", allow_inf_nan=False, protected_namespaces=())
_TAKEN: Final = frozenset(dir(BaseModel)) | {"model_config"}
#: A number as JSON writes it.
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,6})?", re.ASCII)
_LONGEST_NUMBER: Final = 64
_FOREIGN: Final = "its schema refers to another document, which mcpward does not fetch"
_WITHIN: Final = "refer to definitions within it ($defs), or remove the reference"
Bind = Callable[[bytes], dict[str, Any]]


class Arguments:
    """A function's arguments from its caller.

    ``bind`` turns raw JSON into keyword arguments and raises ``pydantic.ValidationError``. With ``strict=False``
    ``bind_strings`` takes the mapping of strings of a prompt or a URI template instead. ``headers`` are those in which
    a client repeats an argument, with the argument's path. ``suspects`` finds in raw arguments what must be looked at
    closely before they are bound; ``effort`` is what binding costs (None if it is not strict).
    """

    def __init__(self, parameters: tuple[Parameter, ...], what: str, where: str, *, strict: bool = True) -> None:
        require_fitting(parameters, what, where)
        self._parameters = parameters
        self._model, self._renamed = _model(parameters, what, where, _STRICT if strict else _LENIENT)
        _require_linear(self._model, what, where)
        _require_sound_defaults(self._model, what, where)
        self._declared = what, where
        self.names = tuple(parameter.name for parameter in parameters)
        self._make(
            self._model.__pydantic_core_schema__, self._model.__pydantic_validator__.validate_json, strict=strict
        )

    def _make(self, core: Any, validate: Callable[..., Any], *, strict: bool) -> None:
        what, where = self._declared
        self._schema = self._published(core, what, where)
        self.headers = self._headers(what, where, strict=strict)
        self.bind: Bind = self._binder(validate)
        self.suspects = suspects_of(self._schema, is_typed=True) if strict else None
        self.effort = of_model(core, self._arguments) if strict else None
        self._top = Subschemas(self._schema).top

    def with_default_bounds(self) -> "Arguments":
        """Return the same arguments of a tool, with a bound wherever their author set none."""
        core = bounded_model(self._model.__pydantic_core_schema__)
        bounded = shallow_copy(self)
        # Prebuilt validators of nested models would not have the bounds.
        bounded._make(core, SchemaValidator(core, _use_prebuilt=False).validate_json, strict=True)
        return bounded

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema: an object that takes the declared properties and no others, at every depth."""
        return self._schema

    def _published(self, core: Any, what: str, where: str) -> dict[str, Any]:
        try:
            schema = Accepted(by_alias=True).generate(core, mode="validation")
        except UNREADABLE as error:
            raise parameter_error(self._parameters, _STRICT, what, where, error) from error
        except KeyError as error:  # pydantic looks every $ref up in its own definitions
            raise AuthoringError(f"{what}: {_FOREIGN}", where, _WITHIN) from error
        if has_foreign_reference(schema):
            raise AuthoringError(f"{what}: {_FOREIGN}", where, _WITHIN)
        schema = inlined(inline_root(schema))
        schema.pop("title", None)
        schema.pop("description", None)
        close(schema)
        return cast("dict[str, Any]", with_sentences(honest(schema)))

    def _headers(self, what: str, where: str, *, strict: bool) -> dict[bytes, tuple[str, ...]]:
        if not strict and has_header(self._schema):
            problem = f"{what}: {KEYWORD} is only for the parameters of tools"
            raise AuthoringError(problem, where, "remove Header(…)")
        return mirrored(self._schema, what, where)

    def bind_strings(self, strings: Any) -> dict[str, Any]:
        """Turn a mapping of strings into keyword arguments, each read as its parameter's type."""
        read: Any = {name: _settled(text, self._top.member(name)) for name, text in strings.items()}
        values = self._model.__pydantic_validator__.validate_strings(read).__dict__
        return self._rename(values)

    def required(self) -> frozenset[str]:
        """Name the parameters without a default."""
        fields = self._model.model_fields
        return frozenset(self._renamed.get(name, name) for name, field in fields.items() if field.is_required())

    def written(self) -> dict[str, str]:
        """Return what callers write for each parameter: its own name, or the alias that ``Field`` gives it."""
        fields = self._model.model_fields.items()
        aliases = {self._renamed.get(name, name): field.validation_alias or name for name, field in fields}
        return {name: alias if isinstance(alias, str) else name for name, alias in aliases.items()}

    def parameter_of(self) -> dict[str, str]:
        """Return the parameters that callers write by another name, by that name."""
        return {alias: name for name, alias in self.written().items() if alias != name}

    def description(self, name: str) -> str | None:
        """Return the description that an author attached to a parameter with ``Field``."""
        given = {self._renamed.get(field, field): info.description for field, info in self._model.model_fields.items()}
        return given.get(name)

    def _binder(self, validate: Callable[..., Any]) -> Bind:
        rename = self._rename

        def bind(raw: bytes) -> dict[str, Any]:
            # The run-time flags reach nested models; the model's own configuration would not.
            values: dict[str, Any] = validate(raw, strict=True, extra="forbid").__dict__
            return values

        def bind_renamed(raw: bytes) -> dict[str, Any]:
            return rename(bind(raw))

        return bind_renamed if self._renamed else bind

    def _arguments(self, model: BaseModel) -> dict[str, Any]:
        return self._rename(model.__dict__) if self._renamed else model.__dict__

    def _rename(self, values: dict[str, Any]) -> dict[str, Any]:
        return {self._renamed.get(name, name): value for name, value in values.items()}


def _model(
    parameters: tuple[Parameter, ...], what: str, where: str, config: ConfigDict
) -> tuple[type[BaseModel], dict[str, str]]:
    fields: dict[str, Any] = {}
    renamed: dict[str, str] = {}
    for parameter in parameters:
        default = ... if parameter.default is REQUIRED else parameter.default
        if parameter.name in _TAKEN:  # "json", "copy", "schema": fine names for arguments, taken on a model
            renamed[f"argument_{parameter.name}"] = parameter.name
            aliased = cast("Any", Annotated)[parameter.annotation, pydantic.Field(alias=parameter.name)]
            fields[f"argument_{parameter.name}"] = (aliased, default)
        else:
            fields[parameter.name] = (parameter.annotation, default)
    try:
        return create_model("Arguments", __config__=config, **fields), renamed
    except UNREADABLE as error:
        raise parameter_error(parameters, config, what, where, error) from error


def _require_linear(model: type[BaseModel], what: str, where: str) -> None:
    for pattern in slow_patterns(model.__pydantic_core_schema__):
        problem = f"the pattern {pattern!r} runs on Python's engine, which a caller can make run indefinitely"
        raise AuthoringError(f"{what}: {problem}", where, "write it as a string, without lookaround and backreferences")


def _require_sound_defaults(model: type[BaseModel], what: str, where: str) -> None:
    """A default outside its own type or limit would be used unchecked on every call that leaves it out."""
    for name, field in model.model_fields.items():
        if field.is_required() or field.default_factory is not None:
            continue
        try:
            TypeAdapter(field.rebuild_annotation()).validate_python(field.default)
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            rule = model_words(first["type"], first.get("ctx", {})) or first["msg"]
            problem = f"{what}: the default of {name!r} does not fit its type: {rule}"
            raise AuthoringError(problem, where, _default_hint(name, field)) from None


def _default_hint(name: str, field: FieldInfo) -> str:
    if field.default is None:
        return f"write {name}: {type_name(field.annotation)} | None = None"
    if isinstance(field.default, Limit):
        bounds = f"Limit(max={field.default.max})"
        return f"a bound is not a default: write {name}: Annotated[{type_name(field.annotation)}, {bounds}]"
    return "change the default, or the parameter's type"


def type_name(annotation: Any) -> str:
    """Return a type as an author writes it."""
    is_plain = isinstance(annotation, type) and typing.get_origin(annotation) is None
    return annotation.__name__ if is_plain else str(annotation).replace("typing.", "")


def _settled(text: str, place: Place) -> str:
    """Return a string of a prompt or a URI in the spelling that its type reads: ``1e3`` is the integer 1000."""
    if place.is_integer and not place.admits("string") and len(text) <= _LONGEST_NUMBER and _NUMBER.fullmatch(text):
        whole = integral(Decimal(text))
        return text if whole is None else str(whole)
    return rfc3339.settled(text, place.formats) if place.formats else text


def close(schema: Any) -> None:
    """Set ``additionalProperties: false`` at every object that lists its properties, in place."""
    if isinstance(schema, dict):
        if schema.get("type") == "object" and ("properties" in schema or "additionalProperties" not in schema):
            schema["additionalProperties"] = False
        for part in schema.values():
            close(part)
    elif isinstance(schema, list):
        for part in schema:
            close(part)


def has_foreign_reference(schema: Any) -> bool:
    """Return whether a ``$ref`` points outside of the schema: a client that follows it fetches for an attacker (76)."""
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str) and not reference.startswith("#"):
            return True
        return any(has_foreign_reference(part) for part in schema.values())
    return isinstance(schema, list) and any(has_foreign_reference(part) for part in schema)
