"""JSON-RPC messages of both eras, as a well-behaved client writes them."""

from typing import Any


def initialize(version: str = "2025-11-25", **params: Any) -> dict[str, Any]:
    said = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}} | params
    return {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": said}


def request(method: str, params: dict[str, Any] | None = None, *, number: Any = 1) -> dict[str, Any]:
    message = {"jsonrpc": "2.0", "id": number, "method": method}
    return message if params is None else message | {"params": params}


def modern(method: str, params: dict[str, Any] | None = None, *, number: Any = 1, **meta: Any) -> dict[str, Any]:
    envelope = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    } | {name.replace("__", "/"): value for name, value in meta.items()}
    return request(method, (params or {}) | {"_meta": envelope}, number=number)


def modern_headers(method: str, name: str | bytes | None = None, version: str = "2026-07-28") -> dict[str, Any]:
    headers: dict[str, Any] = {"MCP-Protocol-Version": version, "Mcp-Method": method}
    return headers if name is None else headers | {"Mcp-Name": name}
