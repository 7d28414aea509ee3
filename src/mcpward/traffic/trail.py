"""Follows one request from its arrival to its end, and leaves exactly one record, whatever the end was.

Collects references only; what is kept is taken at the end, in one step. Nothing here writes, logs or waits, but for
the intent of a destructive call, which is on disk before the tool begins.
"""

import logging
from collections import Counter
from collections.abc import Collection
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from mcpward.core.clock import Clock
from mcpward.core.errors import Fault, Refusal
from mcpward.core.facts import ErrorId, RetryAfter
from mcpward.core.fair_timeout import fair_timeout
from mcpward.core.ids import request_id
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.values import AcceptedCall, Arrival, AuthMethod, Call, Principal, Reply, Tool
from mcpward.traffic.credentials import RefusedCredentials
from mcpward.traffic.record import CALLS, MAX_DETAIL, MAX_RAW_ARGUMENTS, REFUSALS, Limits, Record, Result, name, trace
from mcpward.traffic.row import Redact, RowMaker, text
from mcpward.traffic.subject import Subject
from mcpward.traffic.writer import Writer

_log: Final = logging.getLogger("mcpward.traffic")
_INTENT_TIMEOUT_S: Final = 5.0
_RETRY_AFTER_S: Final = 5
_MAX_SUBJECTS: Final = 1024
#: Reasons that are no refusal: the tool's own end, and ours. All others are.
_RESULTS: Final = {
    Reason.TOOL_FAILED.value: Result.ERROR,
    Reason.TOOL_TIMEOUT.value: Result.ERROR,
    Reason.FAULT.value: Result.FAULT,
}


class Traffic:
    """The record of every request. ``redact`` is applied to all that callers wrote, in the writer's batch.

    ``redact_json`` is applied instead to arguments that are whole (``redact`` if it is not given).
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
        self.refused_credentials = RefusedCredentials(clock)
        self.in_flight = 0
        self.subjects: dict[tuple[Principal | None, Tool | None, str], Subject] = {}
        writer.rows = RowMaker(redact, redact_json)
        writer.metrics.gauges["mcpward_calls_in_flight"] = lambda: self.in_flight

    @property
    def full(self) -> bool:
        """Nothing can be recorded: the store does not keep up, or the disk is full."""
        return self.writer.full

    def follow(self, arrival: Arrival) -> "Trail":
        """Return the trail of an arrival, which must be ended once: by ``done`` or by ``broken``."""
        self.in_flight += 1
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
        key_id: str | None = None,
        principal: Principal | None = None,
    ) -> None:
        """Record what was refused at a gate, before there was an arrival; by ``limit``, if it was one.

        ``detail`` is for the operator, and quotes nothing of the request but what the settings could hold. ``key_id``
        is that of a key that was shown and is refused.
        """
        _log.debug("refused at the gate: %s %r", reply.reason, detail)
        self.refused_credentials.note(reply.reason, detail, key_id, server=server, peer=peer)
        self.writer.offer(
            Record(
                Subject(text(name(server)), principal, refused_key=key_id),
                _RESULTS.get(reply.reason or "", Result.REFUSED),
                duration_s,
                None,
                None,
                None if limit is None else (limit, ()),
                detail[:MAX_DETAIL] or None,
                request_id(),
                self.clock.now(),
                text(name(peer)),
                "done",
                reply.reason,
                reply.error_id,
                reply.status,
                bytes_in,
                len(reply.body),
                chain=REFUSALS if (reply.reason or "") not in _RESULTS else CALLS,
            )
        )


class Trail(Struct, eq=False, gc=False):
    """One request on its way, up to the one record of it.

    The caller, the call and its tool may be set as they become known. So may ``has_run``, that the call was let in: its
    record then belongs to those of calls, whatever its outcome. ``outcome`` is how the call ends unless its answer has
    a reason.
    """

    traffic: Traffic
    arrival: Arrival
    principal: Principal | None = None
    call: Call | None = None
    tool: Tool | None = None
    outcome: Result = Result.OK
    bytes_out: int = 0
    limits: Limits | None = None
    consent: str | None = None
    detail: str | None = None
    refused_key: str | None = None
    has_run: bool = False
    has_intent: bool = False

    def __repr__(self) -> str:
        # The call may hold anything.
        return f"Trail({self.arrival!r})"

    def done(self, reply: Reply) -> None:
        """Write the record of a request that has its answer."""
        traffic = self.traffic
        traffic.in_flight -= 1
        traffic.writer.offer(self.record("done", reply), always=self.has_intent)

    def broken(self, error: BaseException | None) -> None:
        """Write the record of a request that ends without an answer: that of one answered with nothing."""
        reply = _nothing(error)
        self.outcome = Result.CANCELLED if reply.reason is None else Result.OK
        self.done(reply)

    def sent(self, size: int) -> None:
        """Note bytes that left before the answer: notifications of a running call."""
        self.bytes_out += size

    def cancelled(self) -> None:
        """Note that the call was ended while it ran, though its caller still waits for an answer."""
        self.outcome = Result.CANCELLED

    def failed(self) -> None:
        """Note that the tool itself reported an error."""
        if self.outcome is not Result.CANCELLED:
            self.outcome = Result.ERROR

    def limited(self, policy: str) -> None:
        """Note the name of the limit that refuses the request."""
        self.limits = (policy, self.limits[1] if self.limits is not None else ())

    def withheld(self, detail: str) -> None:
        """Note why the result was withheld, beside what was noted of the call before."""
        self.detail = (detail if self.detail is None else f"{self.detail}; {detail}")[:MAX_DETAIL]

    def screened(self, kinds: Collection[str]) -> None:
        """Note what was taken out of the result, by kind and number."""
        counted = ", ".join(f"{kind} ({count})" for kind, count in Counter(kinds).items())
        self.withheld(f"taken out of the result: {counted}")

    def refused(self, no: Refusal) -> None:
        """Note why the request is refused. A detail with an error id is logged under it, and may be long."""
        if no.find(ErrorId) is not None:
            return
        if no.detail and no.detail != no.policy:  # the limit's name has a column of its own
            self.withheld(no.detail)
        self.refused_key = no.key_id
        arrival = self.arrival
        if self.principal is None:
            noted = self.traffic.refused_credentials
            noted.note(no.reason.value, no.detail, no.key_id, server=arrival.server, peer=arrival.peer)

    def without(self, names: tuple[str, ...]) -> None:
        """Note the arguments that came with the call and were dropped."""
        self.detail = f"dropped {', '.join(names)}"

    def filled(self, told: str, names: Collection[str]) -> None:
        """Note what filled arguments of the call: ``told`` has the values, ``names`` are the arguments'."""
        said = told if self.traffic.keeps_arguments else f"from the caller: {', '.join(names)}"
        self.withheld(said)

    def shadowed(self, policies: tuple[str, ...]) -> None:
        """Note the names of limits that would refuse the request, were they enforced. May be called twice."""
        policy, known = self.limits if self.limits is not None else (None, ())
        self.limits = (policy, tuple(dict.fromkeys((*known, *policies))))

    def waived(self, by: str) -> None:
        """Note that a tool runs without a person's consent, and by which means the operator allowed that: "key" or
        "scope".
        """
        self.consent = by

    def agreed(self) -> None:
        """Note that a tool runs because its client returned its person's yes."""
        self.consent = "client"

    def approved(self, approval_id: str) -> None:
        """Note that a tool runs by an approval that a person gave elsewhere."""
        self.consent = f"approval {approval_id}"

    def asked(self) -> None:
        """Note that the call ended with questions to its client, which may send it again with the answers."""
        if self.outcome is Result.OK:
            self.outcome = Result.ASKED

    async def intent(self, accepted: AcceptedCall) -> None:
        """Return when the record of a destructive call would survive a power cut; at once for any other call.

        Raises:
            Refusal: busy; the store did not take the record, so the call must not run.
        """
        if accepted.tool.access is not Access.DESTRUCTIVE:
            return
        self.call, self.tool = accepted.call, accepted.tool
        if self.traffic.full:  # such a call never runs unrecorded, whatever traffic.when_full says
            raise Refusal(Reason.BUSY, "the record takes nothing now", RetryAfter(_RETRY_AFTER_S))
        record = replace(self, outcome=Result.PENDING, bytes_out=0).record("intent", Reply(0))
        try:
            async with fair_timeout(_INTENT_TIMEOUT_S):
                await self.traffic.writer.write_now(record)
        except Exception as error:
            detail = f"the intent of a destructive call could not be recorded ({type(error).__name__})"
            raise Refusal(Reason.BUSY, detail, RetryAfter(_RETRY_AFTER_S)) from error
        self.has_intent = True

    def record(self, phase: str, reply: Reply) -> Record:
        """Return the record of what is known by now. It holds on to neither the arrival nor the call.

        Arguments are those of calls that were let in: those of a refused request are not recorded, because its sender
        would choose how much of the disk they take.
        """
        traffic, arrival, call = self.traffic, self.arrival, self.call
        outcome, reason = self.outcome, reply.reason
        if reason is not None and outcome is not Result.CANCELLED:
            outcome = _RESULTS.get(reason, Result.REFUSED)
        is_refused = outcome is Result.REFUSED and not self.has_run
        arguments = traced = None
        if call is None:
            subject = Subject(arrival.server, self.principal, refused_key=self.refused_key)
        else:
            subject = traffic.subjects.get((self.principal, self.tool, call.version)) or self._subject(call)
            if traffic.keeps_arguments and not is_refused:
                arguments = call.arguments
                if arguments is not None and len(arguments) > MAX_RAW_ARGUMENTS:
                    arguments = arguments[:MAX_RAW_ARGUMENTS]
            if call.trace:
                traced = trace(call)
        record = Record(
            subject,
            outcome,
            traffic.monotonic() - arrival.started,
            arguments,
            traced,
            self.limits,
            self.detail,
            arrival.id,
            arrival.at,
            arrival.peer,
            phase,
            reason,
            reply.error_id,
            reply.status,
            len(arrival.body),
            self.bytes_out + len(reply.body),
        )
        if is_refused:
            record.chain = REFUSALS
        if self.consent is not None:
            record.consent = self.consent
        return record

    def _subject(self, call: Call) -> Subject:
        """Make what the record is about, and keep it for the next one.

        A tool is of one server and goes by one name, and a version is of one era. A stranger is new with each request.
        """
        who, tool = self.principal, self.tool
        subject = Subject(
            self.arrival.server,
            who,
            call.kind,
            name(call.method),
            name(call.target),
            tool is not None,
            call.era,
            call.version,
        )
        if tool is not None and who is not None and who.way is not AuthMethod.ANONYMOUS:
            known = self.traffic.subjects
            if len(known) >= _MAX_SUBJECTS:
                known.clear()
            known[who, tool, call.version] = subject
        return subject


def _nothing(error: BaseException | None) -> Reply:
    """How a request ended that was not answered: with the reason's name and the error id, if there are such."""
    if isinstance(error, Refusal):
        known = error.find(ErrorId)
        return Reply(0, reason=error.reason.value, error_id=None if known is None else known.error_id)
    if isinstance(error, Exception):
        return Reply(0, reason=Reason.FAULT.value, error_id=error.error_id if isinstance(error, Fault) else None)
    if error is None:  # a way out of mcpward without an answer: a fault of ours
        return Reply(0, reason=Reason.FAULT.value)
    return Reply(0)
