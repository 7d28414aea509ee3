"""``mcpward store``: accepts or repairs a database that is not the one that was left."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mcpward.cli import ui
from mcpward.cli.help import examples
from mcpward.cli.site import CLOCK, ConfigOption, JsonOption, in_site, settings_of
from mcpward.core.moment import moment_text

if TYPE_CHECKING:
    from mcpward.operations.older_store import Older, OlderKey
    from mcpward.operations.site import Site

HEADER: Final = ("id", "name", "servers", "class", "tools", "may confirm", "created")
app = typer.Typer(help="The database: accept an older one.", no_args_is_help=True, rich_markup_mode=None)


@app.command("accept-older")
@examples("mcpward store accept-older", "mcpward store accept-older --yes")
def accept_older(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first; needed without a terminal.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Accept a database that is older than its mark, or was changed without the master key. It first lists the keys and
    secret URLs that would be live. Revoke again all that were revoked after the copy was made. Rows written without the
    master key are dropped. Needs the master key. Exit code 1 if there is nothing to accept.
    """
    from mcpward.operations.acts import note_store_accepted

    settings = settings_of(config)
    seen: list[Older] = []

    async def work(site: "Site") -> None: ...

    def look(older: "Older") -> bool:
        seen.append(older)
        return False

    from mcpward.core.errors import Untrusted

    try:
        in_site(settings, work, must_exist=True, accept=look)
    except Untrusted:
        if not seen:
            raise
    if not seen:
        raise ui.CommandEnded(ui.Exit.NO, "the database matches its mark: there is nothing to accept")
    _show(seen[0], settings.keys.max_age, as_json=json)
    if not yes and not ui.confirmed("accept this database?"):
        raise ui.CommandEnded(ui.Exit.NO, "nothing was accepted", "mcpward store accept-older --yes accepts it")

    in_site(
        settings,
        lambda site: note_store_accepted(site, seen[0]),
        must_exist=True,
        accept=lambda older: older == seen[0],
    )
    ui.remark("accepted: running workers use it within a minute, and mcpward serve starts again")


def _show(older: "Older", max_age_s: float | None, *, as_json: bool) -> None:
    from mcpward.operations.older_store import alive_in

    alive = alive_in(older, CLOCK.now(), max_age_s)
    if as_json:
        ui.answer_json(
            {
                "why": older.why,
                "marked_at": moment_text(older.marked_at, "") or None,
                "revisions": {name: {"store": store, "mark": mark} for name, (store, mark) in older.standings.items()},
                "foreign": {name: count for name, count in older.foreign.items() if count},
                "keys": [_shape(key) for key in alive.keys],
                "urls": [{"server": url.server, "created_at": moment_text(url.created_at)} for url in alive.urls],
            }
        )
        return
    ui.remark(ui.safe(older.why))
    ui.remark(f"its mark was written at {moment_text(older.marked_at, 'an unknown time')}")
    for name, (store, mark) in older.standings.items():
        if store < mark:
            ui.remark(f"{name}: changes are missing ({mark - store}): keys and URLs that they revoked are live again")
    for name, count in older.foreign.items():
        if count:
            ui.remark(f"{name}: {count} rows written without the master key are dropped")
    ui.remark("live keys:" if alive.keys else "no live keys")
    if alive.keys:
        ui.table(HEADER, [_cells(key) for key in alive.keys])
    for url in alive.urls:
        ui.answer(ui.safe(f"a secret URL of {url.server}, made at {moment_text(url.created_at)}"))


def _shape(key: "OlderKey") -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "servers": list(key.servers),
        "class": key.access,
        "tools": None if key.tools is None else list(key.tools),
        "may_confirm": key.may_confirm,
    }


def _cells(key: "OlderKey") -> tuple[object, ...]:
    tools = "all" if key.tools is None else ",".join(key.tools)
    confirms = "yes" if key.may_confirm else "no"
    return key.id, key.name, ",".join(key.servers), key.access, tools, confirms, moment_text(key.created_at)
