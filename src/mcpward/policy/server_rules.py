"""The operator's rules of one server: who × tool × class × time × arguments → allow, deny, confirm.

All rules that apply count: deny wins over confirm, and confirm over allow. The rule without conditions applies if no
other one does. No rule gives a right: what a credential lacks, and a question of the author's, stay.
"""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from msgspec import Struct

from mcpward.config.model import Server
from mcpward.config.policy import PolicyRule
from mcpward.core.values import AcceptedCall, AuthMethod, Principal, Tool
from mcpward.policy.condition import ArgumentTest
from mcpward.policy.rule import EVERY_SCOPE

ALLOW: Final = "allow"
DENY: Final = "deny"
CONFIRM: Final = "confirm"
_ORDER: Final = (DENY, CONFIRM, ALLOW)
_MOST_KNOWN: Final = 10_000


class Verdict(Struct, frozen=True):
    """The answer of the rules to one call: what to do, "" if no rule applies; by which rule, and its reason.

    ``paths`` are the arguments that the rule looked at, ``is_timed`` whether it looked at the clock.
    """

    do: str = ""
    rule: str = ""
    reason: str = ""
    paths: tuple[str, ...] = ()
    is_timed: bool = False


NO_RULE: Final = Verdict()


class CompiledRule:
    """One rule, ready to be asked."""

    def __init__(self, name: str, rule: PolicyRule) -> None:
        self.name = name
        self.rule = rule
        self._tests = tuple(ArgumentTest(path, condition) for path, condition in rule.when.items())
        self.is_fixed = not (rule.when or rule.hours or rule.not_hours)
        paths = tuple(test.path for test in self._tests)
        self.verdict = Verdict(rule.do, name, rule.reason, paths, bool(rule.hours or rule.not_hours))

    def is_about(self, principal: Principal, tool: Tool) -> bool:
        """Return whether caller and tool are those of the rule, whatever the time and the arguments are."""
        rule = self.rule
        if rule.tools and not any(fnmatchcase(tool.name, pattern) for pattern in rule.tools):
            return False
        if rule.classes and tool.access.label not in rule.classes:
            return False
        if rule.callers and not any(is_caller(principal, word) for word in rule.callers):
            return False
        return not any(is_caller(principal, word) for word in rule.not_callers)

    def applies(self, arguments: Mapping[str, Any], at: float) -> bool:
        """Return whether it applies at a moment, with these arguments."""
        rule = self.rule
        if rule.hours is not None and not rule.hours.has(at):
            return False
        if rule.not_hours is not None and rule.not_hours.has(at):
            return False
        is_strict = rule.do != ALLOW
        return all(test.holds(arguments, is_strict=is_strict) for test in self._tests)


class _Matching(Struct, frozen=True, eq=False):
    """The rules about one caller and tool. ``always`` is what they come to if time and arguments do not matter."""

    rules: tuple[CompiledRule, ...]
    always: Verdict | None


class ServerRules:
    """The rules of one server, compiled."""

    def __init__(self, rules: Mapping[str, PolicyRule]) -> None:
        compiled = [CompiledRule(name, rule) for name, rule in rules.items()]
        self.rules = tuple(one for one in compiled if not one.rule.is_last)
        self.last = next((one for one in compiled if one.rule.is_last), None)
        self._known: dict[tuple[Principal, Tool], _Matching] = {}

    def denied(self, principal: Principal, tool: Tool) -> str | None:
        """Return the rule that closes a tool to a caller at any time and with any arguments; None if none does.

        Such a tool is not listed, and is not known to that caller.
        """
        always = self._matching(principal, tool).always
        return f"denied by rule {always.rule}" if always is not None and always.do == DENY else None

    def judge(self, principal: Principal, tool: Tool, arguments: Mapping[str, Any], at: float) -> Verdict:
        """Return what the rules say to a call whose arguments are valid. ``at`` is the time (seconds since 1970)."""
        found = self._matching(principal, tool)
        if found.always is not None:
            return found.always
        return self._strictest(rule for rule in found.rules if rule.applies(arguments, at))

    def _matching(self, principal: Principal, tool: Tool) -> _Matching:
        known = self._known.get((principal, tool))
        if known is None:
            known = self._match(principal, tool)
            if principal.way is not AuthMethod.ANONYMOUS:  # strangers are new with each request
                if len(self._known) >= _MOST_KNOWN:
                    self._known.clear()
                self._known[principal, tool] = known
        return known

    def _match(self, principal: Principal, tool: Tool) -> _Matching:
        rules = tuple(rule for rule in self.rules if rule.is_about(principal, tool))
        fixed = [rule for rule in rules if rule.is_fixed]
        if len(fixed) == len(rules) or any(rule.rule.do == DENY for rule in fixed):
            return _Matching(rules, self._strictest(fixed))
        return _Matching(rules, None)

    def _strictest(self, rules: Iterable[CompiledRule]) -> Verdict:
        verdicts = sorted((rule.verdict for rule in rules), key=lambda verdict: _ORDER.index(verdict.do))
        if verdicts:
            return verdicts[0]
        return self.last.verdict if self.last is not None else NO_RULE


def named_arguments(accepted: AcceptedCall) -> Mapping[str, Any]:
    """Return the arguments of a call as the tool gets them, by the names that its schema publishes."""
    arguments, tool = accepted.arguments, accepted.tool
    if set(arguments) == {"arguments"} and "arguments" not in tool.listing.get("inputSchema", {}).get("properties", ()):
        inner: Mapping[str, Any] = arguments["arguments"]
        return inner
    if not tool.parameter_of:
        return arguments
    return {**arguments, **{name: arguments.get(own) for name, own in tool.parameter_of.items()}}


def is_caller(principal: Principal, word: str) -> bool:
    """Return whether a caller is one that a rule names."""
    kind, _, name = word.partition(":")
    return _KINDS[kind](principal, name)


def _has_tag(principal: Principal, name: str, is_valued: str, value: str) -> bool:
    return name in principal.tags and (not is_valued or principal.tags[name] == value)


_KINDS: Final[Mapping[str, Callable[[Principal, str], bool]]] = {
    # A key goes by the id of the first of its rotations, too.
    "key": lambda principal, name: (
        principal.key_id == name or (principal.way is AuthMethod.API_KEY and principal.subject == name)
    ),
    "subject": lambda principal, name: principal.subject == name,
    "client": lambda principal, name: principal.client == name,
    "scope": lambda principal, name: name in principal.scopes or EVERY_SCOPE in principal.scopes,
    "tag": lambda principal, name: _has_tag(principal, *name.partition("=")),
    "mode": lambda principal, name: (
        name == ("public" if principal.way is AuthMethod.ANONYMOUS else principal.way.value)
    ),
}


class SiteRules:
    """The rules of all servers of a site. A server without rules has no book."""

    def __init__(self, books: Mapping[str, Mapping[str, PolicyRule]] | None = None) -> None:
        self._books = {server: ServerRules(rules) for server, rules in (books or {}).items() if rules}

    def __bool__(self) -> bool:
        return bool(self._books)

    def of(self, server: str) -> ServerRules | None:
        """Return the rules of a server; None if it has none."""
        return self._books.get(server)


NO_RULES: Final = SiteRules()


def rules_of(servers: Mapping[str, Server]) -> SiteRules:
    """Return the rules of a site's servers."""
    return SiteRules({name: server.rules for name, server in servers.items()})
