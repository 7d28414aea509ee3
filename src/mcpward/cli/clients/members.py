"""How each client writes a remote server: the names of its fields are those of its own documentation."""

from typing import Any

from mcpward.cli.clients.client import PLACEHOLDER, Entry

Member = dict[str, Any]


def through_mcp_remote(entry: Entry, authorization: str | None) -> Member:
    """Return the command of mcp-remote, for a client that starts programs only.

    mcp-remote fills ``${…}`` in itself: the key stays in the environment, out of the process list. No argument has a
    space in it: Claude Desktop on Windows breaks arguments there.
    """
    arguments = ["-y", "mcp-remote", entry.url, "--transport", "http-only"]
    if entry.url.startswith("http://"):
        arguments.append("--allow-http")
    member: Member = {"command": "npx", "args": arguments}
    if authorization:
        arguments += ["--header", f"Authorization:${{{entry.named}}}"]
        member["env"] = {entry.named: f"Bearer {entry.key.reveal() if entry.key else PLACEHOLDER}"}
    return member


def typed(entry: Entry, authorization: str | None) -> Member:
    """Return ``type``, ``url`` and ``headers``: Claude Code, Cursor, VS Code."""
    return {"type": "http", **plain(entry, authorization)}


def plain(entry: Entry, authorization: str | None) -> Member:
    """Return ``url`` and ``headers``: Zed, LM Studio, Junie."""
    return {"url": entry.url, **_headers(authorization)}


def codex(entry: Entry, authorization: str | None) -> Member:
    """Return a table of Codex, which takes the name of a variable and adds ``Bearer`` by itself."""
    return {"url": entry.url, **({"bearer_token_env_var": entry.named} if authorization else {})}


def gemini(entry: Entry, authorization: str | None) -> Member:
    """Return a server of Gemini CLI and Qwen Code: only ``url`` would mean SSE."""
    return {"httpUrl": entry.url, **_headers(authorization)}


def opencode(entry: Entry, authorization: str | None) -> Member:
    """Return a server of opencode; with a key, its search for a login is off."""
    member: Member = {"type": "remote", "url": entry.url, "enabled": True}
    return {**member, "oauth": False, **_headers(authorization)} if authorization else member


def copilot(entry: Entry, authorization: str | None) -> Member:
    """Return a server of Copilot CLI, which wants the tools named."""
    return {**typed(entry, authorization), "tools": ["*"]}


def cline(entry: Entry, authorization: str | None) -> Member:
    """Return a server of Cline."""
    return {"type": "streamableHttp", **plain(entry, authorization), "disabled": False}


def continue_dev(entry: Entry, authorization: str | None) -> Member:
    """Return an item of Continue's list of servers."""
    member: Member = {"name": entry.server, "type": "streamable-http", "url": entry.url}
    return {**member, "requestOptions": _headers(authorization)} if authorization else member


def windsurf(entry: Entry, authorization: str | None) -> Member:
    """Return a server of Windsurf."""
    return {"serverUrl": entry.url, **_headers(authorization)}


def goose(entry: Entry, authorization: str | None) -> Member:
    """Return an extension of goose; it fills in the variables that ``env_keys`` lists, and no others."""
    member: Member = {"enabled": True, "type": "streamable_http", "name": entry.server}
    member |= {"description": f"MCP server {entry.server}", "uri": entry.url, "timeout": 300}
    is_named = authorization is not None and f"${{{entry.named}}}" in authorization
    return {**member, "envs": {}, "env_keys": [entry.named] if is_named else [], **_headers(authorization)}


def mcporter(entry: Entry, authorization: str | None) -> Member:
    """Return a server of mcporter."""
    member = {"baseUrl": entry.url, **_headers(authorization)}
    return {**member, "auth": "oauth"} if entry.has_login else member


def nothing(_: Entry, __: str | None) -> Member:
    """Return nothing, for what has no file."""
    return {}


def _headers(authorization: str | None) -> Member:
    return {"headers": {"Authorization": authorization}} if authorization else {}
