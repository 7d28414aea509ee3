"""Clients that people use, none of them ours, against the shipped process in API-key mode: list the tools, call one."""

import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from support.clients import environment, inspector, mcp_remote
from support.ward import Ward, serving

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    with serving(tmp_path_factory.mktemp("clients")) as ward:
        yield ward


@asynccontextmanager
async def python_client(ward: Ward, mode: str) -> AsyncIterator[Client]:
    authorization = {"Authorization": f"Bearer {ward.key}"}
    async with httpx2.AsyncClient(headers=authorization, timeout=20) as http:
        transport = streamable_http_client(f"{ward.base}/mcp", http_client=http)
        async with Client(transport, mode=mode) as client:
            yield client


def printed(command: list[str], home: Path) -> dict[str, object]:
    run = subprocess.run(
        command, cwd=HERE, env=environment(home), capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("mode, version", [("legacy", "2025-11-25"), ("auto", "2026-07-28")])
async def test_the_official_python_client_lists_and_calls_in_both_eras(ward: Ward, mode: str, version: str):
    async with python_client(ward, mode) as client:
        assert client.protocol_version == version
        assert {"echo", "add"} <= {tool.name for tool in (await client.list_tools()).tools}
        result = await client.call_tool("add", {"a": 2, "b": 3})
    assert result.structured_content == {"sum": 5}


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_official_python_client_sees_progress_in_both_eras(ward: Ward, mode: str):
    seen: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        assert (total, message) == (3, f"step {int(progress)}")
        seen.append(progress)

    async with python_client(ward, mode) as client:
        await client.call_tool("count", {"steps": 3}, progress_callback=note)
    assert seen == [1, 2, 3]


async def test_mcp_remote_brings_a_stdio_client_in_with_a_key(ward: Ward, node: Path, tmp_path: Path):
    command, *words = [*mcp_remote(f"{ward.base}/mcp", f"Authorization:Bearer {ward.key}"), "--allow-http"]
    server = StdioServerParameters(command=command, args=words, env=environment(tmp_path), cwd=str(tmp_path))
    async with Client(server, mode="legacy") as client:
        assert {"echo", "add"} <= {tool.name for tool in (await client.list_tools()).tools}
        result = await client.call_tool("echo", {"text": "through a bridge"})
    assert result.content[0].text == "through a bridge"


def test_the_inspector_lists_and_calls(ward: Ward, node: Path, tmp_path: Path):
    authorization = f"Authorization: Bearer {ward.key}"
    listed = printed(inspector(f"{ward.base}/mcp", "--method", "tools/list", headers=(authorization,)), tmp_path)
    assert {"echo", "add"} <= {tool["name"] for tool in listed["tools"]}
    words = ["--method", "tools/call", "--tool-name", "add", "--tool-arg", "a=2", "b=3"]
    result = printed(inspector(f"{ward.base}/mcp", *words, headers=(authorization,)), tmp_path)
    assert result["structuredContent"] == {"sum": 5}


def test_the_official_typescript_client_lists_and_calls(ward: Ward, node: Path, tmp_path: Path):
    seen = printed([str(node), str(HERE / "client.mjs"), f"{ward.base}/mcp", ward.key], tmp_path)
    assert {"echo", "add"} <= set(seen["tools"])
    assert seen["result"]["structuredContent"] == {"sum": 5}
