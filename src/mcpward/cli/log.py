"""``mcpward log``: the record of every request. What callers wrote is made safe before it reaches a terminal."""

import asyncio
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mcpward.cli import ui
from mcpward.cli.help import examples
from mcpward.cli.limits import limit_names
from mcpward.cli.moment import moment_text, parse_start
from mcpward.cli.site import CLOCK, ConfigOption, in_site, left_to_subcommand, server_names, settings_of
from mcpward.cli.verify import verify
from mcpward.core import renamed
from mcpward.traffic.line import line

if TYPE_CHECKING:
    from mcpward.operations.site import Site
    from mcpward.storage.traffic import TrafficFilter

_HEADER: Final = ("time", "server", "call", "who", "address", "outcome", "http", "ms")
_LEAST: Final = (20, 8, 24, 20, 15, 20, 4, 8)
_POLL_S: Final = 0.25
_AT_ONCE: Final = 1000
Row = Mapping[str, Any]

app = typer.Typer(rich_markup_mode=None)
app.command("verify")(verify)


@app.callback(invoke_without_command=True)
@examples(
    "mcpward log --reason credential-invalid --since 1h",
    "mcpward log --tool cancel_order --json | jq .principal",
    "mcpward log --would-refuse --since 7d --json | jq -r .would_refuse | sort | uniq -c",
    "mcpward log --follow",
)
def log(
    ctx: typer.Context,
    server: Annotated[
        str | None,
        typer.Option("--server", "-s", metavar="NAME", help="Only this server.", autocompletion=server_names),
    ] = None,
    tool: Annotated[str | None, typer.Option(metavar="NAME", help="Only calls of this tool.")] = None,
    key: Annotated[str | None, typer.Option(metavar="ID", help="Only calls with the key of this id.")] = None,
    reason: Annotated[
        str | None, typer.Option(metavar="REASON", help="Only refusals for this reason, such as rate-exceeded.")
    ] = None,
    outcome: Annotated[
        str | None, typer.Option(metavar="OUTCOME", help="Only this outcome: ok, error, refused or cancelled.")
    ] = None,
    address: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Only requests from this address.")] = None,
    since: Annotated[str | None, typer.Option(metavar="WHEN", help="From here on: 2h, 3d, 2026-12-31T10:00.")] = None,
    until: Annotated[str | None, typer.Option(metavar="WHEN", help="Up to here: 2h, 3d, 2026-12-31T10:00.")] = None,
    limit: Annotated[
        str | None,
        typer.Option(
            metavar="LIMIT", help="Only requests that this limit refused, or would have.", autocompletion=limit_names
        ),
    ] = None,
    would_refuse: Annotated[
        bool, typer.Option("--would-refuse", help="Only requests over a limit that is not enforced.")
    ] = False,
    lines: Annotated[
        int, typer.Option("--lines", "-n", metavar="N", min=1, max=100_000, help="The newest so many.")
    ] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay, and print new records as they come.")] = False,
    config: ConfigOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Print the record of requests, oldest first. Exit code 1 when nothing was found."""
    if left_to_subcommand(ctx):
        return
    from mcpward.storage.traffic import TrafficFilter

    now = CLOCK.now()
    chosen = TrafficFilter(
        server=server,
        tool=tool,
        key_id=key,
        reason=reason,
        outcome=outcome,
        peer=address,
        since=parse_start(since, now, "--since") if since else None,
        until=parse_start(until, now, "--until") if until else None,
        by_limit=limit,
        would_refuse=would_refuse,
        limit=lines,
    )
    settings = settings_of(config)
    printer = _Printer(as_json=json)
    found = in_site(settings, lambda site: _print(site, chosen, printer, follow=follow), must_exist=not follow)
    if not found:
        raise ui.Ended(ui.Exit.NO, "no records found", _hint(reason, limit))


def _hint(reason: str | None, limit: str | None) -> str:
    """Return what was probably meant by a name that no record has."""
    if reason in renamed.REASONS:
        return f"{reason} is now {renamed.REASONS[reason]}"
    if limit in renamed.LIMITS:
        return f"{limit} is now {renamed.LIMITS[limit]}"
    is_number = limit is not None and limit.isascii() and limit.isdigit()
    return f"-n {limit} prints the newest {limit}; --limit takes the name of a limit" if is_number else ""


async def _print(site: "Site", chosen: "TrafficFilter", printer: "_Printer", *, follow: bool) -> bool:
    from msgspec.structs import replace

    rows: list[Row] = [*reversed(await site.store.traffic.select(chosen))]
    printer.show(rows)
    last = rows[-1]["seq"] if rows else 0
    while follow:
        await asyncio.sleep(_POLL_S)
        newer = replace(chosen, after_id=last, limit=_AT_ONCE, newest_first=False)
        rows = [*await site.store.traffic.select(newer)]
        printer.show(rows)
        last = rows[-1]["seq"] if rows else last
    return bool(rows)


class _Printer:
    """Prints rows as they come; the columns keep the width that the first ones gave them."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._widths: list[int] = []

    def show(self, rows: list[Row]) -> None:
        if self._as_json:
            for row in rows:
                ui.answer(line({"time": moment_text(row["at"]), **row}))
        elif rows:
            self._columns(rows)

    def _columns(self, rows: list[Row]) -> None:
        cells = [_cells(one) for one in rows]
        if not self._widths:
            safe = [[ui.safe(cell) for cell in row] for row in (_HEADER, *cells)]
            self._widths = [max(pair) for pair in zip(_LEAST, ui.widths_of(safe), strict=True)]
            ui.answer(ui.styled(ui.aligned([_HEADER], self._widths)[0], "dim", sys.stdout))
        for row, text in zip(rows, ui.aligned(cells, self._widths), strict=True):
            ui.answer(text)
            if row["detail"]:
                ui.answer(ui.styled(f"  {ui.safe(row['detail'])}", "dim", sys.stdout))


def _cells(row: Row) -> tuple[str, ...]:
    call = f"{row['method'] or '-'} {row['tool']}" if row["tool"] else row["method"] or "-"
    who = row["principal"] or "-"
    outcome = _outcome(row) if row["phase"] == "done" else row["phase"]
    has_time = row["phase"] == "done" and row["duration_us"] is not None and row["count"] is None
    took = f"{row['duration_us'] / 1000:.1f}" if has_time else "-"
    cells = (
        moment_text(row["at"]),
        row["server"] or "-",
        call,
        who,
        row["peer"] or ("-" if row["count"] is None else "several"),
        outcome,
        row["status"] or "-",
        took,
    )
    return tuple(_short(str(cell)) for cell in cells)


def _outcome(row: Row) -> str:
    """The outcome in a word, how often, the limit that refused, those that would have, and what waived consent."""
    outcome = row["reason"] or row["outcome"]
    if row["count"] is not None:
        outcome += f" × {row['count']:,} until {moment_text(row['last_at'])[11:]}"
    by = f" ({row['limit_name']})" if row["limit_name"] else ""
    over = f", over {row['would_refuse']}" if row["would_refuse"] else ""
    waived = f", consent waived by {row['consent']}" if row["consent"] else ""
    why = f": {row['detail']}" if row["detail"] else ""
    return f"{outcome}{by}{over}{waived}{why}"


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
