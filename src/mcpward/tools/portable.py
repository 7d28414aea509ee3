"""Tool names that clients take. The specification allows more: 128 characters, and dots.

Some clients drop a tool whose name they do not take, others all tools of its server, and none says so to the operator.
"""

import re
from collections.abc import Iterable
from typing import Final

#: The names that the APIs of Anthropic and OpenAI take for a tool.
_LONGEST: Final = 64
_TAKEN: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_SHOWN: Final = 5


def remarks(server: str, names: Iterable[str]) -> list[str]:
    """Return a line for each kind of name that clients do not take, with the tools, the clients and what to do."""
    names = sorted(names)
    # Claude Code and Codex call a tool by the name that a person gave the server, too: mcpward connect gives it ours.
    prefix = f"mcp__{server}__"
    dotted = [name for name in names if not _TAKEN.fullmatch(name)]
    long = [name for name in names if len(name) > _LONGEST]
    prefixed = [name for name in names if len(name) <= _LONGEST < len(prefix) + len(name)]
    clashes = [name for name in dotted if _TAKEN.sub("_", name) != name and name.replace(".", "_") in names]
    told = [
        (dotted, "Claude Desktop, claude.ai and Codex do not accept a dot: use only letters, digits, _ and -"),
        (clashes, "clients that replace a dot by _ confuse it with another tool: rename one of the two"),
        (long, f"Claude Desktop, Claude Code and Codex take at most {_LONGEST} characters"),
        (
            prefixed,
            f"Claude Code and Codex call it {prefix}NAME and take {_LONGEST}: use at most {_LONGEST - len(prefix)}",
        ),
    ]
    return [f"server {server}: {_listed(tools)}: {what}" for tools, what in told if tools]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"tool name{'s' if len(names) > 1 else ''} {', '.join(map(repr, names[:_SHOWN]))}{more}"
