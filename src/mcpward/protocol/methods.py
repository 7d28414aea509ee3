"""The methods that each era serves, their kinds, and the target of a request. All others are unknown."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from mcpward.core.invalid import invalid
from mcpward.core.values import Era, Kind

INITIALIZE: Final = "initialize"
DISCOVER: Final = "server/discover"
PING: Final = "ping"
CALL: Final = "tools/call"
GET_PROMPT: Final = "prompts/get"
READ: Final = "resources/read"
COMPLETE: Final = "completion/complete"
SET_LEVEL: Final = "logging/setLevel"
SUBSCRIBE: Final = "resources/subscribe"
UNSUBSCRIBE: Final = "resources/unsubscribe"
LISTEN: Final = "subscriptions/listen"
UPDATE_TASK: Final = "tasks/update"
END_SESSION: Final = "session/delete"
"""Our own name for an HTTP DELETE; no message carries it."""
OPEN_STREAM: Final = "stream/open"
"""Our own name for a legacy HTTP GET; no message carries it."""
RESPOND: Final = "response/post"
"""Our own name for a posted response, which has none."""


class ServerInfo(Struct, frozen=True):
    """One MCP server as it introduces itself. Only what is really there is announced, and only that is served.

    ``icons`` are entries as the specification has them (``src``, ``mimeType``, ``sizes``, ``theme``); ``extensions``
    are those that the server's author speaks of, by name. ``has_changes`` says that listeners receive changes;
    ``has_tasks`` that a tool may run as a task of the tasks extension.
    """

    name: str
    version: str = ""
    title: str = ""
    instructions: str = ""
    has_resources: bool = False
    has_prompts: bool = False
    has_tools: bool = True
    has_completions: bool = False
    has_changes: bool = False
    has_tasks: bool = False
    website_url: str = ""
    description: str = ""
    icons: tuple[Mapping[str, Any], ...] = ()
    extensions: Mapping[str, Mapping[str, Any]] = {}


_TOOLS: Final = {"tools/list": Kind.CATALOGUE, CALL: Kind.TOOL}
_RESOURCES: Final = dict.fromkeys(("resources/list", "resources/templates/list", READ), Kind.CATALOGUE)
_PROMPTS: Final = dict.fromkeys(("prompts/list", GET_PROMPT), Kind.CATALOGUE)
_LISTS: Final = dict.fromkeys(
    ("tools/list", "prompts/list", "resources/list", "resources/templates/list"), Kind.CATALOGUE
)
_SUBSCRIPTIONS: Final = dict.fromkeys((SUBSCRIBE, UNSUBSCRIBE), Kind.LIFECYCLE)
_TASKS: Final = dict.fromkeys(("tasks/get", UPDATE_TASK, "tasks/cancel"), Kind.TASK)
_LIFECYCLE: Final = {
    Era.LEGACY: dict.fromkeys((INITIALIZE, PING, SET_LEVEL), Kind.LIFECYCLE),
    Era.MODERN: dict.fromkeys((DISCOVER,), Kind.LIFECYCLE),
}
#: Method to the member of params that ``Mcp-Name`` mirrors (2026-07-28, transports page; SEP-2663 for tasks).
_MIRRORED: Final = {CALL: "name", GET_PROMPT: "name", READ: "uri"} | dict.fromkeys(_TASKS, "taskId")


def table(server: ServerInfo, era: Era) -> dict[str, Kind]:
    """Return the requests that this server answers in this era.

    Legacy clients ask for every list, announced or not. They get an empty one, as the official SDKs answer.
    """
    methods = dict(_LIFECYCLE[era])
    if era is Era.LEGACY:
        methods |= _LISTS
    if server.has_tools:
        methods |= _TOOLS
    if server.has_resources:
        methods |= _RESOURCES
    if server.has_prompts:
        methods |= _PROMPTS
    if server.has_completions:
        methods[COMPLETE] = Kind.CATALOGUE
    if era is Era.LEGACY:
        if server.has_resources and server.has_changes:
            methods |= _SUBSCRIPTIONS
        return methods
    if server.has_tasks:
        methods |= _TASKS
    if server.has_changes or server.has_tasks:
        methods[LISTEN] = Kind.STREAM
    return methods


def mirrored_target(method: str, params: Mapping[str, Any]) -> str | None:
    """Return the name, URI or id that ``Mcp-Name`` mirrors, None for methods without one.

    Raises :class:`Refusal` (params-invalid) if it is missing or no text.
    """
    member = _MIRRORED.get(method)
    if member is None:
        return None
    value = params.get(member)
    if type(value) is not str:
        raise invalid(member, "a string" if member in params else "required: a string")
    return value


def other_target(method: str, params: Mapping[str, Any]) -> str:
    """Return what a request is about that no header mirrors, the empty text for none. The params were looked at."""
    if method in _SUBSCRIPTIONS:
        return str(params["uri"])
    if method == COMPLETE:
        ref = params["ref"]
        return str(ref["name" if ref["type"] == "ref/prompt" else "uri"])
    return ""
