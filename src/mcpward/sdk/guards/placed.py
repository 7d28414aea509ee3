"""A guard of one value, set on a parameter by its name: where no annotation can hold it, and where it has to wait."""

import inspect
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from types import NoneType
from typing import Any, Final

from pydantic import SecretStr
from pydantic_core import to_jsonable_python

from mcpward.core.facts import Problem
from mcpward.sdk.guards.opened import SafeOpening
from mcpward.sdk.guards.parameter_guard import ParameterGuard, name_of
from mcpward.sdk.http.safe_url import SafeUrl, text_of

_JSON: Final = frozenset({str, int, float, bool, list, dict, NoneType})
#: Guards compare dates and numbers as they are.
_AS_THEY_ARE: Final = (date, time, Decimal)


class Placed:
    """``guard`` on ``parameter``. A value that is None, or was left out, is not checked."""

    def __init__(self, parameter: str, guard: ParameterGuard, *, is_shown: bool = True) -> None:
        self.parameter = parameter
        self.guard = guard
        self.parameters = (parameter,)
        self._is_shown = is_shown
        if guard.waits:
            self.check = self._awaited  # type: ignore[method-assign]  # the one check that this guard has

    def describe(self) -> str:
        """Return the guard's sentence; "" if the parameter's own schema has it already."""
        return self.guard.describe() if self._is_shown else ""

    def keywords(self, _parameter: str) -> Mapping[str, Any]:
        """Return the guard's members for the published schema."""
        return self.guard.keywords() if self._is_shown else {}

    def check(self, arguments: Mapping[str, Any]) -> Any:
        """Return the guard's problem with the value."""
        value = plain(arguments.get(self.parameter))
        return None if value is None else self._read(self.guard.check(value))

    async def _awaited(self, arguments: Mapping[str, Any]) -> Problem | None:
        value = plain(arguments.get(self.parameter))
        if value is None:
            return None
        said = self.guard.check(value)
        return self._read(await said if inspect.isawaitable(said) else said)

    def _read(self, said: Any) -> Problem | None:
        if said is not None and not isinstance(said, str):
            raise TypeError(f"the guard {name_of(self.guard)} returned {type(said).__name__}, not a text or None")
        return None if said is None else Problem(self.parameter, said)

    def __repr__(self) -> str:
        return f"{self.parameter}: {self.guard!r}"


def plain(value: Any) -> Any:
    """Return a bound value as JSON has it, where the type behind an annotation is another."""
    if type(value) in _JSON:
        return value
    if isinstance(value, _AS_THEY_ARE):
        return value
    if isinstance(value, SafeOpening):
        return value.name
    if isinstance(value, SafeUrl):
        return text_of(value)
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return to_jsonable_python(value, fallback=_same)


def _same(value: Any) -> Any:
    return value
