"""Follows one request from its arrival to its end, and leaves exactly one record, whatever the end was.

Collects references only; what is kept is taken at the end, in one step. Nothing here writes, logs or waits, but for
the intent of a destructive call, which is on disk before the tool begins.
"""

import asyncio
import logging
from types import TracebackType
from typing import Final, Self

from mcpward.core.clock import Clock
from mcpward.core.errors import Fault, Refusal
from mcpward.core.ids import request_id
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.values import AcceptedCall, Arrival, Call, Principal, Reply, Tool
from mcpward.traffic.record import Limits, Record, Result, arguments, name, trace
from mcpward.traffic.row import Redact, Rows, text
from mcpward.traffic.writer import Writer

_log: Final = logging.getLogger("mcpward.traffic")
_INTENT_TIMEOUT_S: Final = 5.0
_RETRY_AFTER_S: Final = 5
#: Reasons that are no refusal: the tool's own end, and ours. All others are.
_RESULTS: Final = {
    Reason.TOOL_FAILED.value: Result.ERROR,
    Reason.TOOL_TIMEOUT.value: Result.ERROR,
    Reason.FAULT.value: Result.FAULT,
}


class Traffic:
    """The record of every request. ``redact`` is applied to all that callers wrote, in the writer's batch.

    ``redact_json`` is applied instead to arguments that are whole (``redact`` where it is not given).
    """

    def __init__(
        self,
        writer: Writer,
        clock: Clock,
        redact: Redact,
        keep_arguments: bool = True,
        redact_json: Redact | None = None,
    ) -> None:
        self.writer = writer
        self.clock = clock
        self.monotonic = clock.monotonic
        self.keeps_arguments = keep_arguments
        self.in_flight = 0
        writer.rows = Rows(redact, redact_json)
        writer.metrics.gauges["mcpward_calls_in_flight"] = lambda: self.in_flight

    @property
    def full(self) -> bool:
        """The store does not keep up: no call may be let in, as none could be recorded."""
        return self.writer.full

    def follow(self, arrival: Arrival) -> "Trail":
        """Give the trail of an arrival: ``with traffic.follow(arrival) as trail:``."""
        return Trail(self, arrival)

    def refused(
        self,
        *,
        peer: str,
        server: str,
        reply: Reply,
        detail: str = "",
        bytes_in: int = 0,
        duration_s: float = 0.0,
        limit: str | None = None,
    ) -> None:
        """Record what was refused at a gate, before there was an arrival; by ``limit``, where it was one."""
        _log.debug("refused at the gate: %s %r", reply.reason, detail)
        self.writer.offer(
            Record(
                request_id(),
                self.clock.now(),
                text(name(server)),
                text(name(peer)),
                "done",
                _RESULTS.get(reply.reason or "", Result.REFUSED),
                reply.reason,
                reply.error_id,
                reply.status,
                duration_s,
                bytes_in,
                len(reply.body),
                limits=None if limit is None else (limit, ()),
            )
        )


class Trail:
    """One request on its way. A context manager: leaving it writes the record."""

    __slots__ = (
        "_arrival",
        "_bytes_out",
        "_call",
        "_is_asked",
        "_is_cancelled",
        "_is_error",
        "_limits",
        "_principal",
        "_reply",
        "_tool",
        "_traffic",
    )

    def __init__(self, traffic: Traffic, arrival: Arrival) -> None:
        self._traffic = traffic
        self._arrival = arrival
        self._principal: Principal | None = None
        self._call: Call | None = None
        self._tool: Tool | None = None
        self._reply: Reply | None = None
        self._is_error = False
        self._is_asked = False
        self._is_cancelled = False
        self._bytes_out = 0
        self._limits: Limits | None = None

    def __enter__(self) -> Self:
        self._traffic.in_flight += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        traffic = self._traffic
        traffic.in_flight -= 1
        reply = self._reply
        if error is not None or reply is None:
            outcome, reason, error_id = _end(error)
            record = self._record("done", outcome, reason, error_id, 0, self._bytes_out)
        else:
            reason = reply.reason
            if self._is_cancelled:
                outcome = Result.CANCELLED
            elif reason is None:
                outcome = Result.ERROR if self._is_error else Result.ASKED if self._is_asked else Result.OK
            else:
                outcome = _RESULTS.get(reason, Result.REFUSED)
            sent = self._bytes_out + len(reply.body)
            record = self._record("done", outcome, reason, reply.error_id, reply.status, sent)
        traffic.writer.offer(record)

    def identified(self, principal: Principal) -> None:
        """Note who is calling."""
        self._principal = principal

    def called(self, call: Call, tool: Tool | None = None) -> None:
        """Note what is called. May be told twice: before and after the tool is found."""
        self._call = call
        self._tool = tool

    def sent(self, size: int) -> None:
        """Note bytes that left before the answer: notifications of a running call."""
        self._bytes_out += size

    def cancelled(self) -> None:
        """Note that the call was ended while it ran, though its caller is still there to be told."""
        self._is_cancelled = True

    def failed(self) -> None:
        """Note that the tool said no itself: its result is an error."""
        self._is_error = True

    def limited(self, policy: str) -> None:
        """Note the name of the limit that refuses the request."""
        self._limits = (policy, self._limits[1] if self._limits is not None else ())

    def shadowed(self, policies: tuple[str, ...]) -> None:
        """Note the names of limits that would refuse the request, were they enforced. May be told twice."""
        policy, known = self._limits if self._limits is not None else (None, ())
        self._limits = (policy, tuple(dict.fromkeys((*known, *policies))))

    def asked(self) -> None:
        """Note that the call ended with questions to its client, who may send it again with the answers."""
        self._is_asked = True

    def answered(self, reply: Reply) -> None:
        """Note the answer."""
        self._reply = reply

    async def intent(self, accepted: AcceptedCall) -> None:
        """Return when the record of a destructive call would survive a power cut; at once for any other call.

        Raises:
            Refusal: busy; the store did not take the record, so the call must not run.
        """
        if accepted.tool.access is not Access.DESTRUCTIVE:
            return
        self._call = accepted.call
        self._tool = accepted.tool
        record = self._record("intent", Result.PENDING, None, None, 0, 0)
        try:
            async with asyncio.timeout(_INTENT_TIMEOUT_S):
                await self._traffic.writer.write_now(record)
        except Exception as error:
            detail = f"the intent of a destructive call could not be recorded ({type(error).__name__})"
            raise Refusal(Reason.BUSY, detail, retry_after_s=_RETRY_AFTER_S) from error

    def _record(
        self, phase: str, outcome: Result, reason: str | None, error_id: str | None, status: int, bytes_out: int
    ) -> Record:
        arrival, call, traffic = self._arrival, self._call, self._traffic
        record = Record(
            arrival.id,
            arrival.at,
            arrival.server,
            arrival.peer,
            phase,
            outcome,
            reason,
            error_id,
            status,
            traffic.monotonic() - arrival.started,
            len(arrival.body),
            bytes_out,
            self._principal,
        )
        if call is not None:
            record.kind = call.kind
            record.method = name(call.method)
            record.tool = name(call.target)
            record.is_listed = self._tool is not None
            record.era = call.era
            record.version = call.version
            if traffic.keeps_arguments:
                record.arguments = arguments(call)
            if call.trace:
                record.trace = trace(call)
        record.limits = self._limits
        return record


def _end(error: BaseException | None) -> tuple[Result, str | None, str | None]:
    """How a request ended that was not answered: the outcome, the reason's name, the error id."""
    if isinstance(error, Refusal):
        reason = error.reason.value
        return _RESULTS.get(reason, Result.REFUSED), reason, error.facts.get("error_id")
    if isinstance(error, Exception):
        return Result.FAULT, Reason.FAULT.value, error.error_id if isinstance(error, Fault) else None
    if error is None:  # a way out of the house without an answer: a fault of ours
        return Result.FAULT, Reason.FAULT.value, None
    return Result.CANCELLED, None, None
