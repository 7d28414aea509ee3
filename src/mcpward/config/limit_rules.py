"""Rules of limits that look at more than one key: a budget limits something, and is the one that was meant."""

from collections.abc import Iterator
from typing import Final

from mcpward.config.counters import SCHEMES, read_counters
from mcpward.config.model import Settings
from mcpward.config.names import nearest
from mcpward.config.violations import Rule, Violation

CLEAR: Final = "limits.counters: the password would travel in clear to {host}, which is not a private address"
CLEAR_HINT: Final = "write rediss:// (TLS), or the private address of the same host"


def budget_of_something(settings: Settings) -> Iterator[Violation]:
    """A budget without rate and quota would look like a limit and be none."""
    for name, budget in settings.budgets.items():
        if budget.rate is None and budget.quota is None:
            yield Violation(
                (f"budgets.{name}", f"budgets.{name}.rate", f"budgets.{name}.quota"),
                f"budgets.{name} has neither rate nor quota",
                'write rate = "25/second", quota = "10000/day", or both',
            )


def known_budgets(settings: Settings) -> Iterator[Violation]:
    """An operator's draw of a tool must name one of the budgets of the file."""
    for server, table in settings.servers.items():
        for tool, added in table.tools.items():
            key = f"servers.{server}.tools.{tool}.budgets"
            for budget in added.budgets:
                if budget not in settings.budgets:
                    meant = nearest(budget, settings.budgets)
                    hint = f"did you mean {meant}?" if meant else f'write [budgets.{budget}] with rate = "…"'
                    yield Violation((key, f"budgets.{budget}"), f"{key}: there is no [budgets.{budget}]", hint)


def counters_in_clear(settings: Settings) -> Iterator[Violation]:
    """The password of Redis is a credential: it crosses no network in clear but private ones."""
    text = settings.limits.counters
    url = read_counters(text) if text.startswith(SCHEMES) else None
    host = url.in_clear if url is not None else None
    if host is not None:
        yield Violation(
            ("limits.counters",),
            CLEAR.format(host=host),
            CLEAR_HINT,
        )


def divided_by_workers(settings: Settings) -> Iterator[Violation]:
    """In memory each worker has its part of what is one for all; less than one call cannot be a part."""
    workers = settings.site.workers
    if settings.limits.is_shared or workers == 1:
        return
    at_once: list[tuple[str, int]] = []
    for name, budget in settings.budgets.items():
        at_once += [(f"budgets.{name}.rate", budget.rate.burst)] if budget.rate else []
        at_once += [(f"budgets.{name}.quota", budget.quota.count)] if budget.quota else []
    for name, server in settings.servers.items():
        total = server.limits.total
        at_once += [(f"servers.{name}.limits.total", total.rate.burst)] if total else []
        at_once.append((f"servers.{name}.limits.concurrency", server.limits.concurrency))
    at_once += [(f"pools.{name}.concurrency", pool.concurrency or workers) for name, pool in settings.pools.items()]
    for key, most in at_once:
        if most < workers:
            yield Violation(
                (key, "site.workers", "limits.counters"),
                f"{key} cannot be divided between {workers} workers: it allows {most} at once",
                'raise it, count in Redis ([limits] counters = "redis://…"), or serve with fewer workers',
            )


LIMIT_RULES: Final[tuple[Rule, ...]] = (budget_of_something, known_budgets, counters_in_clear, divided_by_workers)
