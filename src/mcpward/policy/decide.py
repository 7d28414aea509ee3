"""The decision: every rule must let it pass. The same decision filters the list and guards the call (attack 67)."""

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from msgspec import Struct

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Call, Kind, Principal, Tool
from mcpward.policy.rule import OFFER_RULES, RULES, Offer


class Decision(Struct, frozen=True):
    """Yes or no. ``reason`` is for the record alone and empty for a yes."""

    allowed: bool
    reason: str = ""


class Registry(Protocol):
    """The tools of one server."""

    def find(self, name: str) -> Tool | None:
        """Give the tool of that exact name, or None."""
        ...


_YES: Final = Decision(allowed=True)


class Policy:
    """Decides who may use what. ``registries`` by server name."""

    def __init__(self, registries: Mapping[str, Registry]) -> None:
        self._registries = dict(registries)

    def require(self, call: Call) -> Tool | None:
        """Give the tool that a call names, if its principal may use it; None for a call that names none.

        Raises :class:`Refusal` (tool-unknown): one answer for a tool that is not there and one that the caller may not
        use, so that nobody learns the names of hidden tools (attack 66).
        """
        if call.kind is not Kind.TOOL:
            return None
        registry = self._registries.get(call.arrival.server)
        tool = registry.find(call.target) if registry is not None else None
        if tool is None:
            raise Refusal(Reason.TOOL_UNKNOWN, "no such tool")
        decision = self.decide(call.principal, tool)
        if not decision.allowed:
            raise Refusal(Reason.TOOL_UNKNOWN, decision.reason)
        return tool

    def decide(self, principal: Principal, tool: Tool) -> Decision:
        """Give the decision; the first rule that denies names the reason."""
        for rule in RULES:
            denied = rule(principal, tool)
            if denied is not None:
                return Decision(allowed=False, reason=denied)
        return _YES

    def may_use(self, principal: Principal, offer: Offer) -> bool:
        """Tell whether the principal may see and use a resource, a template or a prompt, and have it completed."""
        return all(rule(principal, offer) is None for rule in OFFER_RULES)

    def visible(self, principal: Principal, tools: Iterable[Tool]) -> list[Tool]:
        """Give the tools that the principal may call, in their order."""
        return [tool for tool in tools if self.decide(principal, tool).allowed]
