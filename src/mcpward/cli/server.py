"""``mcpward server``: another name for a server, with everything that is kept under its present one."""

import os
from codecs import BOM_UTF8
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mcpward.cli import ui
from mcpward.cli.handover import file_for
from mcpward.cli.help import examples
from mcpward.cli.replace import replace_file
from mcpward.cli.site import CLOCK, ConfigOption, JsonOption, file_of, fit_server, in_site, server_names, settings_of
from mcpward.config.environ import variables_of_server
from mcpward.config.model import Settings
from mcpward.config.names import nearest
from mcpward.config.renaming import NotRenamed, renamed_server

if TYPE_CHECKING:
    from mcpward.operations.servers import Renamed
    from mcpward.operations.site import Site

app = typer.Typer(help="Servers: rename.", no_args_is_help=True, rich_markup_mode=None)


@app.command("rename")
@examples("mcpward server rename orders shop")
def rename(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The server's present name.", autocompletion=server_names)],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The new name.")],
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Rename a server in mcpward.toml and in all data. Keys, secret URLs and secrets move to the new name, and mcpward
    log --server finds its earlier records, too. Restart a running site: until then it serves under the old name and
    refuses the moved keys. If the file has the new name already, only data are moved. A name with live keys or secret
    URLs of an earlier server is refused.
    """
    settings = settings_of(config)
    file = file_of(config)
    new = fit_server(new, "NEW")
    change = _change(settings, file, old, new)
    database = Path(settings.store.url.removeprefix("sqlite:///"))

    async def work(site: "Site") -> "Renamed":
        from mcpward.operations.servers import held_by_server, rename_server, require_unheld

        now, max_age_s = CLOCK.now(), settings.keys.max_age
        if old not in settings.servers:
            held = await held_by_server(site, now, max_age_s)
            if old not in held:
                raise _unknown(old, {*held, *settings.servers})
        # Without a file the servers are those of the last start, as for every command.
        if new not in (settings.servers or await site.store.served.servers()):
            await require_unheld(site, now, max_age_s, old, new)
        return await rename_server(site, CLOCK, old, new)

    if database.exists() or old not in settings.servers:
        done = in_site(settings, work, must_exist=True)
        carried = {"keys": done.keys, "urls": done.urls, "secrets": done.secrets}
    else:  # nothing was ever kept for it
        carried = {"keys": 0, "urls": 0, "secrets": 0}
    _rename_files(settings, old, new)
    if file is not None and change is not None:
        _write(file, change, old, new)
    if json:
        ui.answer_json({"old": old, "new": new, **carried, "file": str(file) if change else None})
    said = f"{carried['keys']} keys, {carried['urls']} secret URLs and {carried['secrets']} secrets"
    ui.remark(f"server {old} is {new} now: {said} are moved")
    if file is not None and change is not None:
        ui.remark(ui.safe(f"{file}: [servers.{old}] is [servers.{new}]"))
    for variable in variables_of_server(os.environ, old):
        ui.remark(ui.safe(f"{variable} still names {old}: rename it, too"))
    _remark_running(database, old)


def _change(settings: Settings, file: Path | None, old: str, new: str) -> bytes | None:
    """Return what the file is to say; None where it has the new name already, or there is no file.

    Raises:
        CommandEnded: both names are servers of the file, neither is, or the file cannot be changed in place.
    """
    known = settings.servers
    if old in known and new in known:
        what = f"servers {old} and {new} both exist"
        raise ui.CommandEnded(ui.Exit.USAGE, what, "choose another name")
    if known and old not in known and new not in known:
        raise _unknown(old, known) if nearest(old, known) else _unknown(new, known)
    if file is None or old not in known:
        return None
    raw = file.read_bytes()
    mark = BOM_UTF8 if raw.startswith(BOM_UTF8) else b""
    try:
        return mark + renamed_server(raw.removeprefix(mark).decode(), old, new).encode()
    except NotRenamed as problem:
        hint = f"write [servers.{new}] in place of [servers.{old}] yourself, then mcpward server rename {old} {new}"
        raise ui.CommandEnded(ui.Exit.USAGE, f"{file}: {problem}", hint) from None


def _unknown(name: str, known: Iterable[str]) -> ui.CommandEnded:
    names = sorted(known)
    meant = nearest(name, names)
    return ui.CommandEnded(
        ui.Exit.USAGE,
        f"there is no server {name!r}, neither in the site's file nor in its data",
        f"did you mean {meant}?" if meant else f"there are: {', '.join(names) or 'none'}",
    )


def _write(file: Path, content: bytes, old: str, new: str) -> None:
    try:
        replace_file(file.resolve(), content)
    except OSError as error:
        hint = f"write [servers.{new}] in place of [servers.{old}] yourself: the data have moved"
        raise ui.CommandEnded(ui.Exit.UNREACHABLE, f"{file} cannot be written: {error.strerror}", hint) from None


def _rename_files(settings: Settings, old: str, new: str) -> None:
    """A first key that nobody has taken yet stays where the next start looks for it."""
    was, now = (file_for(settings.site.data, "key", name) for name in (old, new))
    if was.exists() and not now.exists():
        was.rename(now)


def _remark_running(database: Path, old: str) -> None:
    from mcpward.storage.snapshot import user_of

    process = user_of(database)
    if process is not None:
        ui.remark(f"process {process} still serves it as {old} and refuses its keys: restart mcpward serve")
