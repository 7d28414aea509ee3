"""Checks across all tools: every budget and pool that a tool names is defined, and every defined one is used. A
misspelt limit would limit no caller.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

import structlog

from mcpward.config.model import Server, Settings
from mcpward.config.names import nearest
from mcpward.core.errors import Finding, Misconfigured
from mcpward.core.values import Pool, Tool
from mcpward.operations.asked_secrets import missing_secrets, shared_secrets
from mcpward.operations.policy_rules import rule_findings
from mcpward.operations.sources import authors_of
from mcpward.sdk.environment import env
from mcpward.tools.bodies import remarks_of
from mcpward.tools.portable import remarks
from mcpward.tools.tool_source import ToolSource
from mcpward.tools.unbounded_arguments import unbounded_remarks

_log: Final = structlog.get_logger("mcpward")
#: Modes whose callers all have one name.
_NAMELESS: Final = frozenset({"public", "unlisted"})
_OFFER: Final = "name it in [servers.<name>.tools.<name>] or in @server.tool(…), or remove the table"


def require_defined(settings: Settings, sources: Mapping[str, ToolSource]) -> None:
    """Refuse budgets and pools that only a tool names, or only the configuration defines; and tools that no caller of
    their server could ever use, because none has the value that fills an argument.

    Raises:
        Misconfigured: with every one of them, and the lines to write.
    """
    findings = [
        *_budgets(settings, sources),
        *_pools(settings, sources),
        *_sizes(settings, sources),
        *_divided(settings, sources),
        *_unused(settings, sources),
        *rule_findings(settings, sources),
        *_unfillable(settings, sources),
    ]
    if findings:
        raise Misconfigured(settings.placed(findings))


def tell_names(settings: Settings, sources: Mapping[str, ToolSource]) -> None:
    """Log a line for each thing that works but is probably not intended, and for each secret that was trimmed.

    Tool names that well-known clients do not take, and tools without a docstring. Functions that hold the event loop,
    may end without a return, or change something though they are declared read_only. Arguments without a bound. Secrets
    that are set nowhere.
    """
    for line in name_remarks(sources):
        _log.warning(line)
    for finding in start_remarks(settings, sources):
        _log.warning(finding.what, where=finding.where, hint=finding.hint)
    env.tell_trimmed()


def start_remarks(settings: Settings, sources: Mapping[str, ToolSource]) -> Iterator[Finding]:
    """Yield each thing that works but is probably not intended, with its place in the source and the fix."""
    yield from unbounded_remarks({name: one.bounds for name, one in settings.servers.items()}, sources)
    yield from missing_secrets(sources)
    yield from shared_secrets(sources)
    for server, author in authors_of(sources).items():
        for one in remarks_of(author):
            yield Finding(f"server {server}: {one.what}", one.where, one.hint)


def name_remarks(sources: Mapping[str, ToolSource]) -> list[str]:
    """Return a line for each server and kind of tool name that well-known clients do not take."""
    return [
        line for server, source in sources.items() for line in remarks(server, [tool.name for tool in source.declared])
    ]


def pools_of(settings: Settings, sources: Mapping[str, ToolSource]) -> dict[str, Pool]:
    """Return every pool of the site: those of the settings, and those that databases bring. Call after the check."""
    sizes = {name: size for source in sources.values() for name, size in source.pools.items()}
    named = {name: table.pool(name, sizes.get(name, 1)) for name, table in settings.pools.items()}
    failure = settings.limits.on_store_failure
    return {name: Pool(name=name, slots=size, on_store_failure=failure) for name, size in sizes.items()} | named


def _tools(sources: Mapping[str, ToolSource]) -> Iterator[tuple[Tool, str]]:
    """Return every tool, with where its author wrote it."""
    for source in sources.values():
        for tool in source.declared:
            yield tool, source.where(tool.name)


def _budgets(settings: Settings, sources: Mapping[str, ToolSource]) -> Iterator[Finding]:
    parts = 1 if settings.limits.is_shared else settings.site.workers
    for tool, place in _tools(sources):
        for draw in tool.draws:
            table = settings.budgets.get(draw.budget)
            who = f"tool {tool.name!r} of server {tool.server} draws on budget {draw.budget!r}"
            if table is None:
                lines = f'write [budgets.{draw.budget}] with rate = "25/second" or quota = "10000/day"'
                yield Finding(f"{who}, which is not defined", place, _hint(draw.budget, settings.budgets, lines))
                continue
            much = [table.rate.burst] if table.rate else []
            most = max(1, min([*much, table.quota.count] if table.quota else much) // parts)
            if draw.cost_of is None and draw.cost > most:
                what = f"{who} for {draw.cost} a call, and it holds at most {most} at once"
                yield Finding(
                    what, place, f"raise [budgets.{draw.budget}], or lower the cost: the tool could never be called"
                )


def _pools(settings: Settings, sources: Mapping[str, ToolSource]) -> Iterator[Finding]:
    sizes = {name for source in sources.values() for name in source.pools}
    for tool, place in _tools(sources):
        for pool in tool.pools:
            table = settings.pools.get(pool)
            if pool in sizes or (table is not None and table.concurrency is not None):
                continue
            who = f"tool {tool.name!r} of server {tool.server} needs a slot in pool {pool!r}"
            lines = f"write [pools.{pool}] with concurrency = 5"
            if table is not None:
                yield Finding(f"{who}, which has no size", f"pools.{pool}", lines)
            else:
                yield Finding(f"{who}, which is not defined", place, _hint(pool, {*settings.pools, *sizes}, lines))


def _sizes(settings: Settings, sources: Mapping[str, ToolSource]) -> Iterator[Finding]:
    """A pool is one for the site: two servers may mean the same by a name, but must not by accident."""
    first: dict[str, ToolSource] = {}
    for source in sources.values():
        for name, size in source.pools.items():
            other = first.setdefault(name, source)
            if other is source:
                continue
            who = f"servers {other.server} and {source.server}"
            if name in source.unnamed_pools | other.unnamed_pools:
                what = f"{who} each have an unnamed Database as pool {name!r}, which would be one pool for both"
                yield Finding(what, f"servers.{source.server}", 'name them: Database(…, name="orders")')
            elif size != other.pools[name] and getattr(settings.pools.get(name), "concurrency", None) is None:
                what = f"{who} bring pool {name!r} with {other.pools[name]} and {size} slots"
                yield Finding(what, f"servers.{source.server}", f"write [pools.{name}] with concurrency = {size}")


def _divided(settings: Settings, sources: Mapping[str, ToolSource]) -> Iterator[Finding]:
    """In memory each worker has its part of a tool's slots, and less than one is none."""
    workers = 1 if settings.limits.is_shared else settings.site.workers
    for tool, place in _tools(sources):
        if tool.concurrency is not None and tool.concurrency < workers:
            what = f"tool {tool.name!r} of server {tool.server} runs {tool.concurrency} at once, and {workers} workers"
            hint = 'raise it, count in Redis ([limits] counters = "redis://…"), or serve with fewer workers'
            yield Finding(f"{what} cannot divide that between them", place, hint)


def _unused(settings: Settings, sources: Mapping[str, ToolSource]) -> Iterator[Finding]:
    """A name that no tool uses may be a slip. If only some of the servers are served, the others may name it."""
    if settings.is_part:
        return
    drawn = {draw.budget for tool, _ in _tools(sources) for draw in tool.draws}
    taken_away = {name for server in settings.servers.values() for one in server.tools.values() for name in one.budgets}
    held = {pool for tool, _ in _tools(sources) for pool in tool.pools}
    for name in settings.budgets:
        if name not in drawn | taken_away:
            what, hint = f"budgets.{name}: no tool draws on it", _hint(name, drawn - {*settings.budgets}, _OFFER)
            yield Finding(what, f"budgets.{name}", hint)
    for name in settings.pools:
        if name not in held:
            what, hint = f"pools.{name}: no tool needs a slot in it", _hint(name, held - {*settings.pools}, _OFFER)
            yield Finding(what, f"pools.{name}", hint)


def _unfillable(settings: Settings, sources: Mapping[str, ToolSource]) -> Iterator[Finding]:
    """A tool that takes a value from its caller is closed to whoever has none: here, to all."""
    for tool, place in _tools(sources):
        for name, source in () if tool.caller_values is None else tool.caller_values.sources.items():
            hint = _no_caller_has(source, settings.servers[tool.server], tool.server)
            if hint:
                what = f"tool {tool.name!r} of server {tool.server}: no caller has {source}, which fills {name!r}"
                yield Finding(what, place, hint)


def _no_caller_has(source: str, server: Server, name: str) -> str:
    """Return what to change so that a caller may have a value; "" if one may."""
    group, _, claim = source.removeprefix("caller.").partition(".")
    if source and server.modes <= _NAMELESS:
        return f'set [servers.{name}] mode = "api-key" or "oauth": callers of {" and ".join(server.modes)} have no name'
    if group == "tags" and "api-key" not in server.modes:
        return f"tags belong to API keys: name a claim, or let [servers.{name}] mode include api-key"
    if group in {"claims", "client"} and not server.has_tokens:
        return f"it comes with tokens: name a tag of the key, or let [servers.{name}] mode include oauth"
    if group == "claims" and not any(claim == one or claim.startswith(f"{one}.") for one in server.oauth.claims):
        return f'write claims = ["{claim}"] in [servers.{name}.oauth]'
    return ""


def _hint(name: str, known: Collection[str], lines: str) -> str:
    meant = nearest(name, known)
    return f"did you mean {meant!r}? else {lines}" if meant else lines
