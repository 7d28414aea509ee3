"""Rules that are plain functions: ``def rule(from_price, to_price) -> str | None``, named by its parameters."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from mcpward.core.facts import Problem
from mcpward.sdk.errors import AuthoringError

_BY_NAME: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_LONGEST: Final = 200
_HINT: Final = "write def rule(from_price, to_price): return None, or what is wrong as a text"


class Rule:
    """A guard made of a function, whose parameters are those of the tool. The first line of its docstring is published.

    Raises:
        AuthoringError: the function has no parameters, or ``*`` ones.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._name = getattr(function, "__name__", "rule")
        parameters = inspect.signature(function).parameters.values()
        if not parameters or any(one.kind not in _BY_NAME for one in parameters):
            raise AuthoringError(f"the rule {self._name!r} does not name its parameters", hint=_HINT)
        self.parameters = tuple(one.name for one in parameters)
        if inspect.iscoroutinefunction(function):
            self.check = self._awaited  # type: ignore[method-assign]  # the one check that this rule has

    def describe(self) -> str:
        """Return what the docstring says first."""
        return (inspect.getdoc(self._function) or "").partition("\n")[0][:_LONGEST]

    def check(self, arguments: Mapping[str, Any]) -> Any:
        """Return what the function says is wrong, or None."""
        return self._read(self._function(**{name: arguments.get(name) for name in self.parameters}))

    async def _awaited(self, arguments: Mapping[str, Any]) -> Problem | None:
        return self._read(await self._function(**{name: arguments.get(name) for name in self.parameters}))

    def _read(self, said: Any) -> Problem | None:
        if said is None:
            return None
        if not isinstance(said, str):  # True would be "wrong" to one reader, and "right" to another
            raise TypeError(f"the rule {self._name} returned {type(said).__name__}, not a text or None")
        return Problem(self.parameters[0], said)

    def __repr__(self) -> str:
        return f"{self._name}({', '.join(self.parameters)})"
