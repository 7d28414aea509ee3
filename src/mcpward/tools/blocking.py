"""Calls that hold the event loop in an ``async def`` function, by the well-known names. Others are found at run time,
see ``loop_watch.py``.
"""

import ast
from collections.abc import Iterator
from typing import Any, Final

from mcpward.core.errors import Finding
from mcpward.tools.function_source import FunctionSource

_CALLS: Final = {
    ("time", "sleep"): "await asyncio.sleep(…)",
    ("urllib.request", "urlopen"): "",
    ("subprocess", "run"): "await asyncio.create_subprocess_exec(…)",
    ("subprocess", "check_output"): "await asyncio.create_subprocess_exec(…)",
    ("subprocess", "check_call"): "await asyncio.create_subprocess_exec(…)",
    ("subprocess", "call"): "await asyncio.create_subprocess_exec(…)",
    ("_socket", "getaddrinfo"): "await loop.getaddrinfo(…)",
    ("socket", "create_connection"): "await asyncio.open_connection(…)",
    ("socket", "getaddrinfo"): "await loop.getaddrinfo(…)",
    ("sqlite3", "connect"): "a Database of mcpward",
    ("_sqlite3", "connect"): "a Database of mcpward",
    ("psycopg2", "connect"): "a Database of mcpward",
    ("builtins", "input"): "",
}
#: Packages whose top-level functions all wait for an answer.
_PACKAGES: Final = {"requests.api": "an asynchronous client (httpx.AsyncClient)", "httpx": "httpx.AsyncClient",
                    "httpx._api": "httpx.AsyncClient"}  # fmt: skip


def blocking_calls(what: str, source: FunctionSource) -> Iterator[Finding]:
    """Return the calls that hold up every caller of the worker, with what to write."""
    if not source.signature.is_async:
        return
    for node in source.nodes:
        if isinstance(node, ast.Call):
            instead = _instead(source.resolved(node.func))
            if instead is not None:
                called = ast.unparse(node.func)
                hint = "write def, so that it runs in a thread" + (f"; or use {instead}" if instead else "")
                yield Finding(f"{what}: {called}() in async def blocks all callers", source.place(node), hint)


def _instead(function: Any) -> str | None:
    module, name = getattr(function, "__module__", None) or "", getattr(function, "__name__", "")
    if module in _PACKAGES and callable(function) and not isinstance(function, type):
        return _PACKAGES[module]
    return _CALLS.get((module, name))
