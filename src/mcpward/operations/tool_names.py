"""The tools of servers, found by running their sources as ``serve`` would; for commands that name a tool."""

import sys
from collections.abc import Collection, Mapping
from contextlib import redirect_stdout

from msgspec import Struct

from mcpward.config.model import Settings
from mcpward.core.clock import SystemClock
from mcpward.core.errors import Finding, Misconfigured
from mcpward.core.secret import Secret
from mcpward.operations.secret_manager import ManagedByServer, read_manager
from mcpward.operations.site import Site
from mcpward.operations.sources import load_sources


class ToolNames(Struct, frozen=True):
    """The tools by server; and the error of each server whose tools could not be read."""

    by_server: Mapping[str, tuple[str, ...]]
    hindered: Mapping[str, Finding]

    @property
    def all(self) -> tuple[str, ...]:
        """Every name, once."""
        return tuple(sorted({name for names in self.by_server.values() for name in names}))


async def tools_of(site: Site, settings: Settings, servers: Collection[str]) -> ToolNames:
    """Return the tools of some servers, each loaded with its own secrets.

    Raises:
        Misconfigured: a secret cannot be opened.
    """
    vault = {name: await site.vault.load_all(name) for name in servers}
    return tool_names(settings, servers, vault, await read_manager(settings, SystemClock()))


def tool_names(
    settings: Settings, servers: Collection[str], secrets: Mapping[str, Mapping[str, Secret]], managed: ManagedByServer
) -> ToolNames:
    """Run the sources of some servers. Output that an author prints meanwhile goes to stderr: stdout is the command's
    own.
    """
    names: dict[str, tuple[str, ...]] = {}
    hindered: dict[str, Finding] = {}
    for server in servers:
        one = settings.model_copy(update={"servers": {server: settings.servers[server]}})
        try:
            with redirect_stdout(sys.stderr):
                source = load_sources(one, secrets, managed)[server]
        except Misconfigured as wrong:
            hindered[server] = wrong.findings[0]
        else:
            names[server] = tuple(sorted(tool.name for tool in source.tools))
    return ToolNames(names, hindered)
