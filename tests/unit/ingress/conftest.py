"""The edge is tested on the loop that it is shipped with: asyncio's own closes and buffers differently."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
import uvloop

from mcpward.ingress.listener import Timeouts
from support.clock import ManualClock
from support.edge import PATIENCE, Edge, Serve


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    del config, item
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def edge(clock: ManualClock) -> AsyncIterator[Callable[..., Any]]:
    """Open the edge before a function that serves: ``await edge(serve)``."""
    async with AsyncExitStack() as stack:

        async def opened(serve: Serve, patience: Timeouts = PATIENCE, **more: Any) -> Edge:
            return await stack.enter_async_context(Edge(serve, clock, patience).listening(**more))

        yield opened
