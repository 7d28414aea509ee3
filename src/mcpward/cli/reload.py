"""``mcpward reload``: has the running site read its files anew, and reports the changes or why there are none."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mcpward.cli import ui
from mcpward.cli.help import examples
from mcpward.cli.site import CLOCK, ConfigOption, JsonOption, file_of, in_site, loaded
from mcpward.config.load import load
from mcpward.config.model import Settings
from mcpward.core.errors import Misconfigured, Unreachable

if TYPE_CHECKING:
    from mcpward.app.running_site import ReloadReport, RunningSite
    from mcpward.operations.site import Site

_LOOK_S: Final = 0.1
#: Two reloads, each of which gives up after two minutes, and what a file takes.
_PATIENCE_S: Final = 300.0


@examples(
    "mcpward reload",
    "mcpward config check --load && mcpward reload",
    "mcpward reload --data /var/lib/mcpward --json",
)
def reload(
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The data folder of the site; else as its file says.")
    ] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Have the running site take its configuration, tools and TLS files anew. No call is dropped: new workers start
    beside those that run, and what is wrong changes nothing. Exit code 1 when it was not reloaded, 3 if no site runs.
    """
    from mcpward.app.running_site import find_sites

    settings, wrong = _settings(config, data)
    sites = find_sites(settings.site.data)
    if not sites:
        if wrong is not None:
            raise _refused(wrong)
        what = f"no site serves the data of {settings.site.data}"
        raise ui.CommandEnded(ui.Exit.UNREACHABLE, what, "mcpward serve; or name its data: mcpward reload --data DIR")
    is_shown = not json and sys.stderr.isatty()
    reports = [asyncio.run(_reloaded(site, is_shown=is_shown)) for site in sites]
    is_done = all(report.state == "done" for report in reports)
    _note(settings, reports)
    if json:
        ui.answer_json([_shape(site, report) for site, report in zip(sites, reports, strict=True)])
    else:
        for site, report in zip(sites, reports, strict=True):
            _tell(site, report)
    if not is_done:
        raise typer.Exit(ui.Exit.NO)


def _settings(config: Path | None, data: Path | None) -> tuple[Settings, Misconfigured | None]:
    """Return the settings with the place of the data, and the faults of the file.

    The site itself judges a file with mistakes; the place of its data then comes from the words, or the default.
    """
    given = {} if data is None else {"site.data": str(data)}
    try:
        return loaded(config, given).settings, None
    except Misconfigured as wrong:
        fallback = {} if data is not None or file_of(config) is None else _data_of(config)
        return load(None, os.environ, given | fallback), wrong


def _data_of(config: Path | None) -> dict[str, str]:
    """Return the data's place according to a file with mistakes, as far as it can be read."""
    import tomllib

    file = file_of(config)
    assert file is not None
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8")).get("site", {}).get("data")
    except (OSError, ValueError, AttributeError):
        return {}
    return {"site.data": said} if isinstance(said, str) else {}


def _refused(wrong: Misconfigured) -> ui.CommandEnded:
    for finding in wrong.findings:
        ui.error(*ui.words_of(finding))
    return ui.CommandEnded(ui.Exit.NO, "no site was found to reload", "mend the file, or name the data: --data DIR")


async def _reloaded(site: "RunningSite", *, is_shown: bool) -> "ReloadReport":
    """Ask for a reload and wait for one that began afterwards.

    Raises:
        Unreachable: the site has ended before it was reloaded, or does not report.
    """
    before = site.files.report()
    wanted = before.number + 1  # one that runs now may have read the files before they were changed
    site.ask()
    stage, ends_at = "", CLOCK.monotonic() + _PATIENCE_S
    while True:
        if CLOCK.monotonic() > ends_at:
            raise Unreachable(
                f"process {site.pid} did not report within {_PATIENCE_S:g} s", "the log of the site says why"
            )
        report = site.files.report()
        if report.number >= wanted and report.is_over:
            return report
        if is_shown and report.stage and report.stage != stage:
            stage = report.stage
            ui.remark(f"{stage} …")
        if not site.is_running():
            report = site.files.report()
            if report.number >= wanted and report.is_over:
                return report
            raise Unreachable(f"process {site.pid} has ended before it was reloaded", "the log of the site says why")
        await asyncio.sleep(_LOOK_S)


def _note(settings: Settings, reports: "Sequence[ReloadReport]") -> None:
    """Record the operator, and the result."""
    from mcpward.operations.acts import note_reload_asked

    async def work(site: "Site") -> None:
        for report in reports:
            said = report.taken or [finding.what for finding in report.findings]
            await note_reload_asked(site, report.state, said, is_done=report.state == "done")

    try:
        in_site(settings, work, must_exist=True)
    except (ui.CommandEnded, Unreachable, Misconfigured):
        ui.remark("this is not on record: the site's data cannot be written")


def _tell(site: "RunningSite", report: "ReloadReport") -> None:
    if report.state == "done":
        ui.remark(f"process {site.pid} reloaded in {report.took_s:.1f} s; calls that ran before go on to their end")
        for line in report.taken or ["settings and tool files are as before"]:
            ui.remark(f"  {ui.safe(line)}")
        return
    for finding in report.findings:
        ui.error(*ui.words_of(finding))
    ui.remark(f"process {site.pid} was not reloaded: it goes on with what it had")


def _shape(site: "RunningSite", report: "ReloadReport") -> dict[str, Any]:
    findings = [{"what": one.what, "where": one.where, "hint": one.hint} for one in report.findings]
    return {
        "pid": site.pid,
        "reloaded": report.state == "done",
        "seconds": round(report.took_s, 3),
        "changed": report.taken,
        "errors": findings,
    }
