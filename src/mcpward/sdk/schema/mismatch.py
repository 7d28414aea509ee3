"""The reason why a value does not match its declaration: the expected and the found type, in words that hold nothing of
the value.

The types of values are the author's or Python's own; a value's text may be anything, a secret too.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pydantic

#: Those of pydantic's errors whose text holds only the declaration and lengths.
SHOWN: Final = frozenset({
    "bool_parsing", "bool_type", "bytes_type", "dataclass_exact_type", "dataclass_type", "date_type", "datetime_type",
    "decimal_type", "dict_type", "enum", "finite_number", "float_parsing", "float_type", "frozen_set_type",
    "greater_than", "greater_than_equal", "int_from_float", "int_parsing", "int_type", "is_instance_of",
    "iterable_type", "less_than", "less_than_equal", "list_type", "literal_error", "model_type", "multiple_of",
    "none_required", "set_type", "string_too_long", "string_too_short", "string_type", "time_delta_type", "time_type",
    "timezone_aware", "timezone_naive", "too_long", "too_short", "tuple_type", "url_type", "uuid_type",
})  # fmt: skip
_JSON: Final = {
    dict: "an object",
    list: "a list",
    str: "a text",
    int: "an integer",
    float: "a number",
    bool: "a boolean",
}
_SIZED: Final = frozenset({"maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties"})
#: Keywords whose value in the schema says what is wanted.
_WANTED: Final = frozenset({
    "const", "enum", "exclusiveMaximum", "exclusiveMinimum", "format", "maximum", "minimum", "required", "type",
    *_SIZED,
})  # fmt: skip


def found(value: Any) -> str:
    """Name the type of a value; of a coroutine also which call was not awaited, and close it."""
    if inspect.iscoroutine(value):
        name = value.__qualname__
        value.close()  # no code will await it: Python would warn of it at some other time
        return f"a coroutine: {name}() was not awaited"
    if value is None:
        return "None: the function may end without a return"
    return type(value).__name__


def wanted(error: pydantic.ValidationError) -> tuple[str, tuple[int | str, ...]]:
    """Return what the first problem of an error wants and found, and its path."""
    first = error.errors(include_url=False, include_context=False)[0]
    kind, message, value = first["type"], first["msg"], first["input"]
    if kind == "missing":
        return "this required member is missing", first["loc"]
    if kind not in SHOWN:
        return f"{kind}, found {found(value)}", first["loc"]
    if kind.endswith("_parsing"):  # how a text could have been one is for callers, and not for returned values
        message = message.partition(",")[0]
    said = message.removeprefix("Input should be ")
    said = f"wanted {said}" if said != message else message[:1].lower() + message[1:]
    return f"{said}, found {found(value)}", first["loc"]


def unfit(schema: Mapping[str, Any], schema_path: Sequence[str | int], value: Any, path: Sequence[str | int]) -> str:
    """Return which keyword of a schema the part of ``value`` at ``path`` breaks, and what was found there."""
    keyword = next(step for step in reversed(schema_path) if isinstance(step, str))
    said = _walked(schema, schema_path)
    stated = f" {said}" if keyword in _WANTED and isinstance(said, str | int | float | list) else ""
    part = _walked(value, path)
    size = f" of {len(part)}" if keyword in _SIZED and isinstance(part, str | list | dict) else ""
    name = "null" if part is None else _JSON.get(type(part), "a value")
    return f"does not fit the output schema ({keyword}{stated}), found {name}{size}"


def _walked(value: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value
