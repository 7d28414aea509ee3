"""The limits of one server, and which of them a call draws on."""

from collections.abc import Mapping
from typing import Any, Final

from mcpward.config import limits as settings
from mcpward.core.clock import Clock
from mcpward.core.errors import Fault, Refusal
from mcpward.core.facts import Problem, Problems
from mcpward.core.ids import error_id
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.values import Budget, Call, Draw, Kind, Tool
from mcpward.limits.rates.limit import Limit
from mcpward.limits.rates.loop_detector import LoopDetector, repeat_limits
from mcpward.limits.rates.share import part_of

#: Not only looking around: an author's function runs, so these count as reading.
READS: Final = frozenset({"resources/read", "prompts/get"})
Priced = tuple[Limit, int]
"""A limit of a budget, and the cost of a call."""


class ServerLimits:
    """One server's limits, made ready. ``is_plain`` if a call draws only on its class.

    ``part`` is this process's part of the limits that all callers share.
    """

    __slots__ = ("classes", "discovery", "is_plain", "lifecycle", "loops", "quota", "repeats", "total", "wide_loops")

    def __init__(self, name: str, rates: settings.ServerLimits, clock: Clock, max_callers: int, part: float) -> None:
        # In the order of Access: a tool's class is the index.
        self.classes = tuple(
            Limit(each.name.lower(), name, much.rate, much.ruling)
            for each, much in zip(Access, (rates.read, rates.write, rates.destructive), strict=True)
        )
        self.discovery = Limit("discovery", name, rates.discovery.rate, rates.discovery.ruling)
        self.lifecycle = Limit("lifecycle", name, rates.lifecycle.rate, rates.lifecycle.ruling)
        self.total = self.quota = None
        if rates.total is not None:
            self.total = Limit("total", name, part_of(rates.total.rate, part), rates.total.ruling, is_common=True)
        if rates.quota is not None:
            each = f"quota-{rates.quota.quota.period.value}"
            self.quota = Limit(each, name, rates.quota.quota, rates.quota.ruling)
        repeats = (rates.repeat_read, rates.repeat_write, rates.repeat_destructive)
        self.loops, self.wide_loops = repeat_limits(name, repeats, rates.repeat_conversations)
        self.repeats = LoopDetector(self.loops, self.wide_loops, clock, max_callers)
        self.is_plain = (
            self.total is None
            and self.quota is None
            and all(limit.ruling.enforce for limit in (*self.classes, self.discovery, self.lifecycle))
        )

    def all(self) -> list[Limit]:
        """Return every limit but those of the loop breaker."""
        limits = (*self.classes, self.discovery, self.lifecycle, self.total, self.quota)
        return [limit for limit in limits if limit is not None]

    def of(self, call: Call) -> Limit:
        """Return the limit of a request that is no tool call.

        Lists must not use up the requests that keep a conversation alive. A client that gets 429 for
        ``server/discover`` falls back to the other era and sends twice as many requests. A client whose cancellation is
        refused cannot cancel.
        """
        if call.kind is Kind.CATALOGUE:
            return self.classes[Access.READ] if call.method in READS else self.discovery
        return self.discovery if call.kind is Kind.STREAM else self.lifecycle


class Budgets:
    """The budgets of the site, made ready: limits behind tools, for all callers and all servers."""

    def __init__(self, budgets: Mapping[str, Budget], part: float) -> None:
        self._limits: dict[str, tuple[Limit, ...]] = {name: _limits_of(each, part) for name, each in budgets.items()}

    def all(self) -> list[Limit]:
        """Return every limit of every budget."""
        return [limit for limits in self._limits.values() for limit in limits]

    def priced(self, tool: Tool, arguments: Mapping[str, Any]) -> list[Priced]:
        """Return the cost of a call of the tool for each of its budgets.

        Raises:
            Refusal: arguments-invalid; the call would cost more than the budget ever grants at once.
            Fault: the author's function for the cost failed, or returned no whole number from 0 on.
        """
        return [(limit, cost) for draw in tool.draws for limit, cost in self._priced(draw, arguments) if cost]

    def _priced(self, draw: Draw, arguments: Mapping[str, Any]) -> list[Priced]:
        cost = draw.cost if draw.cost_of is None else _cost(draw, arguments)
        limits = self._limits[draw.budget]
        for limit in limits:
            if cost > limit.most:
                rule = f"costs {cost} of the budget {draw.budget}, which holds at most {limit.most} at once"
                detail = f"a cost above the budget {draw.budget}"
                raise Refusal(Reason.ARGUMENTS_INVALID, detail, Problems((Problem(draw.argument, rule),)))
        return [(limit, cost) for limit in limits]


def _limits_of(budget: Budget, part: float) -> tuple[Limit, ...]:
    name, limits = f"budget-{budget.name}", []
    if budget.rate is not None:
        limits.append(Limit(name, "", part_of(budget.rate, part), budget.ruling, is_common=True))
    if budget.quota is not None:
        each = f"{name}-{budget.quota.period.value}"
        limits.append(Limit(each, "", part_of(budget.quota, part), budget.ruling, is_common=True))
    return tuple(limits)


def _cost(draw: Draw, arguments: Mapping[str, Any]) -> int:
    assert draw.cost_of is not None  # else the cost is fixed
    try:
        cost = draw.cost_of(arguments)
    except Exception as broken:  # the author's function: reported only to the log
        raise Fault(error_id(), f"the cost for the budget {draw.budget} raised {type(broken).__name__}") from broken
    if type(cost) is not int or cost < 0:
        raise Fault(error_id(), f"the cost for the budget {draw.budget} is not a whole number from 0 on")
    return cost
