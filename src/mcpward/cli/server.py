"""``mcpward server``: another name for a server, with everything that is kept under its present one."""

import os
from codecs import BOM_UTF8
from pathlib import Path
from typing import Annotated

import typer

from mcpward.cli import ui
from mcpward.cli.help import examples
from mcpward.cli.replace import replace_file
from mcpward.cli.site import CLOCK, ConfigOption, JsonOption, file_of, fit_server, in_site, server_names, settings_of
from mcpward.config.environ import variables_of_server
from mcpward.config.model import Settings
from mcpward.config.renaming import NotRenamed, renamed_server
from mcpward.operations.credential_file import rename_file

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
    from mcpward.operations.servers import carry_over, require_renamable

    settings = settings_of(config)
    file = file_of(config)
    new = fit_server(new, "NEW")
    require_renamable(settings, old, new)
    change = _change(settings, file, old, new)
    database = Path(settings.store.url.removeprefix("sqlite:///"))
    if database.exists() or old not in settings.servers:
        done = in_site(settings, lambda site: carry_over(site, settings, CLOCK, old, new), must_exist=True)
        carried = {"keys": done.keys, "urls": done.urls, "secrets": done.secrets}
    else:  # nothing was ever kept for it
        carried = {"keys": 0, "urls": 0, "secrets": 0}
    rename_file(settings.site.data, old, new)
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
    _remark_running(settings, old)


def _change(settings: Settings, file: Path | None, old: str, new: str) -> bytes | None:
    """Return the file's new text; None if it has the new name already, or there is no file.

    Raises:
        CommandEnded: the file cannot be changed in place.
    """
    if file is None or old not in settings.servers:
        return None
    raw = file.read_bytes()
    mark = BOM_UTF8 if raw.startswith(BOM_UTF8) else b""
    try:
        return mark + renamed_server(raw.removeprefix(mark).decode(), old, new).encode()
    except NotRenamed as problem:
        hint = f"write [servers.{new}] in place of [servers.{old}] yourself, then mcpward server rename {old} {new}"
        raise ui.CommandEnded(ui.Exit.USAGE, f"{file}: {problem}", hint) from None


def _write(file: Path, content: bytes, old: str, new: str) -> None:
    try:
        replace_file(file.resolve(), content)
    except OSError as error:
        hint = f"write [servers.{new}] in place of [servers.{old}] yourself: the data have moved"
        raise ui.CommandEnded(ui.Exit.UNREACHABLE, f"{file} cannot be written: {error.strerror}", hint) from None


def _remark_running(settings: Settings, old: str) -> None:
    from mcpward.operations.servers import serving_process

    process = serving_process(settings)
    if process is not None:
        ui.remark(
            f"process {process} still serves it as {old} and refuses its keys: "
            "write the new name into the file, then mcpward reload"
        )
