"""Which limits and callers ``mcpward limits`` is asked about, and what becomes of a name that nobody has."""

import re
from typing import TYPE_CHECKING, Final

import typer

from mcpward.cli import ui
from mcpward.cli.meant import meant
from mcpward.cli.site import chosen_server, completed, in_site
from mcpward.config.model import Settings
from mcpward.core import renamed
from mcpward.core.errors import Misconfigured, Unreachable

if TYPE_CHECKING:
    from mcpward.limits.rates.bucket_usage import BucketFilter
    from mcpward.operations.site import Site

LOOPS: Final = "repeat"
_KEY: Final = "api-key:"
_KEY_ID: Final = re.compile(r"[0-9A-Za-z]{12}", re.ASCII)
_NAMES: Final = (
    "auth_failures", "requests", "caller", "read", "write", "destructive", "discovery", "lifecycle", "total",
    "quota-hour", "quota-day", "quota-month", "key", "tool", LOOPS,
)  # fmt: skip


def limit_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a limit, those of budgets too."""
    return completed(ctx, incomplete, known_limits)


def known_limits(settings: Settings) -> list[str]:
    """Return the names of all limits of a site, those of budgets too."""
    return [*_NAMES, *_budget_limits(settings)]


def match_of(settings: Settings, server: str | None, caller: str | None, limit: str | None) -> "BucketFilter":
    """Return which buckets are meant by the options. A key may be named by its id only.

    Raises:
        CommandEnded: there is no such server.
    """
    from mcpward.limits.rates.bucket_usage import BucketFilter

    if caller is not None and _KEY_ID.fullmatch(caller):
        caller = _KEY + _first_key(settings, caller)
    return BucketFilter(server=None if server is None else chosen_server(settings, server), caller=caller, limit=limit)


def _first_key(settings: Settings, key_id: str) -> str:
    """Return the id under which limits know a key: a rotated one is the caller that its first was."""
    from mcpward.operations.denied import Denied
    from mcpward.operations.keys import first_key

    try:
        return in_site(settings, lambda site: first_key(site, key_id), must_exist=True)
    except (Denied, ui.CommandEnded, Unreachable, Misconfigured):
        return key_id  # of another site with the same counters, or the site's data are on another host


def words_of(match: "BucketFilter") -> str:
    """Return which buckets are meant."""
    parts = [
        f"the limit {match.limit}" if match.limit is not None else "all limits",
        f"of server {match.server}" if match.server is not None else "",
        f"by {match.caller}" if match.caller is not None else "",
    ]
    return " ".join(part for part in parts if part)


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
    known = _callers(settings)
    if known is None or caller in known:
        return None
    if caller.startswith(_KEY):
        what = f"there is no key {caller.removeprefix(_KEY)!r}, and no record of one"
    else:
        what = f"there is no caller {caller!r}: no record names it"
    return ui.CommandEnded(ui.Exit.NO, what, meant(caller, known, otherwise="mcpward key list prints the ids of keys"))


def _callers(settings: Settings) -> list[str] | None:
    """Return keys, and callers and addresses on record; None where the site's data cannot be read here."""

    async def work(site: "Site") -> list[str]:
        keys = [_KEY + key.id for key in await site.store.keys.list()]
        traffic = site.store.traffic
        return [*dict.fromkeys([*keys, *await traffic.known("principal"), *await traffic.known("peer")])]

    try:
        return in_site(settings, work, must_exist=True)
    except (ui.CommandEnded, Unreachable, Misconfigured):
        return None


def hint_of(limit: str | None) -> str:
    """Return where the use of a limit is seen that is not listed."""
    if limit == LOOPS:
        return f"loops are counted per call and not listed: mcpward log --limit {LOOPS} shows the refused calls"
    return ""


def _budget_limits(settings: Settings) -> list[str]:
    names = []
    for name, table in settings.budgets.items():
        budget = table.budget(name)
        names += [f"budget-{name}"] if budget.rate is not None else []
        names += [f"budget-{name}-{budget.quota.period.value}"] if budget.quota is not None else []
    return names
