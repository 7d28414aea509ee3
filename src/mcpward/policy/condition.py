"""Conditions of rules on arguments. A condition that cannot be judged counts for the stricter side.

``amount = { above = 100 }`` looks at the argument as the tool gets it, its default included. In lists any entry counts
for a rule that denies or asks, and every entry for one that allows. No value, or null, fits ``present = false`` alone.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from functools import partial
from operator import ge, gt, le, lt
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
_SCALARS: Final = frozenset({int, float, str, bool})


class Unjudged(Exception):
    """A value is of a kind that the condition cannot be asked about."""


class ArgumentTest:
    """One condition on the argument at a path."""

    def __init__(self, path: str, condition: Condition) -> None:
        self.path = path
        self._steps = tuple(path.split("."))
        self._present = condition.present
        self._checks = tuple(_checks(condition))
        #: A list as a whole has a length; its entries are asked for the rest.
        self._asks_lists = not condition.model_fields_set - {"longer", "present"}

    def holds(self, arguments: Mapping[str, Any], *, is_strict: bool) -> bool:
        """Return whether it holds. ``is_strict`` if the rule takes something away when it does."""
        try:
            # Most arguments are plain. One whose name has the dots of a path is another argument than that at the path.
            if len(self._steps) == 1 and type(value := arguments.get(self.path, _ABSENT)) in _SCALARS:
                return self._holds_for(value)
            verdicts = []
            for count, value in enumerate(_values(arguments, self._steps, has_lists=self._asks_lists), 1):
                if count > _MOST:
                    raise Unjudged
                verdicts.append(self._holds_for(value))
        except Unjudged:
            return is_strict
        return any(verdicts) if is_strict else bool(verdicts) and all(verdicts)

    def _holds_for(self, value: Any) -> bool:
        is_present = value is not _ABSENT and value is not None
        if self._present is not None and self._present is not is_present:
            return False
        if not is_present:
            return not self._checks
        return all(check(value) for check in self._checks)


def _checks(wanted: Condition) -> Iterator[Callable[[Any], bool]]:
    """Compile what a condition says: each check raises :class:`Unjudged` for a value of another kind."""
    for name, compare in (("above", gt), ("below", lt), ("at_least", ge), ("at_most", le)):
        bound = getattr(wanted, name)
        if bound is not None:
            yield partial(_compares, compare, bound)
    if wanted.equals is not None:
        yield lambda value: _is_same(value, wanted.equals)
    if (allowed := wanted.one_of) is not None:
        yield lambda value: any(_is_same(value, one) for one in allowed)
    if (refused := wanted.none_of) is not None:
        yield lambda value: not any(_is_same(value, one) for one in refused)
    if (longest := wanted.longer) is not None:
        yield lambda value: _length(value) > longest
    if wanted.like is not None:
        like = NamePatterns(wanted.like)
        yield lambda value: like.match(_text(value))
    if wanted.unlike is not None:
        unlike = NamePatterns(wanted.unlike)
        yield lambda value: not unlike.match(_text(value))


def _compares(compare: Callable[[Any, Any], bool], bound: float, value: Any) -> bool:
    return compare(_number(value), bound)


def _values(value: Any, steps: tuple[str, ...], *, has_lists: bool) -> Iterator[Any]:
    """Return every value at a path: the entries of lists on the way, and of a list at its end.

    With ``has_lists``, that list too.
    """
    value = _plain(value)
    if isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _values(one, steps, has_lists=has_lists)
        if has_lists and not steps:
            yield value
    elif not steps:
        yield value
    else:
        yield from _values(_member(value, steps[0]), steps[1:], has_lists=has_lists)


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
