"""Guards: rules of sense, beyond well-formedness. They see the validated arguments and name field and rule."""

import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import NoneType, UnionType
from typing import Any, Protocol

import annotated_types

from mcpward.core.facts import Problem
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.options import options


class Guard(Protocol):
    """A check of a call's arguments against their declared meaning.

    A guard may also have ``require_types(annotations)``. It gets the annotations of all parameters when the tool is
    declared, and raises :class:`AuthoringError` if one that it reads has a type that it cannot check.
    """

    @property
    def parameters(self) -> tuple[str, ...]:
        """The tool's parameters that this guard reads; a name the tool does not have is an author's mistake."""
        ...

    def check(self, arguments: Mapping[str, Any]) -> Problem | None:
        """Return what is wrong with the arguments, or None."""
        ...


@dataclass(frozen=True, init=False)
class DateRange:
    """``start`` is not after ``end``, and no more than ``max_days`` days lie between them.

    Both are ``date`` or ``datetime`` parameters. A bound that is None (an optional parameter) is not checked.

    Raises:
        AuthoringError: the options are no two names of parameters and a number of days.
    """

    start: str
    end: str
    max_days: float

    @options("DateRange")
    def __init__(self, start: str, end: str, max_days: float) -> None:
        given: tuple[Any, ...] = (start, end)
        if not all(isinstance(name, str) for name in given):
            hint = 'pass their names: DateRange("from_date", "to_date", max_days=90)'
            raise AuthoringError("DateRange: start and end are names of parameters", hint=hint)
        if type(max_days) not in {int, float} or not max_days >= 0:
            raise AuthoringError("DateRange: max_days is a number of days", hint="write max_days=90")
        vars(self).update(start=start, end=end, max_days=max_days)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Both bounds."""
        return self.start, self.end

    def require_types(self, annotations: Mapping[str, Any]) -> None:
        """Raise :class:`AuthoringError` if a bound's parameter is declared as something else than a date."""
        for name in self.parameters:
            if not _is_date(annotations[name]):
                hint = f"annotate {name}: date, or {name}: datetime"
                raise AuthoringError(f"DateRange compares dates, and {name!r} is not a date", hint=hint)

    def check(self, arguments: Mapping[str, Any]) -> Problem | None:
        """Refuse a range that runs backwards, is too long, or mixes times with and without an offset."""
        start, end = arguments[self.start], arguments[self.end]
        if start is None or end is None:
            return None
        if _offset_known(start) != _offset_known(end):
            return Problem(self.end, f"both or neither of {self.start} and {self.end} with a UTC offset")
        if end < start:
            return Problem(self.end, f"not before {self.start}")
        if end - start > timedelta(days=self.max_days):
            return Problem(self.end, f"at most {self.max_days:g} days after {self.start}")
        return None


@dataclass(frozen=True, init=False)
class Limit:
    """A number of things asked for: ``Annotated[int, Limit(max=100)]``. Part of the published schema.

    Raises:
        AuthoringError: a bound is no number, or ``min`` is above ``max``.
    """

    max: int
    min: int = 1

    @options("Limit")
    def __init__(self, *, max: int, min: int = 1) -> None:  # noqa: A002  what authors write
        if any(type(bound) not in {int, float} for bound in (max, min)):
            raise AuthoringError("Limit: max and min are numbers", hint="write Limit(max=100)")
        if min > max:
            raise AuthoringError(f"Limit: min is {min}, which is above max, {max}", hint="write Limit(min=1, max=100)")
        vars(self).update(max=max, min=min)

    @property
    def __is_annotated_types_grouped_metadata__(self) -> bool:
        # annotated_types.GroupedMetadata: pydantic unpacks us into bounds that it knows.
        return True

    def __iter__(self) -> Iterator[Any]:
        yield annotated_types.Ge(self.min)
        yield annotated_types.Le(self.max)


def _is_date(annotation: Any) -> bool:
    """Whether an annotation is a date, or may be one: the guard itself finds the dates in opaque types."""
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return issubclass(annotation, date)
    if typing.get_origin(annotation) is typing.Annotated:
        return _is_date(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in {typing.Union, UnionType}:
        return any(_is_date(member) for member in typing.get_args(annotation) if member is not NoneType)
    return not isinstance(typing.get_origin(annotation), type)


def _offset_known(moment: date) -> bool:
    return isinstance(moment, datetime) and moment.tzinfo is not None
