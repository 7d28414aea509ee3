"""Clients that people use, none of them ours, against the shipped process: the cells of docs/interop.md."""

import asyncio
import re
import shutil
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mcp import MCPError

from support.interop import FEATURES, ROWS
from support.tours import Connect, Seen, bridged, fast, inspected, official, task_tour, toured, typescript
from support.ward import LAVISH, Ward, serving
from support.wire import rows, until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

HERE = Path(__file__).parent
SERVERS = f"""
[servers.everything]
source = "everything.py"
[servers.everything.limits]
{LAVISH}
[servers.strict]
source = "everything.py"
[servers.strict.limits]
read = "1/minute"
discovery = "100000/minute"
"""
#: The client's message when it is kept out. mcp-remote ends without one.
KEPT_OUT = re.compile(r"401|not valid here|auth_required|Connection closed")
MODERN = "2026-07-28"


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("clients")
    shutil.copy(HERE / "everything.py", folder)
    with serving(folder, servers=SERVERS, start=False) as ward:
        ward.key = ward.create_key("everything")
        ward.start()
        yield ward


@pytest.fixture(scope="module")
def tours(ward: Ward, node: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Seen]:
    """Take a client on its tour, and return what it saw."""
    strict_key = ward.create_key("strict")

    def python(connect: Connect) -> Seen:
        return asyncio.run(toured(connect, ward.base, ward.key, strict_key))

    def script(name: str, era: str) -> Seen:
        return typescript(name, era, ward.base, ward.key, strict_key, tmp_path_factory.mktemp("home"))

    def inspector(era: str) -> Seen:
        return inspected(era, ward.base, ward.key, strict_key, tmp_path_factory.mktemp("home"))

    def bridge(*words: str) -> Seen:
        return python(bridged(tmp_path_factory.mktemp("home"), *words))

    taken: dict[str, Callable[[], Seen]] = {
        "python-auto": lambda: python(official("auto")),
        "python-legacy": lambda: python(official("legacy")),
        "python-modern": lambda: python(official(MODERN)),
        "typescript-1": partial(script, "tour_v1.mjs", "legacy"),
        "typescript-2-legacy": partial(script, "tour_v2.mjs", "legacy"),
        "typescript-2-auto": partial(script, "tour_v2.mjs", "auto"),
        "typescript-2-modern": partial(script, "tour_v2.mjs", MODERN),
        "inspector-legacy": partial(inspector, "legacy"),
        "inspector-modern": partial(inspector, "modern"),
        "mcp-remote": bridge,
        "mcp-remote-auto": partial(bridge, "--protocol", "auto"),
        "fastmcp-auto": lambda: python(fast("auto")),
        "fastmcp-legacy": lambda: python(fast("legacy")),
    }
    return lambda client: taken[client]()


def is_met(step: str, saw: Any) -> bool:
    """Return whether a cell is as the page says."""
    wanted = FEATURES[step][1]
    if step == "lists":
        return set(saw) >= wanted
    if step == "reads":
        return wanted in str(saw).replace(" ", "")
    if step == "refused":
        return KEPT_OUT.search(str(saw)) is not None
    if step == "limited":
        return wanted in str(saw)
    return bool(saw == wanted)


@pytest.mark.parametrize("client", ROWS)
def test_a_client_did_on_its_tour_what_the_page_says(ward: Ward, tours: Callable[[str], Seen], client: str):
    began = time.time()
    seen, gaps = tours(client), ROWS[client].gaps
    calls = until(lambda: rows(ward, "at > ? AND method = 'tools/call' AND outcome = 'ok'", began))
    assert {row["version"] for row in calls} == {ROWS[client].era}
    assert not {step: seen[step] for step in FEATURES if step not in gaps and not is_met(step, seen[step])}
    assert not {step for step in gaps if step in seen and is_met(step, seen[step])}  # the page would be behind


@pytest.mark.parametrize("mode", ["auto", "legacy", MODERN])
@pytest.mark.parametrize(
    "path, key, words",
    [
        ("/everything/mcp", "sk-mcpward-wrong", "the credential is not valid here"),
        ("/nothing/mcp", None, "not found"),
    ],
)
def test_the_official_python_client_shows_the_words_of_a_refusal_by_http_status(
    ward: Ward, mode: str, path: str, key: str | None, words: str
):
    async def ask() -> None:
        async with official(mode)(f"{ward.base}{path}", ward.key if key is None else key) as guide:
            await guide.names()

    with pytest.raises((MCPError, ExceptionGroup)) as refused:
        asyncio.run(ask())
    assert words in "".join(traceback.format_exception(refused.value))


def test_the_official_tasks_client_runs_answers_and_cancels_tasks(ward: Ward, node: Path, tmp_path: Path):
    key = ward.create_key("everything", **{"class": "destructive"})
    bearer = {"authorization": f"Bearer {key}"}
    until(lambda: ward.post(b"{", path="/everything/mcp", headers=bearer).status_code == 400, pause_s=0.1)
    assert task_tour(f"{ward.base}/everything/mcp", key, tmp_path) == {
        "kind": "task",
        "ran": "computed a task in 1 s",
        "answered": "deleted a file",
        "cancelled": {"status": "cancelled"},
    }
