"""The operator's settings of a tool (``[servers.<name>.tools.<name>]``), which replace its author's."""

from collections.abc import Collection, Mapping

from mcpward.config.limits import ToolSettings
from mcpward.config.names import nearest
from mcpward.core.errors import Finding
from mcpward.core.values import Draw

NOTHING = ToolSettings()


def unknown_tools(server: str, additions: Mapping[str, ToolSettings], known: Collection[str]) -> list[Finding]:
    """Report tables for missing tools: their author expects a limit that would not apply."""
    findings: list[Finding] = []
    for name in additions:
        if name not in known:
            meant = nearest(name, known)
            key = f"servers.{server}.tools.{name}"
            hint = f"did you mean {meant}?" if meant else f"its tools: {', '.join(sorted(known)) or 'none'}"
            findings.append(Finding(f"{key}: server {server} has no such tool", key, hint))
    return findings


def draws_of(drawn: tuple[Draw, ...], added: ToolSettings) -> tuple[Draw, ...]:
    """Return what a call draws: the operator's cost takes the place of the author's, and 0 takes the draw away."""
    kept = [draw for draw in drawn if draw.budget not in added.budgets]
    return (*kept, *(Draw(budget=name, cost=cost) for name, cost in added.budgets.items() if cost))
