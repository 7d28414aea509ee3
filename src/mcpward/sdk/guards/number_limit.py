"""``Limit``: how many things may be asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import annotated_types

from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.guards.parameter_guard import ParameterGuard
from mcpward.sdk.options import options

_NUMBERS: Final = frozenset({"integer", "number"})


@dataclass(frozen=True, init=False)
class Limit(ParameterGuard):
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
    def kinds(self) -> frozenset[str]:  # type: ignore[override]  # no field of the dataclass
        """Numbers."""
        return _NUMBERS

    def check(self, value: Any) -> str | None:
        """Refuse a number out of bounds, where no type does."""
        is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        return None if is_number and self.min <= value <= self.max else f"a number of {self.min} to {self.max}"

    def keywords(self) -> dict[str, Any]:
        """Return the bounds."""
        return {"minimum": self.min, "maximum": self.max}

    @property
    def __is_annotated_types_grouped_metadata__(self) -> bool:
        # annotated_types.GroupedMetadata: pydantic unpacks us into bounds that it knows.
        return True

    def __iter__(self) -> Iterator[Any]:
        yield annotated_types.Ge(self.min)
        yield annotated_types.Le(self.max)
