"""Agents and adapters that people use, none of them ours, against the shipped process: the cells of docs/interop.md."""

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from support import agents
from support.agents import ROWS, STEPS, Plan, Seen, is_met
from support.scripted_model import ScriptedModel, scripted_model
from support.ward import LAVISH, Ward, serving

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

SERVERS = f"""
[servers.orders]
source = "orders/tools.py"
[servers.desk]
source = "desk.py"
[servers.desk.limits]
{LAVISH}
[servers.waived]
source = "desk.py"
[servers.waived.limits]
{LAVISH}
[servers.tight]
source = "desk.py"
[servers.tight.limits]
read = "1/minute"
"""


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedModel]:
    with scripted_model() as model:
        yield model


@pytest.fixture(scope="module")
def plans(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Plan]]:
    """Serve, and return what each client needs: its own key where a limit is reached, so that none pays for another."""
    folder = tmp_path_factory.mktemp("agents")
    shutil.copytree(root / "examples" / "orders", folder / "orders", ignore=shutil.ignore_patterns(".mcpward", "*.db*"))
    shutil.copy(agents.SCRIPTS / "desk.py", folder)
    with serving(folder, servers=SERVERS, start=False) as ward:
        orders = ward.create_key("orders", scope="orders:all")
        desk = ward.create_key("desk", **{"class": "destructive"})
        words = ["key", "create", "--server", "waived", "--name", "headless", "--class", "destructive", "--may-confirm"]
        waived = ward.cli(*words).stdout.strip()
        tight = {client: ward.create_key("tight", name=client) for client in ROWS}
        ward.start()
        yield {
            client: {
                "orders": _at(ward, "orders", orders),
                "desk": _at(ward, "desk", desk),
                "waived": _at(ward, "waived", waived),
                "tight": _at(ward, "tight", tight[client]),
                "refused": _at(ward, "desk", tight[client]),
            }
            for client in ROWS
        }


def _at(ward: Ward, server: str, key: str) -> tuple[str, str]:
    return f"{ward.base}/{server}/mcp", key


@pytest.mark.parametrize("client", ROWS)
def test_an_agent_saw_what_the_page_says(
    plans: dict[str, Plan], model: ScriptedModel, node: Path, client: str, tmp_path: Path
):
    plan = plans[client]
    taken: dict[str, Callable[[], Seen]] = {
        "sdk-oldest": partial(agents.scripted, "sdk-oldest", "sdk1.py", plan, tmp_path),
        "sdk-newest": partial(agents.scripted, "sdk-newest", "sdk1.py", plan, tmp_path),
        "typescript-1": partial(agents.typescript, plan, tmp_path),
        "langchain": partial(agents.scripted, "sdk-newest", "langchain.py", plan, tmp_path),
        "openai-agents": partial(agents.scripted, "sdk-newest", "openai_agents.py", plan, tmp_path, f"{model.base}/v1"),
        "mcp-proxy": partial(agents.proxied, plan, tmp_path),
        "claude-code": partial(agents.claude_code, plan, model, tmp_path),
        "codex": partial(agents.codex, plan, model, tmp_path),
    }
    seen = taken[client]()
    assert not {step: seen.get(step) for step in STEPS if not is_met(ROWS[client], step, seen.get(step))}
