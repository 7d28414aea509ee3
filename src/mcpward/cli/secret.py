"""``mcpward secret``: values that tools get from ``env`` by name. They are read from stdin or a prompt, never from the
command line, where the process list and the shell's history would keep them.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import to_builtins

from mcpward.cli import ui
from mcpward.cli.help import examples
from mcpward.cli.secret_input import GraceOption, read_secret, read_span
from mcpward.cli.secret_view import HEADER, managed_rows, managed_shapes, row_of, shape_of
from mcpward.cli.site import (
    CLOCK,
    ConfigOption,
    JsonOption,
    ServerOption,
    chosen_server,
    completed,
    in_site,
    settings_of,
)
from mcpward.config.model import Settings
from mcpward.core.secret import Secret, value_of

if TYPE_CHECKING:
    from mcpward.operations.site import Site
    from mcpward.vault.vault_entry import VaultEntry

app = typer.Typer(
    help="Secrets of tools, encrypted at rest: set, list, remove, rollback, rotate-keys, import, export, restore.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def secret_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a secret in the vault: of the server that was named, or of any."""

    def known(settings: Settings) -> list[str]:
        from mcpward.operations.secrets import names_of

        named = ctx.params.get("server")
        servers = [named] if named else list(settings.servers)
        return in_site(settings, lambda site: names_of(site, servers), must_exist=True)

    return completed(ctx, incomplete, known)


NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="The name in env.NAME, such as ORDERS_DATABASE_URL.", autocompletion=secret_names
    ),
]


@app.command("set")
@examples(
    "mcpward secret set ORDERS_DATABASE_URL --server orders < url.txt",
    "mcpward secret set STRIPE_KEY --server orders --host api.stripe.com --http-only",
)
def set_secret(
    name: NameArgument,
    server: ServerOption = None,
    host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST",
            help="A host that mcpward.http may send it to, and to no other; may be repeated. host:port if not 443.",
        ),
    ] = None,
    header: Annotated[
        str, typer.Option(metavar="NAME", help="One more header that may carry it to its hosts, such as X-Auth-Key.")
    ] = "",
    http_only: Annotated[
        bool, typer.Option("--http-only", help="Tools cannot reveal it: only mcpward.http sends it, to its hosts.")
    ] = False,
    any_host: Annotated[
        bool, typer.Option("--any-host", help="Bind it to no host any more. Without it, a new value keeps its hosts.")
    ] = False,
    grace: GraceOption = "24h",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Save a secret. The value comes from stdin, or from a prompt that does not show it. A running site uses it within
    a second. A new value stays bound to the hosts of the one before.
    """
    from mcpward.operations.secrets import bound_hosts, has_secrets, require_header, require_secret_name, weakness
    from mcpward.operations.secrets import set_secret as keep
    from mcpward.operations.site import key_beside_data

    settings = settings_of(config)
    chosen = chosen_server(settings, server)
    require_secret_name(name)
    require_header(header)
    hosts = bound_hosts(host or [])
    if (http_only or header) and not hosts:
        raise ui.CommandEnded(ui.Exit.USAGE, "--http-only and --header need a host", "add --host api.example.com")
    if any_host and hosts:
        raise ui.CommandEnded(ui.Exit.USAGE, "--any-host and --host exclude each other", "pass one of them")
    grace_s = read_span(grace)
    given = read_secret(f"value of {name}: ", tells=True)
    value = Secret(value_of(given), name, hosts=hosts, header=header, is_http_only=http_only)

    async def work(site: "Site") -> "tuple[VaultEntry, bool]":
        is_first = not await has_secrets(site)
        return await keep(site, chosen, name, value, grace_s, keeps_binding=not any_host), is_first

    saved, is_first = in_site(settings, work)
    if json:
        ui.answer_json({"server": chosen, "name": name, "version": saved.version, "hosts": list(saved.hosts)})
    ui.remark(f"{name} of {chosen} saved as version {saved.version}; a running site uses it within a second")
    if saved.hosts and not hosts:
        ui.remark(f"it stays bound to {', '.join(saved.hosts)}; --any-host ends that")
    if (why := weakness(value)) is not None:
        ui.remark(f"{name} {why}")
    if is_first and (file := key_beside_data(settings)) is not None:
        moved = "move it out of the data folder: MCPWARD_MASTER_KEY_FILE says where"
        ui.remark(ui.safe(f"it is encrypted under the key in {file}; {moved}"))


@app.command("list")
@examples("mcpward secret list --server orders")
def list_secrets(server: ServerOption = None, config: ConfigOption = None, json: JsonOption = False) -> None:
    """List a server's secrets with their versions, hosts and last use, never a value. Those of an external secret
    manager come last. Exit code 1 if there are none.
    """
    from mcpward.core.managed_secrets import ManagedSecrets
    from mcpward.operations.secret_manager import read_manager
    from mcpward.operations.secrets import list_secrets as listed
    from mcpward.operations.site import has_data

    settings = settings_of(config)
    chosen = chosen_server(settings, server)
    managed = asyncio.run(read_manager(settings, CLOCK))
    held = managed.get(chosen, ManagedSecrets())
    has_vault = not managed or has_data(settings)  # a manager can be all that there is
    found = in_site(settings, lambda site: listed(site, chosen), must_exist=True) if has_vault else ()
    kept = [one.name for one in found]
    if json:
        ui.answer_json([*map(shape_of, found), *managed_shapes(chosen, held, kept)])
    rows = [*(row_of(one, CLOCK.now()) for one in found), *managed_rows(held, kept)]
    if rows and not json:
        ui.table(HEADER, rows)
    if not rows:
        raise ui.CommandEnded(ui.Exit.NO, f"{chosen} has no secrets", "save one: mcpward secret set NAME")


@app.command("remove")
@examples("mcpward secret remove ORDERS_DATABASE_URL --server orders")
def remove(
    name: NameArgument, server: ServerOption = None, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """Remove a secret with all its versions. A running site stops handing it out within a second."""
    from mcpward.operations.secrets import remove_secret

    settings = settings_of(config)
    chosen = chosen_server(settings, server)
    in_site(settings, lambda site: remove_secret(site, chosen, name), must_exist=True, ends_rights=True)
    if json:
        ui.answer_json({"server": chosen, "name": name})
    ui.remark(f"{name} of {chosen} is removed")


@app.command("rollback")
@examples("mcpward secret rollback STRIPE_KEY --server orders")
def rollback(
    name: NameArgument,
    server: ServerOption = None,
    grace: GraceOption = "24h",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Put the version before the present one back, as a new version. It must still be in its grace period."""
    from mcpward.operations.secrets import roll_back_secret

    settings = settings_of(config)
    chosen = chosen_server(settings, server)
    grace_s = read_span(grace)
    version = in_site(settings, lambda site: roll_back_secret(site, chosen, name, grace_s), must_exist=True)
    if json:
        ui.answer_json({"server": chosen, "name": name, "version": version})
    ui.remark(f"{name} of {chosen} is as it was before, as version {version}")


@app.command("rotate-keys")
@examples("mcpward secret rotate-keys")
def rotate_keys(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Wrap the data keys of all secrets with a new key, while the site serves. Values stay as they are. A rotation that
    was interrupted is finished.
    """
    from mcpward.operations.secrets import rotate_vault

    settings = settings_of(config)
    try:
        done = in_site(settings, lambda site: rotate_vault(site, ui.progress), must_exist=True)
    finally:
        ui.progress()
    if json:
        ui.answer_json({"key": done.key_id, "versions": done.count, "resumed": done.is_resumed})
    how = "an interrupted rotation is finished" if done.is_resumed else "the vault has a new key"
    ui.remark(f"{how}: {done.key_id} wraps {done.count} versions of secrets")


@app.command("check")
@examples("mcpward secret check", "mcpward secret check --json")
def check(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Report secrets that tools ask for and that are set nowhere, weak ones, and unused ones. Runs the sources like
    serve. Exit code 1 if a secret is missing.
    """
    from mcpward.operations.secret_check import check_secrets

    found = asyncio.run(check_secrets(settings_of(config), CLOCK))
    if json:
        ui.answer_json([to_builtins(one) for one in found])
    for one in found:
        ui.remark(ui.safe(f"{one.kind}: {one.where + ': ' if one.where else ''}{one.what}: {one.hint}"))
    if any(one.kind == "missing" for one in found):
        raise ui.CommandEnded(ui.Exit.NO, "a secret is missing", "set it with the command above")
    if not found:
        ui.remark("every secret that tools ask for is set, and every secret that is set is asked for")


@app.command("import")
@examples("mcpward secret import .env --server orders")
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .env file; - is stdin.")],
    server: ServerOption = None,
    grace: GraceOption = "24h",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Save every value of a .env file as a secret. Values that are the same as before get no new version."""
    from mcpward.cli.secret_input import read_text
    from mcpward.operations.secret_file import read_env
    from mcpward.operations.secrets import import_secrets

    settings = settings_of(config)
    chosen = chosen_server(settings, server)
    grace_s = read_span(grace)
    values = read_env(read_text(file))
    if not values:
        raise ui.CommandEnded(ui.Exit.NO, f"{file} holds no values", "write lines such as NAME=value")
    changed = in_site(settings, lambda site: import_secrets(site, chosen, values, grace_s))
    if json:
        ui.answer_json({"server": chosen, "names": list(values), "changed": changed})
    ui.remark(f"{changed} of {len(values)} secrets saved for {chosen}; remove {file} if nothing else reads it")


@app.command("export")
@examples(
    "mcpward secret export secrets.age --recipient age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
    "mcpward secret export secrets.age --server orders",
)
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to create.")],
    server: ServerOption = None,
    recipient: Annotated[
        list[str] | None, typer.Option(metavar="AGE1…", help="A public key of age that may open it; may be repeated.")
    ] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Write an encrypted backup of the secrets, in the age format. Without a recipient, a passphrase is asked for, or
    read from stdin. Needs neither the database nor the master key to be opened again.
    """
    from mcpward.cli.secret_input import create_file, read_new_passphrase
    from mcpward.operations.secret_file import export_secrets

    settings = settings_of(config)
    servers = [chosen_server(settings, server)] if server is not None else list(settings.servers)
    word = None if recipient else read_new_passphrase()

    async def work(site: "Site") -> bytes:
        return await export_secrets(site, servers, recipient or [], word)

    content = in_site(settings, work, must_exist=True)
    create_file(file, content)
    if json:
        ui.answer_json({"file": str(file), "bytes": len(content), "servers": servers})
    ui.remark(f"the secrets of {', '.join(servers)} are in {file}, encrypted")


@app.command("restore")
@examples("mcpward secret restore secrets.age --identity key.txt", "mcpward secret restore secrets.age")
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that secret export wrote.")],
    identity: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file of age-keygen; else a passphrase is asked for.")
    ] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Save the secrets of a backup. Values that are the same as before get no new version."""
    from mcpward.operations.secret_file import open_backup, read_backup, read_identities, restore_secrets

    settings = settings_of(config)
    content = read_backup(file)
    word = None if identity is not None else read_secret("passphrase: ")
    backup = open_backup(content, read_identities(identity) if identity is not None else [], word)
    saved = in_site(settings, lambda site: restore_secrets(site, backup, list(settings.servers)))
    if json:
        ui.answer_json({"saved": saved, "secrets": len(backup)})
    ui.remark(f"{saved} of {len(backup)} secrets saved")
