"""The cost of a tool's calls to the budgets behind it: fixed, by an argument, or by a function of all arguments."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from mcpward.core.limit_name import SYNTAX, is_limit_name
from mcpward.core.spelling import nearest
from mcpward.core.values import Draw
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.schema.arguments import Arguments
from mcpward.sdk.schema.author_schema import Written

Cost = int | str | Callable[[Mapping[str, Any]], int]
Budgets = Sequence[str] | Mapping[str, Cost]
_MOST: Final = 100_000_000


def read_draws(budgets: Any, arguments: Arguments | Written, what: str, place: str) -> tuple[Draw, ...]:
    """Return what each call draws: a list of budgets costs 1 of each, a mapping says the costs.

    Raises:
        AuthoringError: a name or a cost cannot hold; an argument is no whole number that the schema keeps from going
            below 0, so that a caller could choose to fail.
    """
    if isinstance(budgets, str) or not isinstance(budgets, Iterable):
        raise AuthoringError(f"{what}: budgets is a list or a mapping", place, 'write budgets={"stripe": 2}')
    costs: dict[Any, Any] = dict(budgets) if isinstance(budgets, Mapping) else dict.fromkeys(budgets, 1)
    for name in costs:
        if not is_limit_name(name):
            hint = "the name is that of [budgets.<name>] in mcpward.toml"
            raise AuthoringError(f"{what}: budget {name!r}: a name is {SYNTAX}", place, hint)
    return tuple(_draw(name, cost, arguments, what, place) for name, cost in costs.items())


def _draw(budget: str, cost: Any, arguments: Arguments | Written, what: str, place: str) -> Draw:
    if type(cost) is int and 1 <= cost <= _MOST:
        return Draw(budget=budget, cost=cost)
    if isinstance(cost, str):
        parameter, written = _names(cost, arguments)
        _require_counting(written, arguments, f"{what}: the cost of budget {budget!r}", place)
        return Draw(budget=budget, cost_of=_of_argument(parameter, arguments), argument=written)
    if callable(cost) and not inspect.iscoroutinefunction(cost):
        return Draw(budget=budget, cost_of=cost)
    problem = f"{what}: the cost of budget {budget!r} is not a cost"
    hint = f"write a number of 1 to {_MOST}, the name of an int argument, or a function of the arguments"
    raise AuthoringError(problem, place, hint)


def _names(name: str, arguments: Arguments | Written) -> tuple[str, str]:
    """Return an argument's name in the function and in calls. With an alias those are two, and authors mean either."""
    if isinstance(arguments, Written):
        return name, name
    written = arguments.written()
    if name in written:
        return name, written[name]
    return next((parameter for parameter, alias in written.items() if alias == name), name), name


def _of_argument(name: str, arguments: Arguments | Written) -> Callable[[Mapping[str, Any]], int]:
    if isinstance(arguments, Written):  # the function takes them whole

        def cost_within(bound: Mapping[str, Any]) -> int:
            cost: int = bound["arguments"][name]
            return cost

        return cost_within

    def cost_of(bound: Mapping[str, Any]) -> int:
        cost: int = bound[name]
        return cost

    return cost_of


def _require_counting(name: str, arguments: Arguments | Written, what: str, place: str) -> None:
    schema = arguments.schema()
    told = schema.get("properties", {}).get(name)
    if not isinstance(told, Mapping) or told.get("type") != "integer":
        properties: Mapping[str, Any] = schema.get("properties", {})
        counting = [
            one for one, part in properties.items() if isinstance(part, Mapping) and part.get("type") == "integer"
        ]
        meant = nearest(name, counting)
        hint = f"did you mean {meant!r}?" if meant else f"its int arguments are {', '.join(counting) or 'none'}"
        raise AuthoringError(f"{what} names {name!r}, which is not an int argument", place, hint)
    if isinstance(arguments, Written) and name not in schema.get("required", ()):
        hint = f'add "{name}" to "required" of input_schema'
        raise AuthoringError(f"{what} names {name!r}, which a call may leave out", place, hint)
    if told.get("minimum", -1) < 0 and told.get("exclusiveMinimum", -2) < -1:
        hint = f"write {name}: Annotated[int, Limit(max=1000)], or Field(ge=0)"
        raise AuthoringError(f"{what} names {name!r}, which may be below 0", place, hint)
