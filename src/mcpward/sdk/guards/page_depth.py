"""``Page``: an offset and a limit, and how deep both together may reach."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcpward.core.facts import Problem
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.options import options


@dataclass(frozen=True, init=False)
class Page:
    """``Page("offset", "limit", max=100, depth=10_000)``: at most ``max`` at once, and none beyond ``depth``.

    A database reads and drops all rows before the offset, so that a deep page costs as much as all before it.

    Raises:
        AuthoringError: the options are no two names of parameters and two whole numbers.
    """

    offset: str
    limit: str
    max: int
    depth: int

    @options("Page")
    def __init__(self, offset: str, limit: str, *, max: int, depth: int = 10_000) -> None:  # noqa: A002  what authors write
        given: tuple[Any, ...] = (offset, limit)
        hint = 'write Page("offset", "limit", max=100, depth=10_000)'
        if not all(isinstance(name, str) for name in given):
            raise AuthoringError("Page: offset and limit are names of parameters", hint=hint)
        if any(type(bound) is not int or bound < 1 for bound in (max, depth)) or max > depth:
            raise AuthoringError("Page: max and depth are whole numbers, and max is not above depth", hint=hint)
        vars(self).update(offset=offset, limit=limit, max=max, depth=depth)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Offset and limit."""
        return self.offset, self.limit

    def describe(self) -> str:
        """Return the rule for the model."""
        return f"{self.offset} + {self.limit} is at most {self.depth}."

    def keywords(self, parameter: str) -> dict[str, Any]:
        """Return the bounds of each."""
        if parameter == self.offset:
            return {"minimum": 0, "maximum": self.depth - 1}
        return {"minimum": 1, "maximum": self.max}

    def require_types(self, annotations: Mapping[str, Any]) -> None:
        """Raise :class:`AuthoringError` if a parameter is declared as something else than a whole number."""
        for name in self.parameters:
            if annotations[name] is not int:
                raise AuthoringError(f"Page: {name!r} is not an int", hint=f"annotate {name}: int")

    def check(self, arguments: Mapping[str, Any]) -> Problem | None:
        """Refuse a page that is too large, lies too deep, or before the first."""
        offset, limit = arguments.get(self.offset), arguments.get(self.limit)
        if limit is not None and not 1 <= limit <= self.max:
            return Problem(self.limit, f"an integer of 1 to {self.max}")
        if offset is not None and offset < 0:
            return Problem(self.offset, "an integer of at least 0")
        if (offset or 0) + (limit or 0) > self.depth:
            return Problem(self.offset, f"{self.describe()[:-1]}; filter more instead of paging further")
        return None
