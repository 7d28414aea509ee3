"""``DateRange``: two dates in their order, and not too far from each other."""

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import ceil
from types import NoneType, UnionType
from typing import Any, Final

from mcpward.core.facts import Problem
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.guards.moments import moment, pair
from mcpward.sdk.options import options

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, init=False, repr=False)
class DateRange:
    """``start`` is not after ``end``, and no more than ``max_days`` days lie between them.

    Both are ``date`` or ``datetime`` parameters. A bound that is None (an optional parameter) is not checked, unless
    ``both`` demands the two of them.

    Raises:
        AuthoringError: the options are no two names of parameters and a number of days.
    """

    start: str
    end: str
    max_days: float
    both: bool = False

    @options("DateRange")
    def __init__(self, start: str, end: str, max_days: float, *, both: bool = False) -> None:
        given: tuple[Any, ...] = (start, end)
        if not all(isinstance(name, str) for name in given):
            hint = 'pass their names: DateRange("from_date", "to_date", max_days=90)'
            raise AuthoringError("DateRange: start and end are names of parameters", hint=hint)
        if type(max_days) not in {int, float} or not 0 <= max_days <= timedelta.max.days:
            raise AuthoringError("DateRange: max_days is a number of days", hint="write max_days=90")
        vars(self).update(start=start, end=end, max_days=max_days, both=both, longest=timedelta(days=max_days))

    def __repr__(self) -> str:
        both = ", both=True" if self.both else ""
        return f"DateRange(start={self.start!r}, end={self.end!r}, max_days={self.max_days:g}{both})"

    @property
    def parameters(self) -> tuple[str, ...]:
        """Both bounds."""
        return self.start, self.end

    def describe(self) -> str:
        """Return the rule for the model."""
        needed = ", and both are needed" if self.both else ""
        return f"{self.start} to {self.end} is at most {self.max_days:g} days{needed}."

    def require_types(self, annotations: Mapping[str, Any]) -> None:
        """Raise :class:`AuthoringError` if a bound's parameter is declared as something else than a date."""
        for name in self.parameters:
            if not _is_date(annotations[name]):
                hint = f"annotate {name}: date, or {name}: datetime"
                raise AuthoringError(f"DateRange compares dates, and {name!r} is not a date", hint=hint)

    def check(self, arguments: Mapping[str, Any]) -> Problem | None:
        """Refuse a range that runs backwards, is too long, or mixes times with and without an offset."""
        start, end = arguments.get(self.start), arguments.get(self.end)
        if start is None or end is None:
            if self.both:
                return Problem(self.start if start is None else self.end, f"needed: {self.describe()}")
            return None
        try:
            first, last = pair(moment(start), moment(end))
        except ValueError:
            return Problem(self.end, f"{self.start} and {self.end} are dates such as 2026-03-01")
        if _offset_known(first) != _offset_known(last):
            return Problem(self.end, f"both or neither of {self.start} and {self.end} with a UTC offset")
        if last < first:
            return Problem(self.end, f"not before {self.start}")
        span = last - first
        if span > vars(self)["longest"]:
            said = f"date range cannot exceed {self.max_days:g} days; you asked for {ceil(span / _DAY)}"
            return Problem(self.end, said)
        return None


def _is_date(annotation: Any) -> bool:
    """Whether an annotation is a date, or may be one: the guard itself finds the dates in opaque types."""
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return issubclass(annotation, date)
    if typing.get_origin(annotation) is typing.Annotated:
        return _is_date(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in {typing.Union, UnionType}:
        return any(_is_date(member) for member in typing.get_args(annotation) if member is not NoneType)
    return not isinstance(typing.get_origin(annotation), type)


def _offset_known(value: date) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None
