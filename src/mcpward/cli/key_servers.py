"""The servers and tools of a key by the site's file; an unknown name is refused with the nearest one."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated

import typer

from mcpward.cli import ui
from mcpward.cli.site import CLOCK, chosen_server, completed, in_site
from mcpward.config.model import Settings
from mcpward.config.names import nearest

if TYPE_CHECKING:
    from mcpward.operations.site import Site


def key_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the id of a live key."""

    def known(settings: Settings) -> list[str]:
        from mcpward.operations.keys import every_key

        records = in_site(settings, every_key, must_exist=True)
        return [record.id for record in records if record.is_live(CLOCK.now(), settings.keys.max_age)]

    return completed(ctx, incomplete, known)


IdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The key's id, as mcpward key list prints it.", autocompletion=key_ids)
]


def key_servers(settings: Settings, servers: list[str] | None) -> tuple[str, ...]:
    """Return the servers that a key is to open: those named, or the only one that takes keys.

    Raises:
        CommandEnded: a name is unknown, or none is given and there is more than one.
    """
    if not servers:
        return (chosen_server(settings, None, _with_keys(settings)),)
    return tuple(dict.fromkeys(name if name == "*" else chosen_server(settings, name) for name in servers))


def _with_keys(settings: Settings) -> list[str]:
    """Return the servers that a key can open. If there is only one, no name is needed."""
    return [name for name, one in settings.servers.items() if "api-key" in one.modes]


def remark_closed(settings: Settings, servers: Collection[str]) -> None:
    """Report servers that accept no keys: a key for one of them is valid only after its mode is changed."""
    for name in servers:
        if name in settings.servers and name not in _with_keys(settings):
            mode = " and ".join(sorted(settings.servers[name].modes))
            ui.remark(f"{name} is in mode {mode} and takes no keys")


async def require_tools(
    site: "Site", settings: Settings, servers: Collection[str], tools: Collection[str] | None
) -> None:
    """Refuse tools that no server of the key has: an operator who names one believes that the key may use it.

    Raises:
        CommandEnded: none of its servers has a tool of this name.
    """
    if tools is None:
        return
    from mcpward.operations.tool_names import tools_of

    meant = list(settings.servers) if "*" in servers else [name for name in servers if name in settings.servers]
    known = await tools_of(site, settings, meant)
    strangers = [tool for tool in tools if tool not in known.all]
    if not strangers:
        return
    if known.hindered or not meant:
        for server, finding in known.hindered.items():
            ui.remark(
                ui.safe(f"the tools of {server} cannot be loaded ({finding.what}): {strangers[0]} is not checked")
            )
        return
    near = nearest(strangers[0], known.all)
    listed = ", ".join(known.all) or "none"
    raise ui.CommandEnded(
        ui.Exit.USAGE,
        f"--tool: {' and '.join(meant)} {'has' if len(meant) == 1 else 'have'} no tool {strangers[0]!r}",
        f"did you mean {near}?" if near else f"its tools: {listed}" if len(meant) == 1 else f"their tools: {listed}",
    )
