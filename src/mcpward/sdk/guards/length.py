"""``Length``: how long a text, a list or a mapping may be."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import annotated_types

from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.guards.parameter_guard import ParameterGuard
from mcpward.sdk.options import options

_SIZED: Final = frozenset({"string", "array", "object"})


@dataclass(frozen=True, init=False)
class Length(ParameterGuard):
    """Characters of a text, or items of a list or mapping: ``Annotated[str, Length(max=100)]``. Part of the schema.

    Raises:
        AuthoringError: a bound is no whole number of 0 or more, or ``min`` is above ``max``.
    """

    max: int
    min: int = 0

    @options("Length")
    def __init__(self, *, max: int, min: int = 0) -> None:  # noqa: A002  what authors write
        if any(type(bound) is not int or bound < 0 for bound in (max, min)):
            raise AuthoringError("Length: max and min are whole numbers of 0 or more", hint="write Length(max=100)")
        if min > max:
            hint = "write Length(min=1, max=100)"
            raise AuthoringError(f"Length: min is {min}, which is above max, {max}", hint=hint)
        vars(self).update(max=max, min=min)

    @property
    def kinds(self) -> frozenset[str]:  # type: ignore[override]  # no field of the dataclass
        """All that has a length."""
        return _SIZED

    def check(self, value: Any) -> str | None:
        """Refuse a length out of bounds, where no type does."""
        if isinstance(value, str | list | dict) and self.min <= len(value) <= self.max:
            return None
        between = f"{self.min} to {self.max}" if self.min else f"at most {self.max}"
        return f"{between} {'characters' if isinstance(value, str) else 'items'}"

    def keywords(self) -> dict[str, Any]:
        """Return the bounds of texts, lists and mappings; only those of its own type stay on a parameter."""
        of = ("Length", "Items", "Properties")
        return {f"max{one}": self.max for one in of} | ({f"min{one}": self.min for one in of} if self.min else {})

    @property
    def __is_annotated_types_grouped_metadata__(self) -> bool:
        # annotated_types.GroupedMetadata: pydantic unpacks us into bounds that it knows.
        return True

    def __iter__(self) -> Iterator[Any]:
        if self.min:
            yield annotated_types.MinLen(self.min)
        yield annotated_types.MaxLen(self.max)
