"""The messages of one running call to its client, in the form of its era. Everything that leaves here has been cleaned.

Modern: a question ends the call, and the client sends it again with the answers. Legacy: a question is a request of
ours on the call's own stream, and the call waits.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Final

from msgspec import Struct
from msgspec.json import Encoder
from msgspec.structs import replace

from mcpward.core.capability import lacks
from mcpward.core.client_channel import ClientChannel, InputRequired, Question
from mcpward.core.errors import Refusal
from mcpward.core.facts import Lacking, Remedy
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.values import Call, Era, Reply, ResponseStream, Tool
from mcpward.core.withheld import withheld
from mcpward.limits.concurrency.lease import Lease
from mcpward.limits.concurrency.release import Release
from mcpward.messaging.client_requests import ClientRequests
from mcpward.messaging.in_flight import InFlight
from mcpward.messaging.resumption.replay import Buffer, Replays
from mcpward.protocol.listen import asking
from mcpward.protocol.state import NO_STATE, State, States
from mcpward.protocol.versions import LATEST_LEGACY
from mcpward.sanitize.clean import Sanitizer
from mcpward.tools.consent import is_consent
from mcpward.traffic.trail import Trail

_RETRY_MS: Final = 500
#: The level of a session that has set none; the specification leaves it to the server.
_UNASKED: Final = "info"
_MODERN: Final = Era.MODERN
_NO_STREAM: Final = "this client accepts no event streams, so it cannot be asked"
_ADVICE: Final = "a question of the tool contained a secret: try other arguments"
_encode: Final = Encoder().encode


class CallChannels:
    """Makes the channel of each call. ``level`` returns the level of log messages that a session has set."""

    def __init__(
        self,
        sanitizer: Sanitizer,
        questions: ClientRequests,
        replays: Replays,
        running: InFlight,
        states: States,
        level: Callable[[str], str | None],
    ) -> None:
        self.sanitizer = sanitizer
        self.questions = questions
        self.replays = replays
        self.running = running
        self._states = states
        self._level = level

    def open(self, call: Call, trail: Trail, wire: ResponseStream, lease: Lease) -> "CallChannel":
        """The work starts: return its channel, with the answers that a modern request has brought.

        ``lease`` is the call's lease of slots.

        Raises:
            Refusal: state-refused; params-invalid for the id of a request of the same session that still runs.
            CancelledError: the caller has left already.
        """
        if call.era is _MODERN:
            wire.begin(cancel_on_disconnect=True)
            state = self._brought(call, trail.tool) if call.inputs or call.state is not None else NO_STATE
            return ModernChannel(call, trail, wire, self, state, lease)
        wire.begin(cancel_on_disconnect=False)
        level = None if call.session is None else self._level(call.session) or _UNASKED
        return LegacyChannel(replace(call, log_level=level), trail, wire, self, lease)

    def _brought(self, call: Call, tool: Tool | None) -> State:
        """Return the answers of a request: with our state, the answers to our questions; without, the client's own.

        A tool that changes something takes answers only under our seal, and so does mcpward's own question: a state can
        be used up, and an answer without one could be sent again and again (attack 133).
        """
        if call.state is not None:
            return self._states.open(call)
        if tool is not None and is_used_up(tool):
            return NO_STATE
        return State("", {key: answer for key, answer in call.inputs.items() if not is_consent(key)}, 0.0)

    def requests(self, questions: Sequence[Question], call: Call) -> bytes:
        """Return ``inputRequests`` of the questions of a call, fit to leave.

        Raises:
            Refusal: output-refused; a question holds text that must not leave.
        """
        wanted = {question.key: {"method": question.method, "params": question.params} for question in questions}
        clean = self.sanitizer.frame(_encode(wanted), call)
        if not clean:
            raise withheld("a question to the client contained a secret", _ADVICE)
        return clean


class ModernChannel(Struct, eq=False):
    """Implements :class:`~mcpward.core.client_channel.ClientChannel` without a session: a question ends the call.

    ``has_asked``: the author's function has put a question, so it runs. ``ran``: it was begun.
    """

    call: Call
    trail: Trail
    _wire: ResponseStream
    _owner: CallChannels
    state: State
    _lease: Lease
    has_asked: bool = False
    ran: bool = False
    was_cancelled: ClassVar[bool] = False

    @property
    def answers(self) -> Mapping[str, Any]:
        """The answers that came with the request, and those of earlier rounds, by key."""
        return self.state.answers

    def notify(self, message: bytes) -> None:
        """Send one notification as an event of the answer."""
        clean = self._owner.sanitizer.notification(message, self.call)
        if clean:
            self._wire.notify(clean)
            self.trail.sent(len(clean))

    async def ask(self, questions: Sequence[Question]) -> Mapping[str, Any]:
        """Return the answers that came with the request, or end the call with the questions."""
        self.has_asked = self.has_asked or _is_of_tool(questions)
        self.require_able(*(question.capability for question in questions))
        answers = self.state.answers
        missing = tuple(question for question in questions if question.key not in answers)
        if missing:
            raise InputRequired(missing)
        return {question.key: answers[question.key] for question in questions}

    def require_able(self, *capabilities: Mapping[str, Any]) -> None:
        """Raise :class:`Refusal` (capability-missing) for a question that the client did not declare it can answer."""
        _require_declared(self.call, capabilities)

    def release(self) -> None:
        """Without effect: a broken stream of the modern era loses its request."""

    def retain(self) -> Callable[[], None]:
        """Keep the call's places beyond its end."""
        return self._lease.retain()

    def lent(self) -> AbstractAsyncContextManager[None]:
        """Release the call's slots to other calls for the length of the block."""
        return Release(self._lease).lent()

    def finish(self, reply: Reply) -> Reply:
        """Return the reply as it is: nothing can be resumed."""
        return reply

    def close(self) -> None:
        """Nothing to let go of."""


class LegacyChannel:
    """The channel of a call in a session: the call asks a question live, and waits.

    Implements :class:`~mcpward.core.client_channel.ClientChannel`.

    ``has_asked``: the author's function has put a question, so it runs. ``ran``: it was begun.
    """

    __slots__ = ("_entry", "_owner", "_place", "_replay", "_wire", "call", "has_asked", "ran", "trail")
    answers: Final = NO_STATE.answers
    state: Final = NO_STATE

    def __init__(self, call: Call, trail: Trail, wire: ResponseStream, owner: CallChannels, lease: Lease) -> None:
        self.call = call
        self._place = Release(lease)
        self._wire = wire
        self._owner = owner
        self.trail = trail
        self.has_asked = self.ran = False
        self._replay: Buffer | None = None
        self._entry = owner.running.enter(call)
        self._entry.__enter__()

    @property
    def was_cancelled(self) -> bool:
        """Whether the client has called the request off (``notifications/cancelled``)."""
        return self._entry.was_cancelled

    def notify(self, message: bytes) -> None:
        """Send one message as an event that the client can come back to."""
        clean = self._owner.sanitizer.notification(message, self.call)
        if clean:
            self._send(clean)

    async def ask(self, questions: Sequence[Question]) -> Mapping[str, Any]:
        """Send each question as a request on this call's stream, and wait for all answers."""
        self.has_asked = self.has_asked or _is_of_tool(questions)
        call = self.call
        self.require_able(*(question.capability for question in questions))
        async with self._place.lent():  # a person may take minutes: the slot is for others meanwhile
            return await self._owner.questions.ask(call, self._put, asking, questions)

    def require_able(self, *capabilities: Mapping[str, Any]) -> None:
        """Raise for a question that cannot be put: capability-missing, or consent-missing."""
        _require_declared(self.call, capabilities)
        if self.call.session is None or not self._wire.can_stream:
            detail = "the client reads no streams, so it cannot be asked"
            raise Refusal(Reason.CONSENT_MISSING, detail, Remedy(_NO_STREAM))

    def release(self) -> None:
        """End the HTTP answer; the client polls for the rest with the last event's id (SEP-1699)."""
        if self.call.version == LATEST_LEGACY and self.call.session is not None and self._wire.can_stream:
            self._opened()
            self._wire.release(_RETRY_MS)

    def retain(self) -> Callable[[], None]:
        """Keep the call's places beyond its end."""
        return self._place.retain()

    def lent(self) -> AbstractAsyncContextManager[None]:
        """Release the call's slots to other calls for the length of the block."""
        return self._place.lent()

    def finish(self, reply: Reply) -> Reply:
        """Close, and keep the answer for a client that comes back; as it is if there was no event before it."""
        self.close()
        replay = self._replay
        if replay is None:
            return reply
        event_id = replay.append(reply.body) if reply.body else None
        replay.finish()
        return replace(reply, event_id=event_id)

    def close(self) -> None:
        """The call does not run any more. May be called twice."""
        self._entry.__exit__(None, None, None)

    def _put(self, message: bytes) -> None:
        clean = self._owner.sanitizer.frame(message, self.call)
        if not clean:
            raise withheld("a question to the client contained a secret", _ADVICE)
        self._send(clean)

    def _send(self, clean: bytes) -> None:
        event_id = self._opened().append(clean) if self._wire.can_stream and self.call.session else None
        self._wire.notify(clean, event_id)
        self.trail.sent(len(clean))

    def _opened(self) -> Buffer:
        """Begin to keep what is sent; the first event says where to resume from, before there is anything to say."""
        replay = self._replay
        if replay is None:
            replay = self._replay = self._owner.replays.begin(self.call)
            if self.call.version == LATEST_LEGACY:  # older clients do not know events without data
                self._wire.notify(b"", replay.append(b""))
        return replay


class ReleasingChannel:
    """A task's channel: its slot is for others while it waits for answers."""

    __slots__ = ("_channel", "_place", "notify", "release")

    def __init__(self, channel: ClientChannel, lease: Lease) -> None:
        self._channel = channel
        self._place = Release(lease)
        self.notify = channel.notify
        self.release = channel.release

    async def ask(self, questions: Sequence[Question]) -> Mapping[str, Any]:
        """Ask as the task does."""
        async with self._place.lent():
            return await self._channel.ask(questions)

    def retain(self) -> Callable[[], None]:
        """Keep the task's slots, those of its call among them, beyond its end."""
        task, place = self._channel.retain(), self._place.retain()

        def let_go() -> None:
            task()
            place()

        return let_go


CallChannel = ModernChannel | LegacyChannel


def _is_of_tool(questions: Sequence[Question]) -> bool:
    """Whether it is not mcpward that asks, before it runs anything."""
    return any(not is_consent(question.key) for question in questions)


def is_able(channel: CallChannel, capability: Mapping[str, Any]) -> bool:
    """Return whether a question that needs this capability can be put to the client of a call."""
    try:
        channel.require_able(capability)
    except Refusal:
        return False
    return True


def is_used_up(tool: Tool) -> bool:
    """Whether the answers for a call of the tool are good for only one run: it changes something, or needs consent."""
    return tool.confirm or tool.asks_tainted or tool.access is not Access.READ


def _require_declared(call: Call, capabilities: Sequence[Mapping[str, Any]]) -> None:
    """Never ask for what the client did not declare (both eras' specification)."""
    for capability in capabilities:
        missing = lacks(call.capabilities, capability)
        if missing is not None:
            detail = f"the client did not declare {', '.join(capability)}"
            raise Refusal(Reason.CAPABILITY_MISSING, detail, Lacking(missing))
