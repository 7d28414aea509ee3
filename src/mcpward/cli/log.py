"""``mcpward log``: the record of every request. Text of callers is made safe before it reaches a terminal."""

import asyncio
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mcpward.cli import record_filter as options
from mcpward.cli import ui
from mcpward.cli.export import export
from mcpward.cli.help import examples
from mcpward.cli.site import ConfigOption, in_site, left_to_subcommand, settings_of
from mcpward.cli.verify import verify
from mcpward.core.moment import moment_text
from mcpward.operations.record_row import ACT, line

if TYPE_CHECKING:
    from mcpward.operations.records import TrafficFilter
    from mcpward.operations.site import Site

_HEADER: Final = ("time", "server", "call", "who", "address", "outcome", "http", "ms")
_LEAST: Final = (20, 8, 24, 20, 15, 20, 4, 8)
_ACTS_HEADER: Final = ("time", "who", "terminal", "address", "command", "what")
_ACTS_LEAST: Final = (20, 16, 10, 10, 14, 8)
_POLL_S: Final = 0.25
_NEWEST: Final = 50
#: Rows that are laid out together; the first of these batches determines the width of the columns.
_BATCH: Final = 500
Row = Mapping[str, Any]

app = typer.Typer(rich_markup_mode=None)
app.command("export")(export)
app.command("verify")(verify)


@app.callback(invoke_without_command=True)
@examples(
    "mcpward log --reason credential-invalid --since 1h",
    "mcpward log --error-id 7f3a00aa11bb",
    "mcpward log --acts --since 30d",
    "mcpward log --tool cancel_order --json | jq .principal",
    "mcpward log --would-refuse --since 7d --json | jq -r .would_refuse | sort | uniq -c",
    "mcpward log --follow",
)
def log(
    ctx: typer.Context,
    server: options.ServerOption = None,
    tool: options.ToolOption = None,
    key: options.KeyOption = None,
    reason: options.ReasonOption = None,
    outcome: options.OutcomeOption = None,
    address: options.AddressOption = None,
    since: options.SinceOption = None,
    until: options.UntilOption = None,
    limit: options.LimitOption = None,
    would_refuse: options.ShadowOption = False,
    error_id: options.ErrorIdOption = None,
    acts: options.ActsOption = False,
    lines: Annotated[
        int | None,
        typer.Option(
            "--lines",
            "-n",
            metavar="N",
            min=1,
            max=100_000,
            help="Number of newest records. Default: 50, or all with --since, --until or --json.",
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Keep running, and print new records as they arrive.")
    ] = False,
    config: ConfigOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Print the record of requests, oldest first; with --acts, operators' acts. Exit code 1 if nothing was found. If it
    prints only a part, stderr has the total.
    """
    if left_to_subcommand(ctx):
        return
    wanted = options.chosen(
        server=server,
        tool=tool,
        key=key,
        reason=reason,
        outcome=outcome,
        address=address,
        since=since,
        until=until,
        limit=limit,
        would_refuse=would_refuse,
        error_id=error_id,
        acts=acts,
    )
    is_bounded = since is None and until is None and (follow or not json)
    most = lines or (_NEWEST if is_bounded else None)
    settings = settings_of(config)
    printer = _Printer(as_json=json, acts=acts)

    async def work(site: "Site") -> None:
        found = await _print(site, wanted, printer, most)
        if not found:
            ended = await options.nothing_found(site, settings, wanted)
            if not follow or ended.code is ui.Exit.USAGE:
                raise ended
        if follow:
            await _follow(site, wanted, printer)

    in_site(settings, work, must_exist=not follow)


async def _print(site: "Site", wanted: "TrafficFilter", printer: "_Printer", most: int | None) -> int:
    """Print the found rows, at most the newest ``most``, and return their number; print a remark if there are more."""
    from mcpward.operations.records import newest, stream

    if most is None:
        count = await stream(site, wanted, printer.take)
        printer.flush()
        return count
    found = await newest(site, wanted, most)
    printer.show([*found.rows])
    if found.of > len(found.rows):
        ui.remark(f"{len(found.rows):,} of {found.of:,}; -n for more")
    return len(found.rows)


async def _follow(site: "Site", wanted: "TrafficFilter", printer: "_Printer") -> None:
    from mcpward.operations.records import newer_than

    while True:
        printer.show(await newer_than(site, wanted, printer.last))
        await asyncio.sleep(_POLL_S)


class _Printer:
    """Prints rows as they come; the columns keep the width of the first ones.

    ``last`` is the ``seq`` of the newest row that was printed.
    """

    def __init__(self, *, as_json: bool, acts: bool = False) -> None:
        self.last = 0
        self._as_json = as_json
        self._header: tuple[str, ...] = _ACTS_HEADER if acts else _HEADER
        self._least: tuple[int, ...] = _ACTS_LEAST if acts else _LEAST
        self._cells = _cells_of_act if acts else _cells
        self._has_detail = not acts
        self._widths: list[int] = []
        self._waiting: list[Row] = []

    def take(self, row: Row) -> None:
        """Print a row of many, with those around it."""
        self._waiting.append(row)
        if self._as_json or len(self._waiting) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Print what waits."""
        rows, self._waiting = self._waiting, []
        self.show(rows)

    def show(self, rows: list[Row]) -> None:
        """Print rows."""
        if rows:
            self.last = max(self.last, rows[-1]["seq"])
        if self._as_json:
            for row in rows:
                ui.answer(line({"time": moment_text(row["at"]), **row}))
        elif rows:
            self._columns(rows)

    def _columns(self, rows: list[Row]) -> None:
        cells = [self._cells(one) for one in rows]
        if not self._widths:
            safe = [[ui.safe(cell) for cell in row] for row in (self._header, *cells)]
            self._widths = [max(pair) for pair in zip(self._least, ui.widths_of(safe), strict=True)]
            ui.answer(ui.styled(ui.aligned([self._header], self._widths)[0], "dim", sys.stdout))
        for row, text in zip(rows, ui.aligned(cells, self._widths), strict=True):
            ui.answer(text)
            if row["detail"] and self._has_detail:
                ui.answer(ui.styled(f"  {ui.safe(row['detail'])}", "dim", sys.stdout))


def _cells(row: Row) -> tuple[str, ...]:
    call = f"{row['method'] or '-'} {row['tool']}" if row["tool"] else row["method"] or "-"
    who = row["principal"] or (f"key {row['key_id']}" if row["key_id"] else "-")
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


def _cells_of_act(row: Row) -> tuple[str, ...]:
    assert row["phase"] == ACT
    cells = (moment_text(row["at"]), row["principal"], row["client"] or "-", row["peer"] or "-", row["method"])
    return (*(_short(str(cell)) for cell in cells), row["detail"] or "-")


def _outcome(row: Row) -> str:
    """The outcome in a word, its error id, how often, the limits that refused or would have, how consent was had."""
    outcome = row["reason"] or row["outcome"]
    if row["count"] is not None:
        outcome += f" × {row['count']:,} until {moment_text(row['last_at'])[11:]}"
    under = f" (error {row['error_id']})" if row["error_id"] else ""
    by = f" ({row['limit_name']})" if row["limit_name"] else ""
    over = f", over {row['would_refuse']}" if row["would_refuse"] else ""
    return f"{outcome}{under}{by}{over}{_consent(row['consent'] or '')}"


def _consent(by: str) -> str:
    """Return how a person's yes was had: by the client, by an approval elsewhere, or waived by the operator."""
    if not by:
        return ""
    if by == "client":
        return ", a person agreed at the client"
    return f", by {by}" if by.startswith("approval") else f", consent waived by {by}"


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
