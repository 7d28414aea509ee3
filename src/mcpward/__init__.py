"""mcpward: the locks for MCP servers.

The names below are what tool authors import. They load on first use, so that ``import mcpward`` costs
nothing and a program that only wants one name does not pay for the others.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcpward.sdk.content import Audio, EmbeddedResource, Image, Text
    from mcpward.sdk.context import Caller, Context, env
    from mcpward.sdk.database import Database
    from mcpward.sdk.errors import ToolError
    from mcpward.sdk.guards import DateRange, Limit
    from mcpward.sdk.server import Server

__version__ = "0.1.0"

_HOMES = {
    "Audio": "mcpward.sdk.content",
    "Caller": "mcpward.sdk.context",
    "Context": "mcpward.sdk.context",
    "Database": "mcpward.sdk.database",
    "DateRange": "mcpward.sdk.guards",
    "EmbeddedResource": "mcpward.sdk.content",
    "Image": "mcpward.sdk.content",
    "Limit": "mcpward.sdk.guards",
    "Server": "mcpward.sdk.server",
    "Text": "mcpward.sdk.content",
    "ToolError": "mcpward.sdk.errors",
    "env": "mcpward.sdk.context",
}

__all__ = [
    "Audio",
    "Caller",
    "Context",
    "Database",
    "DateRange",
    "EmbeddedResource",
    "Image",
    "Limit",
    "Server",
    "Text",
    "ToolError",
    "__version__",
    "env",
]


def __getattr__(name: str) -> Any:
    """Import an author's name from its room on first use (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'mcpward' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
