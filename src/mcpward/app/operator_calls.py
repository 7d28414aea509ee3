"""Calls that the operator makes at the command line: through every stage of the pipeline but the proof of a credential.

A served site takes them over the encrypted bus, so that they are counted where its limits are. A message opens only
with the master key, and a copy of one runs nothing (attack 133). If the site is not served, the command runs the call
itself.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from msgspec import MsgspecError, Raw, convert, to_builtins
from msgspec.json import Decoder, Encoder
from msgspec.structs import replace

from mcpward.app.fresh_messages import FreshMessages
from mcpward.app.operator_wire import OperatorWire
from mcpward.config.names import nearest
from mcpward.core.clock import Clock
from mcpward.core.ids import request_id
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.values import Arrival, Reply
from mcpward.identity.named import NamedCallers
from mcpward.identity.named_caller import OPERATOR
from mcpward.messaging.bus.worker_bus import WorkerBus
from mcpward.operations.operator_call import (
    ASKING,
    CANCELLING,
    PROGRESSING,
    TELLING,
    CallAnswer,
    CalledOff,
    CallPage,
    CallRequest,
    OperatorCall,
    Progress,
    Tell,
)
from mcpward.pipeline.pipeline import Pipeline
from mcpward.protocol.headers import spelled
from mcpward.protocol.mirrored import mirror
from mcpward.protocol.versions import (
    CAPABILITIES_KEY,
    CLIENT_KEY,
    METHOD_HEADER,
    MODERN,
    NAME_HEADER,
    VERSION_HEADER,
    VERSION_KEY,
)
from mcpward.tools.tool_source import ToolSource

_log: Final = logging.getLogger(__name__)
_METHOD: Final = "tools/call"
_ADDRESS: Final = "127.0.0.1"
#: Characters of a reply in one message, which may have 256 KiB; up to six bytes each, as JSON writes them.
_LETTER: Final = 32 * 1024
_MOST_RUNNING: Final = 16
#: Each message is a row of the store, and a person reads no faster.
_PROGRESS_EVERY_S: Final = 0.5
_encode: Final = Encoder().encode
_decode: Final = Decoder().decode


class OperatorCalls:
    """Makes calls in this process. ``pipeline`` is the one that serves HTTP: its parts are used, but for identity.

    ``look`` has the store read once more: a key may be named the moment it was made, and not once it is revoked.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        callers: NamedCallers,
        sources: Mapping[str, ToolSource],
        clock: Clock,
        look: Callable[[], Awaitable[object]],
    ) -> None:
        self._pipeline = _with_identity(pipeline, callers)
        self._callers = callers
        self._sources = sources
        self._clock = clock
        self._look = look

    async def make(self, call: OperatorCall, tell: Tell | None = None) -> CallAnswer:
        """Return the answer to one call; it is charged, recorded and cleaned as one that came over HTTP."""
        return await self.make_on(OperatorWire(tell, is_gone=True), call)  # only its waiter cancels it

    async def make_on(self, wire: OperatorWire, call: OperatorCall) -> CallAnswer:
        """Do what :meth:`make` does, with a way back that is known elsewhere."""
        if call.server not in self._sources:
            error = {"code": -32601, "message": f"the running site has no server {call.server!r}"}
            body = _encode({"jsonrpc": "2.0", "id": 1, "error": error}).decode()
            return CallAnswer(body=body, reason=Reason.ROUTE_UNKNOWN.value)
        if call.caller.key_id is not None:
            await self._look()
        number = request_id()
        self._callers.expect(number, call.caller)
        reply: Reply = await self._pipeline.serve(self._arrival(number, call), wire)
        hint = self._hint(call) if reply.reason == Reason.TOOL_UNKNOWN.value else ""
        return CallAnswer(body=reply.body.decode(), reason=reply.reason, hint=hint)

    def _hint(self, call: OperatorCall) -> str:
        """Return why a caller does not know a tool. Callers get one answer for all of it; the operator sees more."""
        source = self._sources[call.server]
        tool, caller = source.find(call.tool), call.caller
        if tool is None:
            names = [one.name for one in source.tools]
            meant = nearest(call.tool, names)
            return f"did you mean {meant}?" if meant else f"its tools: {', '.join(names) or 'none'}"
        if caller.key_id is not None:
            return f"the key may not use it: mcpward key show {caller.key_id}"
        if tool.access > Access.parse(caller.access):
            return f"the tool is {tool.access.label}, and the caller may {caller.access}: --class {tool.access.label}"
        lacking = " ".join(f"--scope {scope}" for scope in sorted(tool.scopes.difference(caller.scopes)))
        return f"the caller lacks a scope: {lacking}" if lacking else ""

    def _arrival(self, number: str, call: OperatorCall) -> Arrival:
        source = self._sources.get(call.server)
        tool = None if source is None else source.find(call.tool)
        headers = {
            VERSION_HEADER: MODERN.encode(),
            METHOD_HEADER: _METHOD.encode(),
            NAME_HEADER: spelled(call.tool),
        }
        if tool is not None and tool.mirrored:
            headers |= mirror(_arguments(call), tool.mirrored)
        return Arrival(
            id=number,
            at=self._clock.now(),
            started=self._clock.monotonic(),
            peer=OPERATOR + call.caller.operator,
            bucket=_ADDRESS,
            verb="POST",
            server=call.server,
            headers=headers,
            body=_body(call),
        )


class BusCalls:
    """A worker's answers to calls that come as messages, some of them at once."""

    def __init__(self, calls: OperatorCalls, bus: WorkerBus, clock: Clock) -> None:
        self._calls = calls
        self._bus = bus
        self._clock = clock
        self._heard = FreshMessages(clock)
        self._running: dict[str, tuple[asyncio.Task[None], OperatorWire]] = {}
        bus.on(ASKING, self._hear)
        bus.on(CANCELLING, self._hear_off)

    async def close(self) -> None:
        """End what runs, and answer no more."""
        running = [task for task, _ in self._running.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _hear(self, message: dict[str, Any]) -> None:
        asked = convert(message, CallRequest)
        if self._heard.is_old(asked.at):
            _log.warning("an operator's call is too old, or the clock of its sender is wrong")
        elif self._heard.is_new(asked.name) and len(self._running) < _MOST_RUNNING:
            wire = OperatorWire(self._progress_sender(asked) if asked.call.wants_progress else None, is_gone=False)
            task = asyncio.get_running_loop().create_task(self._answer(asked, wire), name="operator-call")
            self._running[asked.name] = (task, wire)
            task.add_done_callback(lambda _: self._running.pop(asked.name))

    def _hear_off(self, message: dict[str, Any]) -> None:
        task, wire = self._running.get(convert(message, CalledOff).name, (None, None))
        if task is not None and wire is not None:
            wire.is_gone = True
            task.cancel()

    def _progress_sender(self, asked: CallRequest) -> Tell:
        last = -_PROGRESS_EVERY_S

        def tell(progress: Progress) -> None:
            nonlocal last
            now = self._clock.monotonic()
            if now - last >= _PROGRESS_EVERY_S:
                last = now
                self._bus.send(PROGRESSING, to_builtins(replace(progress, name=asked.name)), asked.by)

        return tell

    async def _answer(self, asked: CallRequest, wire: OperatorWire) -> None:
        answer = await self._calls.make_on(wire, asked.call)
        parts = [answer.body[at : at + _LETTER] for at in range(0, len(answer.body), _LETTER)] or [""]
        for page, part in enumerate(parts):
            told = CallPage(
                name=asked.name, body=part, reason=answer.reason, hint=answer.hint, page=page, pages=len(parts)
            )
            self._bus.send(TELLING, to_builtins(told), asked.by)


def _arguments(call: OperatorCall) -> dict[str, Any]:
    """Return the arguments to be mirrored; none if they cannot be read: the package protocol reports that."""
    try:
        arguments = _decode(call.arguments)
    except (MsgspecError, RecursionError):
        return {}
    return arguments if isinstance(arguments, dict) else {}


def _with_identity(pipeline: Pipeline, callers: NamedCallers) -> Pipeline:
    return Pipeline(
        identity=callers,
        protocol=pipeline.protocol,
        policy=pipeline.policy,
        limits=pipeline.limits,
        slots=pipeline.slots,
        execution=pipeline.execution,
        handlers=pipeline.handlers,
        channels=pipeline.channels,
        sanitizer=pipeline.sanitizer,
        traffic=pipeline.traffic,
        render=pipeline.render,
        report=pipeline.report,
    )


def _body(call: OperatorCall) -> bytes:
    meta: dict[str, Any] = {
        VERSION_KEY: MODERN,
        CAPABILITIES_KEY: {"elicitation": {"form": {}}} if call.can_ask else {},
        CLIENT_KEY: {"name": "mcpward call", "version": "1"},
    }
    if call.wants_progress:
        meta["progressToken"] = 1
    params: dict[str, Any] = {"name": call.tool, "arguments": Raw(call.arguments.encode()), "_meta": meta}
    if call.state is not None:
        params |= {"requestState": call.state, "inputResponses": call.inputs or {}}
    return _encode({"jsonrpc": "2.0", "id": 1, "method": _METHOD, "params": params})
