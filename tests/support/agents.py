"""What ``docs/interop.md`` says of agents and adapters, each cell of which ``tests/interop/test_agents.py`` proves.

The rows run in environments of their own (``.ci/environment interop``), or come from npm; none of them is ours.
"""

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from support.clients import PACKAGES, environment, node_binary
from support.scripted_model import ScriptedModel, Step

ROOT: Final = Path(__file__).resolve().parents[2]
SCRIPTS: Final = ROOT / "tests" / "interop" / "agents"
PERIOD: Final = {"from_date": "2026-03-01T00:00:00Z", "to_date": "2026-03-31T00:00:00Z", "limit": 2}

#: step → title of its column
STEPS: Final = {
    "lists": "lists", "times": "times", "unknown": "unknown tool", "limited": "rate limit", "refused": "wrong key",
    "confirm": "confirm", "waived": "confirm waived",
}  # fmt: skip
_TIME = re.compile(r'created_at[\\"]+:[\\"]+2026-03-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z')
#: In words of the server, or of a client that knows itself which tools there are.
_NO_SUCH_TOOL = re.compile(r"not known here|No such tool available|unsupported call")
_KEPT_OUT = re.compile(r"not valid here|\b401\b|AuthRequired|Connection closed|'status': 'failed'")


@dataclass(frozen=True)
class Row:
    """A client. ``confirm`` is the outcome of a question to its person, as it is run here. "✓": the person is asked.
    "told": it says that it cannot ask. "declines": it says that it can, and refuses by itself.

    ``hides`` says that it shows its model no word of a JSON-RPC error.
    """

    name: str
    package: str
    confirm: str = "✓"
    hides: bool = False


ROWS: Final = {
    "sdk-oldest": Row("official Python client, oldest in use", "sdk-oldest:mcp"),
    "sdk-newest": Row("official Python client, newest of the first line", "sdk-newest:mcp"),
    "typescript-1": Row("official TypeScript client, checking results", "@modelcontextprotocol/sdk"),
    "langchain": Row("LangChain's adapters", "sdk-newest:langchain-mcp-adapters", "told"),
    "openai-agents": Row("OpenAI Agents SDK", "sdk-newest:openai-agents", "told", hides=True),
    "mcp-proxy": Row("mcp-proxy", "sdk-newest:mcp-proxy", "told"),
    "claude-code": Row("Claude Code, headless", "@anthropic-ai/claude-code", "declines"),
    "codex": Row("Codex, headless", "@openai/codex", "declines"),
}


def is_met(row: Row, step: str, saw: Any) -> bool:
    """Return whether a cell is as the page says."""
    match step, saw:
        case "lists", list():
            return {"query_orders", "order_summary", "search_products"} <= set(saw)
        case "times", str():
            return _TIME.search(saw) is not None
        case "unknown", [str(first), str(then)]:
            return _NO_SUCH_TOOL.search(first) is not None and "3" in then and "error" not in then
        case "limited", [str(first), str(refused), str(then)]:
            words = "An error occurred while running the tool" if row.hides else "too many calls"
            return "error" not in first and words in refused and "noted 10 characters" in then
        case "refused", str():
            return _KEPT_OUT.search(saw) is not None
        case "confirm", str() if row.confirm == "told":
            return saw.count("cannot ask a person") == 1 and "all forgotten" not in saw
        case (("confirm" | "waived"), str()) if row.confirm == "declines":
            return saw.count("the person declined") == 1 and "all forgotten" not in saw
        case (("confirm" | "waived"), str()):
            return "all forgotten" in saw
        case _:
            return False


def table() -> list[str]:
    """Write the table of the page."""
    lines = [f"| client | version | {' | '.join(STEPS.values())} |", "|---" * (2 + len(STEPS)) + "|"]
    for row in ROWS.values():
        special = {"confirm": row.confirm}
        if row.confirm == "declines":
            special["waived"] = "–"
        if row.hides:
            special["limited"] = "own words"
        cells = [special.get(step, "✓") for step in STEPS]
        lines.append(f"| {row.name} | {_version(row.package)} | {' | '.join(cells)} |")
    return lines


def _version(package: str) -> str:
    """Return the pinned version of an npm package, or of ``environment:package`` from PyPI."""
    environment_name, _, name = package.rpartition(":")
    if not environment_name:
        named = json.loads((ROOT / "tests" / "interop" / "package.json").read_text(encoding="utf-8"))["dependencies"]
        return str(named[name])
    locked = (ROOT / "requirements" / f"interop-{environment_name}.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(name)}==(\S+)", locked, re.MULTILINE)
    assert found is not None, package
    return found[1]


Plan = dict[str, tuple[str, str]]
"""URL and key of each server that a client is taken to."""
Seen = dict[str, Any]


def client_python(name: str) -> Path:
    """Return the Python of a client's own environment."""
    return ROOT / ".venv" / "clients" / name / "bin" / "python"


def _run(command: list[str], home: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    env = environment(home) | (env or {})
    return subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, timeout=120, check=False)


def _printed(run: subprocess.CompletedProcess[str]) -> Seen:
    assert run.returncode == 0, run.stdout + run.stderr
    return dict(json.loads(run.stdout.splitlines()[-1]))


def scripted(environment_name: str, script: str, plan: Plan, home: Path, *words: str) -> Seen:
    """Take the steps with a client that Python drives in an environment of its own."""
    return _printed(_run([str(client_python(environment_name)), str(SCRIPTS / script), json.dumps(plan), *words], home))


def proxied(plan: Plan, home: Path) -> Seen:
    """Take the steps with mcp-proxy, and the official client over stdio before it."""
    proxy = client_python("sdk-newest").with_name("mcp-proxy")
    return scripted("sdk-newest", "sdk1.py", plan, home, str(proxy))


def typescript(plan: Plan, home: Path) -> Seen:
    """Take the steps with the official TypeScript client, which checks results against their schema."""
    return _printed(_run([str(node_binary()), str(SCRIPTS / "v1.mjs"), json.dumps(plan)], home))


def _agent_script(name: Callable[[str, str], str]) -> list[Step]:
    """Return the calls of the steps, one after the other, as an agent's model makes them."""
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("orders", "query_orders", PERIOD),
        ("desk", "no_such_tool", {}),
        ("desk", "add", {"a": 1, "b": 2}),
        ("desk", "forget", {}),
        ("waived", "forget", {}),
        ("tight", "add", {"a": 1, "b": 2}),
        ("tight", "add", {"a": 2, "b": 2}),
        ("tight", "note", {"text": "still here"}),
    ]
    return [(name(server, tool), arguments) for server, tool, arguments in calls]


def _agent_seen(results: list[str]) -> Seen:
    times, unknown, call, confirm, waived, *limited = results
    return {"times": times, "unknown": [unknown, call], "confirm": confirm, "waived": waived, "limited": limited}


def claude_code(plan: Plan, model: ScriptedModel, home: Path) -> Seen:
    """Take the steps with Claude Code, without a screen and with a scripted model."""
    wrapper = PACKAGES / "@anthropic-ai" / "claude-code" / "cli-wrapper.cjs"
    env = {
        "ANTHROPIC_BASE_URL": model.base, "ANTHROPIC_API_KEY": "scripted", "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }  # fmt: skip

    def begun(servers: list[str], script: list[Step]) -> dict[str, Any]:
        described = {
            name: {"type": "http", "url": plan[name][0], "headers": {"Authorization": f"Bearer {plan[name][1]}"}}
            for name in servers
        }
        settings = home / "mcp.json"
        settings.write_text(json.dumps({"mcpServers": described}), encoding="utf-8")
        model.start(script)
        words = ["-p", "go", "--mcp-config", str(settings), "--strict-mcp-config", "--output-format", "stream-json"]
        allowed = ["--verbose", "--allowedTools", ",".join(f"mcp__{name}" for name in servers)]
        run = _run([str(node_binary()), str(wrapper), *words, *allowed], home, env)
        assert run.returncode == 0, run.stdout + run.stderr
        return next(dict(json.loads(line)) for line in run.stdout.splitlines() if '"subtype":"init"' in line)

    first = begun(["orders", "desk", "waived", "tight"], _agent_script(lambda server, tool: f"mcp__{server}__{tool}"))
    seen = _agent_seen(model.results)
    seen["lists"] = [name.removeprefix("mcp__orders__") for name in first["tools"] if "mcp__orders__" in name]
    seen["refused"] = str(begun(["refused"], [])["mcp_servers"])
    return seen


def codex(plan: Plan, model: ScriptedModel, home: Path) -> Seen:
    """Take the steps with Codex, without a screen and with a scripted model."""
    folder = home / ".codex"
    folder.mkdir(exist_ok=True)
    command = [str(node_binary()), str(PACKAGES / "@openai" / "codex" / "bin" / "codex.js"), "exec", "--json"]

    def ran(servers: list[str], script: list[Step]) -> str:
        lines = [
            'model = "scripted"', 'model_provider = "scripted"', 'approval_policy = "never"',
            "[model_providers.scripted]", 'name = "scripted"', f'base_url = "{model.base}/v1"',
            'wire_api = "responses"', 'env_key = "SCRIPTED_KEY"',
        ]  # fmt: skip
        for name in servers:
            lines += [f"[mcp_servers.{name}]", f'url = "{plan[name][0]}"', f'bearer_token_env_var = "KEY_{name}"']
        (folder / "config.toml").write_text("\n".join(lines), encoding="utf-8")
        model.start(script)
        keys = {f"KEY_{name}": plan[name][1] for name in servers}
        env = {"SCRIPTED_KEY": "scripted", "CODEX_HOME": str(folder), **keys}
        run = _run([*command, "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "go"], home, env)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout + run.stderr

    ran(["orders", "desk", "waived", "tight"], _agent_script(lambda server, tool: f"mcp__{server}::{tool}"))
    seen = _agent_seen(model.results)
    prefix = "mcp__orders::"
    seen["lists"] = [name.removeprefix(prefix) for name in model.offered if name.startswith(prefix)]
    seen["refused"] = ran(["refused"], [])
    return seen
