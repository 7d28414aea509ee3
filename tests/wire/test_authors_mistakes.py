"""Mistakes that show only while a tool runs: the log names the tool, the author's line, what was found and wanted."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.ward import serving, text_of
from support.wire import until

TOOLS = '''
import time
from typing import Any
from pydantic import BaseModel
from mcpward import Server, ToolResult

server = Server("demo")
SLOW = False


class Price(BaseModel):
    amount: int


async def rows() -> list[Any]:
    return []


@server.tool(read_only=True)
async def blocks(seconds: float) -> str:
    """Hold the loop."""
    time.sleep(seconds)
    return "done"


@server.tool(read_only=True, deadline_s=1)
async def other() -> str:
    """Wait for less than its deadline."""
    import asyncio

    with open("begun", "a") as file:
        file.write("x")
    await asyncio.sleep(0.5)
    return "ok"


@server.tool(read_only=True)
async def wrong_type() -> list[Price]:
    """A member of another type."""
    return [{"amount": 1}, {"amount": "canary-value"}]


@server.tool(read_only=True)
async def forgotten(later: bool) -> dict[str, Any]:
    """A coroutine among the values."""
    found = {"rows": rows()}
    return found


@server.tool(read_only=True)
async def nothing(known: bool) -> list[int]:
    """No return for what is not known."""
    if known:
        return [1]


@server.tool(read_only=True)
async def unstructured() -> Price:
    """A result by hand without what is declared."""
    return ToolResult("dear")


@server.tool(read_only=True)
async def circle() -> dict[str, Any]:
    """A value that holds itself."""
    value = {}
    value["self"] = value
    return value


@server.tool(read_only=True)
async def declared_bytes() -> bytes:
    """Bytes by themselves."""
    return b"\\xff\\xfe"


@server.tool(read_only=True)
async def bytes_within() -> dict[str, Any]:
    """Bytes within something else."""
    return {"result": b"\\xff\\xfe"}
'''


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mistakes")
    with serving(folder, servers='[servers.demo]\nsource = "own.py"\nmode = "public"\n', start=False) as site:
        (folder / "own.py").write_text(TOOLS, encoding="utf-8")
        site.start()
        yield site


def lines_of(ward, tool):
    lines = [json.loads(line) for line in ward.log().splitlines() if line.startswith("{")]
    return [line for line in lines if tool in str(line.get("detail", "")) or tool in str(line.get("event", ""))]


@pytest.mark.parametrize(
    "tool,arguments,said",
    [
        ("wrong_type", {}, r"1\.amount: int_parsing|1\.amount: wanted a valid integer.*, found str"),
        ("forgotten", {"later": True}, r"rows: found a coroutine: rows\(\) was not awaited"),
        ("nothing", {"known": False}, r"wanted a valid list, found None: the function may end without a return"),
        ("unstructured", {}, r"declares structured content, but its ToolResult has none"),
        ("circle", {}, r"contains itself, or is nested too deep|not serializable"),
    ],
)
def test_a_withheld_result_says_tool_path_and_types_under_an_error_id(ward, tool, arguments, said):
    answer = ward.call(tool, arguments)
    told = text_of(answer)
    assert "try other arguments, or report it to the operator" in told
    line = next(line for line in lines_of(ward, tool) if line["event"] == "a call failed")
    assert line["error_id"] in told
    assert re.search(said, line["detail"]), line["detail"]
    assert re.search(r"\(.*own\.py:\d+\)$", line["detail"]), line["detail"]
    assert "canary" not in ward.log()


def test_bytes_go_out_as_base64_wherever_they_stand(ward):
    for tool in ("declared_bytes", "bytes_within"):
        assert ward.call(tool).json()["result"]["structuredContent"] == {"result": "//4="}


def test_a_tool_that_holds_the_loop_is_named_counted_and_no_other_call_pays_for_it(ward):
    begun = ward.folder / "begun"
    ward.call("other")
    with ThreadPoolExecutor(8) as threads:
        others = [threads.submit(ward.call, "other") for _ in range(6)]
        until(lambda: len(begun.read_text(encoding="utf-8")) == 7)  # all of them run before the loop is held
        blocking = threads.submit(ward.call, "blocks", {"seconds": 3})
        others += [threads.submit(ward.call, "other") for _ in range(1)]
        answers = [text_of(one.result()) for one in others]
        assert text_of(blocking.result()) == "done"
    assert answers == ["ok"] * 7
    line = next(line for line in lines_of(ward, "held the event loop") if "blocks" in line["event"])
    assert re.fullmatch(r"tool 'blocks' of demo held the event loop for \d\.\d s: use def, or await", line["event"])
    assert re.search(r"own\.py:22$", line["where"])
    with ward.client() as client:
        page = client.get(f"http://127.0.0.1:{ward.metrics_port}/metrics").text
    held = re.search(r'mcpward_event_loop_held_seconds_total\{[^}]*"blocks"[^}]*\} ([\d.]+)', page)
    assert held
    assert float(held[1]) > 2


def test_what_is_probably_not_meant_is_told_at_the_start_with_its_line(ward):
    events = [json.loads(line) for line in ward.log().splitlines() if line.startswith("{")]
    found = {one["event"]: one for one in events}
    blocking = found["server demo: tool 'blocks': time.sleep() in async def blocks all callers"]
    assert blocking["where"].endswith("own.py:22")
    assert "write def" in blocking["hint"]
    ending = found["server demo: tool 'nothing' declares list[int], but may end here without a return"]
    assert ending["where"].endswith("own.py:53")
