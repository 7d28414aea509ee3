"""Conditions of rules on arguments. A condition that cannot be judged counts for the stricter side.

``amount = { above = 100 }`` looks at the argument as the tool gets it, its default included. In lists any entry counts
for a rule that denies or asks, and every entry for one that allows. No value, or null, fits ``present = false`` alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from msgspec import Struct
from pydantic import BaseModel

from mcpward.config.policy import Condition
from mcpward.core.name_patterns import NamePatterns

#: Longer texts are matched against no pattern.
_LONGEST: Final = 4_096
#: So many values of lists within lists are looked at; more count for the stricter side.
_MOST: Final = 10_000
_ABSENT: Final = object()


class Unjudged(Exception):
    """A value is of a kind that the condition cannot be asked about."""


class ArgumentTest:
    """One condition on the argument at a path."""

    def __init__(self, path: str, condition: Condition) -> None:
        self.path = path
        self._steps = tuple(path.split("."))
        self._condition = condition
        self._like = NamePatterns(condition.like or ())
        self._unlike = NamePatterns(condition.unlike or ())

    def holds(self, arguments: Mapping[str, Any], *, is_strict: bool) -> bool:
        """Return whether it holds. ``is_strict`` if the rule takes something away when it does."""
        verdicts = []
        try:
            for count, value in enumerate(_values(arguments, self._steps), 1):
                if count > _MOST:
                    raise Unjudged
                verdicts.append(self._holds_for(value))
        except Unjudged:
            return is_strict
        return any(verdicts) if is_strict else bool(verdicts) and all(verdicts)

    def _holds_for(self, value: Any) -> bool:
        wanted = self._condition
        is_present = value is not _ABSENT and value is not None
        if wanted.present is not None and wanted.present is not is_present:
            return False
        if not is_present:
            return wanted.model_fields_set == {"present"}
        return self._bounds(value) and self._choices(value) and self._texts(value)

    def _bounds(self, value: Any) -> bool:
        wanted = self._condition
        if wanted.above is not None and not _number(value) > wanted.above:
            return False
        if wanted.below is not None and not _number(value) < wanted.below:
            return False
        if wanted.at_least is not None and not _number(value) >= wanted.at_least:
            return False
        return wanted.at_most is None or _number(value) <= wanted.at_most

    def _choices(self, value: Any) -> bool:
        wanted = self._condition
        if wanted.equals is not None and not _is_same(value, wanted.equals):
            return False
        if wanted.one_of is not None and not any(_is_same(value, one) for one in wanted.one_of):
            return False
        return wanted.none_of is None or not any(_is_same(value, one) for one in wanted.none_of)

    def _texts(self, value: Any) -> bool:
        wanted = self._condition
        if wanted.longer is not None and not _length(value) > wanted.longer:
            return False
        if wanted.like is not None and not self._like.match(_text(value)):
            return False
        return wanted.unlike is None or not self._unlike.match(_text(value))


def _values(value: Any, steps: tuple[str, ...]) -> Iterator[Any]:
    """Return every value at a path: the entries of lists on the way, and of a list at its end."""
    value = _plain(value)
    if isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _values(one, steps)
        if not steps:
            yield value
    elif not steps:
        yield value
    else:
        yield from _values(_member(value, steps[0]), steps[1:])


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _member(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name, _ABSENT)
    if isinstance(value, BaseModel):
        known: Any = {**value.__dict__, **(value.model_extra or {})}
        aliases = {field.alias: one for one, field in type(value).model_fields.items() if field.alias}
        return known.get(aliases.get(name, name), _ABSENT)
    if isinstance(value, Struct):
        return getattr(value, name, _ABSENT) if name in value.__struct_fields__ else _ABSENT
    if is_dataclass(value) and name in {field.name for field in fields(value)}:
        return getattr(value, name)
    return _ABSENT


def _number(value: Any) -> int | float | Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or value != value:  # noqa: PLR0124  NaN
        raise Unjudged
    return value


def _is_same(value: Any, wanted: Any) -> bool:
    """``true`` is not 1, and "1" is not 1; 1 is 1.0."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(wanted, int | float):
        return bool(_number(value) == wanted)
    return bool(_text(value) == wanted)


def _length(value: Any) -> int:
    if isinstance(value, str | bytes | list | tuple | set | frozenset | Mapping):
        return len(value)
    raise Unjudged


def _text(value: Any) -> str:
    """Return a text as JSON has it: of a date, an address or an id its usual spelling."""
    if isinstance(value, str):
        text = value
    elif value is None or isinstance(value, bool | int | float | bytes | Mapping | list | tuple | BaseModel | Struct):
        raise Unjudged
    else:
        text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    if len(text) > _LONGEST:
        raise Unjudged
    return text
