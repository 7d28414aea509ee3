"""``mcpward secret``: values that tools get from ``env`` by name. They are read from stdin or a prompt, never from the
command line, where the process list and the shell's history would keep them.
"""

import sys
from getpass import getpass
from typing import Annotated, Final

import typer

from mcpward.cli import ui
from mcpward.cli.help import examples
from mcpward.cli.site import ConfigOption, JsonOption, ServerOption, chosen_server, in_site, settings_of
from mcpward.core.secret import Secret

app = typer.Typer(
    help="Secrets of tools, encrypted at rest: set, list, remove.", no_args_is_help=True, rich_markup_mode=None
)
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The name in env.NAME, such as ORDERS_DATABASE_URL.")]
_MOST_CHARACTERS: Final = 64 * 1024
_MARK: Final = "\ufeff"  # the byte order mark of a file that was saved on Windows


@app.command("set")
@examples("mcpward secret set ORDERS_DATABASE_URL --server orders < url.txt")
def set_secret(
    name: NameArgument, server: ServerOption = None, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """Save a secret. The value comes from stdin, or from a prompt that does not show it."""
    from mcpward.operations.secrets import require_secret_name
    from mcpward.operations.secrets import set_secret as keep

    settings = settings_of(config)
    chosen = chosen_server(settings, server)
    require_secret_name(name)
    value = read_secret(f"value of {name}: ")
    in_site(settings, lambda site: keep(site, chosen, name, value))
    if json:
        ui.answer_json({"server": chosen, "name": name})
    ui.remark(f"{name} of {chosen} saved; mcpward reload has a running site use it")


@app.command("list")
@examples("mcpward secret list --server orders")
def list_secrets(server: ServerOption = None, config: ConfigOption = None, json: JsonOption = False) -> None:
    """List the names of a server's secrets, never a value. Exit code 1 if there are none."""
    from mcpward.operations.secrets import list_secrets as listed

    settings = settings_of(config)
    chosen = chosen_server(settings, server)
    names = in_site(settings, lambda site: listed(site, chosen), must_exist=True)
    if json:
        ui.answer_json([{"server": chosen, "name": name} for name in names])
    else:
        for name in names:
            ui.answer(ui.safe(name))
    if not names:
        raise ui.CommandEnded(ui.Exit.NO, f"{chosen} has no secrets", "save one: mcpward secret set NAME")


@app.command("remove")
@examples("mcpward secret remove ORDERS_DATABASE_URL --server orders")
def remove(
    name: NameArgument, server: ServerOption = None, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """Remove a secret."""
    from mcpward.operations.secrets import remove_secret

    settings = settings_of(config)
    chosen = chosen_server(settings, server)
    in_site(settings, lambda site: remove_secret(site, chosen, name), must_exist=True, ends_rights=True)
    if json:
        ui.answer_json({"server": chosen, "name": name})
    ui.remark(f"{name} of {chosen} is removed")


def read_secret(prompt: str) -> Secret:
    """Read one secret from stdin, or ask for it without showing it.

    Raises:
        CommandEnded: nothing came, or too much.
    """
    try:
        value = getpass(prompt) if sys.stdin.isatty() else sys.stdin.read(_MOST_CHARACTERS + 1)
        value.encode()
    except UnicodeError:  # its text would quote the secret
        raise ui.CommandEnded(
            ui.Exit.USAGE, "a secret is text in UTF-8", "encode it first, as base64 for example"
        ) from None
    value = value.removeprefix(_MARK).removesuffix("\n").removesuffix("\r")
    if not value or len(value) > _MOST_CHARACTERS:
        raise ui.CommandEnded(ui.Exit.USAGE, "a secret is 1 to 65536 characters", "pass it on stdin: … < file")
    return Secret(value)
