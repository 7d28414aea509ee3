"""The path of every request, top to bottom. No plug-in, setting or era can reorder or skip a stage."""

import asyncio
import traceback
from collections.abc import Callable
from typing import Final

from msgspec import structs

from mcpward.core.challenge import Challenge
from mcpward.core.client_channel import InputRequired
from mcpward.core.errors import Fault, Refusal
from mcpward.core.facts import ErrorId, Problem, Problems, RetryAfter, Versions
from mcpward.core.ids import error_id
from mcpward.core.reasons import WIRE, Channel, Reason
from mcpward.core.values import Arrival, AuthMethod, Call, Principal, Reply, ResponseStream
from mcpward.core.withheld import about
from mcpward.identity.oauth.pending_verification import PendingVerification
from mcpward.limits.concurrency.slots import CallSlots
from mcpward.limits.rates.charge import Limits
from mcpward.pipeline.admission import AUTH_FAILURES, Admission, Admitted
from mcpward.pipeline.call_channel import CallChannels
from mcpward.pipeline.callers import Callers
from mcpward.pipeline.execution import Execution
from mcpward.pipeline.method_handlers import MethodHandlers
from mcpward.policy.decide import Policy
from mcpward.protocol import reply as replies
from mcpward.protocol.bodies import LARGE
from mcpward.protocol.decode import Opened
from mcpward.protocol.read import Protocol
from mcpward.sanitize.clean import Sanitizer
from mcpward.traffic.trail import Traffic, Trail

_RETRY_AFTER_S: Final = 5
_ANONYMOUS: Final = AuthMethod.ANONYMOUS
_STOPPING: Final = Refusal(Reason.BUSY, "the drain is over", RetryAfter(_RETRY_AFTER_S))

Report = Callable[[str, str], None]
"""Writes private detail under an error id to the log."""


class Pipeline:
    """The stages in their order. Holds no state of its own."""

    def __init__(
        self,
        *,
        identity: Callers,
        protocol: Protocol,
        policy: Policy,
        limits: Limits,
        slots: CallSlots,
        execution: Execution,
        handlers: MethodHandlers,
        channels: CallChannels,
        sanitizer: Sanitizer,
        traffic: Traffic,
        render: Callable[[Refusal], Reply],
        report: Report,
    ) -> None:
        self.identity = identity
        self.protocol = protocol
        self.policy = policy
        self.limits = limits
        self.slots = slots
        self.admission = Admission(limits, slots, execution.accept)
        self.execution = execution
        self.handlers = handlers
        self.channels = channels
        self.sanitizer = sanitizer
        self.traffic = traffic
        self.writer = traffic.writer
        self.render = render
        self.report = report

    async def serve(self, arrival: Arrival, wire: ResponseStream) -> Reply:
        """Return the answer to one arrival. Raises nothing but ``CancelledError``."""
        trail = self.traffic.follow(arrival)
        admitted: Admitted | None = None
        try:
            known = self.identity.recall(arrival)  # who
            principal = trail.principal = known if isinstance(known, Principal) else await self._proved(known, arrival)
            if would := self.limits.admit(principal, arrival.bucket):  # too much, for any caller
                trail.shadowed(would)
            wire.let_in(is_known=principal.way is not _ANONYMOUS)
            opened = await self._opened(arrival, principal) if len(arrival.body) > LARGE else None
            call = trail.call = self.protocol.read(arrival, principal, opened)  # what
            if self.writer.refuses:
                raise Refusal(Reason.BUSY, "the record takes nothing now", RetryAfter(_RETRY_AFTER_S))
            tool = trail.tool = self.policy.require(call)  # may they
            entered = self.admission.enter(call, tool, trail, wire)  # how often, how many at once
            admitted = entered if isinstance(entered, Admitted) else await entered
            reply = await self._run(admitted, trail, wire)  # do it
        except BaseException as no:
            answer = await self._instead(no, admitted, trail, wire)
            if answer is None:  # there is no caller left to answer
                raise
            reply = answer
        trail.done(reply)
        return reply

    async def _run(self, admitted: Admitted, trail: Trail, wire: ResponseStream) -> Reply:
        """Return the answer of a call to an author's function, or to mcpward itself."""
        lease = admitted.lease
        if lease is None:
            return await self.handlers.answer(admitted.call, wire, trail)
        try:
            channel = admitted.channel = self.channels.open(admitted.call, trail, wire, lease)
            reply = await self.execution.make(
                channel.call, admitted.tool, channel, admitted.charge.headers, admitted.accepted
            )
        finally:
            lease.end()
        if admitted.charge.is_again:
            self.admission.answered(admitted, trail)
        return channel.finish(reply)

    async def _proved(self, found: PendingVerification | None, arrival: Arrival) -> Principal:
        """Return the sender of the arrival if that is not known locally; ``found`` is None for a token to be verified.

        A credential that can be judged locally is judged for every caller: a refusal because of others at its address
        would refuse good tokens. No other service is asked for an address that has failed too often.
        """
        addresses = self.limits.addresses
        if found is None:
            established = self.identity.establish(arrival)
            if isinstance(established, Principal):
                return established
            found = established
        if found.is_at_hand:
            return await found
        return await addresses.ask(found.asked, arrival.bucket, found.ask)

    async def _opened(self, arrival: Arrival, principal: Principal) -> Opened:
        """Return a large body, read in turns with those of others, after its bytes were counted."""
        self.limits.addresses.admit_body(principal, arrival.bucket, len(arrival.body))
        return await self.protocol.bodies.open(principal.key, arrival.body)

    async def _instead(
        self, no: BaseException, admitted: Admitted | None, trail: Trail, wire: ResponseStream
    ) -> Reply | None:
        """Return the answer to a request that did not come to its own end, None if there is no caller left to answer.

        Raised from here, ``no`` would be in its own traceback, and with it the request's body and credential.
        """
        channel = None if admitted is None else admitted.channel
        try:
            answer = await self._answer_to(no, admitted, trail, wire)
            if answer is None:
                trail.broken(no)
                return None
            answer = replies.as_streamed(answer) if wire.streaming else answer
            return answer if channel is None else channel.finish(answer)
        except BaseException as ended:  # every exit leaves its record, cancellation too
            trail.broken(ended)
            raise
        finally:
            if channel is not None:
                channel.close()

    async def _answer_to(
        self, no: BaseException, admitted: Admitted | None, trail: Trail, wire: ResponseStream
    ) -> Reply | None:
        match no:
            case Refusal():
                told = await self.admission.refused(no, admitted, trail)
                trail.refused(no)
                return self._refused(_at(told, trail.arrival), trail.call, trail)
            case InputRequired():
                return self._asked(no, admitted)
            case asyncio.CancelledError():
                return self._called_off(no, admitted, trail, wire)
            case Exception():
                if admitted is not None:
                    self.admission.refund(admitted, no)
                return self._broken(no, trail.call)  # our bug or an outage: only the log has it
            case _:
                return None

    def _called_off(
        self, cancelled: asyncio.CancelledError, admitted: Admitted | None, trail: Trail, wire: ResponseStream
    ) -> Reply | None:
        channel = None
        if admitted is not None:
            channel = admitted.channel
            self.admission.refund(admitted, cancelled)
        if channel is not None and channel.was_cancelled:
            reply = replies.accepted()  # the caller called it off, and waits for no answer
        elif not wire.is_gone:
            reply = self._refused(_STOPPING, trail.call, trail)
        else:
            return None
        trail.cancelled()
        return reply

    def _asked(self, more: InputRequired, admitted: Admitted | None) -> Reply:
        """Return the questions to a modern client, and the sealed state that it brings back with their answers."""
        assert admitted is not None  # only a call with a channel asks
        assert admitted.channel is not None
        call, channel = admitted.call, admitted.channel
        self.admission.refund(admitted, more)
        try:
            requests = self.channels.requests(more.questions, call)
            keys = tuple(question.key for question in more.questions)
            state = self.protocol.states.seal(call, channel.answers, keys, channel.state.id)
        except Refusal as no:  # the questions must not leave, or the answers so far are too long to be carried
            return self._refused(no, call, channel.trail)
        channel.trail.asked()
        return replies.input_required(call, requests, state)

    def _refused(self, no: Refusal, call: Call | None, trail: Trail) -> Reply:
        if (known := no.find(ErrorId)) is not None:
            self.report(known.error_id, about(no, call))
            if no.reason is Reason.OUTPUT_REFUSED:
                trail.withheld(no.detail)
        if WIRE[no.reason].channel is Channel.HTTP:
            return self.render(no)
        return replies.refusal(self._clean(no), call)

    def _clean(self, no: Refusal) -> Refusal:
        """Names of arguments and versions are the caller's, and rules of guards are an author's (attack 85)."""
        clean = self.sanitizer.text
        if (versions := no.find(Versions)) is not None:
            no = no.telling(structs.replace(versions, requested=clean(versions.requested)))
        if (found := no.find(Problems)) is not None:
            no = no.telling(Problems(tuple(Problem(clean(one.path), clean(one.rule)) for one in found.problems)))
        return no

    def _broken(self, broken: Exception, call: Call | None) -> Reply:
        known = broken.error_id if isinstance(broken, Fault) else error_id()
        self.report(known, "".join(traceback.format_exception(broken)))
        return replies.refusal(Refusal(Reason.FAULT, "", ErrorId(known)), call)

    # ---- for the edge ---------------------------------------------------------------------------------------------

    def refuse(self, no: Refusal, *, peer: str, bucket: str, server: str, bytes_in: int) -> Reply:
        """Return the answer to a request that failed at a gate, counted and on record like all others."""
        addresses = self.limits.addresses
        cause = no
        try:
            if no.principal is not None:  # a caller's own: no other caller at the address pays for it
                self.limits.admit(no.principal, bucket)
            else:
                addresses.count_request(bucket)
            if no.reason in AUTH_FAILURES:
                addresses.count_failure_soon(bucket)
        except Refusal as exceeded:
            no = exceeded
        reply = self.render(no)
        self.traffic.refused(
            peer=peer,
            server=server,
            reply=reply,
            detail=cause.detail,
            bytes_in=bytes_in,
            limit=no.policy,
            key_id=cause.key_id,
            principal=cause.principal,
        )
        return reply

    def vouch(self, arrival: Arrival) -> Refusal | None:
        """Return, from the head only, why this caller would be refused; nothing is counted or recorded yet."""
        no = self.identity.vouch(arrival, self.limits.addresses) or self._too_many_bytes(arrival)
        return None if no is None else _at(no, arrival)

    def _too_many_bytes(self, arrival: Arrival) -> Refusal | None:
        """Return whether the body that the head announces is one more than its caller may send now (attack 120)."""
        size = int(arrival.headers.get(b"content-length", b"0"))
        principal = self.identity.recall(arrival) if size > LARGE else None
        if isinstance(principal, Principal):
            try:
                self.limits.addresses.require_body(principal, arrival.bucket, size)
            except Refusal as no:
                no.principal = principal
                return no
        return None

    def knows(self, server: str, secret: str) -> bool:
        """Return whether an unlisted server's secret segment is right."""
        return self.identity.knows_url(server, secret)


def _at(no: Refusal, arrival: Arrival) -> Refusal:
    """Return the refusal whose challenge, if it has one, names the metadata of the URL that the client used."""
    challenge = no.find(Challenge) if arrival.url else None
    return no if challenge is None else no.telling(challenge.at(arrival.url))
