"""Which methods each era serves, what kind each one is, and what its params must look like. All others are unknown."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Era, Kind

INITIALIZE: Final = "initialize"
DISCOVER: Final = "server/discover"
PING: Final = "ping"
END_SESSION: Final = "session/delete"
"""Our own name for an HTTP DELETE; no message carries it."""


class ServerInfo(Struct, frozen=True):
    """One MCP server as it introduces itself. Only what is really there is announced, and only that is served."""

    name: str
    version: str = ""
    title: str = ""
    instructions: str = ""
    has_resources: bool = False
    has_prompts: bool = False


_TOOLS: Final = {"tools/list": Kind.CATALOGUE, "tools/call": Kind.TOOL}
_RESOURCES: Final = dict.fromkeys(("resources/list", "resources/templates/list", "resources/read"), Kind.CATALOGUE)
_PROMPTS: Final = dict.fromkeys(("prompts/list", "prompts/get"), Kind.CATALOGUE)
_LIFECYCLE: Final = {
    Era.LEGACY: dict.fromkeys((INITIALIZE, PING), Kind.LIFECYCLE),
    Era.MODERN: dict.fromkeys((DISCOVER,), Kind.LIFECYCLE),
}
#: Method to the member of params that names its target, which ``Mcp-Name`` mirrors.
_TARGET: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


def table(server: ServerInfo, era: Era) -> dict[str, Kind]:
    """Give the requests that this server answers in this era."""
    methods = _LIFECYCLE[era] | _TOOLS
    if server.has_resources:
        methods |= _RESOURCES
    if server.has_prompts:
        methods |= _PROMPTS
    return methods


def target(method: str, params: Mapping[str, Any]) -> str | None:
    """Give the name or URI that a request is about, None for methods without one.

    Raises :class:`Refusal` (params-invalid) where it is missing or no text.
    """
    member = _TARGET.get(method)
    if member is None:
        return None
    value = params.get(member)
    if type(value) is not str:
        raise Refusal(Reason.PARAMS_INVALID, f"{member} must be a string")
    return value


def require_params(method: str, params: Mapping[str, Any]) -> None:
    """Refuse params of a wrong shape, before anyone else reads them. Raises :class:`Refusal` (params-invalid)."""
    arguments = params.get("arguments")
    if arguments is not None and type(arguments) is not dict:
        raise Refusal(Reason.PARAMS_INVALID, "arguments must be an object")
    if method == "tools/call":
        return
    if method == "prompts/get" and arguments and not all(type(value) is str for value in arguments.values()):
        raise Refusal(Reason.PARAMS_INVALID, "a prompt's arguments must be strings")
    cursor = params.get("cursor")
    if cursor is not None and type(cursor) is not str:
        raise Refusal(Reason.PARAMS_INVALID, "cursor must be a string")
    if method == INITIALIZE:
        _require_introduction(params)


def _require_introduction(params: Mapping[str, Any]) -> None:
    client = params.get("clientInfo")
    if (
        type(params.get("protocolVersion")) is not str
        or type(params.get("capabilities")) is not dict
        or type(client) is not dict
        or type(client.get("name")) is not str
        or type(client.get("version")) is not str
    ):
        raise Refusal(Reason.PARAMS_INVALID, "initialize needs protocolVersion, capabilities and clientInfo")
