"""The guards of one tool, its author's and those of the site's file: asked in their stage, and published.

Guards that answer at once are asked when the arguments are bound. Those that have to wait are asked afterwards, before
a person is, within the tool's deadline.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from mcpward.core.errors import Refusal
from mcpward.core.facts import Problem, Problems
from mcpward.core.reasons import Reason
from mcpward.sdk.guards.parameter_guard import Guard, Said

Bind = Callable[[bytes], dict[str, Any]]
Check = Callable[[Mapping[str, Any]], None]
Inquire = Callable[[Mapping[str, Any]], Awaitable[None]]


def guarded(guards: Sequence[Guard], bind: Bind) -> Bind:
    """Bind raw arguments; then ask the guards, all of them, so that a model mends its call at once."""
    check = checker(guards)
    if check is None:
        return bind

    def bind_guarded(raw: bytes) -> dict[str, Any]:
        arguments = bind(raw)
        check(arguments)
        return arguments

    return bind_guarded


def checker(guards: Sequence[Guard]) -> Check | None:
    """Return what asks the guards that answer at once, about bound arguments; None if there are none."""
    asked = [(guard, guard.check) for guard in guards if not waits(guard)]
    if not asked:
        return None

    def check_all(arguments: Mapping[str, Any]) -> None:
        found = [(guard, said) for guard, check in asked if (said := check(arguments)) is not None]
        if found:
            raise refusal(found)

    return check_all


def inquirer(guards: Sequence[Guard]) -> Inquire | None:
    """Return what asks the guards that have to wait; None if there are none."""
    asked = [guard for guard in guards if waits(guard)]
    if not asked:
        return None

    async def inquire(arguments: Mapping[str, Any]) -> None:
        found: list[tuple[Guard, Any]] = []
        for guard in asked:
            said: Any = guard.check(arguments)
            said = await said if inspect.isawaitable(said) else said
            if said is not None:
                found.append((guard, said))
        if found:
            raise refusal(found)

    return inquire


def waits(guard: Guard) -> bool:
    """Return whether the check of a guard is awaited."""
    return inspect.iscoroutinefunction(guard.check)


def refusal(found: Sequence[tuple[Guard, Any]]) -> Refusal:
    """Return the refusal with what the guards said."""
    problems = tuple(_problem(guard, said) for guard, said in found)
    return Refusal(Reason.ARGUMENT_DANGEROUS, "a guard refused", Problems(problems))


def _problem(guard: Guard, said: Said) -> Problem:
    if isinstance(said, Problem):
        return said
    if isinstance(said, str):
        return Problem(next(iter(guard.parameters), ""), said)
    raise TypeError(f"the guard {type(guard).__name__} returned {type(said).__name__}, not a text, a Problem or None")
