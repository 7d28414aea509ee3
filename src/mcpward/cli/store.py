"""``mcpward store``: what is to be done with a database that is not the one that was left."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from msgspec import DecodeError, json

from mcpward.cli import ui
from mcpward.cli.help import examples
from mcpward.cli.site import CLOCK, ConfigOption, JsonOption, in_site, settings_of
from mcpward.cli.timespan import moment_text
from mcpward.core.scope import Access

if TYPE_CHECKING:
    from mcpward.operations.site import Site
    from mcpward.storage.opening import Older

    Row = dict[str, Any]

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

    async def note(site: "Site") -> None:
        from mcpward.traffic.act import Act

        older = seen[0]
        before = {name: mark for name, (_, mark) in older.standings.items()}
        after = {name: store for name, (store, _) in older.standings.items()}
        foreign = sum(older.foreign.values())
        what = f"another database accepted, {foreign} foreign rows dropped: {older.why}"
        await site.store.acts.note(Act(object="store", before=before, after=after, detail=what))

    in_site(settings, note, must_exist=True, accept=lambda older: older == seen[0])
    ui.remark("accepted: running workers use it within a minute, and mcpward serve starts again")


def _show(older: "Older", max_age_s: float | None, *, as_json: bool) -> None:
    now = CLOCK.now()
    live = [row for row in older.rows["keys"] if _is_live(row, now, max_age_s)]
    urls = [row for row in older.rows["urls"] if row["expires_at"] is None or row["expires_at"] > now]
    if as_json:
        ui.answer_json(
            {
                "why": older.why,
                "marked_at": moment_text(older.marked_at, "") or None,
                "revisions": {name: {"store": store, "mark": mark} for name, (store, mark) in older.standings.items()},
                "foreign": {name: count for name, count in older.foreign.items() if count},
                "keys": [_key(row) for row in live],
                "urls": [{"server": row["server"], "created_at": moment_text(row["created_at"])} for row in urls],
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
    ui.remark("live keys:" if live else "no live keys")
    if live:
        ui.table(HEADER, [_cells(row) for row in live])
    for row in urls:
        ui.answer(ui.safe(f"a secret URL of {row['server']}, made at {moment_text(row['created_at'])}"))


def _key(row: "Row") -> "Row":
    return {
        "id": row["id"],
        "name": row["name"],
        "servers": _words(row["servers"]),
        "class": _class(row["access"]),
        "tools": None if row["tools"] is None else _words(row["tools"]),
        "may_confirm": bool(row["may_confirm"]),
    }


def _cells(row: "Row") -> tuple[object, ...]:
    key = _key(row)
    tools = "all" if key["tools"] is None else ",".join(key["tools"])
    confirms = "yes" if key["may_confirm"] else "no"
    made_at = moment_text(row["created_at"])
    return key["id"], key["name"], ",".join(key["servers"]), key["class"], tools, confirms, made_at


def _words(text: str) -> list[str]:
    """Read a list as it is stored; what is none is shown as it stands, for a row without a code may hold anything."""
    try:
        return json.decode(text, type=list[str])
    except (DecodeError, TypeError):
        return [str(text)]


def _class(number: int) -> str:
    try:
        return Access(number).label
    except ValueError:
        return str(number)


def _is_live(row: "Row", now: float, max_age_s: float | None) -> bool:
    oldest = None if max_age_s is None else row["created_at"] + max_age_s
    ends = [at for at in (row["expires_at"], row["grace_until"], oldest) if isinstance(at, float)]
    return row["revoked_at"] is None and all(now < at for at in ends)
