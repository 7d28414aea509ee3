"""The operator's settings of a tool (``[servers.<name>.tools.<name>]``), which replace its author's."""

from collections.abc import Collection, Mapping
from typing import Any

from mcpward.config.limits import ToolSettings
from mcpward.config.names import nearest
from mcpward.config.output import ServerOutput
from mcpward.core.errors import Finding
from mcpward.core.name_patterns import NamePatterns
from mcpward.core.origin_name import ANYWHERE
from mcpward.core.question_text import read_wording, unknown_names
from mcpward.core.values import Draw
from mcpward.sdk.definitions import ToolDefinition
from mcpward.sdk.schema.left_out import left_out
from mcpward.sdk.schema.returns import Returns
from mcpward.tools.run_context import asker_of

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


def asked_of(server: str, definition: ToolDefinition, added: ToolSettings, findings: list[Finding]) -> dict[str, Any]:
    """Return how a person is asked: in the operator's words, else in the author's. The operator only adds a question.

    A word for an argument that the tool does not have is a finding.
    """
    if not isinstance(added.confirm, str):
        return {
            "confirm": definition.confirm or bool(added.confirm),
            "question": definition.question,
            "wording": definition.asked.wording,
            "asker": asker_of(definition),
        }
    wording = read_wording(added.confirm)
    names = definition.arguments.names
    for name in unknown_names(wording, names):
        key, meant = f"servers.{server}.tools.{definition.name}.confirm", nearest(name, names)
        hint = f"did you mean {{{meant}}}?" if meant else f"its arguments: {', '.join(names) or 'none'}"
        what = f"{key}: tool {definition.name!r} of server {server} has no argument {name!r}"
        findings.append(Finding(what, key, hint))
    return {"confirm": True, "question": added.confirm, "wording": wording if len(wording.parts) else None}


def draws_of(drawn: tuple[Draw, ...], added: ToolSettings) -> tuple[Draw, ...]:
    """Return what a call draws: the operator's cost takes the place of the author's, and 0 takes the draw away."""
    kept = [draw for draw in drawn if draw.budget not in added.budgets]
    return (*kept, *(Draw(budget=name, cost=cost) for name, cost in added.budgets.items() if cost))


def origin_of(declared: str | None, added: ToolSettings) -> str | None:
    """Return where a tool's results come from if strangers wrote them: the operator's word takes the place of its
    author's.
    """
    if added.untrusted is None:
        return declared
    if isinstance(added.untrusted, str):
        return added.untrusted
    return (declared or ANYWHERE) if added.untrusted else None


def published_returns(
    server: str, definition: ToolDefinition, output: ServerOutput, added: ToolSettings, findings: list[Finding]
) -> Returns:
    """Return what a tool declares to return, without the members that the operator drops.

    A tool that has nothing left, or that clients could not tell apart any more, is a finding: each call would fail.
    """
    names = NamePatterns(output.with_tool(added.output).drop)
    left = left_out(definition.returns, names, f"tool {definition.name!r}", definition.where)
    of_tool = f"tools.{definition.name}." if added.output.drop else ""
    for problem in left.problems:
        what = f"tool {definition.name!r} of server {server} cannot be served without {', '.join(names.patterns)}"
        hint = "drop fewer members, or return a type that has others"
        findings.append(Finding(f"{what}: {problem}", f"servers.{server}.{of_tool}output.drop", hint))
    return left.returns
