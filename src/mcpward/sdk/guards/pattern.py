"""``Pattern``: what a text looks like as a whole, decided in linear time."""

from typing import Any, Final

from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.guards.linear_pattern import matcher
from mcpward.sdk.guards.parameter_guard import ParameterGuard
from mcpward.sdk.options import options

_LONGEST: Final = 1_000


class Pattern(ParameterGuard):
    """The whole text matches: ``Annotated[str, Pattern("[A-Z]{2}-[0-9]{4}", example="DE-0042")]``.

    Raises:
        AuthoringError: the pattern is none, or none that takes linear time; the example does not match it.
    """

    kinds: frozenset[str] = frozenset({"string"})
    is_published: bool = True

    @options("Pattern")
    def __init__(self, pattern: str, *, example: str = "") -> None:
        said: Any = pattern
        if not isinstance(said, str) or not 0 < len(pattern) <= _LONGEST:
            raise AuthoringError("Pattern: the pattern is a text", hint='write Pattern("[A-Z]{2}-[0-9]{4}")')
        self.pattern = pattern
        self._whole = f"^(?:{pattern})$"
        try:
            self._matches = matcher(self._whole)
        except ValueError:
            hint = "no lookaround, no backreferences, each bracket closed"
            raise AuthoringError(f"Pattern: {pattern!r} is not supported", hint=hint) from None
        if example and not self._matches(example):
            raise AuthoringError("Pattern: its example does not match it", hint="correct one of the two")
        self._example = example

    def check(self, value: Any) -> str | None:
        """Refuse a text that does not match."""
        if isinstance(value, str) and self._matches(value):
            return None
        such = f", such as {self._example}" if self._example else ""
        return f"a string that matches {self._whole}{such}"

    def describe(self) -> str:
        """Return the example."""
        return f"For example {self._example}." if self._example else ""

    def keywords(self) -> dict[str, Any]:
        """Return the pattern."""
        return {"pattern": self._whole}

    def __repr__(self) -> str:
        return f"Pattern({self.pattern!r})"
