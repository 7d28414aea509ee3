"""``mcpward log verify``: whether the record is as it was written, and which of its records is not."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcpward.cli import ui
from mcpward.cli.help import examples
from mcpward.cli.site import ConfigOption, JsonOption, in_site, settings_of
from mcpward.core.moment import moment_text

if TYPE_CHECKING:
    from mcpward.operations.records import Finding, Report, Verified
    from mcpward.operations.site import Site


@examples(
    "mcpward log verify",
    "mcpward log verify --json | jq .findings",
    "mcpward log verify --allow-gaps || mail -s 'the record was changed' root < /dev/null",
)
def verify(
    allow_gaps: Annotated[
        bool, typer.Option("--allow-gaps", help="Exit with 0 if mcpward itself noticed all missing records.")
    ] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Verify that no record was changed, removed or added since it was written, or name the first that was. Exit code 0
    if all are unchanged, 1 if not, or if a gap is on record. Exit code 3 if they cannot be read, or lack their master
    key.
    """
    from mcpward.operations.records import verify_record

    async def work(site: "Site") -> "Report":
        try:
            return await verify_record(site, ui.progress)
        finally:
            ui.progress()

    report = in_site(settings_of(config), work, must_exist=True, missing=ui.Exit.UNREACHABLE)
    if json:
        ui.answer_json(_shape(report))
    else:
        _print(report)
    if report.findings:
        hint = "compare it with a backup; the remaining records are kept, and mcpward goes on writing"
        raise ui.CommandEnded(ui.Exit.NO, _sentence(report.findings[0]), hint)
    if (report.gaps or report.missing) and not allow_gaps:
        hint = "a power cut, a restored copy or the removal of the newest records causes this"
        raise ui.CommandEnded(
            ui.Exit.NO, f"records are missing: {report.missing} or more, as mcpward noticed at the time", hint
        )
    if report.lost_keys:
        count = sum(chain.unverifiable for chain in report.chains)
        what = f"{count} records cannot be verified without the master key {', '.join(report.lost_keys)}"
        raise ui.CommandEnded(
            ui.Exit.UNREACHABLE, what, "add it behind the newest in MCPWARD_MASTER_KEY, or in its file"
        )


def _print(report: "Report") -> None:
    for chain in report.chains:
        ui.answer(ui.safe(f"{chain.chain}: {_extent(chain)}"))
    if report.uncovered:
        ui.answer(f"not covered: {report.uncovered} records from before the release with codes")
    for gap in report.gaps:
        ui.answer(ui.safe(f"gap: record {gap.seq}, {_moment(gap.at)}: {gap.detail}"))
    for finding in report.findings:
        ui.answer(ui.safe(f"{finding.kind}: {_sentence(finding)}"))


def _extent(chain: "Verified") -> str:
    said = f"{chain.records} records verified"
    if chain.records:
        said += f", from {_moment(chain.since)} to {_moment(chain.until)}"
    if chain.missing:
        said += f"; {chain.missing} are missing, as mcpward noticed at the time"
    if chain.unverifiable:
        said += f"; {chain.unverifiable} cannot be verified without the master key {', '.join(chain.keys)}"
    return said


def _sentence(finding: "Finding") -> str:
    if finding.seq is None:
        return finding.what
    which = "after record" if finding.id is None and finding.kind == "removed" else "record"
    place = f"{which} {finding.seq}" + (f" of {finding.chain}" if finding.chain else "")
    said = [
        place,
        *([_moment(finding.at)] if finding.at is not None else []),
        *([f"id {finding.id}"] if finding.id else []),
    ]
    return f"{', '.join(said)}: {finding.what}"


def _moment(at: float | None) -> str:
    try:
        return moment_text(at)
    except (OverflowError, ValueError, OSError):  # no time that a clock could have shown
        return "-"


def _shape(report: "Report") -> dict[str, Any]:
    from msgspec import to_builtins

    return {
        "intact": not report.findings,
        "records": report.records,
        "missing": report.missing,
        "uncovered": report.uncovered,
        "chains": [
            {name: value for name, value in to_builtins(chain).items() if name != "finding"} for chain in report.chains
        ],
        "gaps": to_builtins(report.gaps),
        "findings": to_builtins(report.findings),
    }
