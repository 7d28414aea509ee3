"""``mcpward.http`` as the tools of a server ``shop`` use it, with names and authorities of a test's own."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_network

from mcpward.core.work import loaded
from mcpward.egress.guard import Lookup
from mcpward.sdk.http.client import HttpPolicy, ServerClient
from mcpward.sdk.http.installed import installed

LOOPBACK = ("127.0.0.0/8",)


async def at_loopback(_host: str, _port: int) -> list[str]:
    """Answer that every name is this machine."""
    return ["127.0.0.1"]


@asynccontextmanager
async def as_shop(
    *hosts: str,
    allow: tuple[str, ...] = LOOPBACK,
    lookup: Lookup = at_loopback,
    tls: ssl.SSLContext | None = None,
    timeout_s: float = 5.0,
    max_bytes: int = 100_000,
    max_connections: int = 20,
) -> AsyncIterator[None]:
    """Let the code of the block call out as code of the server ``shop``."""
    policy = HttpPolicy(
        lists=(hosts,),
        allow=tuple(map(ip_network, allow)),
        timeout_s=timeout_s,
        max_bytes=max_bytes,
        max_connections=max_connections,
    )
    before = loaded.set("shop")
    try:
        async with installed({"shop": policy}, partial(ServerClient, lookup=lookup, tls=tls)):
            yield
    finally:
        loaded.reset(before)
