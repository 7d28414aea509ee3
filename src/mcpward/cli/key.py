"""``mcpward key``: the whole life of API keys. A key is shown once, when it is made; the store never learns it."""

from typing import TYPE_CHECKING, Annotated

import typer

from mcpward.cli import ui
from mcpward.cli.help import examples
from mcpward.cli.key_edit import edit
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
from mcpward.cli.key_view import HEADER, lines_of, row_of, shape_of
from mcpward.cli.site import (
    CLOCK,
    ConfigOption,
    JsonOption,
    in_site,
    server_names,
    settings_of,
    unknown_server,
)
from mcpward.cli.timespan import parse_span, parse_start
from mcpward.config.model import Settings
from mcpward.core.moment import moment_text
from mcpward.core.secret import Secret

if TYPE_CHECKING:
    from mcpward.identity.keys.records import KeyRecord
    from mcpward.operations.site import Site

app = typer.Typer(
    help="API keys: create, list, show, edit, rotate, revoke.", no_args_is_help=True, rich_markup_mode=None
)


OwnerOption = Annotated[
    str | None, typer.Option("--owner", metavar="WHO", help="The person, team or address responsible for it.")
]
NoteOption = Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Its purpose.")]
TagOption = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="TAG", help="A tag, WORD or NAME=VALUE; may be repeated."),
]


@app.command("create")
@examples(
    "mcpward key create --name laptop",
    "mcpward key create --name ci --owner team-data --note 'nightly import' --tag prod",
    "mcpward key create --server orders --name ci --class read --expires 90d --cidr 10.0.0.0/8",
    "mcpward key create --name acme --tag tenant=acme",
)
def create(
    name: Annotated[str, typer.Option("--name", "-n", metavar="NAME", help="The holder of the key.")],
    server: Annotated[
        list[str] | None,
        typer.Option(
            "--server",
            "-s",
            metavar="NAME",
            help="A server that it is valid for; may be repeated; '*' is all.",
            autocompletion=server_names,
        ),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="Its expiry: 90d, 12h, 2026-12-31. Default: keys.max_age.",
        ),
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="SCOPE", help="A scope that it holds; may be repeated; '*' is all. Default: none."),
    ] = None,
    tool: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A tool that it may use; may be repeated. Default: all.")
    ] = None,
    access: Annotated[
        str,
        typer.Option("--class", metavar="CLASS", help="The highest class of tools: read, write or destructive."),
    ] = "write",
    rate: Annotated[
        str | None, typer.Option(metavar="RATE", help="Its rate limit, such as '60/minute burst 10'.")
    ] = None,
    cidr: Annotated[
        list[str] | None, typer.Option(metavar="NETWORK", help="A network that it may be used from; may be repeated.")
    ] = None,
    may_confirm: Annotated[
        bool,
        typer.Option(
            "--may-confirm",
            help="Waive confirm= for clients that cannot ask: the holder's own client asks the person.",
        ),
    ] = False,
    owner: OwnerOption = None,
    note: NoteOption = None,
    tag: TagOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Create a key. It is printed to stdout once; only a hash of it is kept."""
    from mcpward.operations.keys import KeyRights, create_key

    settings = settings_of(config)
    rights = KeyRights(
        name=read_name(name),
        servers=key_servers(settings, server),
        scopes=tuple(some(scope)),
        tools=read_tools(tool),
        access=read_access(access),
        rate=read_rate(rate),
        networks=read_networks(cidr),
        expires_at=read_expiry(expires, CLOCK.now()) if expires else None,
        may_confirm=may_confirm,
        owner=read_owner(owner),
        note=read_note(note),
        tags=read_tags(tag),
    )

    async def work(site: "Site") -> "tuple[Secret, KeyRecord]":
        await require_tools(site, settings, rights.servers, rights.tools)
        return await create_key(site, CLOCK, rights, settings.keys.max_age)

    secret, record = in_site(settings, work)
    remark_closed(settings, record.servers)
    _hand_over(settings, secret, record, as_json=json)


@app.command("list")
@examples(
    "mcpward key list --server orders",
    "mcpward key list --no-end --never-used",
    "mcpward key list --owner team-data --unused-for 90d --json | jq -r '.[].id'",
)
def list_keys(
    server: Annotated[
        str | None,
        typer.Option("--server", "-s", metavar="NAME", help="Only keys for this server.", autocompletion=server_names),
    ] = None,
    owner: Annotated[str | None, typer.Option(metavar="WHO", help="Only keys of this owner; '' is no owner.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="Only keys with this tag; may be repeated.")
    ] = None,
    never_used: Annotated[bool, typer.Option("--never-used", help="Only keys that were never used.")] = False,
    unused_for: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Only keys that were not used for this time: 90d.")
    ] = None,
    no_end: Annotated[bool, typer.Option("--no-end", help="Only keys without an expiry.")] = False,
    ends_within: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Only keys that end within this time: 14d.")
    ] = None,
    ended: Annotated[bool, typer.Option("--all", help="Also revoked and expired keys.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List the keys of the site, newest first. Exit code 1 if there are none."""
    from mcpward.operations.keys import KeyFilter
    from mcpward.operations.keys import list_keys as listed

    settings = settings_of(config)
    now, max_age_s = CLOCK.now(), settings.keys.max_age
    wanted = KeyFilter(
        server=server,
        owner=owner,
        tags=read_tags(tag),
        is_never_used=never_used,
        has_no_end=no_end,
        unused_since=parse_start(unused_for, now, "--unused-for") if unused_for else None,
        ends_before=now + parse_span(ends_within, "--ends-within") if ends_within else None,
        are_ended_too=ended,
    )

    async def work(site: "Site") -> "list[KeyRecord]":
        found = await listed(site, wanted, now, max_age_s)
        if not found and server is not None and settings.servers and server not in settings.servers:
            raise unknown_server(server, settings.servers)
        return list(found)

    found = in_site(settings, work, must_exist=True)
    if json:
        ui.answer_json([shape_of(record, now, max_age_s) for record in found])
    elif found:
        ui.table(HEADER, [row_of(one, now, max_age_s) for one in found])
    if not found:
        raise ui.CommandEnded(ui.Exit.NO, "no keys found", "create one: mcpward key create --name NAME")


@app.command("show")
@examples("mcpward key show 4f9QkZp2LmXa")
def show(key_id: IdArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Show the details of a key, never the key itself, because only a hash of it is kept."""
    from mcpward.operations.keys import get_key

    settings = settings_of(config)
    record = in_site(settings, lambda site: get_key(site, key_id), must_exist=True)
    shape = shape_of(record, CLOCK.now(), settings.keys.max_age)
    if json:
        ui.answer_json(shape)
        return
    for line in ui.aligned(lines_of(shape)):
        ui.answer(line)


app.command("edit")(edit)
app.command("set", hidden=True)(edit)  # its name up to release 0.1


@app.command("rotate")
@examples("mcpward key rotate 4f9QkZp2LmXa --grace 24h")
def rotate(
    key_id: IdArgument,
    grace: Annotated[str, typer.Option(metavar="SPAN", help="How long the old key stays valid: 24h, 30m, 0.")] = "24h",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Create a successor with the same rights; the old key stays valid for a grace period. The new key goes to
    stdout.
    """
    from mcpward.operations.keys import rotate_key

    settings = settings_of(config)
    grace_until = CLOCK.now() + parse_span(grace, "--grace")

    async def work(site: "Site") -> "tuple[Secret, KeyRecord]":
        return await rotate_key(site, CLOCK, key_id, grace_until, settings.keys.max_age)

    secret, record = in_site(settings, work, must_exist=True, ends_rights=True)
    _hand_over(settings, secret, record, as_json=json)
    ui.remark(f"the old key {record.rotated_from} ends at {moment_text(grace_until)}")


@app.command("revoke")
@examples("mcpward key revoke 4f9QkZp2LmXa")
def revoke(key_id: IdArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Revoke a key. Every worker refuses it within a second. Works on a full disk, too."""
    from mcpward.operations.keys import revoke_key

    settings = settings_of(config)
    now = CLOCK.now()
    record = in_site(settings, lambda site: revoke_key(site, key_id, now), must_exist=True, ends_rights=True)
    if json:
        ui.answer_json(shape_of(record, now, settings.keys.max_age))
    ui.remark(f"key {record.id} ({ui.safe(record.name)}) is revoked")


def _hand_over(settings: Settings, secret: Secret, record: "KeyRecord", *, as_json: bool) -> None:
    if as_json:
        ui.answer_json({"key": secret.reveal(), **shape_of(record, CLOCK.now(), settings.keys.max_age)})
        return
    ui.remark(f"key {record.id} ({ui.safe(record.name)}) for {', '.join(record.servers)}; it is shown only once:")
    ui.answer(secret.reveal())
