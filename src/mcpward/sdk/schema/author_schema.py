"""Arguments by a schema that the author wrote: published as it is, checked by jsonschema-rs (JSON Schema 2020-12).

Offline, with a regular-expression engine that takes linear time. Explanations of the errors must not quote them: an
error's text holds the caller's values.
"""

import typing
from collections.abc import Callable, Collection, Mapping
from itertools import islice
from typing import Any, Final

import msgspec
from jsonschema_rs import Draft202012Validator, ValidationError
from pydantic_core import to_json

from mcpward.core.errors import Refusal
from mcpward.core.facts import Problem, Problems
from mcpward.core.integral import whole_number
from mcpward.core.jsonio import decode_known
from mcpward.core.reasons import Reason
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.header import mirrored
from mcpward.sdk.schema.accepted import suspects_of
from mcpward.sdk.schema.default_bounds import bounded_schema
from mcpward.sdk.schema.effort import of_written
from mcpward.sdk.schema.schema_bounds import Document
from mcpward.sdk.schema.schema_cost import UNBOUNDED, deepest
from mcpward.sdk.schema.schema_validator import schema_validator
from mcpward.sdk.signature import Parameter

PARAMETER: Final = "arguments"
#: Keywords at the root that say nothing of a member beside what ``properties`` and ``required`` do.
_SIMPLE: Final = frozenset(
    {
        "$comment", "$defs", "$id", "$schema", "additionalProperties", "default", "description", "examples",
        "properties", "required", "title", "type", "unevaluatedProperties",
    }
)  # fmt: skip
_MOST: Final = 16
#: Parts of the arguments times bytes of the schema: up to here all errors take less than 10 ms.
_MOST_EXPLAINED: Final = 100_000
_encode: Final = msgspec.json.Encoder().encode


class Written:
    """The arguments of a function that takes them whole, as ``arguments: dict[str, Any]``.

    ``bind`` turns raw JSON into that keyword argument. It raises an ``ExceptionGroup`` of at most 16
    ``jsonschema_rs.ValidationError`` (the first, if the arguments are not small). It raises ``Refusal``
    (arguments-invalid) for arguments that are nested too deep to check a recursive schema at a bounded cost. ``effort``
    is that cost.
    """

    def __init__(self, schema: Mapping[str, Any], parameters: tuple[Parameter, ...], what: str, where: str) -> None:
        if [parameter.name for parameter in parameters] != [PARAMETER] or not _is_dict(parameters[0].annotation):
            problem = f"{what}: with input_schema a function takes its arguments as one dict"
            raise AuthoringError(
                problem, where, "write def f(arguments: dict[str, Any]), optionally with caller or context"
            )
        document = Document(schema, what, where)
        self._given = parameters, what, where
        self._schema = document.root
        self.headers = mirrored(self._schema, what, where)
        self.names = tuple(self._schema.get("properties", ()))
        self.suspects = suspects_of(self._schema, is_typed=False)
        self.bind = _binder(_validator(document), deepest(document), len(_encode(self._schema)))
        self.effort = of_written(document, self.bind)

    def schema(self) -> dict[str, Any]:
        """Return the schema as it was written."""
        return self._schema

    def with_default_bounds(self) -> "Written":
        """Return the same arguments, with a bound wherever their author set none; as they are if that is too large."""
        parameters, what, where = self._given
        try:
            return Written(bounded_schema(Document(self._schema, what, where)), parameters, what, where)
        except AuthoringError:
            return self

    def parameter_of(self) -> dict[str, str]:
        """Return nothing: callers write the names of the schema, and so does the function."""
        return {}

    def without(self, names: Collection[str]) -> "Written":
        """Return the same arguments without some members, which are filled by other means than by the caller's JSON.

        Raises:
            AuthoringError: the schema says more of its members than ``properties`` and ``required`` do.
        """
        parameters, what, where = self._given
        more = sorted(word for word in self._schema if word not in _SIMPLE and not word.startswith("x-"))
        if more:
            hint = "write the schema without it"
            raise AuthoringError(f"an argument cannot be taken out of a schema with {more[0]!r}", where, hint)
        properties = {name: one for name, one in self._schema["properties"].items() if name not in names}
        required = [name for name in self._schema.get("required", ()) if name not in names]
        left = {word: said for word, said in self._schema.items() if word != "required"} | {"properties": properties}
        return Written(left | {"required": required} if required else left, parameters, what, where)

    def member(self, name: str, *, is_text: bool) -> Callable[[Any], Any]:
        """Return what makes a member's value of a JSON value. It raises ``ValueError`` for one that does not fit.

        ``is_text``: values are texts, and an integer is taken in its one plain spelling.
        """
        _, what, where = self._given
        open_schema = {word: said for word, said in self._schema.items() if word != "required"}
        is_valid = _validator(Document(open_schema, what, where)).is_valid

        def convert(value: Any) -> Any:
            own = decode_known(to_json(value, fallback=_plain))
            for one in (own, whole_number(own) if is_text else None):
                if one is not None and is_valid({name: one}):
                    return one
            raise ValueError("does not fit the schema")

        return convert


def _is_dict(annotation: Any) -> bool:
    """A model would be promised and never made."""
    return dict in (annotation, typing.get_origin(annotation))


def _plain(value: Any) -> Any:
    """Claims are frozen all the way down."""
    if isinstance(value, Mapping):
        return dict(value)
    raise ValueError("is no JSON")


def _validator(document: Document) -> Draft202012Validator:
    try:
        return schema_validator(document.root)
    except ValueError as error:  # ValidationError is one: the schema is none, or a pattern is beyond the engine
        path = ".".join(map(str, getattr(error, "instance_path", ())))
        document.refuse(
            f"is not a schema of JSON Schema 2020-12{f', at {path!r}' if path else ''}",
            "correct it; patterns have no lookaround and no backreferences",
        )


def _binder(validator: Draft202012Validator, levels: int, size: int) -> Callable[[bytes], dict[str, Any]]:
    """``size`` is that of the schema in bytes."""
    is_valid, errors_of = validator.is_valid, validator.iter_errors

    def bind(raw: bytes) -> dict[str, Any]:
        arguments = decode_known(raw)
        if levels < UNBOUNDED and not _is_within(arguments, levels):
            problems = Problems((Problem("", f"at most {levels} levels deep"),))
            raise Refusal(Reason.ARGUMENTS_INVALID, "too deep for a recursive schema", problems)
        if not is_valid(arguments):
            # All errors are made before the first is given, each with a copy of what it is about.
            errors: list[ValidationError] = (
                list(islice(errors_of(arguments), _MOST))
                if (raw.count(b",") + raw.count(b"[") + raw.count(b"{")) * size <= _MOST_EXPLAINED
                else [_first(validator, arguments)]
            )
            raise ExceptionGroup("the arguments do not fit the schema", errors)
        return {PARAMETER: arguments}

    return bind


def _first(validator: Draft202012Validator, arguments: Any) -> ValidationError:
    try:
        validator.validate(arguments)
    except ValidationError as error:
        return error
    raise AssertionError("valid, and not valid")


def _is_within(value: Any, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        layer = [
            member
            for part in layer
            if isinstance(part, dict | list)
            for member in (part.values() if isinstance(part, dict) else part)
        ]
        if not layer:
            return True
    return False
