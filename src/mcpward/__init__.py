"""mcpward: the locks for MCP servers.

The names below are what tool authors import. They load on first use, so that ``import mcpward`` costs
nothing and a program that only wants one name does not pay for the others.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcpward.sdk import http
    from mcpward.sdk.client.ask import Root, Roots
    from mcpward.sdk.client.elicitation import Elicit, Elicited, ElicitUrl
    from mcpward.sdk.client.sampling import Sample, Sampled, ToolUse, ToolUsed
    from mcpward.sdk.client.titles import Titles
    from mcpward.sdk.content import Audio, EmbeddedResource, Image, Message, Text
    from mcpward.sdk.context import Caller, Context, env
    from mcpward.sdk.database.database import Changed, Database
    from mcpward.sdk.errors import (
        ConstraintViolated,
        DatabaseFailed,
        ExchangeRefused,
        ExchangeUnavailable,
        ToolError,
        UniqueViolated,
    )
    from mcpward.sdk.from_caller import FromCaller
    from mcpward.sdk.guards import DateRange, Limit
    from mcpward.sdk.header import Header
    from mcpward.sdk.icon import Icon
    from mcpward.sdk.process import Completed, RunFailed, run
    from mcpward.sdk.result import ToolResult
    from mcpward.sdk.server import Server

__version__ = "0.1.0"

_HOMES = {
    "Audio": "mcpward.sdk.content",
    "Caller": "mcpward.sdk.context",
    "Changed": "mcpward.sdk.database.database",
    "Completed": "mcpward.sdk.process",
    "ConstraintViolated": "mcpward.sdk.errors",
    "Context": "mcpward.sdk.context",
    "Database": "mcpward.sdk.database.database",
    "DatabaseFailed": "mcpward.sdk.errors",
    "DateRange": "mcpward.sdk.guards",
    "Elicit": "mcpward.sdk.client.elicitation",
    "ElicitUrl": "mcpward.sdk.client.elicitation",
    "Elicited": "mcpward.sdk.client.elicitation",
    "EmbeddedResource": "mcpward.sdk.content",
    "ExchangeRefused": "mcpward.sdk.errors",
    "ExchangeUnavailable": "mcpward.sdk.errors",
    "FromCaller": "mcpward.sdk.from_caller",
    "Header": "mcpward.sdk.header",
    "Icon": "mcpward.sdk.icon",
    "Image": "mcpward.sdk.content",
    "Limit": "mcpward.sdk.guards",
    "Message": "mcpward.sdk.content",
    "Root": "mcpward.sdk.client.ask",
    "Roots": "mcpward.sdk.client.ask",
    "RunFailed": "mcpward.sdk.process",
    "Sample": "mcpward.sdk.client.sampling",
    "Sampled": "mcpward.sdk.client.sampling",
    "Server": "mcpward.sdk.server",
    "Text": "mcpward.sdk.content",
    "Titles": "mcpward.sdk.client.titles",
    "ToolError": "mcpward.sdk.errors",
    "ToolResult": "mcpward.sdk.result",
    "ToolUse": "mcpward.sdk.client.sampling",
    "ToolUsed": "mcpward.sdk.client.sampling",
    "UniqueViolated": "mcpward.sdk.errors",
    "env": "mcpward.sdk.context",
    "run": "mcpward.sdk.process",
}
#: Names that are modules themselves.
_MODULES = {"http": "mcpward.sdk.http"}

__all__ = [
    "Audio",
    "Caller",
    "Changed",
    "Completed",
    "ConstraintViolated",
    "Context",
    "Database",
    "DatabaseFailed",
    "DateRange",
    "Elicit",
    "ElicitUrl",
    "Elicited",
    "EmbeddedResource",
    "ExchangeRefused",
    "ExchangeUnavailable",
    "FromCaller",
    "Header",
    "Icon",
    "Image",
    "Limit",
    "Message",
    "Root",
    "Roots",
    "RunFailed",
    "Sample",
    "Sampled",
    "Server",
    "Text",
    "Titles",
    "ToolError",
    "ToolResult",
    "ToolUse",
    "ToolUsed",
    "UniqueViolated",
    "__version__",
    "env",
    "http",
    "run",
]


def __getattr__(name: str) -> Any:
    """Import an author's name from its room on first use (PEP 562)."""
    home = _HOMES.get(name)
    if home is None and name not in _MODULES:
        raise AttributeError(f"module 'mcpward' has no attribute {name!r}")
    value = import_module(_MODULES[name]) if home is None else getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
