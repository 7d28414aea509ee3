"""Streams that a caller holds open: the legacy GET, ``subscriptions/listen``, and the rest of an interrupted answer.

Each is checked again every second: a revoked key, or an ended session, loses its streams as it loses its calls.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from mcpward.core.change import Change, Topic
from mcpward.core.uri import canonical
from mcpward.core.values import Call, Era, Reply, ResponseStream
from mcpward.messaging.resumption.replay import Replays
from mcpward.messaging.session_settings import SessionSettings
from mcpward.messaging.subscriptions.streams import Streams
from mcpward.policy.decide import Policy
from mcpward.protocol import reply as replies
from mcpward.protocol.listen import ListenParams, acknowledged, changed, wanted
from mcpward.protocol.methods import ServerInfo
from mcpward.sanitize.clean import Sanitizer
from mcpward.tasks.tasks import Tasks
from mcpward.tools.tool_source import ToolSource
from mcpward.traffic.trail import Trail

#: So many resources are looked up, and so many tasks read, at a time.
_GROUP: Final = 16


class _Held(Struct, eq=False):
    """One open stream: the call that opened it, and the task that feeds it."""

    call: Call
    task: "asyncio.Task[object]"
    is_over: bool = False


class Listeners:
    """Feeds the open streams of one worker. ``is_good`` returns whether a call's caller may still be served."""

    def __init__(
        self,
        *,
        servers: Mapping[str, ServerInfo],
        sources: Mapping[str, ToolSource],
        policy: Policy,
        streams: Streams,
        settings: SessionSettings,
        replays: Replays,
        tasks: Tasks,
        sanitizer: Sanitizer,
        is_good: Callable[[Call], bool],
    ) -> None:
        self._servers = dict(servers)
        self._sources = dict(sources)
        self._policy = policy
        self._streams = streams
        self._settings = settings
        self._replays = replays
        self._tasks = tasks
        self._sanitizer = sanitizer
        self._is_good = is_good
        self._held: set[_Held] = set()

    async def serve(self, call: Call, wire: ResponseStream, trail: Trail) -> Reply:
        """Feed one stream until its caller leaves, the server stops or the caller loses the right to it.

        Raises:
            Refusal: event-unknown, rate-exceeded (too many streams), params-invalid.
            CancelledError: the caller has left.
        """
        task = asyncio.current_task()
        assert task is not None  # a request is always a task
        held = _Held(call, task)
        self._held.add(held)
        try:
            if call.last_event is not None:
                await self._resume(call, wire, trail)
            else:
                await self._listen(call, wire, trail)
        except asyncio.CancelledError:
            if wire.is_gone and not held.is_over:
                raise
            while task.uncancel():  # ended by us: only the goodbye is left
                pass
        finally:
            self._held.discard(held)
        return replies.listened(call) if call.era is Era.MODERN else replies.closed()

    def check(self) -> None:
        """End the streams of callers that may no longer be served. Called once a second."""
        for held in list(self._held):
            if not held.is_over and not self._is_good(held.call):
                held.is_over = True
                held.task.cancel()

    async def _listen(self, call: Call, wire: ResponseStream, trail: Trail) -> None:
        asked = wanted(call, self._servers[call.arrival.server])
        subscribed: ListenParams | _Session = _Session(asked.topics, _Watched(self, call))
        tasks: list[str] = []
        if call.session is None:
            tasks = await self._tasks.known(call, asked.tasks)
            subscribed = ListenParams(asked.topics, await self._readable(call, asked.uris), frozenset(tasks))
        with self._streams.open(
            call, _told(subscribed) if isinstance(subscribed, ListenParams) else subscribed
        ) as stream:
            wire.begin(cancel_on_disconnect=True, endless=True)
            subscription = None
            if isinstance(subscribed, ListenParams):
                subscription = call.id
                wire.notify(acknowledged(call, subscribed))
            for at in range(0, len(tasks), _GROUP):  # one that has ended before is reported once all the same
                for task, as_it_is in (await self._tasks.describe_all(call, tasks[at : at + _GROUP])).items():
                    told = Change(stream.server, Topic.TASK, task, params=as_it_is)
                    await self._tell(call, told, subscription, wire, trail)
            async for change in stream:
                if change.topic is not Topic.TASK:
                    await self._tell(call, change, subscription, wire, trail)
                # A task is reported as it is now, whole.
                elif (now := (await self._tasks.describe(call, change.subject))) is not None:
                    await self._tell(call, replace(change, params=now), subscription, wire, trail)

    async def _tell(
        self, call: Call, change: Change, subscription: int | str | None, wire: ResponseStream, trail: Trail
    ) -> None:
        """Send one change when the caller has read those before."""
        clean = self._sanitizer.frame(changed(change, subscription), call)
        if clean:
            wire.notify(clean)
            trail.sent(len(clean))
            await wire.drained()

    async def _resume(self, call: Call, wire: ResponseStream, trail: Trail) -> None:
        async with await self._replays.resume(call) as rest:
            wire.begin(cancel_on_disconnect=True, endless=True)
            async for message, event_id in rest:
                wire.notify(message, event_id)
                trail.sent(len(message))
                await wire.drained()

    async def _readable(self, call: Call, uris: Collection[str]) -> frozenset[str]:
        """Leave out what this caller may not read: even its changes would reveal it."""
        may: set[str] = set()
        for at, uri in enumerate(uris, 1):
            if self.may_read(call, uri):
                may.add(uri)
            if not at % _GROUP:  # each is held against all templates: others have their turn in between
                await asyncio.sleep(0)
        return frozenset(may)

    def may_read(self, call: Call, uri: str) -> bool:
        """Return whether there is such a resource, and this caller may read it."""
        resource = self._sources[call.arrival.server].find_resource(uri)
        return resource is not None and self._policy.may_use(call.principal, resource)

    def watches(self, call: Call, uri: str) -> bool:
        """Return whether a legacy call's session has subscribed to a resource that its caller may still read."""
        return call.session is not None and uri in self._settings.uris(call.session) and self.may_read(call, uri)


def _told(subscribed: ListenParams) -> ListenParams:
    """Return the subscriptions in the form of changes: each resource by its canonical URI, however the caller spelled
    it.
    """
    return replace(subscribed, uris=frozenset(canonical(uri) or uri for uri in subscribed.uris))


class _Session(Struct, frozen=True, eq=False):
    """The subscriptions of a legacy stream: they belong to its session, and change while it is open."""

    topics: frozenset[Topic]
    uris: "_Watched"
    tasks: frozenset[str] = frozenset()


class _Watched(Struct, frozen=True, eq=False):
    """The resources whose changes a legacy stream receives, looked up anew for each change."""

    listeners: Listeners
    call: Call

    def __contains__(self, uri: object) -> bool:
        return isinstance(uri, str) and self.listeners.watches(self.call, uri)
