"""``mcpward connect``: what a client needs to know of a server, printed, or put into the client's own file."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from mcpward.cli import ui
from mcpward.cli.clients import CLIENTS, TOKEN, VARIABLE, Client, Entry, Place, rendered
from mcpward.cli.help import examples
from mcpward.cli.merge import make, work_out
from mcpward.cli.secret import read_secret
from mcpward.cli.site import ConfigOption, JsonOption, ServerOption, chosen_server, settings_of
from mcpward.config.address import parse_url
from mcpward.config.endpoint import endpoint
from mcpward.config.names import nearest
from mcpward.core.secret import Secret


@examples(
    "mcpward connect claude-desktop --server orders",
    "mcpward key create --name laptop | mcpward connect claude-desktop --stdin --write --yes",
    "mcpward connect curl",
)
def connect(
    client: Annotated[str, typer.Argument(metavar="CLIENT", help=f"One of {', '.join(CLIENTS)}.")],
    server: ServerOption = None,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="The server's URL, where the site's file does not say it.")
    ] = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", help=f"Read the key (unlisted: the secret URL) from stdin, not from {VARIABLE}.")
    ] = False,
    write: Annotated[bool, typer.Option("--write", help="Put it into the client's own file, after a look.")] = False,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The client's file, where it is not in its usual place.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write without asking.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Print what a client needs to reach a server, or write it into the client's file with --write.

    The key is read from the variable MCPWARD_KEY or from stdin, never from the command line. In mode oauth there is
    none: the client finds the identity provider by itself. Where keys are taken too, one that is given is used.
    """
    chosen = _client(client)
    entry = _entry(server, url, config, _given(stdin))
    target = file or chosen.file(place())
    if write:
        _write(chosen, entry, target, yes=yes)
    if json:
        block = rendered(chosen, entry) if chosen.name == "curl" else chosen.block(entry)
        ui.answer_json({"client": chosen.name, "file": str(target) if target else None, "block": block})
    elif not write:
        if target is not None:
            ui.remark(f"for {chosen.title}, in {ui.safe(target)} ({chosen.after_for(entry)}):")
        ui.answer(rendered(chosen, entry))
        if entry.is_unlisted and chosen.is_shared:
            ui.remark("the URL is the credential, and this is a file of the project: keep it out of version control")
        if entry.has_login and chosen.name == "curl":
            ui.remark(f"curl gets no token by itself: put one of your identity provider into {TOKEN}")
        if entry.needs_key and entry.key is None:
            ui.remark(f"the key itself: mcpward key create --server {entry.server} --name NAME")


def place() -> Place:
    """Describe this machine, as far as clients' files are concerned."""
    return Place(platform=sys.platform, home=Path.home(), here=Path.cwd(), env=os.environ)


def _client(name: str) -> Client:
    if name not in CLIENTS:
        meant = nearest(name, [one.replace("-", "_") for one in CLIENTS])
        hint = f"did you mean {meant.replace('_', '-')}?" if meant else f"there are: {', '.join(CLIENTS)}"
        raise ui.Ended(ui.Exit.USAGE, f"there is no client {name!r}", hint)
    return CLIENTS[name]


def _given(stdin: bool) -> Secret | None:
    if stdin:
        return read_secret("key or secret URL: ")
    value = os.environ.get(VARIABLE, "")
    return Secret(value) if value else None


def _entry(server: str | None, url: str | None, config: Path | None, given: Secret | None) -> Entry:
    settings = settings_of(config)
    name = chosen_server(settings, server)
    modes = settings.servers[name].modes if name in settings.servers else frozenset({"api-key"})
    at = _url(url) if url else endpoint(settings, name)
    if given is not None and given.reveal().startswith(("https://", "http://")):
        at, modes, given = _url(given.reveal()), frozenset({"unlisted"}), None
    elif "unlisted" in modes:
        at = f"{at}/<the secret>"
    key = given if "api-key" in modes else None
    _check(key)
    has_login = "oauth" in modes and key is None  # where both are taken, who brings a key is a machine
    return Entry(
        server=name,
        url=at,
        needs_key="api-key" in modes and not has_login,
        is_unlisted="unlisted" in modes,
        key=key,
        is_windows=sys.platform == "win32",
        has_login=has_login,
    )


def _url(text: str) -> str:
    try:
        return parse_url(text)
    except ValueError as problem:
        raise ui.Ended(ui.Exit.USAGE, f"the URL is not fit: {problem}") from None


def _check(key: Secret | None) -> None:
    from mcpward.identity.api_key import parse

    if key is not None and parse(key.reveal()) is None:
        raise ui.Ended(
            ui.Exit.USAGE, "that is not a whole key", "a key begins with sk-mcpward- and ends with a checksum"
        )


def _write(client: Client, entry: Entry, target: Path | None, *, yes: bool) -> None:
    if target is None:
        raise ui.Ended(ui.Exit.USAGE, f"{client.title} has no file to write to", "leave --write off")
    if entry.is_unlisted and client.is_shared:
        raise ui.Ended(
            ui.Exit.USAGE,
            f"the URL is the credential, and {client.title} reads it from a file of the project, which others get",
            "leave --write off and add the printed block where only you read it",
        )
    if (client.name == "claude-desktop" and entry.needs_key and entry.key is None) or "<" in entry.url:
        verb = "url rotate" if entry.is_unlisted else "key create --name NAME"
        then = f"mcpward {verb} | mcpward connect {client.name} --stdin --write --yes"
        raise ui.Ended(
            ui.Exit.USAGE,
            "what would be written lacks the credential",
            then if entry.is_unlisted else f"set {VARIABLE}, or {then}",
        )
    change = work_out(client, entry, target)
    if change.is_none:
        ui.remark(f"{ui.safe(change.file)} says so already")
        return
    for line in change.diff():
        ui.remark(ui.safe(line))
    if not yes and not ui.confirmed(f"write {ui.safe(change.file)}?"):
        raise ui.Ended(ui.Exit.NO, "nothing was written", "--yes writes without asking")
    backup = make(change)
    kept = f"; the old one is {ui.safe(backup)}" if backup else ""
    ui.remark(f"{ui.safe(change.file)} is written{kept}")
    ui.remark(client.after_for(entry))
