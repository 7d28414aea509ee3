"""The options of the record's verbs that choose records, and the answer to an unknown name."""

import re
from ipaddress import ip_network
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mcpward.cli import ui
from mcpward.cli.limit_match import limit_names
from mcpward.cli.meant import meant
from mcpward.cli.site import CLOCK, completed, server_names
from mcpward.cli.timespan import parse_start
from mcpward.config.model import Settings
from mcpward.core import renamed
from mcpward.core.reasons import Reason
from mcpward.operations.record_row import OUTCOMES

if TYPE_CHECKING:
    from mcpward.operations.records import TrafficFilter
    from mcpward.operations.site import Site

_ERROR_ID: Final = re.compile(r"[0-9a-f]{12}", re.ASCII)
_REASONS: Final = tuple(reason.value for reason in Reason)


def _reason_names(ctx: typer.Context, incomplete: str) -> list[str]:
    return completed(ctx, incomplete, lambda _: _REASONS)


def _outcome_names(ctx: typer.Context, incomplete: str) -> list[str]:
    return completed(ctx, incomplete, lambda _: OUTCOMES)


ServerOption = Annotated[
    str | None,
    typer.Option("--server", "-s", metavar="NAME", help="Only this server.", autocompletion=server_names),
]
ToolOption = Annotated[str | None, typer.Option(metavar="NAME", help="Only calls of this tool.")]
KeyOption = Annotated[str | None, typer.Option(metavar="ID", help="Only calls and refusals of the key of this id.")]
ReasonOption = Annotated[
    str | None,
    typer.Option(
        metavar="REASON",
        help="Only refusals for this reason, such as rate-exceeded.",
        autocompletion=_reason_names,
    ),
]
OutcomeOption = Annotated[
    str | None,
    typer.Option(
        metavar="OUTCOME",
        help="Only this outcome: ok, error, refused, fault, cancelled, asked or pending.",
        autocompletion=_outcome_names,
    ),
]
AddressOption = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Only requests from this address.")]
SinceOption = Annotated[
    str | None, typer.Option(metavar="WHEN", help="From this time: 2h, 3d, 2026-12-31T10:00. Prints all matches.")
]
UntilOption = Annotated[
    str | None, typer.Option(metavar="WHEN", help="Up to this time: 2h, 3d, 2026-12-31T10:00. Prints all matches.")
]
LimitOption = Annotated[
    str | None,
    typer.Option(
        metavar="LIMIT",
        help="Only requests that this limit refused, or would have refused.",
        autocompletion=limit_names,
    ),
]
ErrorIdOption = Annotated[
    str | None,
    typer.Option("--error-id", metavar="ID", help="Only the failed call with this error id, which its caller has."),
]
ShadowOption = Annotated[bool, typer.Option("--would-refuse", help="Only requests over a limit that is not enforced.")]
ActsOption = Annotated[
    bool, typer.Option("--acts", help="Only operators' acts: account, host, command, values before and after.")
]


def chosen(
    *,
    server: str | None,
    tool: str | None,
    key: str | None,
    reason: str | None,
    outcome: str | None,
    address: str | None,
    since: str | None,
    until: str | None,
    limit: str | None,
    would_refuse: bool,
    error_id: str | None,
    acts: bool | None,
) -> "TrafficFilter":
    """Return the filter that the options ask for.

    Raises:
        CommandEnded: a reason, an outcome, an address or an error id that no record can have, or a moment that is none.
    """
    from mcpward.operations.records import TrafficFilter

    now = CLOCK.now()
    begin = parse_start(since, now, "--since") if since else None
    end = parse_start(until, now, "--until") if until else None
    if begin is not None and end is not None and begin >= end:
        raise ui.CommandEnded(ui.Exit.USAGE, "--since is not before --until", "the range is empty")
    if reason is not None:
        _require("reason", reason, _REASONS, renamed.REASONS)
    if outcome is not None:
        _require("outcome", outcome, OUTCOMES, {})
    return TrafficFilter(
        server=server,
        tool=tool,
        key_id=None if key is None else _key_id(key),
        reason=reason,
        outcome=outcome,
        peer=None if address is None else _address(address),
        by_limit=limit,
        would_refuse=would_refuse,
        error_id=None if error_id is None else _error_id(error_id),
        since=begin,
        until=end,
        acts=acts,
    )


async def nothing_found(site: "Site", settings: Settings, wanted: "TrafficFilter") -> ui.CommandEnded:
    """Return why nothing was found: a name that does not exist, with the one that was probably meant."""
    from mcpward.operations.records import Word, unknown_name

    wrong = await unknown_name(site, settings, wanted)
    if wrong is not None:
        name, known = wrong.name, wrong.known
        match wrong.word:
            case Word.SERVER:
                what = f"there is no server {name!r} in the site's file or in the record"
                return ui.CommandEnded(ui.Exit.USAGE, what, meant(name, known))
            case Word.LIMIT:
                return ui.CommandEnded(ui.Exit.USAGE, f"there is no limit {name!r}", _limit_hint(name, known))
            case Word.KEY:
                what, hint = f"there is no key {name!r}, and no record of one", "mcpward key list --all"
                return ui.CommandEnded(ui.Exit.NO, what, meant(name, known, otherwise=hint))
            case Word.TOOL:
                return ui.CommandEnded(ui.Exit.NO, f"no record names a tool {name!r}", meant(name, known))
    if wanted.error_id is not None:
        hint = "the record is of another site, older than traffic.retention, or not written yet; the log may have it"
        return ui.CommandEnded(ui.Exit.NO, f"no record has the error id {wanted.error_id}", hint)
    return ui.CommandEnded(ui.Exit.NO, "no records found")


def _require(kind: str, word: str, known: tuple[str, ...], old: Any) -> None:
    if word in known:
        return
    hint = f"{word} is now {old[word]}" if word in old else meant(word, known, f"there are: {', '.join(known)}")
    raise ui.CommandEnded(ui.Exit.USAGE, f"there is no {kind} {word!r}", hint)


def _limit_hint(word: str, limits: Any) -> str:
    if word in renamed.LIMITS:
        return f"{word} is now {renamed.LIMITS[word]}"
    if word.isascii() and word.isdigit():
        return f"-n {word} prints the newest {word}; --limit takes the name of a limit"
    return meant(word, limits)


def _key_id(text: str) -> str:
    from mcpward.operations.key_form import id_in_key

    inside = id_in_key(text)
    if inside is not None:
        what = "that is a key, not a key id; it is now in your shell history: rotate it"
        raise ui.CommandEnded(ui.Exit.USAGE, what, f"its id is {inside}")
    return text


def _error_id(text: str) -> str:
    """Return an error id as the record has it, also from ``(error 7f3a00aa11bb)``."""
    word = text.strip(" ().").removeprefix("error").strip().lower()
    if not _ERROR_ID.fullmatch(word):
        raise ui.CommandEnded(ui.Exit.USAGE, "--error-id is not an error id", "write its 12 hex digits: 7f3a00aa11bb")
    return word


def _address(text: str) -> str:
    """Return an address as the record spells it."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ui.CommandEnded(ui.Exit.USAGE, "--address is not an address", "write 192.0.2.7 or 2001:db8::1") from None
    return str(network) if "/" in text else str(network.network_address)
