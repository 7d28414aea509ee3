"""Objects of other frameworks where a ``Server`` of mcpward's belongs, and the names of theirs that authors use."""

from types import ModuleType
from typing import Any, Final

from mcpward.core.errors import Finding
from mcpward.tools.top_level import TopLevel

_PACKAGES: Final = ("fastmcp", "mcp")
_WEB: Final = ("fastapi", "flask", "starlette", "django", "aiohttp")
_SERVERS: Final = frozenset({"FastMCP", "MCPServer", "Server"})
_HINT: Final = "write from mcpward import Server and {name} = Server({server!r}); the decorators are the same"
#: Names of other frameworks' servers, and the names to write here.
METHODS: Final = {
    "run": "remove it: mcpward serve tools.py serves the file",
    "run_async": "remove it: mcpward serve tools.py serves the file",
    "run_stdio_async": "remove it: mcpward serve tools.py serves the file",
    "http_app": "remove it: mcpward serve tools.py serves the file",
    "streamable_http_app": "remove it: mcpward serve tools.py serves the file",
    "add_tool": "write server.tool(function), or @server.tool above it",
    "add_resource": 'write server.resource("shop://…")(function), or @server.resource above it',
    "add_prompt": "write server.prompt(function), or @server.prompt above it",
    "custom_route": "serve other routes outside mcpward, which serves only MCP",
    "mount": "put each server into its own file, and list each file in mcpward.toml",
    "import_server": "put each server into its own file, and list each file in mcpward.toml",
    "add_middleware": "limits, guards and scopes are options of @server.tool, and tables of mcpward.toml",
}
_OF_SERVER: Final = 'write server = Server("shop"), and @server.{name} above the function'
IMPORTS: Final = {
    **{name: _OF_SERVER.format(name=name) for name in ("tool", "resource", "prompt", "completion")},
    "FastMCP": "write from mcpward import Server",
    "MCPServer": "write from mcpward import Server",
    "MCP": "write from mcpward import Server",
    "Depends": "annotate a parameter Caller or Context, or keep shared objects at the top level",
    "BaseModel": "write from pydantic import BaseModel",
    "Field": "write from pydantic import Field",
    "Annotated": "write from typing import Annotated",
    "AuthoringError": "write from mcpward.sdk.errors import AuthoringError",
}


def foreign_server(module: ModuleType, top: TopLevel, source: str) -> Finding | None:
    """Return what is wrong if a module holds a server of another framework; None if it does not."""
    for name, value in vars(module).items():
        kind = _kind(value)
        if not kind or isinstance(value, type):
            continue
        line = top.line_of(name)
        if kind in _WEB:
            what = f"{name} is {type(value).__name__} of {kind}, a web application, not an MCP server"
            hint = "declare what models may call: from mcpward import Server, server = Server(…), @server.tool"
        else:
            owner = "" if type(value).__name__ == "FastMCP" else f" of the package {kind}"
            what = f"this is {type(value).__name__}{owner}: {name} = {type(value).__name__}({_own_name(value)!r})"
            hint = _HINT.format(name=name, server=_own_name(value))
        return Finding(what=what, where=top.place(line) if line else source, hint=hint)
    return None


def _kind(value: Any) -> str:
    for kind in type(value).__mro__:
        package = kind.__module__.partition(".")[0]
        if (package in _PACKAGES and kind.__name__ in _SERVERS) or (
            package in _WEB and kind.__name__ in {"FastAPI", "Flask", "Starlette", "Application"}
        ):
            return package
    return ""


def _own_name(value: Any) -> str:
    name = getattr(value, "name", "")
    return name if isinstance(name, str) and name.isprintable() else "shop"
