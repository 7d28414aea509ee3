"""``mcpward.http`` as the settings of a site want it."""

from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from mcpward import __version__
from mcpward.config.model import Settings
from mcpward.sdk.http.client import HttpPolicy, ServerClient
from mcpward.sdk.http.installed import installed


def open_tool_http(settings: Settings) -> AbstractAsyncContextManager[Any]:
    """Let the tools of all servers call out, each server's by its own settings, until the end of the block."""
    policies = {
        name: HttpPolicy(
            lists=(server.http.hosts,),
            allow=settings.egress.allow,
            timeout_s=server.http.timeout_s,
            max_bytes=server.http.max_bytes,
            max_connections=server.http.max_connections,
        )
        for name, server in settings.servers.items()
    }
    return installed(policies, partial(ServerClient, user_agent=f"mcpward/{__version__}"))
