"""The rules of who may call what: what is wrong with them at a start, and their answer to one call."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Final

from msgspec import Struct

from mcpward.config.model import Settings
from mcpward.config.names import nearest
from mcpward.config.policy import PolicyRule
from mcpward.core.errors import Fault, Finding, Refusal
from mcpward.core.facts import Problem, Problems
from mcpward.core.scope import Access
from mcpward.core.values import Arrival, AuthMethod, Call, Era, Kind, Principal, Tool
from mcpward.identity.keys.key_cache import principal_of
from mcpward.identity.keys.records import EVERY_SERVER, KeyRecord
from mcpward.policy.decide import Policy
from mcpward.policy.server_rules import CONFIRM, DENY, Verdict, named_arguments, rules_of
from mcpward.tools.tool_source import ToolSource
from mcpward.validation.accept import accept

_UNKNOWN: Final = "there is no such tool"


class PolicyAnswer(Struct, frozen=True, kw_only=True):
    """Whether a caller may make a call. ``by`` names the rule that decides: the operator's, or mcpward's own.

    ``needs_yes`` if a person must agree first. ``reason`` is the rule's, ``problems`` those of the arguments.
    """

    is_allowed: bool
    by: str
    needs_yes: bool = False
    reason: str = ""
    problems: tuple[Problem, ...] = ()


def rule_findings(settings: Settings, sources: Mapping[str, ToolSource]) -> Iterator[Finding]:
    """Return what is wrong with the rules of each server: a rule that is about nothing would protect nothing."""
    for server, source in sources.items():
        rules = settings.servers[server].rules
        last = [name for name, rule in rules.items() if rule.is_last]
        for name in last[1:]:
            key = f"servers.{server}.rules.{name}"
            what = f"{key}: {last[0]} has no condition either, and only one rule can be for all other calls"
            yield Finding(what, key, "add tools, classes, callers, hours or when, or remove one of them")
        for name, rule in rules.items():
            yield from _of_rule(f"servers.{server}.rules.{name}", rule, source)


def _of_rule(key: str, rule: PolicyRule, source: ToolSource) -> Iterator[Finding]:
    tools = list(source.declared)
    names = [tool.name for tool in tools]
    for pattern in rule.tools:
        if not any(fnmatchcase(name, pattern) for name in names):
            meant = nearest(pattern, names)
            hint = f"did you mean {meant}?" if meant else f"its tools: {', '.join(sorted(names)) or 'none'}"
            yield Finding(f"{key}.tools: no tool of server {source.server} is named {pattern!r}", f"{key}.tools", hint)
    about = [tool for tool in tools if _is_about(rule, tool)]
    known = {argument for tool in about for argument in tool.listing.get("inputSchema", {}).get("properties", ())}
    for path in rule.when if about else ():
        argument = path.partition(".")[0]
        if argument not in known:
            meant = nearest(argument, known)
            hint = f"did you mean {meant}?" if meant else f"their arguments: {', '.join(sorted(known)) or 'none'}"
            what = f"{key}.when: none of its tools has an argument {argument!r}"
            yield Finding(what, f"{key}.when", hint)


def _is_about(rule: PolicyRule, tool: Tool) -> bool:
    is_named = not rule.tools or any(fnmatchcase(tool.name, pattern) for pattern in rule.tools)
    return is_named and (not rule.classes or tool.access.label in rule.classes)


def key_caller(record: KeyRecord, server: str) -> Principal | None:
    """Return the holder of a key at a server; None if the key does not open it."""
    if server not in record.servers and EVERY_SERVER not in record.servers:
        return None
    return principal_of(record, server, record.rotated_from or record.id)


def named_caller(server: str, subject: str, way: AuthMethod, scopes: tuple[str, ...], access: Access) -> Principal:
    """Return a caller of another kind: the holder of a token, a secret URL, or any caller."""
    return Principal(
        key=f"{way.value}:{subject}",
        way=way,
        server=server,
        subject=subject,
        scopes=frozenset(scopes),
        access=access,
    )


def may_call(
    settings: Settings, source: ToolSource, principal: Principal, tool_name: str, arguments: bytes, at: float
) -> PolicyAnswer:
    """Return whether a caller may call a tool with these arguments at a moment, and by which rule."""
    tool = source.find(tool_name)
    if tool is None:
        return PolicyAnswer(is_allowed=False, by=_UNKNOWN)
    rules = rules_of(settings.servers)
    decision = Policy({source.server: source}, rules=rules).decide(principal, tool)
    if not decision.allowed:
        return PolicyAnswer(is_allowed=False, by=decision.reason, reason=_reason(settings, tool, decision.reason))
    try:
        accepted = accept(_call(principal, tool, arguments), tool)
    except Refusal as no:
        found = no.find(Problems)
        return PolicyAnswer(is_allowed=False, by=no.reason.value, problems=() if found is None else found.problems)
    except Fault as broken:
        return PolicyAnswer(is_allowed=False, by="fault", reason=broken.detail)
    book = rules.of(tool.server)
    verdict = Verdict() if book is None else book.judge(principal, tool, named_arguments(accepted), at)
    by = f"rule {verdict.rule}" if verdict.rule else "its author's confirm" if tool.confirm else "no rule"
    return PolicyAnswer(
        is_allowed=verdict.do != DENY,
        by=by,
        needs_yes=verdict.do != DENY and (verdict.do == CONFIRM or tool.confirm),
        reason=verdict.reason,
    )


def _reason(settings: Settings, tool: Tool, denied_by: str) -> str:
    rule = settings.servers[tool.server].rules.get(denied_by.removeprefix("denied by rule "))
    return "" if rule is None else rule.reason


def _call(principal: Principal, tool: Tool, arguments: bytes) -> Call:
    arrival = Arrival("", 0.0, 0.0, "", "", "POST", tool.server, {})
    return Call(arrival, principal, Era.MODERN, "", Kind.TOOL, "tools/call", target=tool.name, arguments=arguments)
