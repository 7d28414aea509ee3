"""Guards: what makes sense, beyond what is well-formed. They see the validated arguments and name field and rule."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Protocol

import annotated_types
from msgspec import Struct


class Problem(Struct, frozen=True):
    """One argument that was refused: its path and the rule it broke. Never its value."""

    path: str
    rule: str


class Guard(Protocol):
    """A check of a call's arguments against their declared meaning."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The tool's parameters that this guard reads; a name the tool does not have is an author's mistake."""
        ...

    def check(self, arguments: Mapping[str, Any]) -> Problem | None:
        """Say what is wrong with the arguments, or None."""
        ...


class DateRange(Struct, frozen=True):
    """``start`` is not after ``end``, and no more than ``max_days`` days lie between them.

    Both are ``date`` or ``datetime`` parameters. A bound that is None (an optional parameter) is not checked.
    """

    start: str
    end: str
    max_days: float

    @property
    def parameters(self) -> tuple[str, ...]:
        """Both bounds."""
        return self.start, self.end

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


class Limit(Struct, frozen=True):
    """A number of things asked for: ``Annotated[int, Limit(max=100)]``. Part of the published schema."""

    max: int
    min: int = 1

    @property
    def __is_annotated_types_grouped_metadata__(self) -> bool:
        # annotated_types.GroupedMetadata: pydantic unpacks us into bounds that it knows.
        return True

    def __iter__(self) -> Iterator[Any]:
        yield annotated_types.Ge(self.min)
        yield annotated_types.Le(self.max)


def _offset_known(moment: date) -> bool:
    return isinstance(moment, datetime) and moment.tzinfo is not None
