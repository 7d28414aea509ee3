"""The limits and callers that ``mcpward limits`` selects, and the answer to an unknown name."""

from typing import TYPE_CHECKING

import typer

from mcpward.cli import ui
from mcpward.cli.meant import meant
from mcpward.cli.site import chosen_server, completed, in_site
from mcpward.config.model import Settings
from mcpward.core import renamed
from mcpward.core.errors import Misconfigured, Unreachable
from mcpward.operations.limit_names import LOOPS, known_limits

if TYPE_CHECKING:
    from mcpward.operations.limit_callers import BucketFilter


def limit_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a limit, those of budgets too."""
    return completed(ctx, incomplete, known_limits)


def match_of(settings: Settings, server: str | None, caller: str | None, limit: str | None) -> "BucketFilter":
    """Return which buckets are meant by the options. A key may be named by its id only.

    Raises:
        CommandEnded: there is no such server.
    """
    from mcpward.operations.limit_callers import BucketFilter, is_key_id

    if caller is not None and is_key_id(caller):
        caller = _holder(settings, caller)
    return BucketFilter(server=None if server is None else chosen_server(settings, server), caller=caller, limit=limit)


def _holder(settings: Settings, key_id: str) -> str:
    from mcpward.operations.limit_callers import KEY, caller_of

    try:
        return in_site(settings, lambda site: caller_of(site, key_id), must_exist=True)
    except (ui.CommandEnded, Unreachable, Misconfigured):
        return KEY + key_id  # the site's data are on another host


def unknown_in(settings: Settings, match: "BucketFilter") -> ui.CommandEnded | None:
    """Return what is wrong with the names: no such limit, or a caller that neither keys nor record have."""
    wrong = None if match.limit is None else _unknown_limit(settings, match.limit)
    return wrong or (None if match.caller is None else _unknown_caller(settings, match.caller))


def _unknown_limit(settings: Settings, limit: str) -> ui.CommandEnded | None:
    known = known_limits(settings)
    if limit in known:
        return None
    own = [name for name in known if name == f"budget-{limit}" or name.startswith(f"budget-{limit}-")]
    if limit in renamed.LIMITS:
        hint = f"{limit} is now {renamed.LIMITS[limit]}"
    else:  # people name a budget as its table is named
        hint = f"did you mean {' or '.join(own)}?" if own else meant(limit, known)
    return ui.CommandEnded(ui.Exit.USAGE, f"there is no limit {limit!r}", hint)


def _unknown_caller(settings: Settings, caller: str) -> ui.CommandEnded | None:
    from mcpward.operations.limit_callers import KEY

    known = _callers(settings)
    if known is None or caller in known:
        return None
    if caller.startswith(KEY):
        what = f"there is no key {caller.removeprefix(KEY)!r}, and no record of one"
    else:
        what = f"there is no caller {caller!r}: no record names it"
    return ui.CommandEnded(ui.Exit.NO, what, meant(caller, known, otherwise="mcpward key list prints the ids of keys"))


def _callers(settings: Settings) -> list[str] | None:
    """Return keys, and callers and addresses on record; None if the site's data cannot be read here."""
    from mcpward.operations.limit_callers import known_callers

    try:
        return in_site(settings, known_callers, must_exist=True)
    except (ui.CommandEnded, Unreachable, Misconfigured):
        return None


def hint_of(limit: str | None) -> str:
    """Return a hint on a limit that is not listed: the command that shows its use."""
    if limit == LOOPS:
        return f"loops are counted per call and not listed: mcpward log --limit {LOOPS} shows the refused calls"
    return ""
