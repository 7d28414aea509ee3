"""``mcpward limits``: the present use of callers' limits, and a way to reset it."""

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from mcpward.cli import ui
from mcpward.cli.help import examples
from mcpward.cli.limit_match import hint_of, limit_names, match_of, unknown_in
from mcpward.cli.site import (
    CLOCK,
    ConfigOption,
    JsonOption,
    in_site,
    left_to_subcommand,
    server_names,
    settings_of,
)
from mcpward.cli.usage_bar import lines_of, shape_of
from mcpward.config.model import Settings
from mcpward.core.errors import Misconfigured, Unreachable
from mcpward.core.moment import moment_text
from mcpward.operations.limit_names import LOOPS

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from mcpward.operations.limit_callers import BucketFilter
    from mcpward.operations.limit_usage import LimitUsage
    from mcpward.operations.site import Site
    from mcpward.operations.worker_query import WorkerAnswers

T = TypeVar("T")
_EVERY_S: Final = 2.0
_CLEAR: Final = "\x1b[H\x1b[2J"
_NOTHING: Final = "no limit is in use"
app = typer.Typer(rich_markup_mode=None)


ServerOption = Annotated[
    str | None,
    typer.Option("--server", "-s", metavar="NAME", help="Only limits of this server.", autocompletion=server_names),
]
CallerOption = Annotated[
    str | None,
    typer.Option(metavar="WHO", help="Only this caller, as in the record (api-key:ID), or the key's ID."),
]
LimitOption = Annotated[
    str | None,
    typer.Option(metavar="LIMIT", help="Only this limit, such as read or budget-stripe.", autocompletion=limit_names),
]


@app.callback(invoke_without_command=True)
@examples(
    "mcpward limits",
    "mcpward limits --caller 4f9QkZp2LmXa --watch",
    "mcpward limits --limit budget-stripe --json | jq '.[].remaining'",
)
def limits(
    ctx: typer.Context,
    server: ServerOption = None,
    caller: CallerOption = None,
    limit: LimitOption = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Refresh every two seconds.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show the current use of limits, the most used first. Exit code 1 if none is in use, 3 if no worker answers."""
    if left_to_subcommand(ctx):
        return
    from mcpward.operations.limit_callers import words_of

    settings = settings_of(config)
    match = match_of(settings, server, caller, limit)
    _require_known(settings, match)
    if watch:
        _with_tally(settings, lambda tally: _watch(tally, match, as_json=json))
        return
    answer = _with_tally(settings, lambda tally: tally.uses(match))
    if json:
        ui.answer_json([shape_of(use) for use in answer.uses])
    elif answer.uses:
        _lines(lines_of([*answer.uses]))
    _remark(answer)
    if not answer.uses:
        raise ui.CommandEnded(ui.Exit.NO, f"no limit is in use of {words_of(match)}", hint_of(limit))


@app.command("reset")
@examples(
    "mcpward limits reset --caller 4f9QkZp2LmXa",
    "mcpward limits reset --limit budget-stripe --yes",
    "mcpward limits reset --server orders --limit quota-day --yes",
)
def reset(
    server: ServerOption = None,
    caller: CallerOption = None,
    limit: LimitOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Reset the use of a caller, a limit, a server or all. Exit code 1 if nothing was in use, 3 if no worker
    answers.
    """
    from mcpward.operations.limit_callers import words_of

    settings = settings_of(config)
    match = match_of(settings, server, caller, limit)
    _require_known(settings, match)
    what = words_of(match)
    if not yes and not ui.confirmed(f"reset the use of {what}?"):
        raise ui.CommandEnded(ui.Exit.NO, "nothing was reset", "--yes resets without asking")
    answer = _with_tally(settings, lambda tally: tally.reset(match))
    if settings.limits.is_shared and not answer.away:
        _tell_workers(settings, match)
    _note(settings, match, answer)
    if json:
        ui.answer_json({"reset": answer.found})
    _remark(answer)
    if not answer.found:
        if limit != LOOPS:
            raise ui.CommandEnded(ui.Exit.NO, f"nothing was in use of {what}")
        ui.remark("loop counters are reset")  # workers forget what they know of them, and do not count that
        return
    ui.remark(f"{answer.found} counter{'' if answer.found == 1 else 's'} of {ui.safe(what)} reset")


def _require_known(settings: Settings, match: "BucketFilter") -> None:
    """Check that there are such a limit and such a caller. Whatever is in use exists, though nothing here names it.

    Raises:
        CommandEnded: there are not.
    """
    wrong = unknown_in(settings, match)
    if wrong is None:
        return
    try:
        is_used = bool(_with_tally(settings, lambda tally: tally.uses(match)).uses)
    except (ui.CommandEnded, Unreachable, Misconfigured):
        is_used = False
    if not is_used:
        raise wrong


def _with_tally(settings: Settings, work: "Callable[[LimitUsage], Awaitable[T]]") -> T:
    from mcpward.operations.counters_url import counters_url
    from mcpward.operations.limit_usage import ask_store, ask_workers

    url = counters_url(settings)

    async def ask(tallying: "AbstractAsyncContextManager[LimitUsage]") -> T:
        async with tallying as tally:
            return await work(tally)

    if url is not None:
        return asyncio.run(ask(ask_store(settings, url, CLOCK)))
    return in_site(settings, lambda site: ask(ask_workers(site, CLOCK)), must_exist=True, missing=ui.Exit.UNREACHABLE)


def _tell_workers(settings: Settings, match: "BucketFilter") -> None:
    """Have workers return their own counts: an address that one has locked out would stay so otherwise."""
    from mcpward.operations.limit_usage import ask_workers

    async def tell(site: "Site") -> None:
        async with ask_workers(site, CLOCK) as workers:
            await workers.reset(match)

    try:
        in_site(settings, tell, must_exist=True)
    except (ui.CommandEnded, Unreachable, Misconfigured):
        ui.remark("no worker of this host answers: a running one may still block an address")


def _note(settings: Settings, match: "BucketFilter", answer: "WorkerAnswers") -> None:
    """Record that limits were reset, and print a remark if that cannot be recorded."""
    from mcpward.operations.acts import note_limits_reset

    try:
        in_site(settings, lambda site: note_limits_reset(site, match, answer.found), must_exist=True)
    except (ui.CommandEnded, Unreachable, Misconfigured):
        ui.remark("the reset is not on record: the site's data are not here, or cannot be written")


def _remark(answer: "WorkerAnswers") -> None:
    if answer.away:
        ui.remark(f"{ui.safe(answer.away)}; these are the counters of this host's workers")
    if answer.answered < answer.workers:
        ui.remark(f"{answer.answered} of {answer.workers} workers answered; the others are not counted")
    if answer.failed:
        ui.remark(f"{answer.failed} of {answer.workers} workers failed to answer")
    if answer.left_out:
        ui.remark(f"{answer.left_out} less used ones are not shown: narrow it with --caller, --limit or --server")


async def _watch(tally: "LimitUsage", match: "BucketFilter", *, as_json: bool) -> None:
    answer, otherwise = await tally.uses(match), _NOTHING
    while True:
        uses = [*answer.uses]
        if as_json:
            shapes = [shape_of(use) for use in uses]
            ui.answer_json({"time": moment_text(CLOCK.now()), "uses": shapes}, indent=None)
        else:
            _screen(uses, otherwise, ui.safe(answer.away))
        await asyncio.sleep(_EVERY_S)
        try:
            answer = await tally.uses(match)
            otherwise = _NOTHING
        except Unreachable as away:  # workers may stop and start again meanwhile
            answer, otherwise = _no_answer(), away.what


def _no_answer() -> "WorkerAnswers":
    from mcpward.operations.worker_query import WorkerAnswers

    return WorkerAnswers()


def _screen(uses: list[Any], otherwise: str, note: str = "") -> None:
    """Show the most used that fit; without a screen, all of them, and a line between."""
    is_screen = sys.stdout.isatty()
    rows = shutil.get_terminal_size().lines - 1 - bool(note) if is_screen else None
    lines = lines_of(uses, rows) if uses else [otherwise]
    lines += [note] if note else []
    ui.answer((_CLEAR if is_screen else "") + "\n".join(lines) + ("" if is_screen else "\n"))


def _lines(lines: list[str]) -> None:
    for line in lines:
        ui.answer(line)
