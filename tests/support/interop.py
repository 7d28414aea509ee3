"""What ``docs/interop.md`` says of clients, each cell of which ``tests/interop/test_clients.py`` proves.

``python tests/support/interop.py > docs/interop.md`` writes the page anew.
"""

import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support import agents

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"greet", "test_prompt_with_arguments", "test://static-text", "test://template/{id}/data"}
LIMITED = "too many calls: wait before the next one"

#: step of the tour → (column, what the client must have seen)
FEATURES: dict[str, tuple[str, Any]] = {
    "lists": ("lists", NAMES),
    "calls": ("calls", "Hello, Ada!"),
    "reads": ("reads", '"id":"7"'),
    "prompts": ("prompts", "Prompt with arguments: arg1='one', arg2='two'"),
    "completes": ("completes", ["paris", "park", "party"]),
    "progress": ("progress", [0, 50, 100]),
    "logs": ("logs", ["Tool execution started", "Tool processing data", "Tool execution completed"]),
    "elicits": ("is asked", "Hello, Ada!"),
    "changes": ("changes", "ToolsListChanged"),
    "refused": ("wrong key", ""),
    "limited": ("rate limit", LIMITED),
}
ONE_SHOT = "the command line sends one request and prints only its result"
NO_PERSON = "the command line cannot ask: it declares no elicitation"
NO_METHOD = "the command line has no option for it"
NO_LISTENER = "the client opens no stream of changes without a session"
INSPECTOR_GAPS = {
    "completes": NO_METHOD, "progress": ONE_SHOT, "logs": ONE_SHOT, "elicits": NO_PERSON, "changes": ONE_SHOT,
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A client in one of its modes. ``gaps`` says why it cannot do something by itself, whatever the server does."""

    name: str
    package: str
    era: str
    gaps: dict[str, str] = field(default_factory=dict)


ROWS = {
    "python-auto": Row("official Python client, default", "mcp", "2026-07-28"),
    "python-legacy": Row('official Python client, `mode="legacy"`', "mcp", "2025-11-25"),
    "python-modern": Row("official Python client, pinned", "mcp", "2026-07-28"),
    "typescript-1": Row("official TypeScript client, first line", "@modelcontextprotocol/sdk", "2025-11-25"),
    "typescript-2-legacy": Row("official TypeScript client, default", "@modelcontextprotocol/client", "2025-11-25"),
    "typescript-2-auto": Row("official TypeScript client, `auto`", "@modelcontextprotocol/client", "2026-07-28"),
    "typescript-2-modern": Row("official TypeScript client, pinned", "@modelcontextprotocol/client", "2026-07-28"),
    "inspector-legacy": Row("MCP Inspector", "@modelcontextprotocol/inspector", "2025-11-25", INSPECTOR_GAPS),
    "inspector-modern": Row(
        "MCP Inspector, `--protocol-era modern`", "@modelcontextprotocol/inspector", "2026-07-28", INSPECTOR_GAPS
    ),
    "mcp-remote": Row("mcp-remote", "mcp-remote", "2025-11-25"),
    "mcp-remote-auto": Row("mcp-remote, `--protocol auto`", "mcp-remote", "2026-07-28"),
    "fastmcp-auto": Row("FastMCP's client, default", "fastmcp-slim", "2026-07-28", {"changes": NO_LISTENER}),
    "fastmcp-legacy": Row("FastMCP's client, `mode=\"legacy\"`", "fastmcp-slim", "2025-11-25"),
}  # fmt: skip

_HEAD = """# Clients that people use

<!-- made by `python tests/support/interop.py`; tests/interop proves each cell, and a test compares the page -->

Each client below is a third party's, pinned to a version. It takes the same tour through a server in API-key mode
([`tests/interop/everything.py`](../tests/interop/everything.py)). `make test` runs the tour and fails if a cell is no
longer true.

| column | what the client did |
|---|---|
| lists | tools, prompts, resources and resource templates |
| calls | a tool with an argument |
| reads | a resource by its template |
| prompts | got a prompt with arguments |
| completes | a prompt's argument |
| progress | received all reports of a tool, in order |
| logs | asked for log messages, and received all of a tool |
| is asked | answered a tool's question (elicitation), as a request in a session or as `input_required` without one |
| changes | was notified of a changed list of tools, on its session's stream or on a separate one |
| wrong key | was refused, and reported an error |
| rate limit | showed the server's message: *too many calls: wait before the next one* |
"""
_AGENTS = """
## Agents and adapters

These run against the shop of [`examples/orders`](../examples/orders) and a small server beside it
([`tests/interop/test_agents.py`](../tests/interop/test_agents.py)). Claude Code, Codex and the OpenAI Agents SDK are
run headless, by a model that follows a script.

| column | what the client did |
|---|---|
| lists | connected, and saw the tools |
| times | called `query_orders`, whose result holds times; clients that check results accepted it |
| unknown tool | called a missing tool, got the error, and went on with a call in the same session |
| rate limit | exceeded a limit, showed the server's message (or only its own), and went on in the same session |
| wrong key | was refused |
| confirm | called a tool that needs human approval. ✓: the person was asked. *told*: it cannot ask, and showed \
the server's message. *declines*: it declares that it can ask, but declines when it runs headless |
| confirm waived | ran the same tool with a key that waives approval for such clients (`--may-confirm`). \
–: such a key never overrules a person who declines |

{table}
"""
_REST = """
## Tasks

The official client of the tasks extension runs a task to its end, answers one that asks, and cancels one. It is
`@modelcontextprotocol/ext-tasks` {tasks}, over the official TypeScript client.

## Conformance

The official suites run against the same server without a failed check or a warning
([`tests/interop/test_conformance.py`](../tests/interop/test_conformance.py)):

* version {released} with `active` and `all`
* version {upcoming} with `all` at 2025-03-26, 2025-06-18, 2025-11-25 and 2026-07-28
* the same version with `--requirements` of 2025-11-25 and 2026-07-28, which adds the scenarios of the tasks extension

The list of expected failures is empty, and a test keeps it so. The scenarios `sep-2640-skills-*` are not run:
mcpward does not serve that extension, and no revision requires it.
"""


def page() -> str:
    """Write the page."""
    versions = pinned()
    reasons = list(dict.fromkeys(reason for row in ROWS.values() for reason in row.gaps.values()))
    titles = " | ".join(title for title, _ in FEATURES.values())
    lines = [_HEAD, f"| client | version | revision | {titles} |", "|---" * (3 + len(FEATURES)) + "|"]
    for row in ROWS.values():
        cells = [f"– {reasons.index(row.gaps[step]) + 1})" if step in row.gaps else "✓" for step in FEATURES]
        lines.append(f"| {row.name} | {versions[row.package]} | {row.era} | {' | '.join(cells)} |")
    lines += ["", *(f"{at}) {reason}.  " for at, reason in enumerate(reasons, 1))]
    rest = _REST.format(
        tasks=versions["@modelcontextprotocol/ext-tasks"], released=versions["@modelcontextprotocol/conformance"],
        upcoming=versions["conformance-next"],
    )  # fmt: skip
    return "\n".join(lines) + "\n" + _AGENTS.format(table="\n".join(agents.table())) + rest


def pinned() -> dict[str, str]:
    """Return the version of each package that the tests install."""
    named = json.loads((ROOT / "tests" / "interop" / "package.json").read_text())["dependencies"]
    versions = {name: version.rpartition("@")[2] for name, version in named.items()}
    locked = (ROOT / "requirements" / "test.txt").read_text()
    return versions | dict(re.findall(r"^([a-z0-9-]+)==(\S+)", locked, re.MULTILINE))


if __name__ == "__main__":
    sys.stdout.write(page())
