"""LangChain's adapters: tools of a server as tools of LangChain."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools
from steps import main


class Tools:
    """The tools of one session."""

    def __init__(self, session: Any, tools: dict[str, Any]) -> None:
        self.session = session
        self.tools = tools

    async def names(self) -> list[str]:
        return list(self.tools)

    async def call(self, tool: str, arguments: dict[str, Any]) -> str:
        if tool not in self.tools:  # LangChain has no such tool to call: the session below it has
            return "\n".join(block.text for block in (await self.session.call_tool(tool, arguments)).content)
        return str(await self.tools[tool].ainvoke(arguments))


@asynccontextmanager
async def connect(url: str, key: str) -> AsyncIterator[Tools]:
    headers = {"Authorization": f"Bearer {key}"}
    client = MultiServerMCPClient({"one": {"transport": "streamable_http", "url": url, "headers": headers}})
    async with client.session("one") as session:
        yield Tools(session, {tool.name: tool for tool in await load_mcp_tools(session)})


main(connect)
