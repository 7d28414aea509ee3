"""``mcpward log export``: the record for other programs, whole or a part of it, as a stream."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TextIO

import typer

from mcpward.cli import record_filter as options
from mcpward.cli import ui
from mcpward.cli.help import examples
from mcpward.cli.meant import meant
from mcpward.cli.site import ConfigOption, in_site, settings_of

if TYPE_CHECKING:
    from mcpward.operations.site import Site

_FORMATS: Final = ("jsonl", "csv", "ocsf")
_PRIVATE: Final = 0o600


@examples(
    "mcpward log export --since 2026-12-01 --until 2027-01-01 > december.jsonl",
    "mcpward log export --format csv --reason credential-invalid --output refused.csv",
    "mcpward log export --format ocsf --since 1d | gzip > day.ocsf.gz",
    "mcpward log export --acts --format csv > acts.csv",
)
def export(
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="jsonl, csv, or ocsf (API Activity, class 6003).")
    ] = "jsonl",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A new file of mode 0600, written completely or not at all. Default: stdout.",
        ),
    ] = None,
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
    config: ConfigOption = None,
    json: Annotated[bool, typer.Option("--json", help="The same as --format jsonl.")] = False,
) -> None:
    """Write every matching record, oldest first, one per line: requests and acts, in any number. Exit code 1 if nothing
    was found. The export itself is on record as an act.
    """
    if form not in _FORMATS:
        hint = meant(form, _FORMATS, f"there are: {', '.join(_FORMATS)}")
        raise ui.CommandEnded(ui.Exit.USAGE, f"there is no format {form!r}", hint)
    if json and form != "jsonl":
        raise ui.CommandEnded(ui.Exit.USAGE, f"--json is the format jsonl, not {form}", "leave one of them off")
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
        acts=True if acts else None,
    )
    settings = settings_of(config)

    async def work(site: "Site") -> None:
        from mcpward.operations.record_export import export_record

        with _written(output) as write:
            try:
                exported = await export_record(site, wanted, form, write, ui.progress)
            finally:
                ui.progress()
            if not exported.rows:
                raise await options.nothing_found(site, settings, wanted)
        if not exported.is_on_record:
            ui.remark("the disk is full: this export is not on record")
        ui.remark(f"{exported.rows:,} records")

    in_site(settings, work, must_exist=True)


@contextmanager
def _written(output: Path | None) -> Iterator[Callable[[str], None]]:
    """Open what is written to; a file takes its name only when it is whole.

    Raises:
        CommandEnded: there is such a file, or it cannot be made.
    """
    if output is None:
        stream = sys.stdout
        yield _lines_to(stream)
        stream.flush()
        return
    part = output.with_name(f".{output.name}.part")
    try:
        if output.exists():
            raise FileExistsError(17, "it exists already")
        part.unlink(missing_ok=True)
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE)
    except OSError as error:
        what = f"{output} cannot be written: {error.strerror}"
        raise ui.CommandEnded(ui.Exit.USAGE, what, "name another file") from None
    try:
        with os.fdopen(file, "w", encoding="utf-8") as opened:
            yield _lines_to(opened)
            opened.flush()
            os.fsync(opened.fileno())
        part.rename(output)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _lines_to(stream: TextIO) -> Callable[[str], None]:
    def write(text: str) -> None:
        stream.write(f"{text}\n")

    return write
