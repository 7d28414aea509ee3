"""A change of something that a server offers, for its listeners."""

from enum import Enum

from msgspec import Struct


class Topic(Enum):
    """The kind of change. The value is the notification's method."""

    TOOLS = "notifications/tools/list_changed"
    PROMPTS = "notifications/prompts/list_changed"
    RESOURCES = "notifications/resources/list_changed"
    RESOURCE = "notifications/resources/updated"
    TASK = "notifications/tasks"


class Change(Struct, frozen=True):
    """One change on one server.

    ``subject`` is the resource's URI or the task's id (empty for lists). ``owner`` is the only principal key that may
    receive it (tasks), or None if all callers may. ``params`` are further params of the notification, as JSON.
    """

    server: str
    topic: Topic
    subject: str = ""
    owner: str | None = None
    params: bytes = b""
