"""What each MCP client wants to read: the block for its configuration file, and where that file lies. Pure: writes
nothing.

Only files of the user alone get a credential. Files of a project are committed sooner or later: they name the variable
``MCPWARD_KEY``, or let the client ask for the key; a secret URL, which has no such stand-in, is not for them.
"""

import json
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from mcpward.core.secret import Secret

VARIABLE: Final = "MCPWARD_KEY"
TOKEN: Final = "ACCESS_TOKEN"  # noqa: S105 - the name of a variable
"""The variable of an access token, for what cannot get one by itself."""
PLACEHOLDER: Final = "<your key>"
_MODERN: Final = "2026-07-28"


class Entry(Struct, frozen=True):
    """One server as a client shall know it. ``key`` is None where none is needed or it is not at hand.

    ``is_unlisted`` says that the URL is the credential, ``has_login`` that the client gets a token from the server's
    identity provider, which it finds by itself (RFC 9728).
    """

    server: str
    url: str
    needs_key: bool
    is_unlisted: bool = False
    key: Secret | None = None
    is_windows: bool = False
    has_login: bool = False


class Place(Struct, frozen=True):
    """The machine of the client: platform, home, current folder and environment."""

    platform: str
    home: Path
    here: Path
    env: Mapping[str, str]


class Client(Struct, frozen=True, kw_only=True):
    """One kind of client. ``table`` is where servers stand in its file; ``after`` is what a person does then,
    ``keyless`` the same where the server takes no key, ``login`` how one logs in where that is not by itself.
    ``is_shared`` says that its file belongs to a project.
    """

    name: str
    title: str
    table: str
    file: Callable[[Place], Path | None]
    block: Callable[[Entry], dict[str, Any]]
    after: str
    keyless: str = ""
    login: str = ""
    is_toml: bool = False
    is_shared: bool = False

    def after_for(self, entry: Entry) -> str:
        """Say what a person does when the block of ``entry`` is in the file."""
        then = self.after if entry.needs_key else self.keyless or self.after
        return f"{then}; {self.login or 'a browser opens to log in'}" if entry.has_login else then


def _desktop_file(place: Place) -> Path:
    name = Path("Claude") / "claude_desktop_config.json"
    if place.platform == "darwin":
        return place.home / "Library" / "Application Support" / name
    if place.platform == "win32":
        return Path(place.env.get("APPDATA") or place.home / "AppData" / "Roaming") / name
    return Path(place.env.get("XDG_CONFIG_HOME") or place.home / ".config") / name


def _codex_file(place: Place) -> Path:
    return Path(place.env.get("CODEX_HOME") or place.home / ".codex") / "config.toml"


def _through_mcp_remote(entry: Entry) -> dict[str, Any]:
    """mcp-remote fills ``${…}`` in itself: the key stays in the environment, out of the process list."""
    arguments = ["-y", "mcp-remote", entry.url, "--transport", "http-only"]
    if entry.url.startswith("http://"):
        arguments.append("--allow-http")
    block: dict[str, Any] = {"command": "npx", "args": arguments}
    if entry.needs_key:
        # On Windows, Claude Desktop breaks arguments at spaces.
        header = f"X-API-Key:${{{VARIABLE}}}" if entry.is_windows else f"Authorization:Bearer ${{{VARIABLE}}}"
        arguments += ["--header", header]
        block["env"] = {VARIABLE: entry.key.reveal() if entry.key else PLACEHOLDER}
    return {"mcpServers": {entry.server: block}}


def _http(entry: Entry, bearer: str) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "http", "url": entry.url}
    if entry.needs_key:
        block["headers"] = {"Authorization": f"Bearer {bearer}"}
    return block


def _claude_code(entry: Entry) -> dict[str, Any]:
    return {"mcpServers": {entry.server: _http(entry, f"${{{VARIABLE}}}")}}


def _cursor(entry: Entry) -> dict[str, Any]:
    bearer = entry.key.reveal() if entry.key else f"${{env:{VARIABLE}}}"
    return {"mcpServers": {entry.server: _http(entry, bearer)}}


def _vscode(entry: Entry) -> dict[str, Any]:
    name = f"mcpward-{entry.server}-key"
    block: dict[str, Any] = {"servers": {entry.server: _http(entry, f"${{input:{name}}}")}}
    if entry.needs_key:
        asks = {"type": "promptString", "id": name, "description": f"mcpward key for {entry.server}", "password": True}
        return {"inputs": [asks], **block}
    return block


def _codex(entry: Entry) -> dict[str, Any]:
    block = {"url": entry.url}
    if entry.needs_key:
        block["bearer_token_env_var"] = VARIABLE
    return {"mcp_servers": {entry.server: block}}


def _no_file(_: Place) -> None:
    return None


def _no_block(_: Entry) -> dict[str, Any]:
    return {}


_EXPORT: Final = f"start it with {VARIABLE} in its environment"
_DESKTOP: Final = Client(
    name="claude-desktop",
    title="Claude Desktop",
    table="mcpServers",
    file=_desktop_file,
    block=_through_mcp_remote,
    after="restart Claude Desktop; it needs Node.js",
)
_CODE: Final = Client(
    name="claude-code",
    title="Claude Code",
    table="mcpServers",
    file=lambda at: at.here / ".mcp.json",
    block=_claude_code,
    after=_EXPORT,
    keyless="start it in this folder",
    login="/mcp in it opens a browser to log in",
    is_shared=True,
)
_CURSOR: Final = Client(
    name="cursor",
    title="Cursor",
    table="mcpServers",
    file=lambda at: at.home / ".cursor" / "mcp.json",
    block=_cursor,
    after="Cursor reads it at once",
)
_VSCODE: Final = Client(
    name="vscode",
    title="VS Code",
    table="servers",
    file=lambda at: at.here / ".vscode" / "mcp.json",
    block=_vscode,
    after="VS Code asks for the key at the first start of the server",
    keyless="start the server in VS Code",
    is_shared=True,
)
_CODEX: Final = Client(
    name="codex",
    title="Codex",
    table="mcp_servers",
    file=_codex_file,
    block=_codex,
    after=_EXPORT,
    keyless="start it anew",
    login="codex mcp login opens a browser",
    is_toml=True,
)
_CURL: Final = Client(name="curl", title="curl", table="", file=_no_file, block=_no_block, after="")
CLIENTS: Final[Mapping[str, Client]] = {
    client.name: client for client in (_DESKTOP, _CODE, _CURSOR, _VSCODE, _CODEX, _CURL)
}


def rendered(client: Client, entry: Entry) -> str:
    """Write the block as the client's file has it; for curl, the command."""
    if client.name == "curl":
        return _curl(entry)
    block = client.block(entry)
    return _toml(client.table, block[client.table]) if client.is_toml else json.dumps(block, indent=2)


def _toml(table: str, servers: Mapping[str, Mapping[str, str]]) -> str:
    lines: list[str] = []
    for name, block in servers.items():
        # A server's name is a TOML bare key, and a JSON text is a TOML basic string.
        lines += [f"[{table}.{name}]", *(f"{word} = {json.dumps(value)}" for word, value in block.items())]
    return "\n".join(lines)


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
        variable = VARIABLE if entry.needs_key else TOKEN
        lines.append(f"-H @<(printf 'Authorization: Bearer %s' \"${variable}\")")
    return " \\\n  ".join([*lines, f"--data {shlex.quote(json.dumps(body))}"])
