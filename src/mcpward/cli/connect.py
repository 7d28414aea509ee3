"""``mcpward connect``: the settings of a server for a client, printed, or put into the client's own file."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mcpward.cli import ui
from mcpward.cli.clients import CLIENTS, TOKEN, VARIABLE, Client, Entry, Place, Scope
from mcpward.cli.clients.shown import WEB, impossible, rendered
from mcpward.cli.entries import ChosenServer, EntryOptions, entry_for, name_of
from mcpward.cli.help import examples
from mcpward.cli.merge import FileChange, is_open_to_others, make, real_file, work_out, work_out_removal, work_out_undo
from mcpward.cli.site import (
    FILE,
    ConfigOption,
    JsonOption,
    ServerOption,
    chosen_server,
    file_of,
    no_site,
    served_last,
    settings_of,
)
from mcpward.cli.trust import is_foreign, require_agreement, site_knows
from mcpward.config.endpoint import origin_of
from mcpward.config.model import Settings
from mcpward.config.names import nearest


def client_names(incomplete: str) -> list[str]:
    """Complete the name of a client."""
    return [name for name in CLIENTS if name.startswith(incomplete)]


@examples(
    "mcpward connect claude-desktop --server orders",
    "mcpward connect claude-code --scope user --url https://mcp.example.com/orders/mcp",
    "mcpward key create --name laptop | mcpward connect cursor --stdin --write --yes",
    "mcpward connect cursor --remove --server orders",
    "mcpward connect curl",
    "mcpward connect --list",
)
def connect(
    client: Annotated[
        str | None,
        typer.Argument(metavar="[CLIENT]", help=f"One of {', '.join(CLIENTS)}.", autocompletion=client_names),
    ] = None,
    server: ServerOption = None,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="The server's URL; needed without a site's file.")
    ] = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", help=f"Read the key (unlisted: the secret URL) from stdin, not from {VARIABLE}.")
    ] = False,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", metavar="FILE", help="Read the key from this file.")
    ] = None,
    variable: Annotated[
        str, typer.Option(metavar="NAME", help=f"The variable for the key. Default: {VARIABLE}_ and the server's name.")
    ] = "",
    scope: Annotated[
        str | None, typer.Option(metavar="SCOPE", help="Whose file: user or project, if the client has both.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write it into the client's own file, after showing the change.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Undo the newest change to the client's file.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the server from the client's file.")] = False,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The client's file, if not in its usual place.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write without asking.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="List the clients and their files.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Print what a client needs to reach a server, or write it into the client's file with --write.

    The key comes from the server's variable (MCPWARD_KEY_ORDERS for server orders), from MCPWARD_KEY, a file or stdin,
    never from the command line. In mode oauth the client needs no key: it finds the identity provider itself. If the
    server also takes keys, a given key is used.
    """
    if listed:
        _list(json=json)
        return
    if sum((write, undo, remove)) > 1:
        raise ui.CommandEnded(ui.Exit.USAGE, "--write, --undo and --remove exclude each other", "choose one")
    chosen = _client(client)
    whose = _scope(chosen, scope)
    target = file or chosen.file(place(), whose)
    asked = EntryOptions(server=server, url=url, stdin=stdin, key_file=key_file, variable=variable)
    if undo or remove:
        change = _taking_back(chosen, _file_of(chosen, target, whose, file), asked, config, undo=undo)
        _apply(change, f"{'restore' if undo else 'take'} {change.server} {'in' if undo else 'out of'}", yes=yes)
        return
    settings = settings_of(config)
    answer = entry_for(chosen, settings, asked, whose)
    _require_site(settings, answer, config)
    _require_possible(chosen, answer)
    done: dict[str, Any] = {}
    if write:
        _require_writable(chosen, answer.entry)
        knows = site_knows(settings, config)
        require_agreement(answer.entry, is_named=answer.is_named, is_asked=not yes, knows=knows)
        done = _write(chosen, answer.entry, _file_of(chosen, target, whose, file), yes=yes)
    if json:
        ui.answer_json({**_facts(chosen, answer.entry, target), **done})
    elif not write:
        _print(chosen, answer, target)


def place() -> Place:
    """Describe this machine, as far as clients' files are concerned."""
    return Place(platform=sys.platform, home=Path.home(), here=Path.cwd(), env=os.environ)


def _list(*, json: bool) -> None:
    here = place()
    rows: list[tuple[Client, Scope | None, Path | None]]
    rows = [(one, scope, at(here)) for one in CLIENTS.values() for scope, at in one.files.items()]
    rows += [(one, None, None) for one in CLIENTS.values() if not one.files]
    if json:
        ui.answer_json(
            [
                {"client": one.name, "title": one.title, "scope": scope, "format": one.format if file else None}
                | {"file": str(file) if file else None}
                for one, scope, file in rows
            ]
        )
        return
    shown = [(one.name, one.title, scope or "", file or "(prints what to enter)") for one, scope, file in rows]
    ui.table(("client", "title", "scope", "file"), shown)


def _client(name: str | None) -> Client:
    if name is None:
        raise ui.CommandEnded(ui.Exit.USAGE, "which client?", f"there are: {', '.join(CLIENTS)}")
    if name not in CLIENTS:
        meant = nearest(name, [one.replace("-", "_") for one in CLIENTS])
        hint = f"did you mean {meant.replace('_', '-')}?" if meant else f"there are: {', '.join(CLIENTS)}"
        raise ui.CommandEnded(ui.Exit.USAGE, f"there is no client {name!r}", hint)
    return CLIENTS[name]


def _scope(client: Client, word: str | None) -> Scope | None:
    for scope in client.files:
        if word == scope:
            return scope
    if word is None:
        return client.scope
    has = " and ".join(client.files) or "no file"
    raise ui.CommandEnded(ui.Exit.USAGE, f"{client.title} has no scope {word!r}", f"it has: {has}")


def _file_of(client: Client, target: Path | None, scope: Scope | None, named: Path | None) -> Path:
    """Return the file to change. A project's file is inside the project: a link may not lead out of it."""
    if target is None:
        raise ui.CommandEnded(ui.Exit.USAGE, f"{client.title} has no file to write to", "leave --write off")
    here = Path.cwd().resolve()
    if scope == "project" and named is None and not real_file(target).is_relative_to(here):
        real = real_file(target)
        raise ui.CommandEnded(
            ui.Exit.USAGE, f"{target} is a link to a file outside this folder", f"if that is intended: --file {real}"
        )
    return target


def _require_site(settings: Settings, answer: ChosenServer, config: Path | None) -> None:
    """Check that the server's URL is known; report the assumption if only its last start is known."""
    if answer.is_named or settings.servers:
        return
    if not served_last(settings):
        raise no_site(config, answer.entry.server, or_else="--url URL connects to a server elsewhere")
    if file_of(config) is None and not settings.site.public_url:
        at = origin_of(settings)
        ui.remark(f"no {FILE} here: assumed that mcpward serve listens at {ui.safe(at)}; --url URL names another")


def _require_possible(client: Client, answer: ChosenServer) -> None:
    why = impossible(client, answer.entry.server, answer.modes)
    if why is not None:
        raise ui.CommandEnded(ui.Exit.NO, *why)
    if answer.entry.variable and client.files and not (client.reference or client.name == "claude-desktop"):
        raise ui.CommandEnded(
            ui.Exit.USAGE,
            f"{client.title} fills no variable into its file",
            "leave --variable off: the file gets the key itself",
        )


def _require_writable(client: Client, entry: Entry) -> None:
    if not client.files:
        raise ui.CommandEnded(ui.Exit.USAGE, f"{client.title} has no file to write to", "leave --write off")
    if entry.is_unlisted and entry.scope == "project":
        raise ui.CommandEnded(
            ui.Exit.USAGE,
            f"the URL is the credential, and {client.title} reads it from a file of the project, which others also get",
            "leave --write off and add the printed block where only you can read it",
        )
    lacks_key = client.holds_key(entry) and entry.key is None
    if lacks_key or "<" in entry.url:
        verb = "url rotate" if entry.is_unlisted else "key create --name NAME"
        then = f"mcpward {verb} | mcpward connect {client.name} --stdin --write --yes"
        hint = then if entry.is_unlisted else f"set {entry.named}, or {then}"
        raise ui.CommandEnded(ui.Exit.USAGE, "the block to write has no credential", hint)


def _write(client: Client, entry: Entry, target: Path, *, yes: bool) -> dict[str, Any]:
    change = work_out(client, entry, target)
    goes = f" (the key goes to {entry.url})" if entry.needs_key else ""
    backup = _apply(change, f"write{goes}", yes=yes)
    if not change.is_none:
        ui.remark(ui.safe(client.after_for(entry)))
        _export_hint(client, entry)
    if client.holds_key(entry) and is_open_to_others(change.file):
        ui.remark(f"others on this machine can read the key: chmod 600 {ui.safe(change.file)}")
    return {"written": not change.is_none, "backup": str(backup) if backup else None}


def _taking_back(client: Client, target: Path, asked: EntryOptions, config: Path | None, *, undo: bool) -> FileChange:
    def entry_of(server: str) -> Entry:
        return Entry(server=server, url="", needs_key=True)

    if undo:
        return work_out_undo(client, target, entry_of)
    name = asked.server or (name_of(asked.url) if asked.url else chosen_server(settings_of(config), None))
    return work_out_removal(client, entry_of(name), target)


def _apply(change: FileChange, verb: str, *, yes: bool) -> Path | None:
    if change.is_none:
        if change.undone is not None:
            make(change)  # the copy has served its purpose: the next undo takes an older one
        ui.remark(f"{ui.safe(change.file)} has it already")
        return None
    for line in change.diff() or ["only masked values change"]:
        ui.remark(ui.safe(line))
    if not yes and not ui.confirmed(f"{ui.safe(verb)} {ui.safe(change.file)}?"):
        raise ui.CommandEnded(ui.Exit.NO, "nothing was written", "--yes writes without asking")
    backup = make(change)
    gone = "removed" if change.after is None else "written"
    kept = "; --undo reverts it" if backup else ""
    ui.remark(f"{ui.safe(change.file)} is {gone}{kept}")
    return backup


def _facts(client: Client, entry: Entry, target: Path | None) -> dict[str, Any]:
    text = rendered(client, entry)
    return {
        "client": client.name,
        "server": entry.server,
        "url": entry.url,
        "scope": entry.scope if client.files else None,
        "file": str(target) if target else None,
        "format": client.format if client.files else None,
        "variable": entry.named if entry.needs_key else None,
        "block": client.block(entry) if client.files else text,
        "text": text,
        "after": client.after_for(entry) if client.files else "",
    }


def _print(client: Client, answer: ChosenServer, target: Path | None) -> None:
    entry = answer.entry
    if target is not None:
        ui.remark(f"for {client.title}, in {ui.safe(target)} ({ui.safe(client.after_for(entry))}):")
    ui.answer(rendered(client, entry))
    if entry.is_unlisted and entry.scope == "project" and client.files:
        ui.remark("the URL is the credential, and this is a file of the project: keep it out of version control")
    if entry.has_login and client.name == "curl":
        ui.remark(f"curl cannot sign in: put a token of your identity provider into {TOKEN}")
    if client.name in WEB and not is_foreign(entry.url):
        ui.remark(f"{client.title} connects from its vendor's network: it needs a public URL (site.public_url)")
    if entry.needs_key and not answer.is_named and is_foreign(entry.url):
        ui.remark(f"the URL comes from the site's file: the key goes to {ui.safe(entry.url)}")
    if entry.needs_key and entry.key is None:
        where = f"mcpward key create --server {entry.server} --name NAME"
        ui.remark(f"the key itself: {where}{'' if answer.is_known else ' on the machine of the server'}")
    if client.name in WEB and not answer.is_known and not entry.is_unlisted:
        ui.remark(f"{client.title} has no field for an API key: the server must be in mode oauth, unlisted or public")
    _export_hint(client, entry)


def _export_hint(client: Client, entry: Entry) -> None:
    """Only the variable of all servers is set, and the file names another one."""
    is_set = not entry.variable and entry.named not in os.environ and os.environ.get(VARIABLE)
    if client.needs_variable(entry) and is_set:
        ui.remark(f'the key is in {VARIABLE}: export {entry.named}="${VARIABLE}"')
