"""The OpenAI Agents SDK: an agent calls the tools it sees. Its model is scripted; the second word is its address."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agents import Agent, OpenAIResponsesModel, Runner, set_tracing_disabled
from agents.items import ToolCallOutputItem
from agents.mcp import MCPServerStreamableHttp
from openai import AsyncOpenAI
from steps import main

MODEL = sys.argv[2]


class Server:
    """One MCP server of an agent."""

    def __init__(self, server: MCPServerStreamableHttp) -> None:
        self.server = server

    async def names(self) -> list[str]:
        return [tool.name for tool in await self.server.list_tools()]

    async def call(self, tool: str, arguments: dict[str, Any]) -> str:
        if tool == "no_such_tool":  # the agent would refuse its model before the server sees the call
            return "\n".join(block.text for block in (await self.server.call_tool(tool, arguments)).content)
        client = AsyncOpenAI(base_url=MODEL, api_key="scripted")
        await client.post("/script", body=[[tool, arguments]], cast_to=dict[str, Any])
        agent = Agent("tried", model=OpenAIResponsesModel("scripted", client), mcp_servers=[self.server])
        run = await Runner.run(agent, "go")
        return "\n".join(str(item.output) for item in run.new_items if isinstance(item, ToolCallOutputItem))


@asynccontextmanager
async def connect(url: str, key: str) -> AsyncIterator[Server]:
    headers = {"Authorization": f"Bearer {key}"}
    async with MCPServerStreamableHttp({"url": url, "headers": headers}, cache_tools_list=True) as server:
        yield Server(server)


set_tracing_disabled(True)
main(connect)
