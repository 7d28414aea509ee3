"""Resumable streams of the legacy era: a call's messages are kept for a client that lost the connection.

Revisions 2025-03-26 to 2025-11-25, basic/transports, "Resumability and Redelivery". An event's id leads to the worker
at which its stream lives, so a client may come back to any worker. Only the principal and the session that began a
stream get its rest. For all others it is the same as one that never was (attack 63).
"""

from mcpward.core.clock import Clock
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Call
from mcpward.messaging.bus.worker_bus import WorkerBus
from mcpward.messaging.resumption.buffer import Bounds, Buffer, Owner
from mcpward.messaging.resumption.buffers import Buffers
from mcpward.messaging.resumption.event_id import EventId, read, require_worker
from mcpward.messaging.resumption.remote_reader import RemoteReader
from mcpward.messaging.resumption.remote_sender import RemoteSender
from mcpward.messaging.resumption.resumed import LocalSource, Resumed, Source
from mcpward.messaging.resumption.timeouts import RemoteTimeouts
from mcpward.messaging.subscriptions.stream_limits import StreamLimits

__all__ = ["Bounds", "Buffer", "RemoteTimeouts", "Replays", "Resumed"]


class Replays:
    """The streams of one worker. ``per_caller`` and ``total`` count the readers of resumed ones (attack 48)."""

    def __init__(
        self,
        bus: WorkerBus,
        clock: Clock,
        worker: str,
        *,
        per_caller: int = 16,
        total: int = 1024,
        bounds: Bounds | None = None,
        patience: RemoteTimeouts | None = None,
    ) -> None:
        patience = patience or RemoteTimeouts()
        self._worker = require_worker(worker)
        self._buffers = Buffers(clock, worker, bounds or Bounds())
        self._places = StreamLimits("streams", per_caller, total)
        self._reader = RemoteReader(bus, clock, worker, patience)
        self._sender = RemoteSender(bus, self._buffers, clock, patience)

    def begin(self, call: Call) -> Buffer:
        """Begin to keep the messages to the caller of ``call``.

        Raises:
            Refusal: session-missing for a call without a session.
        """
        if call.session is None:
            raise Refusal(Reason.SESSION_MISSING, "only a stream of a session can be resumed")
        return self._buffers.begin(Owner(call.principal.key, call.session))

    async def resume(self, call: Call) -> Resumed:
        """Return the messages after ``call.last_event``, and those still to come until the stream has finished.

        Raises:
            Refusal: event-unknown if there is nothing to resume, or not for this caller and session; rate-exceeded when
                the caller reads too many.
        """
        after = read(call.last_event)
        if after is None or call.session is None:
            raise Refusal(Reason.EVENT_UNKNOWN, "the event id is not one of mcpward's")
        caller = call.principal.key
        self._places.take(caller)
        source = None
        try:
            source = await self._source(Owner(caller, call.session), after)
        finally:
            if source is None:
                self._places.give_back(caller)
        if source is None:
            raise Refusal(Reason.EVENT_UNKNOWN, "no such stream, not this caller's, or no longer kept from there")
        return Resumed(source, after, lambda: self._places.give_back(caller))

    def prune(self) -> None:
        """Drop streams that finished long enough ago. Called once a second or so; nothing else wakes up for it."""
        self._buffers.prune()

    async def stop(self) -> None:
        """Drop all buffers, and end their readers."""
        self._buffers.clear()
        await self._sender.stop()

    async def _source(self, owner: Owner, after: EventId) -> Source | None:
        if after.worker != self._worker:
            return await self._reader.open(owner, after)
        replay = self._buffers.find(owner, after.stream)
        return None if replay is None or not replay.has(after.number) else LocalSource(replay, after.number)
