"""The lint of what the servers say of themselves: warned of at the start, or refused, as each server's settings say."""

from collections.abc import Iterator, Mapping
from typing import Final

import structlog

from mcpward.config.model import Settings
from mcpward.core.errors import Finding
from mcpward.sanitize.descriptions.lint import Suspicion, suspicions
from mcpward.tools.tool_source import ToolSource

_log: Final = structlog.get_logger("mcpward")
_MOST: Final = 20
"""Lines for one server at a start."""


def refused_descriptions(settings: Settings, sources: Mapping[str, ToolSource]) -> list[Finding]:
    """Return a finding for each suspicious description of a server that refuses to start with one."""
    return [
        _finding(server, one, sources[server])
        for server, found in _of_servers(settings, sources, "refuse")
        for one in found
    ]


def tell_descriptions(settings: Settings, sources: Mapping[str, ToolSource]) -> None:
    """Log a line for each suspicious description of a server that warns of them; the number of those beyond twenty."""
    for server, found in _of_servers(settings, sources, "warn"):
        for one in found[:_MOST]:
            finding = _finding(server, one, sources[server])
            _log.warning(finding.what, where=finding.where, hint=finding.hint)
        if len(found) > _MOST:
            _log.warning(f"server {server}: {len(found) - _MOST} more descriptions are suspicious")


def _of_servers(
    settings: Settings, sources: Mapping[str, ToolSource], setting: str
) -> Iterator[tuple[str, list[Suspicion]]]:
    names = {server: {tool.name for tool in source.declared} for server, source in sources.items()}
    for server, source in sources.items():
        if settings.servers[server].descriptions == setting:
            own = names[server]
            foreign = {name for other, theirs in names.items() if other != server for name in theirs} - own
            published = source.published
            found = suspicions(
                tools=published.tools,
                prompts=published.prompts,
                resources=published.resources,
                templates=published.templates,
                instructions=source.introduction.instructions,
                foreign_tools=foreign,
            )
            yield server, found


def _finding(server: str, one: Suspicion, source: ToolSource) -> Finding:
    kind, _, name = one.of.partition(" ")
    where = source.where(name) if kind == "tool" else ""
    what = f"server {server}: {one.of}: {one.field} has {one.what}"
    hint = f'{one.fix}. [servers.{server}] descriptions = "off" turns this off'
    return Finding(what, where or f"servers.{server}.descriptions", hint)
