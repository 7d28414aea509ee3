"""The decision: every rule must let it pass. The same decision filters the list and guards the call (attack 67)."""

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from msgspec import Struct

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.values import AuthMethod, Call, Kind, Principal, Tool
from mcpward.policy.rule import OFFER_RULES, RULES, Offer, grant, server, tools_only
from mcpward.policy.server_rules import NO_RULES, SiteRules
from mcpward.policy.step_up import Demand


class Decision(Struct, frozen=True):
    """A decision. ``reason`` is only for the record, and empty if the call is allowed."""

    allowed: bool
    reason: str = ""


class ToolLookup(Protocol):
    """The tools of one server, by name: a part of the tools package's ``ToolSource``, which policy may not import."""

    def find(self, name: str) -> Tool | None:
        """Return the tool of that exact name, or None."""
        ...

    def is_held(self, name: str) -> bool:
        """Return whether a tool of that exact name is held back, because it is not approved."""
        ...


_MAX_ALLOWED: Final = 10_000
_YES: Final = Decision(allowed=True)
_TOOL: Final = Kind.TOOL
_OAUTH: Final = AuthMethod.OAUTH


class Policy:
    """Decides which caller may use what. ``sources`` by server name; ``demands`` of the servers in OAuth mode.

    ``rules`` are the operator's: those that look at time or arguments are asked once the arguments are valid.
    """

    def __init__(
        self,
        sources: Mapping[str, ToolLookup],
        demands: Mapping[str, Demand] | None = None,
        rules: SiteRules = NO_RULES,
    ) -> None:
        self._rules = rules
        self._finds = {name: source.find for name, source in sources.items()}
        self._sources = dict(sources)
        self._demands = dict(demands or {})
        self._allowed: set[tuple[Principal, Tool]] = set()
        self._weight = 0

    def require(self, call: Call) -> Tool | None:
        """Return the tool that a call names, if its principal may use it; None for a call that names none.

        Raises :class:`Refusal`: tool-unknown for a missing tool and for one that the caller may not use, so that no
        caller learns the names of hidden tools (attack 66). Or scope-missing: the token lacks what every token must
        have, or only scopes stand between its holder and the tool.
        """
        principal = call.principal
        if call.kind is not _TOOL:
            if principal.way is _OAUTH:
                self._require_scopes(principal, None)
            return None
        find = self._finds.get(call.arrival.server)
        tool = find(call.target) if find is not None else None
        if principal.way is _OAUTH:
            self._require_scopes(principal, tool)
        if tool is None:
            raise self._unknown(call)
        if (principal, tool) in self._allowed:
            return tool
        decision = self.decide(principal, tool)
        if not decision.allowed:
            raise self._step_up(principal, tool) or Refusal(Reason.TOOL_UNKNOWN, decision.reason)
        self._remember(principal, tool)
        return tool

    def _unknown(self, call: Call) -> Refusal:
        """One answer to the caller. The record tells the operator what is held back."""
        source = self._sources.get(call.arrival.server)
        is_held = source is not None and source.is_held(call.target)
        return Refusal(Reason.TOOL_UNKNOWN, "held back: it is not approved as it is now" if is_held else "no such tool")

    def _remember(self, principal: Principal, tool: Tool) -> None:
        """Keep a permission: both values are frozen, and a caller that authenticates again gets the same value again.

        Strangers are new with each request.
        """
        if principal.way is not AuthMethod.ANONYMOUS:
            # Claims of a long token weigh as much as twenty values without any.
            self._weight += 20 if principal.claims else 1
            if self._weight > _MAX_ALLOWED:
                self._allowed.clear()
                self._weight = 0
            self._allowed.add((principal, tool))

    def require_offer(self, principal: Principal, offer: Offer, unknown: Reason) -> None:
        """Require that the principal may use a resource, a template or a prompt.

        Raises :class:`Refusal`: scope-missing as :meth:`require` does, and ``unknown`` for the rest.
        """
        if not self.may_use(principal, offer):
            raise self._step_up(principal, offer) or Refusal(unknown)

    def _require_scopes(self, principal: Principal, tool: Tool | None) -> None:
        demand = self._demands[principal.server]
        if not demand.required <= principal.scopes:
            no = self._step_up(principal, tool) if tool is not None else None
            raise no or demand.refusal(demand.required)

    def _step_up(self, principal: Principal, wanted: Tool | Offer) -> Refusal | None:
        """Return the challenge for what was denied, if scopes are all that is missing and there are scopes for it."""
        demand = self._demands.get(principal.server) if principal.way is AuthMethod.OAUTH else None
        if demand is None or server(principal, wanted) is not None:
            return None
        if isinstance(wanted, Tool):
            blocked, access = grant(principal, wanted) or self._by_rule(principal, wanted), wanted.access
        else:
            blocked, access = tools_only(principal, wanted), Access.READ
        needed = None if blocked is not None else demand.needed(principal, wanted.scopes, access)
        return None if needed is None or needed <= principal.scopes else demand.refusal(needed)

    def decide(self, principal: Principal, tool: Tool) -> Decision:
        """Return the decision; the first rule that denies names the reason."""
        for rule in RULES:
            denied = rule(principal, tool)
            if denied is not None:
                return Decision(allowed=False, reason=denied)
        denied = self._by_rule(principal, tool)
        return _YES if denied is None else Decision(allowed=False, reason=denied)

    def _by_rule(self, principal: Principal, tool: Tool) -> str | None:
        """Return the operator's rule that closes the tool to this caller at any time, with any arguments."""
        book = self._rules.of(tool.server)
        return None if book is None else book.denied(principal, tool)

    def may_use(self, principal: Principal, offer: Offer) -> bool:
        """Return whether the principal may see and use a resource, a template or a prompt, and have it completed."""
        return all(rule(principal, offer) is None for rule in OFFER_RULES)

    def visible(self, principal: Principal, tools: Iterable[Tool]) -> list[Tool]:
        """Return the tools that the principal may call, in their order.

        The list includes tools that another scope would open if the server lists those: a call of one names that scope
        (403), so the list reveals nothing more. Tools that are hidden for any other reason stay hidden (attack 67).
        """
        return [tool for tool in tools if self.decide(principal, tool).allowed or self._is_offered(principal, tool)]

    def listed(self, principal: Principal, offer: Offer) -> bool:
        """Return whether a list shows a resource, a template or a prompt to the principal; see :meth:`visible`."""
        return self.may_use(principal, offer) or self._is_offered(principal, offer)

    def _is_offered(self, principal: Principal, wanted: Tool | Offer) -> bool:
        demand = self._demands.get(principal.server)
        return demand is not None and demand.lists and self._step_up(principal, wanted) is not None
