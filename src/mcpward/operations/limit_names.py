"""The names of the limits of a site, as the record and its counters have them."""

from typing import Final

from mcpward.config.model import Settings

#: The limit that breaks loops of calls: workers forget their data, and count nothing.
LOOPS: Final = "repeat"
_NAMES: Final = (
    "auth_failures", "requests", "caller", "read", "write", "destructive", "discovery", "lifecycle", "total",
    "quota-hour", "quota-day", "quota-month", "key", "tool", LOOPS,
)  # fmt: skip


def known_limits(settings: Settings) -> list[str]:
    """Return the names of all limits of a site, those of budgets too."""
    return [*_NAMES, *_budget_limits(settings)]


def _budget_limits(settings: Settings) -> list[str]:
    names = []
    for name, table in settings.budgets.items():
        budget = table.budget(name)
        names += [f"budget-{name}"] if budget.rate is not None else []
        names += [f"budget-{name}-{budget.quota.period.value}"] if budget.quota is not None else []
    return names
