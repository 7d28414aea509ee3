"""The requests to mcpward itself: the protocol's own methods, the caller's session, its tasks, its answers to us."""

from collections.abc import Awaitable, Callable
from typing import Final

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.uri import canonical
from mcpward.core.values import Call, Kind, Reply, ResponseStream
from mcpward.messaging.client_requests import ClientRequests
from mcpward.messaging.in_flight import InFlight
from mcpward.messaging.session_settings import SessionSettings
from mcpward.pipeline.listeners import Listeners
from mcpward.pipeline.store_timeout import store_deadline
from mcpward.protocol import reply as replies
from mcpward.protocol.methods import END_SESSION, SET_LEVEL, SUBSCRIBE, UNSUBSCRIBE
from mcpward.protocol.read import Protocol
from mcpward.tasks.tasks import Tasks
from mcpward.traffic.trail import Trail

_CANCELLED: Final = "notifications/cancelled"
_EMPTY: Final = b"{}"

EndSession = Callable[[str, float], Awaitable[None]]
"""Announces to all workers, and to the next start, that a session has ended; forgotten after the given time."""


class MethodHandlers:
    """Answers every kind of call but tools and the catalogue. All have been read, allowed and charged before."""

    def __init__(
        self,
        *,
        protocol: Protocol,
        questions: ClientRequests,
        running: InFlight,
        settings: SessionSettings,
        listeners: Listeners,
        tasks: Tasks,
        end_session: EndSession,
    ) -> None:
        self._protocol = protocol
        self._questions = questions
        self._running = running
        self._settings = settings
        self._listeners = listeners
        self._tasks = tasks
        self._end_session = end_session

    async def answer(self, call: Call, wire: ResponseStream, trail: Trail) -> Reply:
        """Answer one call.

        Raises:
            Refusal: the requested item is not available.
        """
        match call.kind:
            case Kind.STREAM:
                return await self._listeners.serve(call, wire, trail)
            case Kind.TASK:
                async with store_deadline():
                    body = await self._task(call)
                return replies.catalogue(call, body)
            case Kind.ANSWER:
                self._questions.answer(call)
                return replies.accepted()
            case Kind.NOTIFICATION:
                if call.method == _CANCELLED and call.session is not None:
                    self._running.cancel(call)
                return self._protocol.answer(call)
            case _:
                return await self._lifecycle(call)

    async def _task(self, call: Call) -> bytes:
        match call.method:
            case "tasks/get":
                return await self._tasks.get(call)
            case "tasks/update":
                return await self._tasks.update(call)
            case _:
                return await self._tasks.cancel(call)

    async def _lifecycle(self, call: Call) -> Reply:
        match call.method:
            case method if method == END_SESSION and call.session is not None:
                async with store_deadline():
                    await self._end_session(call.session, self._protocol.sessions.end(call.session))
            case method if method == SET_LEVEL:
                async with store_deadline():
                    await self._settings.set_level(call, call.params["level"])
                return replies.catalogue(call, _EMPTY)
            case method if method == SUBSCRIBE:
                if not self._listeners.may_read(call, call.target):
                    raise Refusal(Reason.RESOURCE_UNKNOWN)
                async with store_deadline():
                    await self._settings.subscribe(call, canonical(call.target) or call.target)
                return replies.catalogue(call, _EMPTY)
            case method if method == UNSUBSCRIBE:
                async with store_deadline():
                    await self._settings.unsubscribe(call, canonical(call.target) or call.target)
                return replies.catalogue(call, _EMPTY)
        return self._protocol.answer(call)
