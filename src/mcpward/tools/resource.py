"""A resource as the house knows it: its entry in ``resources/list`` and how to read it."""

from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct

from mcpward.core.values import Call
from mcpward.sdk.definitions import ResourceDefinition
from mcpward.tools.report import Notify
from mcpward.tools.result import encode
from mcpward.tools.stage import Stage, invoke


class Resource(Struct, frozen=True, kw_only=True, eq=False):
    """``read`` gives the result of ``resources/read`` for a call that may read it."""

    server: str
    uri: str
    listing: Mapping[str, Any]
    read: Callable[[Call, Stage, Notify], Awaitable[dict[str, Any]]]
    deadline_s: float = 30.0


def bind_resource(server: str, definition: ResourceDefinition, deadline_s: float) -> Resource:
    """Make a definition servable."""

    async def read(call: Call, stage: Stage, notify: Notify) -> dict[str, Any]:
        value = await invoke(definition.function, definition.signature, {}, call, stage, notify)
        return {"contents": [{"uri": definition.uri, **_content(value, definition.mime_type)}]}

    listing: dict[str, Any] = {"uri": definition.uri, "name": definition.name}
    if definition.title is not None:
        listing["title"] = definition.title
    listing["description"] = definition.description
    if definition.mime_type is not None:
        listing["mimeType"] = definition.mime_type
    return Resource(server=server, uri=definition.uri, listing=listing, read=read, deadline_s=deadline_s)


def _content(value: Any, mime_type: str | None) -> dict[str, Any]:
    if isinstance(value, str):
        return {"mimeType": mime_type or "text/plain", "text": value}
    if isinstance(value, bytes | bytearray | memoryview):
        return {"mimeType": mime_type or "application/octet-stream", "blob": b64encode(value).decode()}
    return {"mimeType": mime_type or "application/json", "text": encode(value).decode()}
