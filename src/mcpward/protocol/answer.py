"""The answers that the protocol gives by itself: initialize, ping, server/discover."""

from typing import Any, Final

from msgspec.json import Encoder

from mcpward.core.values import Call, Reply
from mcpward.protocol import reply
from mcpward.protocol.methods import DISCOVER, INITIALIZE, ServerInfo
from mcpward.protocol.session import Sessions
from mcpward.protocol.versions import LATEST_LEGACY, LEGACY, SESSION_HEADER, SUPPORTED

_encode = Encoder().encode
_EMPTY: Final = b"{}"


def lifecycle(call: Call, server: ServerInfo, sessions: Sessions) -> Reply:
    """Answer a lifecycle request that the room has read before."""
    if call.method == INITIALIZE:
        return _initialize(call, server, sessions)
    if call.method == DISCOVER:
        return reply.catalogue(call, _discover(server))
    return reply.catalogue(call, _EMPTY)  # ping


def _initialize(call: Call, server: ServerInfo, sessions: Sessions) -> Reply:
    """Negotiate as the lifecycle page says: the client's version if it is served, else the newest legacy one."""
    wanted = call.params["protocolVersion"]
    version = wanted if wanted in LEGACY else LATEST_LEGACY
    result = {
        "protocolVersion": version,
        "capabilities": _capabilities(server),
        "serverInfo": reply.implementation(server),
    } | _instructions(server)
    token = sessions.issue(call.principal, version, call.params["clientInfo"])
    return reply.catalogue(call, _encode(result), headers=((SESSION_HEADER, token.encode("ascii")),))


def _discover(server: ServerInfo) -> bytes:
    capabilities = _capabilities(server) | {"logging": {}}
    return _encode({"supportedVersions": SUPPORTED, "capabilities": capabilities} | _instructions(server))


def _capabilities(server: ServerInfo) -> dict[str, Any]:
    """Only what is served: no list changes while the process runs, so ``listChanged`` is not promised."""
    capabilities: dict[str, Any] = {"tools": {}}
    if server.has_resources:
        capabilities["resources"] = {}
    if server.has_prompts:
        capabilities["prompts"] = {}
    return capabilities


def _instructions(server: ServerInfo) -> dict[str, str]:
    return {"instructions": server.instructions} if server.instructions else {}
