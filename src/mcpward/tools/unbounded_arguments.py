"""Arguments without a bound, as a start reports them: what has none, what holds instead, and the line to write."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mcpward.core.errors import Finding
from mcpward.core.unbounded import Unbounded
from mcpward.core.values import Tool
from mcpward.sdk.definitions import ToolDefinition
from mcpward.sdk.schema.arguments import Arguments
from mcpward.sdk.schema.author_schema import Written
from mcpward.sdk.schema.unbounded_parts import unbounded_parts
from mcpward.tools.tool_source import ToolSource

_MOST_NAMED: Final = 3
_MOST_TOOLS: Final = 5


def unbounded_of(arguments: Arguments | Written, published: Mapping[str, Any]) -> tuple[Unbounded, ...]:
    """Return what no author and no operator bounded, in a tool's arguments that the model fills.

    ``published`` is their schema with what guards say.
    """
    return unbounded_parts(published, is_written=isinstance(arguments, Written))


def unbounded_findings(server: str, definition: ToolDefinition, parts: tuple[Unbounded, ...]) -> list[Finding]:
    """Return a finding for each, for a start that refuses them."""
    who = f"tool {definition.name!r} of server {server}"
    return [
        Finding(f"{who}: {one.path or 'its arguments'} ({one.kind}) has no bound", definition.where, f"write {one.fix}")
        for one in parts
    ]


def unbounded_remarks(modes: Mapping[str, str], sources: Mapping[str, ToolSource]) -> Iterator[Finding]:
    """Yield a line for each tool that default bounds were added to; ``modes`` are the servers' ``bounds``.

    After five tools of a server, one more line counts the others.
    """
    for server, source in sources.items():
        if modes.get(server) != "defaults":
            continue
        tools = [tool for tool in source.declared if tool.unbounded]
        for tool in tools[:_MOST_TOOLS]:
            yield _remark(tool, source.where(tool.name))
        if len(tools) > _MOST_TOOLS:
            what = f"server {server}: {len(tools) - _MOST_TOOLS} more tools have arguments without a bound"
            yield Finding(what, "", f"list them: mcpward tools {server}")


def _remark(tool: Tool, place: str) -> Finding:
    first, count = tool.unbounded[0], len(tool.unbounded)
    named = [one.path or "the whole" for one in tool.unbounded[:_MOST_NAMED]]
    more = f" and {count - len(named)} more" if count > len(named) else ""
    said = f"{', '.join(named)}{more} {'has' if count == 1 else 'have'} no bound; default bounds hold"
    hint = f'write {first.fix}, or set [servers.{tool.server}] bounds = "off"'
    return Finding(f"server {tool.server}: tool {tool.name!r}: {said}", place, hint)
