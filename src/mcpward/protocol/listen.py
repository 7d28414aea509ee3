"""The messages of a stream of changes: the subscriptions, their acknowledgement, the changes, and questions to a legacy
client.

Source: 2026-07-28, basic/utilities/subscriptions; SEP-2663 for tasks.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Raw, Struct
from msgspec.json import Decoder, Encoder

from mcpward.core.capability import lacks
from mcpward.core.change import Change, Topic
from mcpward.core.client_channel import Question
from mcpward.core.errors import Refusal
from mcpward.core.facts import Lacking
from mcpward.core.invalid import invalid
from mcpward.core.reasons import Reason
from mcpward.core.values import Call, Era
from mcpward.protocol.declared import NEEDS_TASKS
from mcpward.protocol.methods import ServerInfo
from mcpward.protocol.params import LONGEST_URI
from mcpward.protocol.versions import SUBSCRIPTION_KEY

_MOST: Final = 256
#: Each URI is held against each template of the server, which takes as long as it has characters.
_LONGEST: Final = 32 * 1024
_encode = Encoder().encode
_members = Decoder(dict[str, Raw]).decode
_FLAGS: Final = {
    "toolsListChanged": Topic.TOOLS,
    "promptsListChanged": Topic.PROMPTS,
    "resourcesListChanged": Topic.RESOURCES,
}


class ListenParams(Struct, frozen=True):
    """The subscriptions of a stream: the lists whose changes it reports, the resources by URI, the tasks by id."""

    topics: frozenset[Topic] = frozenset()
    uris: frozenset[str] = frozenset()
    tasks: frozenset[str] = frozenset()


def wanted(call: Call, server: ServerInfo) -> ListenParams:
    """Return what a call that opens a stream wants, as far as the server announces it.

    A legacy stream reports the changes of all lists. Its session's subscriptions decide its resources.

    Raises :class:`Refusal`: params-invalid; capability-missing for tasks without the extension.
    """
    served = _served(server)
    if call.era is Era.LEGACY:
        return ListenParams(topics=served)
    subscribed = call.params.get("notifications")
    if type(subscribed) is not dict:
        raise invalid("notifications", "an object")
    topics = frozenset(topic for flag, topic in _FLAGS.items() if _is_set(subscribed, flag))
    uris = _texts(subscribed, "resourceSubscriptions")
    tasks = _texts(subscribed, "taskIds")
    if tasks and (missing := lacks(call.capabilities, NEEDS_TASKS)) is not None:
        raise Refusal(Reason.CAPABILITY_MISSING, "tasks", Lacking(missing))
    return ListenParams(
        topics=topics & served,
        uris=uris if Topic.RESOURCES in served else frozenset(),
        tasks=tasks if server.has_tasks else frozenset(),
    )


def acknowledged(call: Call, wanted: ListenParams) -> bytes:
    """Return the first message of a listen stream: the subscriptions that were accepted."""
    honoured: dict[str, Any] = {flag: True for flag, topic in _FLAGS.items() if topic in wanted.topics}
    if wanted.uris:
        honoured["resourceSubscriptions"] = sorted(wanted.uris)
    if wanted.tasks:
        honoured["taskIds"] = sorted(wanted.tasks)
    return _notification("notifications/subscriptions/acknowledged", {"notifications": honoured}, call.id)


def changed(change: Change, subscription: int | str | None) -> bytes:
    """Return the notification of a change; ``subscription`` is the listen request's id, None on a legacy stream."""
    params: dict[str, Any] = dict(_members(change.params)) if change.params else {}
    if change.topic is Topic.RESOURCE:
        params["uri"] = change.subject
    elif change.topic is Topic.TASK:
        params["taskId"] = change.subject
    return _notification(change.topic.value, params, subscription)


def asking(question: Question, rpc_id: str) -> bytes:
    """Return a question as the request that a legacy client answers."""
    return _encode({"jsonrpc": "2.0", "id": rpc_id, "method": question.method, "params": question.params})


def _notification(method: str, params: dict[str, Any], subscription: int | str | None) -> bytes:
    if subscription is not None:
        params["_meta"] = {SUBSCRIPTION_KEY: subscription}
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if params:
        message["params"] = params
    return _encode(message)


def _served(server: ServerInfo) -> frozenset[Topic]:
    if not server.has_changes:
        return frozenset()
    offered = (
        (Topic.TOOLS, server.has_tools),
        (Topic.PROMPTS, server.has_prompts),
        (Topic.RESOURCES, server.has_resources),
    )
    return frozenset(topic for topic, is_there in offered if is_there)


def _is_set(subscribed: Mapping[str, Any], flag: str) -> bool:
    value = subscribed.get(flag, False)
    if type(value) is not bool:
        raise invalid(f"notifications.{flag}", "true or false")
    return value


def _texts(subscribed: Mapping[str, Any], member: str) -> frozenset[str]:
    texts = subscribed.get(member, [])
    if (
        type(texts) is not list
        or len(texts) > _MOST
        or not all(type(text) is str and len(text) <= LONGEST_URI for text in texts)
        or sum(map(len, texts)) > _LONGEST
    ):
        rule = f"an array of at most {_MOST} strings, each of at most {LONGEST_URI} characters and all of {_LONGEST}"
        raise invalid(f"notifications.{member}", rule)
    return frozenset(texts)
