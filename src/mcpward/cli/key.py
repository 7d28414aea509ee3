"""``mcpward key``: the whole life of API keys. A key is shown once, when it is made; the store never learns it."""

from ipaddress import ip_network
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcpward.cli import ui
from mcpward.cli.help import examples
from mcpward.cli.keycard import HEADER, row_of, shape_of, words_of
from mcpward.cli.moment import moment_text, parse_end, parse_span
from mcpward.cli.site import CLOCK, ConfigOption, JsonOption, chosen_server, in_site, server_names, settings_of
from mcpward.config.model import Settings
from mcpward.config.rate import parse_rate
from mcpward.core.scope import Access
from mcpward.core.secret import Secret

if TYPE_CHECKING:
    from mcpward.identity.records import KeyRecord
    from mcpward.operations.site import Site

app = typer.Typer(
    help="API keys: create, list, show, set, rotate, revoke.", no_args_is_help=True, rich_markup_mode=None
)
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as mcpward key list prints it.")]


@app.command("create")
@examples(
    "mcpward key create --name laptop",
    "mcpward key create --server orders --name ci --class read --expires 90d --cidr 10.0.0.0/8",
)
def create(
    name: Annotated[str, typer.Option("--name", "-n", metavar="NAME", help="Who or what will hold it.")],
    server: Annotated[
        list[str] | None,
        typer.Option(
            "--server",
            "-s",
            metavar="NAME",
            help="A server that it opens; may be repeated; '*' is all.",
            autocompletion=server_names,
        ),
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="WHEN", help="When it ends: 90d, 12h, 2026-12-31; never, if not given.")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="SCOPE", help="A scope that it holds; may be repeated; '*' is all; none, if not given."),
    ] = None,
    tool: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A tool that it may use; may be repeated; all, if none.")
    ] = None,
    access: Annotated[
        str,
        typer.Option(
            "--class", metavar="CLASS", help="What it may call: read, write (and read) or destructive (and both)."
        ),
    ] = "write",
    rate: Annotated[
        str | None, typer.Option(metavar="RATE", help="Calls that it may make, such as '60/minute burst 10'.")
    ] = None,
    cidr: Annotated[
        list[str] | None, typer.Option(metavar="NETWORK", help="A network that it works from; may be repeated.")
    ] = None,
    may_confirm: Annotated[
        bool,
        typer.Option(
            "--may-confirm",
            help="Its holder's own client asks the person: tools with confirm run where that client cannot be asked.",
        ),
    ] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Make a key. It goes to stdout, alone and once: only a hash of it is kept."""
    from mcpward.identity.api_key import issue

    settings = settings_of(config)
    rights: dict[str, Any] = {
        "name": _name(name),
        "servers": _servers(settings, server),
        "scopes": scope or (),
        "tools": tool or None,
        "access": _access(access),
        "rate": _rate(rate),
        "networks": _networks(cidr),
        "expires_at": parse_end(expires, CLOCK.now(), "--expires") if expires else None,
        "may_confirm": may_confirm,
    }

    async def work(site: "Site") -> "tuple[Secret, KeyRecord]":
        secret, record = issue(site.pepper_keys, CLOCK, **rights)
        await site.store.keys.add(record)
        return secret, record

    _hand_over(*in_site(settings, work), as_json=json)


@app.command("list")
@examples("mcpward key list --server orders")
def list_keys(
    server: Annotated[
        str | None,
        typer.Option(
            "--server", "-s", metavar="NAME", help="Only keys that open this server.", autocompletion=server_names
        ),
    ] = None,
    ended: Annotated[bool, typer.Option("--all", help="Also revoked and expired keys.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List the keys of the site, newest first. Exit code 1 when there are none."""
    now = CLOCK.now()
    records = in_site(settings_of(config), lambda site: site.store.keys.list(), must_exist=True)
    kept = [
        record
        for record in sorted(records, key=lambda record: -record.created_at)
        if (ended or record.is_live(now)) and (server is None or server in record.servers or "*" in record.servers)
    ]
    if json:
        ui.answer_json([shape_of(record, now) for record in kept])
    elif kept:
        ui.table(HEADER, [row_of(one, now) for one in kept])
    if not kept:
        raise ui.Ended(ui.Exit.NO, "no keys found", "mcpward key create --name NAME makes one")


@app.command("show")
@examples("mcpward key show 4f9QkZp2LmXa")
def show(key_id: IdArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Show all that is known of a key; never the key itself, of which only a hash is kept."""
    now = CLOCK.now()
    record = in_site(settings_of(config), lambda site: _get(site, key_id), must_exist=True)
    shape = shape_of(record, now)
    if json:
        ui.answer_json(shape)
        return
    for line in ui.aligned([(word.replace("_", " "), words_of(word, value)) for word, value in shape.items()]):
        ui.answer(line)


@app.command("set")
@examples("mcpward key set 4f9QkZp2LmXa --may-confirm")
def set_key(
    key_id: IdArgument,
    may_confirm: Annotated[
        bool | None,
        typer.Option(
            "--may-confirm/--no-may-confirm",
            help="Whether tools with confirm run where the client of this key cannot be asked for a person's yes.",
        ),
    ] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Change what a key may do. Every worker knows within a second; the key itself stays the same."""
    if may_confirm is None:
        raise ui.Ended(ui.Exit.USAGE, "there is nothing to change", "add --may-confirm or --no-may-confirm")
    now = CLOCK.now()

    async def work(site: "Site") -> "KeyRecord":
        record = await _get(site, key_id)
        if not record.is_live(now):
            raise ui.Ended(ui.Exit.NO, f"key {record.id} has ended", "mcpward key create makes a new one")
        await site.store.keys.set_may_confirm(record.id, may_confirm)
        return await _get(site, record.id)

    record = in_site(settings_of(config), work, must_exist=True, ends_rights=True)
    if json:
        ui.answer_json(shape_of(record, now))
    what = "run" if record.may_confirm else "are refused"
    ui.remark(f"key {record.id} ({ui.safe(record.name)}): tools with confirm {what} where its client cannot be asked")


@app.command("rotate")
@examples("mcpward key rotate 4f9QkZp2LmXa --grace 24h")
def rotate(
    key_id: IdArgument,
    grace: Annotated[str, typer.Option(metavar="SPAN", help="How long the old key lives on: 24h, 30m, 0.")] = "24h",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Make a new key with the same rights; the old one lives on for a grace period. The new key goes to stdout."""
    from mcpward.identity.api_key import reissue

    now = CLOCK.now()
    grace_until = now + parse_span(grace, "--grace")

    async def work(site: "Site") -> "tuple[Secret, KeyRecord]":
        old = await _get(site, key_id)
        if not old.is_live(now):
            raise ui.Ended(ui.Exit.NO, f"key {old.id} has ended", "mcpward key create makes a new one")
        secret, new = reissue(site.pepper_keys, CLOCK, old)
        await site.store.keys.rotate(old.id, new, grace_until)
        return secret, new

    secret, record = in_site(settings_of(config), work, must_exist=True, ends_rights=True)
    _hand_over(secret, record, as_json=json)
    ui.remark(f"the old key {record.rotated_from} ends at {moment_text(grace_until)}")


@app.command("revoke")
@examples("mcpward key revoke 4f9QkZp2LmXa")
def revoke(key_id: IdArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """End a key now. Every worker refuses it within a second. Works on a full disk, too."""
    now = CLOCK.now()

    async def work(site: "Site") -> "KeyRecord":
        record = await _get(site, key_id)
        if record.revoked_at is not None:
            raise ui.Ended(ui.Exit.NO, f"key {record.id} was revoked at {moment_text(record.revoked_at)}")
        await site.store.keys.revoke(record.id, now)
        return await _get(site, record.id)

    record = in_site(settings_of(config), work, must_exist=True, ends_rights=True)
    if json:
        ui.answer_json(shape_of(record, now))
    ui.remark(f"key {record.id} ({ui.safe(record.name)}) is revoked")


async def _get(site: "Site", key_id: str) -> "KeyRecord":
    from mcpward.identity.api_key import find_id

    inside = find_id(key_id)
    if inside is not None:
        raise ui.Ended(
            ui.Exit.USAGE, "that is a key, not its id: now it stands in the shell's history", f"its id is {inside}"
        )
    record = await site.store.keys.get(key_id)
    if record is None:
        raise ui.Ended(ui.Exit.NO, f"there is no key {key_id!r}", "mcpward key list --all")
    return record


def _hand_over(secret: Secret, record: "KeyRecord", *, as_json: bool) -> None:
    if as_json:
        ui.answer_json({"key": secret.reveal(), **shape_of(record, CLOCK.now())})
        return
    ui.remark(f"key {record.id} ({ui.safe(record.name)}) for {', '.join(record.servers)}; it is shown this once:")
    ui.answer(secret.reveal())


def _name(name: str) -> str:
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise ui.Ended(ui.Exit.USAGE, "--name is 1 to 100 printable characters")
    return name.strip()


def _servers(settings: Settings, servers: list[str] | None) -> tuple[str, ...]:
    if not servers:
        return (chosen_server(settings, None),)
    return tuple(dict.fromkeys(name if name == "*" else chosen_server(settings, name) for name in servers))


def _access(word: str) -> Access:
    try:
        return Access.parse(word)
    except ValueError:
        raise ui.Ended(ui.Exit.USAGE, "--class is read, write or destructive") from None


def _rate(text: str | None) -> Any:
    try:
        return parse_rate(text) if text else None
    except ValueError as problem:
        raise ui.Ended(ui.Exit.USAGE, f"--rate: {problem}") from None


def _networks(texts: list[str] | None) -> tuple[str, ...]:
    try:
        return tuple(str(ip_network(text)) for text in texts or ())
    except ValueError:
        raise ui.Ended(ui.Exit.USAGE, "--cidr is not a network", "write 10.0.0.0/8 or 2001:db8::/32") from None
