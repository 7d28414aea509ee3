"""docs/from-fastmcp.md: both files of the page are served, and a client sees the same."""

import importlib.util
import re
import sys

import msgspec
import pytest
from fastmcp import Client

from mcpward.core.clock import SystemClock
from mcpward.tools.local import load_server
from mcpward.tools.registry import Registry
from mcpward.tools.run import Runner
from mcpward.validation.accept import accept
from support.back import Letterbox
from support.calls import call_of
from support.sources import ROOT

PAGE = (ROOT / "docs" / "from-fastmcp.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```python (\w+)\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture
def theirs(tmp_path):
    path = tmp_path / "fastmcp_shop.py"
    path.write_text(FILES["fastmcp"])
    spec = importlib.util.spec_from_file_location("fastmcp_shop", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fastmcp_shop"] = module
    spec.loader.exec_module(module)
    yield module.mcp
    del sys.modules["fastmcp_shop"]


@pytest.fixture
def ours(tmp_path):
    path = tmp_path / "tools.py"
    path.write_text(FILES["mcpward"])
    return Registry("shop", load_server(str(path)))


def bounds(schema):
    found = schema["properties"]["limit"]
    return {name: found[name] for name in ("type", "minimum", "maximum", "default")}


async def test_both_files_of_the_page_offer_the_same_and_answer_the_same(theirs, ours):
    mine = {name: ours.find(name) for name in ("orders", "cancel")}
    runner = Runner(2, SystemClock())
    async with Client(theirs) as client:
        tools = {tool.name: tool for tool in await client.list_tools()}
        assert tools.keys() == mine.keys()
        for name, tool in tools.items():
            assert mine[name].listing["description"] == tool.description
            assert mine[name].listing["annotations"].get("readOnlyHint", False) == bool(tool.annotations.read_only_hint)
        assert bounds(mine["orders"].listing["inputSchema"]) == bounds(tools["orders"].input_schema)
        theirs_said = await client.call_tool("orders", {"limit": 1})
        assert [str(one.uri) for one in await client.list_resources()] == ["shop://policy"]
        assert [one.name for one in await client.list_prompts()] == ["apology"]
    result = await runner.run(accept(call_of("orders", b'{"limit":1}'), mine["orders"]), Letterbox())
    assert msgspec.json.decode(result.structured) == theirs_said.structured_content
    await runner.close()


def test_the_page_names_only_what_there_is():
    import mcpward

    words = set(re.findall(r"\b(?:Limit|Server|Context|ToolError|Caller|env)\b", FILES["mcpward"]))
    assert all(hasattr(mcpward, word) for word in words)
