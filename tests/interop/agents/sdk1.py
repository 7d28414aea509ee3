"""The official Python client of the first line, over HTTP, or behind mcp-proxy where a third word names its command."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client  # type: ignore[attr-defined]  # of mcp 1, in whose environments this runs
from mcp.types import ElicitResult, TextContent
from steps import main

PROXY = sys.argv[2] if len(sys.argv) > 2 else None


class Session:
    """A session of the client."""

    def __init__(self, session: ClientSession) -> None:
        self.session = session

    async def names(self) -> list[str]:
        return [tool.name for tool in (await self.session.list_tools()).tools]

    async def call(self, tool: str, arguments: dict[str, Any]) -> str:
        blocks = (await self.session.call_tool(tool, arguments)).content
        texts = [block.text for block in blocks if isinstance(block, TextContent)]
        assert len(texts) == len(blocks), blocks
        return "\n".join(texts)


async def agree(context: object, params: object) -> ElicitResult:
    """Answer as a person who says yes."""
    return ElicitResult(action="accept", content={"confirm": True})


@asynccontextmanager
async def connect(url: str, key: str) -> AsyncIterator[Session]:
    if PROXY is None:
        transport = streamablehttp_client(url, headers={"Authorization": f"Bearer {key}"})
    else:
        words = ["--transport", "streamablehttp", "-H", "Authorization", f"Bearer {key}", url]
        transport = stdio_client(StdioServerParameters(command=PROXY, args=words))
    async with transport as (read, write, *_), ClientSession(read, write, elicitation_callback=agree) as session:
        await session.initialize()
        yield Session(session)


main(connect)
