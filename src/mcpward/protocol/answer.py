"""The answers that the protocol gives by itself: initialize, ping, server/discover, and the empty ones."""

from typing import Any, Final

from msgspec.json import Encoder
from msgspec.structs import replace

from mcpward.core.unicode import escape_separators
from mcpward.core.values import Call, Era, Reply
from mcpward.protocol import reply
from mcpward.protocol.introduction import implementation, introduction
from mcpward.protocol.methods import DISCOVER, INITIALIZE, ServerInfo
from mcpward.protocol.session import Sessions
from mcpward.protocol.versions import LATEST_LEGACY, LEGACY, MODERN, SESSION_HEADER, SUPPORTED, TASKS

_EMPTY: Final = b"{}"
_spell: Final = Encoder().encode


def lifecycle(call: Call, server: ServerInfo, sessions: Sessions) -> Reply:
    """Answer a lifecycle request that this package has read before."""
    if call.method == INITIALIZE:
        return _initialize(call, server, sessions)
    if call.method == DISCOVER:
        whole = replace(call, introduction=introduction(server, MODERN))
        return reply.catalogue(whole, _discover(server))
    return reply.catalogue(call, _EMPTY)  # ping, logging/setLevel, resources/subscribe, resources/unsubscribe


def _initialize(call: Call, server: ServerInfo, sessions: Sessions) -> Reply:
    """Negotiate as the lifecycle page says: the client's version if it is served, else the newest legacy one."""
    wanted = call.params["protocolVersion"]
    version = wanted if wanted in LEGACY else LATEST_LEGACY
    result = {
        "protocolVersion": version,
        "capabilities": _capabilities(server, Era.LEGACY),
        "serverInfo": implementation(server, version),
    } | _instructions(server)
    client, capabilities = (call.params.get(member) or {} for member in ("clientInfo", "capabilities"))
    token = sessions.issue(call.principal, version, client, capabilities)
    return reply.catalogue(call, _encode(result), headers=((SESSION_HEADER, token.encode("ascii")),))


def _discover(server: ServerInfo) -> bytes:
    capabilities = _capabilities(server, Era.MODERN)
    return _encode({"supportedVersions": SUPPORTED, "capabilities": capabilities} | _instructions(server))


def _capabilities(server: ServerInfo, era: Era) -> dict[str, Any]:
    """Only what is served. Only the modern era has the tasks extension (SEP-2663)."""
    listens = {"listChanged": True} if server.has_changes else {}
    capabilities: dict[str, Any] = {"logging": {}}
    if server.has_tools:
        capabilities["tools"] = listens
    if server.has_resources:
        capabilities["resources"] = {"subscribe": True} | listens if server.has_changes else {}
    if server.has_prompts:
        capabilities["prompts"] = listens
    if server.has_completions:
        capabilities["completions"] = {}
    extensions = {name: said for name, said in server.extensions.items() if name != TASKS}
    if server.has_tasks and era is Era.MODERN:
        extensions[TASKS] = {}
    if extensions:
        capabilities["extensions"] = extensions
    return capabilities


def _encode(value: Any) -> bytes:
    return escape_separators(_spell(value))


def _instructions(server: ServerInfo) -> dict[str, str]:
    return {"instructions": server.instructions} if server.instructions else {}
