"""``mcpward approve tools``: shows what is new or changed of a pinned server, and approves it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec import to_builtins

from mcpward.cli import ui
from mcpward.cli.help import examples
from mcpward.cli.site import CLOCK, ConfigOption, JsonOption, in_site, server_names, settings_of
from mcpward.config.names import nearest

if TYPE_CHECKING:
    from mcpward.operations.pinned_offers import PendingPin
    from mcpward.operations.site import Site


@examples(
    "mcpward approve tools orders",
    "mcpward approve tools orders query_orders --yes",
    "mcpward approve tools orders --check",
)
def approve_tools(
    server: Annotated[
        str, typer.Argument(metavar="SERVER", help="The server whose offers changed.", autocompletion=server_names)
    ],
    tool: Annotated[
        list[str] | None, typer.Argument(metavar="[TOOL]...", help="Only these tools, prompts or resource URIs.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Approve without asking.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Approve nothing; exit code 1 if something is not approved.")
    ] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Approve what a server with `pin` offers, as the last start saw it. The command shows what differs, and asks. A
    running site lists and serves approved offers within a second. Exit code 1 if you decline.
    """
    from mcpward.operations.pinned_offers import approve_pins, pending_pins

    settings = settings_of(config)
    if server not in settings.servers:
        meant = nearest(server, settings.servers)
        hint = f"did you mean {meant}?" if meant else f"its servers: {', '.join(settings.servers) or 'none'}"
        raise ui.CommandEnded(ui.Exit.USAGE, f"the site has no server {server}", hint)
    pin, names = settings.servers[server].pin, tool or []
    found, unknown = in_site(settings, lambda site: pending_pins(site, server, names, pin), must_exist=True)
    if unknown:
        hint = f"mcpward tools {server} lists them; the last start of the site must have seen them"
        raise ui.CommandEnded(ui.Exit.NO, f"{server} does not offer {', '.join(map(ui.safe, unknown))}", hint)
    if not json:
        _show(found)
    approved: list[PendingPin] = []
    if found and not check:
        if not yes and not ui.confirmed(f"Approve {len(found)} of {server}?"):
            raise ui.CommandEnded(ui.Exit.NO, "nothing was approved", "--yes approves without asking")

        async def work(site: "Site") -> "list[PendingPin]":
            return await approve_pins(site, server, found, CLOCK)

        approved = in_site(settings, work)
    _conclude(server, found, approved, check=check, json=json)


def _conclude(server: str, found: "list[PendingPin]", approved: "list[PendingPin]", *, check: bool, json: bool) -> None:
    done = {one.id for one in approved}
    left = [one for one in found if one.id not in done]
    if json:
        ui.answer_json({"server": server, "approved": _shapes(approved), "pending": _shapes(left)})
    if not found:
        ui.remark(f"everything that {server} offers is approved")
    if approved:
        ui.remark(f"approved at server {server}: {len(approved)}; a running site serves that within a second")
    if left:
        hint = f"mcpward approve tools {server}" if check else "the site started anew meanwhile: run this again"
        raise ui.CommandEnded(ui.Exit.NO, f"not approved at server {server}: {len(left)}", hint)


def _shapes(pending: "list[PendingPin]") -> list[dict[str, Any]]:
    return [to_builtins(one) for one in pending]


def _show(pending: "list[PendingPin]") -> None:
    for one in pending:
        called = f"{one.kind} {one.name}" if one.name else "the server's own words"
        ui.answer(ui.safe(f"{called}: {'new' if one.is_new else 'changed'}"))
        for line in one.lines:
            ui.answer(ui.safe(f"  {line}"))
