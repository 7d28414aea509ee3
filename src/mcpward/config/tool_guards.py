"""The guards that an operator sets on a tool: their names, the options of each, and the table that sets one.

Options are read here by their type. Whether they fit each other and the tool's schema is seen when the tool is known.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from msgspec import Struct
from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from mcpward.config.names import nearest


class Option(Struct, frozen=True):
    """One option of a guard: ``kind`` is text, texts, values, whole, number or flag."""

    kind: str
    is_required: bool = False


class ToolGuard(Struct, frozen=True):
    """One table: the guard's name, and its options as they were written."""

    guard: str
    options: Mapping[str, Any]


_PARAMETER: Final = {"parameter": Option("text", is_required=True)}
GUARDS: Final[Mapping[str, Mapping[str, Option]]] = {
    "argv": {**_PARAMETER, "max": Option("whole"), "not_first": Option("text")},
    "date-range": {
        "start": Option("text", is_required=True), "end": Option("text", is_required=True),
        "max_days": Option("number", is_required=True), "both": Option("flag"),
    },
    "email": {**_PARAMETER, "domains": Option("texts")},
    "http-url": {**_PARAMETER, "hosts": Option("texts", is_required=True), "schemes": Option("texts")},
    "length": {**_PARAMETER, "max": Option("whole", is_required=True), "min": Option("whole")},
    "limit": {**_PARAMETER, "max": Option("number", is_required=True), "min": Option("number")},
    "one-of": {**_PARAMETER, "values": Option("values", is_required=True), "says": Option("text")},
    "page": {
        "offset": Option("text", is_required=True), "limit": Option("text", is_required=True),
        "max": Option("whole", is_required=True), "depth": Option("whole"),
    },
    "pattern": {**_PARAMETER, "pattern": Option("text", is_required=True), "example": Option("text")},
    "safe-path": {**_PARAMETER, "root": Option("text", is_required=True)},
    "time-window": {
        **_PARAMETER, "last_days": Option("number"), "next_days": Option("number"), "between": Option("texts"),
        "zone": Option("text"),
    },
    "unique": {**_PARAMETER, "by": Option("text")},
    "uuid": {**_PARAMETER, "version": Option("whole")},
}  # fmt: skip
"""The guards by their names, with their options."""

_WORDS: Final = {
    "text": "a text", "texts": "a list of texts", "values": "a list of texts or whole numbers",
    "whole": "a whole number", "number": "a number", "flag": "true or false",
}  # fmt: skip
_NAMED: Final = "guard"
_EXAMPLE: Final = '{ guard = "length", parameter = "q", max = 100 }'


def read_tool_guards(value: object) -> object:
    """Return the tables as :class:`ToolGuard`.

    Raises:
        ValueError: one has no known name, or an option that its guard does not have, or not of that type.
    """
    if not isinstance(value, list | tuple):
        raise ValueError(f"must be a list of tables, such as [{_EXAMPLE}]")  # noqa: TRY004  pydantic's word for a refusal
    return tuple(one if isinstance(one, ToolGuard) else _read(one, at) for at, one in enumerate(value, 1))


def _read(table: object, at: int) -> ToolGuard:
    name = table.get(_NAMED) if isinstance(table, Mapping) else None
    if not isinstance(table, Mapping) or not isinstance(name, str):
        raise ValueError(f"guard {at} must be a table such as {_EXAMPLE}")  # noqa: TRY004  the same
    known = GUARDS.get(name)
    if known is None:
        meant = nearest(name, GUARDS)
        raise ValueError(f"guard {name!r} is not known: {f'did you mean {meant}?' if meant else _listed(GUARDS)}")
    options = {word: said for word, said in table.items() if word != _NAMED}
    for word, said in options.items():
        if word not in known:
            meant = nearest(word, known)
            hint = f"did you mean {meant}?" if meant else f"it has {_listed(known)}"
            raise ValueError(f"guard {name!r} has no option {word!r}: {hint}")
        if not _is(said, known[word].kind):
            raise ValueError(f"{word} of guard {name!r} must be {_WORDS[known[word].kind]}")
    missing = [word for word, option in known.items() if option.is_required and word not in options]
    if missing:
        raise ValueError(f"guard {name!r} needs {_listed(missing)}")
    return ToolGuard(name, options)


def _is(value: object, kind: str) -> bool:
    match kind:
        case "text":
            return isinstance(value, str) and value != ""
        case "texts":
            return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)
        case "values":
            return isinstance(value, list) and bool(value) and all(type(one) in {str, int} for one in value)
        case "whole":
            return type(value) is int
        case "number":
            return type(value) in {int, float}
        case _:
            return isinstance(value, bool)


def _listed(names: Any) -> str:
    return ", ".join(names)


def _tables(guards: tuple[ToolGuard, ...]) -> list[dict[str, Any]]:
    return [{_NAMED: one.guard, **one.options} for one in guards]


_TABLE: Final = {
    "type": "object",
    "required": [_NAMED],
    "properties": {_NAMED: {"enum": [*GUARDS]}},
    "oneOf": [
        {
            "properties": {_NAMED: {"const": name}, **{word: {} for word in known}},
            "required": [word for word, option in known.items() if option.is_required],
            "additionalProperties": False,
        }
        for name, known in GUARDS.items()
    ],
}
ToolGuards = Annotated[
    tuple[ToolGuard, ...],
    BeforeValidator(read_tool_guards),
    PlainSerializer(_tables, return_type=list[dict[str, Any]]),
    WithJsonSchema({"type": "array", "items": _TABLE}),
]
