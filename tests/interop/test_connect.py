"""What ``mcpward connect`` prints gets a client in: mcp-remote, started as Claude Desktop starts it, byte for byte."""

import json
import subprocess
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from support.clients import environment, mcp_remote
from support.ward import Ward, serving

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory):
    with serving(tmp_path_factory.mktemp("connect"), start=False) as ward:
        ward.key = ward.create_key()
        ward.start()
        yield ward


@pytest.mark.parametrize("form", ["{}", '"Bearer {}"\r\n'])
async def test_the_block_of_claude_desktop_gets_mcp_remote_in(ward: Ward, node: Path, tmp_path: Path, form: str):
    file = tmp_path / "claude_desktop_config.json"
    words = ["--server", "demo", "--stdin", "--write", "--yes", "--file", str(file)]
    ward.cli("connect", "claude-desktop", *words, input=form.format(ward.key))
    block = json.loads(file.read_text())["mcpServers"]["demo"]
    assert block["command"] == "npx"
    assert block["args"][:2] == ["-y", "mcp-remote"]
    program = mcp_remote("")[:2]  # the installed one, where npx would fetch it
    server = StdioServerParameters(
        command=program[0],
        args=[program[1], *block["args"][2:]],
        env={**environment(tmp_path), **block["env"]},
        cwd=str(tmp_path),
    )
    with (tmp_path / "said.txt").open("w") as errors:
        async with Client(stdio_client(server, errlog=errors), mode="legacy", read_timeout_seconds=60) as client:
            tools = await client.list_tools()
    assert "add" in {tool.name for tool in tools.tools}


def test_the_command_of_curl_gets_in_with_either_variable(ward: Ward):
    command = ward.cli("connect", "curl", "--server", "demo").stdout
    for name in ("MCPWARD_KEY", "MCPWARD_KEY_DEMO"):
        done = subprocess.run(
            ["bash", "-c", command],
            env={"PATH": "/usr/bin:/bin", name: ward.key},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        assert '"tools"' in done.stdout
