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
    from mcpward.sdk.database.composed import sql
    from mcpward.sdk.database.database import Database
    from mcpward.sdk.database.fetching import Changed, RowList
    from mcpward.sdk.database.identifier import Identifier
    from mcpward.sdk.database.like import like
    from mcpward.sdk.database.transaction import Transaction
    from mcpward.sdk.errors import (
        ConstraintViolated,
        DatabaseFailed,
        ExchangeRefused,
        ExchangeUnavailable,
        StatementRefused,
        ToolError,
        UniqueViolated,
    )
    from mcpward.sdk.from_caller import FromCaller
    from mcpward.sdk.guards.argv import Argv
    from mcpward.sdk.guards.date_range import DateRange
    from mcpward.sdk.guards.email_address import Email
    from mcpward.sdk.guards.http_url import HttpUrl
    from mcpward.sdk.guards.length import Length
    from mcpward.sdk.guards.number_limit import Limit
    from mcpward.sdk.guards.one_of import OneOf
    from mcpward.sdk.guards.opened import NewFile, SafeFile, SafeFolder
    from mcpward.sdk.guards.page_depth import Page
    from mcpward.sdk.guards.parameter_guard import ParameterGuard
    from mcpward.sdk.guards.pattern import Pattern
    from mcpward.sdk.guards.safe_path import SafePath
    from mcpward.sdk.guards.time_window import TimeWindow
    from mcpward.sdk.guards.unique import Unique
    from mcpward.sdk.guards.uuid_text import Uuid
    from mcpward.sdk.header import Header
    from mcpward.sdk.http.safe_url import SafeUrl
    from mcpward.sdk.icon import Icon
    from mcpward.sdk.owned import Owned
    from mcpward.sdk.process import Completed, RunFailed, run
    from mcpward.sdk.result import ToolResult
    from mcpward.sdk.server import Server

__version__ = "0.1.0"

_HOMES = {
    "Argv": "mcpward.sdk.guards.argv",
    "Audio": "mcpward.sdk.content",
    "Caller": "mcpward.sdk.context",
    "Changed": "mcpward.sdk.database.fetching",
    "Completed": "mcpward.sdk.process",
    "ConstraintViolated": "mcpward.sdk.errors",
    "Context": "mcpward.sdk.context",
    "Database": "mcpward.sdk.database.database",
    "DatabaseFailed": "mcpward.sdk.errors",
    "DateRange": "mcpward.sdk.guards.date_range",
    "Elicit": "mcpward.sdk.client.elicitation",
    "ElicitUrl": "mcpward.sdk.client.elicitation",
    "Elicited": "mcpward.sdk.client.elicitation",
    "Email": "mcpward.sdk.guards.email_address",
    "EmbeddedResource": "mcpward.sdk.content",
    "ExchangeRefused": "mcpward.sdk.errors",
    "ExchangeUnavailable": "mcpward.sdk.errors",
    "FromCaller": "mcpward.sdk.from_caller",
    "Header": "mcpward.sdk.header",
    "HttpUrl": "mcpward.sdk.guards.http_url",
    "Icon": "mcpward.sdk.icon",
    "Identifier": "mcpward.sdk.database.identifier",
    "Image": "mcpward.sdk.content",
    "Length": "mcpward.sdk.guards.length",
    "Limit": "mcpward.sdk.guards.number_limit",
    "Message": "mcpward.sdk.content",
    "NewFile": "mcpward.sdk.guards.opened",
    "OneOf": "mcpward.sdk.guards.one_of",
    "Owned": "mcpward.sdk.owned",
    "Page": "mcpward.sdk.guards.page_depth",
    "ParameterGuard": "mcpward.sdk.guards.parameter_guard",
    "Pattern": "mcpward.sdk.guards.pattern",
    "Root": "mcpward.sdk.client.ask",
    "Roots": "mcpward.sdk.client.ask",
    "RowList": "mcpward.sdk.database.fetching",
    "RunFailed": "mcpward.sdk.process",
    "SafeFile": "mcpward.sdk.guards.opened",
    "SafeFolder": "mcpward.sdk.guards.opened",
    "SafePath": "mcpward.sdk.guards.safe_path",
    "SafeUrl": "mcpward.sdk.http.safe_url",
    "Sample": "mcpward.sdk.client.sampling",
    "Sampled": "mcpward.sdk.client.sampling",
    "Server": "mcpward.sdk.server",
    "StatementRefused": "mcpward.sdk.errors",
    "Text": "mcpward.sdk.content",
    "TimeWindow": "mcpward.sdk.guards.time_window",
    "Titles": "mcpward.sdk.client.titles",
    "ToolError": "mcpward.sdk.errors",
    "ToolResult": "mcpward.sdk.result",
    "ToolUse": "mcpward.sdk.client.sampling",
    "ToolUsed": "mcpward.sdk.client.sampling",
    "Transaction": "mcpward.sdk.database.transaction",
    "Unique": "mcpward.sdk.guards.unique",
    "UniqueViolated": "mcpward.sdk.errors",
    "Uuid": "mcpward.sdk.guards.uuid_text",
    "env": "mcpward.sdk.context",
    "like": "mcpward.sdk.database.like",
    "run": "mcpward.sdk.process",
    "sql": "mcpward.sdk.database.composed",
}
#: Names that are modules themselves.
_MODULES = {"http": "mcpward.sdk.http"}

__all__ = [
    "Argv",
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
    "Email",
    "EmbeddedResource",
    "ExchangeRefused",
    "ExchangeUnavailable",
    "FromCaller",
    "Header",
    "HttpUrl",
    "Icon",
    "Identifier",
    "Image",
    "Length",
    "Limit",
    "Message",
    "NewFile",
    "OneOf",
    "Owned",
    "Page",
    "ParameterGuard",
    "Pattern",
    "Root",
    "Roots",
    "RowList",
    "RunFailed",
    "SafeFile",
    "SafeFolder",
    "SafePath",
    "SafeUrl",
    "Sample",
    "Sampled",
    "Server",
    "StatementRefused",
    "Text",
    "TimeWindow",
    "Titles",
    "ToolError",
    "ToolResult",
    "ToolUse",
    "ToolUsed",
    "Transaction",
    "Unique",
    "UniqueViolated",
    "Uuid",
    "__version__",
    "env",
    "http",
    "like",
    "run",
    "sql",
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
