"""``mcpward backup`` and ``mcpward restore``: a site's data in one file, and back."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcpward.cli import ui
from mcpward.cli.help import examples
from mcpward.cli.operator import this_operator
from mcpward.cli.site import CLOCK, FILE, ConfigOption, JsonOption, file_of, in_site, settings_of
from mcpward.config.load import load
from mcpward.config.model import Settings
from mcpward.config.size import size_text
from mcpward.core.errors import Misconfigured, Unreachable
from mcpward.core.moment import moment_text

if TYPE_CHECKING:
    from mcpward.operations.backup import BackedUp, Manifest, Restored
    from mcpward.operations.site import Site

_NOT_IN_IT = "TLS files, tools.py and other sources, variables of the environment, counters in Redis"


@examples("mcpward backup orders.backup", "mcpward backup /backups/orders-$(date +%F).backup")
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; it must not exist.")],
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Write a backup of a site, even while it serves: a snapshot of the database, its marks, and mcpward.toml. Only its
    owner can read the file. It is encrypted with the master key, which is not in it: keep that key elsewhere. The
    backup also lacks TLS files, tools.py and other sources, variables of the environment, and counters in Redis.
    """
    from mcpward.operations.acts import note_backup
    from mcpward.operations.backup import back_up_site

    settings = settings_of(config)
    source = file_of(config)

    async def work(site: "Site") -> "BackedUp":
        if not await note_backup(site, file.absolute()):
            ui.remark("the disk is full: this backup is not on record")
        return await back_up_site(site, settings, CLOCK, file, source)

    made = in_site(settings, work, must_exist=True)
    key = _key_place(settings)
    if json:
        ui.answer_json({"file": str(made.file), "bytes": made.size, **_shape(made.manifest), "master_key": key})
    ui.remark(
        ui.safe(f"{made.file}: {_size(made.size)}, mode 0600, encrypted with the master key {made.manifest.keys[0]}")
    )
    ui.remark(ui.safe(f"in it: {_contents(made.manifest)}"))
    ui.remark(f"not in it: the master key, {_NOT_IN_IT}")
    ui.remark(ui.safe(f"keep the master key apart from it ({key}): without that key the backup is useless"))


@examples(
    "mcpward restore orders.backup",
    "mcpward restore orders.backup --check",
    "mcpward restore orders.backup --replace && mcpward store accept-older",
)
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")],
    check: Annotated[
        bool, typer.Option("--check", help="Read the whole backup and print its contents, without changes.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace an existing database, which is renamed.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Restore a site's data from a backup. The site must be stopped, and its master key must be in place. The backup is
    older than the site's data: before the next start, mcpward store accept-older lists the live keys. An existing mark
    and mcpward.toml stay unchanged.
    """
    from msgspec import structs

    from mcpward.operations.backup import note_restored, opened, put_config, require_free
    from mcpward.operations.backup import restore as put_back
    from mcpward.operations.site import ring_for_restore

    settings = settings_of(config) if config is None or config.exists() else load(None, os.environ)
    place = config or Path(FILE)
    if not check:
        require_free(settings, replace=replace)
    ring = ring_for_restore(settings)
    with opened(file, ring, settings.site.data) as unpacked:
        manifest = unpacked.manifest
        is_config_put = not check and put_config(unpacked, place)
        if is_config_put:  # it names the place of the site's data
            settings = settings_of(place)
        if not check:
            note = note_restored(settings, ring, unpacked, CLOCK, this_operator(), file.absolute())
            if not asyncio.run(note):
                ui.remark("the disk is full: this restore is not on record")
        done = None if check else put_back(settings, ring, unpacked, CLOCK, replace=replace)
    if done is not None:
        done = structs.replace(done, put=(*done.put, place)) if is_config_put else done
    if json:
        ui.answer_json({"file": str(file), **_shape(manifest), **(_put_shape(done) if done else {})})
    ui.remark(ui.safe(f"{file}: made at {moment_text(manifest.made_at)} by mcpward {manifest.version}, and whole"))
    ui.remark(ui.safe(f"in it: {_contents(manifest)}"))
    if done is not None:
        _tell(done, manifest, is_accepted=_is_accepted(settings))


def _is_accepted(settings: Settings) -> bool:
    """Whether what was restored is all that there was: nothing was revoked or ended since, and it counts as it is."""

    async def work(site: "Site") -> None: ...

    try:
        in_site(settings, work)
    except (Misconfigured, Unreachable):  # it needs a confirmation; or its master key, as the next command will report
        return False
    return True


def _tell(done: "Restored", manifest: "Manifest", *, is_accepted: bool) -> None:
    for path in done.put:
        ui.remark(ui.safe(f"restored: {path}"))
    for path in done.kept:
        ui.remark(ui.safe(f"unchanged: {path}"))
    if done.aside is not None:
        ui.remark(ui.safe(f"the previous database is now {done.aside}"))
    ui.remark(f"all changes after {moment_text(manifest.made_at)} are undone: revoked keys are live again")
    if is_accepted:
        ui.remark("nothing was revoked, ended or edited since the backup, so there is nothing to accept")
        ui.remark("next: mcpward log verify (shows missing records), mcpward serve")
        return
    ui.remark("next: mcpward store accept-older lists the live keys; mcpward serve starts after that")


def _shape(manifest: "Manifest") -> dict[str, Any]:
    return {
        "made_at": moment_text(manifest.made_at),
        "version": manifest.version,
        "schema": manifest.schema,
        "master_keys": list(manifest.keys),
        "rows": manifest.rows,
        "members": list(manifest.members),
    }


def _put_shape(done: "Restored") -> dict[str, Any]:
    return {
        "restored": [str(path) for path in done.put],
        "left": [str(path) for path in done.kept],
        "aside": str(done.aside) if done.aside else None,
    }


def _contents(manifest: "Manifest") -> str:
    rows = manifest.rows
    counted = (
        f"{rows['keys']:,} keys, {rows['urls']:,} secret URLs, {rows['secrets']:,} secrets, {rows['records']:,} records"
    )
    others = ["its marks", *(["mcpward.toml"] if "mcpward.toml" in manifest.members else [])]
    return f"the database ({counted}), {' and '.join(others)}"


def _size(size: int) -> str:
    return size_text(max(1, round(size / 1024)) * 1024)


def _key_place(settings: Settings) -> str:
    if "MCPWARD_MASTER_KEY" in os.environ:
        return "it is in MCPWARD_MASTER_KEY"
    return os.environ.get("MCPWARD_MASTER_KEY_FILE") or str(settings.site.data / "master.key")
