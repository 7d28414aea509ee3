"""``mcpward approve``: a person's yes to calls whose client cannot ask, and to tools that changed."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from mcpward.cli import ui
from mcpward.cli.approve_tools import approve_tools
from mcpward.cli.help import examples
from mcpward.cli.operator import account
from mcpward.cli.site import CLOCK, ConfigOption, JsonOption, completed, in_site, settings_of
from mcpward.config.model import Settings
from mcpward.config.span import span_text
from mcpward.core.moment import moment_text

if TYPE_CHECKING:
    from mcpward.operations.approvals import Approval, Approvals
    from mcpward.operations.site import Site

T = TypeVar("T")
app = typer.Typer(
    help="What waits for a person's yes: calls (list, show, call, deny), and changed tools (tools).",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_HEADER: Final = ("id", "state", "server", "tool", "caller", "asked", "ends")


def waiting_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the id of a call that waits."""

    def known(settings: Settings) -> list[str]:
        from mcpward.operations.approvals import waiting

        return [one.row.id for one in _in_approvals(settings, waiting)]

    return completed(ctx, incomplete, known)


app.command("tools")(approve_tools)

IdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The id that the refused call named.", autocompletion=waiting_ids)
]


@app.command("list")
@examples("mcpward approve list", "mcpward approve list --all --json")
def list_waiting(
    every: Annotated[bool, typer.Option("--all", help="Also calls that were approved, denied or used.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List the calls that wait for a person's yes, the oldest first. Exit code 1 if none waits."""
    from mcpward.operations.approvals import waiting

    found = _in_approvals(settings_of(config), lambda approvals: waiting(approvals, are_decided_too=every))
    if json:
        ui.answer_json([_shape(one) for one in found])
    elif found:
        ui.table(_HEADER, [_row(one) for one in found])
    if not found:
        raise ui.CommandEnded(ui.Exit.NO, "no call waits for an approval")


@app.command("show")
@examples("mcpward approve show Ab12Cd34Ef56")
def show(approval_id: IdArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Print the whole call that waits: the question with every argument, the caller and the end. Secrets are redacted,
    and invisible characters are written as numbers.
    """
    from mcpward.operations.approvals import get

    one = _in_approvals(settings_of(config), lambda approvals: get(approvals, approval_id))
    if json:
        ui.answer_json(_shape(one))
        return
    _print(one)


@app.command("call")
@examples("mcpward approve call Ab12Cd34Ef56", "mcpward approve call Ab12Cd34Ef56 --yes")
def approve(
    approval_id: IdArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not show the call and ask first.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Approve a call. Only its own caller can make it, with exactly these arguments, once. Every worker applies the
    approval at once. At a terminal the call is shown first, and --yes answers for the person.
    """
    from mcpward.operations.approvals import get

    settings = settings_of(config)
    if not yes:
        one = _in_approvals(settings, lambda approvals: get(approvals, approval_id))
        _print(one, remark=True)
        if not ui.confirmed("approve this call?"):
            raise ui.CommandEnded(ui.Exit.NO, "nothing was approved", "answer y, or add --yes")
    one = _decided(settings, approval_id, yes=True)
    if json:
        ui.answer_json(_shape(one))
    until = moment_text(one.row.expires_at)
    ui.remark(f"approved: the caller can make this call once, with the same arguments, until {until}")


@app.command("deny")
@examples("mcpward approve deny Ab12Cd34Ef56")
def deny(approval_id: IdArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Deny a call. Its caller gets that answer each time it repeats the call, until the time is over."""
    settings = settings_of(config)
    one = _decided(settings, approval_id, yes=False)
    if json:
        ui.answer_json(_shape(one))
    ui.remark(f"denied: the same call is refused for {span_text(settings.approvals.lifetime)}")


def _decided(settings: Settings, approval_id: str, *, yes: bool) -> "Approval":
    from mcpward.operations.approvals import decide

    by = f"operator:{account()}"
    return _in_approvals(settings, lambda approvals: decide(approvals, approval_id, by, yes=yes))


def _in_approvals(settings: Settings, work: "Callable[[Approvals], Awaitable[T]]") -> T:
    from mcpward.operations.approvals import approvals_of

    async def opened(site: "Site") -> T:
        return await work(approvals_of(site, settings, CLOCK))

    return in_site(settings, opened, must_exist=True)


def _print(one: "Approval", *, remark: bool = False) -> None:
    write = ui.remark if remark else ui.answer
    for line in ui.aligned(
        [(name.replace("_", " "), value) for name, value in _shape(one).items() if _is_plain(value)]
    ):
        write(line)
    write()
    if one.call is None:
        write("the call cannot be read: it was sealed with another master key")
        return
    for line in one.call.question.split("\n"):
        write(ui.safe(line))


def _is_plain(value: object) -> bool:
    return isinstance(value, str) and "\n" not in value


def _row(one: "Approval") -> tuple[object, ...]:
    row, call = one.row, one.call
    who = call.who if call is not None else "-"
    return (row.id, row.status, row.server, row.tool, who, moment_text(row.created_at), moment_text(row.expires_at))


def _shape(one: "Approval") -> dict[str, Any]:
    row, call = one.row, one.call
    return {
        "id": row.id,
        "state": row.status,
        "server": row.server,
        "tool": row.tool,
        "caller": None if call is None else call.who,
        "key": None if call is None else call.key_id,
        "peer": None if call is None else call.peer,
        "asked_at": moment_text(row.created_at),
        "ends_at": moment_text(row.expires_at),
        "decided_at": moment_text(row.decided_at, "") or None,
        "decided_by": row.decided_by,
        "question": None if call is None else call.question,
        "arguments": None if call is None else call.arguments,
    }
