"""``mcpward key edit``: changes a key's properties and rights while it is in use; the key itself stays the same."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcpward.cli import ui
from mcpward.cli.help import examples
from mcpward.cli.key_options import (
    read_access,
    read_expiry,
    read_name,
    read_networks,
    read_note,
    read_owner,
    read_rate,
    read_tags,
    read_tools,
    some,
)
from mcpward.cli.key_servers import IdArgument, key_servers, remark_closed, require_tools
from mcpward.cli.key_view import changes_of, shape_of
from mcpward.cli.site import CLOCK, ConfigOption, JsonOption, in_site, server_names, settings_of
from mcpward.config.model import Settings

if TYPE_CHECKING:
    from mcpward.operations.keys import KeyChange
    from mcpward.operations.site import Site


ServersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--server",
        "-s",
        metavar="NAME",
        help="The server that it is valid for; may be repeated; '*' is all.",
        autocompletion=server_names,
    ),
]
MayConfirmOption = Annotated[
    bool | None,
    typer.Option(
        "--may-confirm/--no-may-confirm",
        help="Waive confirm= for clients that cannot ask a person.",
    ),
]


@examples(
    "mcpward key edit 4f9QkZp2LmXa --owner team-data --note 'nightly import'",
    "mcpward key edit 4f9QkZp2LmXa --rate '60/minute' --expires 90d",
    "mcpward key edit 4f9QkZp2LmXa --tool search --tool get_order",
    "mcpward key edit 4f9QkZp2LmXa --rate '' --tool '*' --expires never",
)
def edit(
    key_id: IdArgument,
    name: Annotated[str | None, typer.Option("--name", "-n", metavar="NAME", help="The holder of the key.")] = None,
    server: ServersOption = None,
    expires: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Its expiry: 90d, 12h, 2026-12-31, never.")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="SCOPE", help="The scope that it holds; may be repeated; '*' is all, '' none."),
    ] = None,
    tool: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="The tool that it may use; may be repeated; '*' is all.")
    ] = None,
    access: Annotated[
        str | None,
        typer.Option("--class", metavar="CLASS", help="The highest class of tools: read, write or destructive."),
    ] = None,
    rate: Annotated[
        str | None, typer.Option(metavar="RATE", help="Its rate limit, such as '60/minute'; '' for none.")
    ] = None,
    cidr: Annotated[
        list[str] | None,
        typer.Option(metavar="NETWORK", help="The network that it may be used from; may be repeated; '' is any."),
    ] = None,
    may_confirm: MayConfirmOption = None,
    owner: Annotated[
        str | None,
        typer.Option("--owner", metavar="WHO", help="The person, team or address responsible for it; '' for none."),
    ] = None,
    note: Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Its purpose; '' for none.")] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TAG", help="A tag, WORD or NAME=VALUE; may be repeated; '' for none."),
    ] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Change the details and rights of a key. An option replaces the whole value; other values stay. Every worker
    applies the change within a second; the key itself stays the same.
    """
    from mcpward.operations.keys import KeyEdit, edit_key, get_live_key

    settings = settings_of(config)
    now, max_age_s = CLOCK.now(), settings.keys.max_age
    words: tuple[tuple[str, Any, Callable[[Any], Any]], ...] = (
        ("name", name, read_name),
        ("owner", owner, read_owner),
        ("note", note, read_note),
        ("tags", tag, read_tags),
        ("servers", server, lambda names: key_servers(settings, names)),
        ("tools", tool, read_tools),
        ("scopes", scope, lambda scopes: tuple(some(scopes))),
        ("access", access, read_access),
        ("rate", rate, read_rate),
        ("networks", cidr, read_networks),
        ("expires_at", expires, lambda text: read_expiry(text, now)),
        ("may_confirm", may_confirm, bool),
    )
    given = {field: read(value) for field, value, read in words if value is not None}
    if not given:
        raise ui.CommandEnded(
            ui.Exit.USAGE, "no option given: there is nothing to change", "the options are in mcpward key edit --help"
        )

    async def work(site: "Site") -> "KeyChange":
        if {"tools", "servers"} & set(given):
            known = await get_live_key(site, key_id, now, max_age_s)
            servers, tools = given.get("servers", known.servers), given.get("tools", known.tools)
            await require_tools(site, settings, servers, tools)
        return await edit_key(site, key_id, KeyEdit(**given), now, max_age_s)

    change = in_site(settings, work, must_exist=True, ends_rights=True)
    _show_change(settings, change, now, as_json=json)


def _show_change(settings: Settings, change: "KeyChange", now: float, *, as_json: bool) -> None:
    before, after = (shape_of(one, now, settings.keys.max_age) for one in (change.before, change.after))
    changed = [word for word in after if before[word] != after[word]]
    if as_json:
        ui.answer_json({**after, "changed": {word: {"before": before[word], "after": after[word]} for word in changed}})
    ui.remark(f"key {change.after.id} ({ui.safe(change.after.name)}) is changed, for every worker within a second:")
    for line in ui.aligned([(word, old, "->", new) for word, old, new in changes_of(before, after)]):
        ui.remark(f"  {line}")
    if "servers" in changed:
        remark_closed(settings, change.after.servers)
