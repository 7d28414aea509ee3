"""The clients of the servers that this process serves, and the one that the code that runs now may use.

A running call names its server; so does a lifespan, with everything that it starts. Code that belongs to neither gets
the strictest policy.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from mcpward.core.work import server_here
from mcpward.sdk.http.client import HttpPolicy, ServerClient, strictest


class Installation:
    """The clients of one site, in the event loop that serves it."""

    def __init__(self, policies: Mapping[str, HttpPolicy], make: Callable[[HttpPolicy], ServerClient]) -> None:
        self.policies = policies
        self.make = make
        self.loop = asyncio.get_running_loop()
        self._clients: dict[str, ServerClient] = {}

    def of(self, server: str) -> ServerClient:
        """Return a server's client, which keeps its connections."""
        if server not in self._clients:
            self._clients[server] = self.make(self.policies[server])
        return self._clients[server]

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.close()


#: The newest first: tests open one site after the other in a process, and several at once.
_open: Final[list[Installation]] = []


@asynccontextmanager
async def installed(
    policies: Mapping[str, HttpPolicy], make: Callable[[HttpPolicy], ServerClient] = ServerClient
) -> AsyncIterator[Installation]:
    """Let the tools of these servers call out until the block ends; ``make`` makes a client of a policy."""
    made = Installation(policies, make)
    _open.insert(0, made)
    try:
        yield made
    finally:
        _open.remove(made)
        await made.close()


@asynccontextmanager
async def client_here() -> AsyncIterator[ServerClient]:
    """Return the client for the code that runs now; one for this call only in an event loop that serves no site."""
    server = server_here() or ""
    loop = asyncio.get_running_loop()
    knowing = [one for one in _open if server in one.policies]
    for one in knowing:
        if one.loop is loop:
            yield one.of(server)
            return
    if knowing:
        client = knowing[0].make(knowing[0].policies[server])
    else:
        client = ServerClient(strictest([policy for one in _open for policy in one.policies.values()]))
    try:
        yield client
    finally:
        await client.close()
