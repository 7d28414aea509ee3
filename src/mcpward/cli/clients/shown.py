"""A server as text: the block as the client's file has it, the command of curl, or what to enter on a web page."""

import json
import shlex
from collections.abc import Collection
from typing import Final

from mcpward.cli import edit
from mcpward.cli.clients import TOKEN, VARIABLE, Client, Entry

_MODERN: Final = "2026-07-28"
_PAGES: Final = {
    "claude-ai": ("Settings > Connectors > Add custom connector", "Name", "Remote MCP server URL"),
    "chatgpt": ("Settings > Apps > Advanced settings: Developer mode; then Create app", "Name", "MCP Server URL"),
}
WEB: Final = frozenset(_PAGES)
"""Clients that run in their vendor's network, and take no file and no API key."""


def rendered(client: Client, entry: Entry) -> str:
    """Write the block as the client's file has it; for curl, the command; for a web page, its fields."""
    if client.name == "curl":
        return _curl(entry)
    if client.name in WEB:
        return _fields(client, entry)
    text = ""
    for name, word in client.preamble.items():
        text = edit.put(client.format, text, (name,), word)
    for path, value in client.parts(entry):
        text = edit.put(client.format, text, path, value)
    return text.rstrip("\n")


def impossible(client: Client, server: str, modes: Collection[str]) -> tuple[str, str] | None:
    """Return why a client cannot reach a server in these modes, and what would let it in; None if it can."""
    if client.name not in WEB or {"oauth", "unlisted", "public"} & set(modes):
        return None
    return (
        f"{client.title} has no field for an API key, and server {server} accepts only keys",
        f'set mode = "oauth" or "unlisted" in [servers.{server}]; ["oauth", "api-key"] keeps the keys of other clients',
    )


def _fields(client: Client, entry: Entry) -> str:
    where, name, address = _PAGES[client.name]
    login = "OAuth" if entry.has_login else "none: the URL is the credential" if entry.is_unlisted else "none"
    rows = [("Open", where), (name, entry.server), (address, entry.url), ("Authentication", login)]
    if entry.has_login:
        rows.append(("Client ID, secret", "empty, unless your identity provider has no dynamic registration"))
    width = max(len(row[0]) for row in rows)
    return "\n".join(f"{label.ljust(width)}  {value}" for label, value in rows)


def _curl(entry: Entry) -> str:
    meta = {"io.modelcontextprotocol/protocolVersion": _MODERN, "io.modelcontextprotocol/clientCapabilities": {}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    headers = [
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        f"MCP-Protocol-Version: {_MODERN}",
        "Mcp-Method: tools/list",
    ]
    lines = [f"curl -sS {shlex.quote(entry.url)}", *(f"-H {shlex.quote(header)}" for header in headers)]
    if entry.needs_key or entry.has_login:
        # printf is built into the shell: the key does not show in the process list, as an argument of curl would.
        own = f"${{{entry.named}}}" if entry.variable else f"${{{entry.named}:-${VARIABLE}}}"
        value = own if entry.needs_key else f"${TOKEN}"
        lines.append(f"-H @<(printf 'Authorization: Bearer %s' \"{value}\")")
    return " \\\n  ".join([*lines, f"--data {shlex.quote(json.dumps(body))}"])
