"""Admits calls: charges their cost, waits for their slots, and refunds those that came to nothing."""

from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import Struct

from mcpward.core.client_channel import InputRequired
from mcpward.core.errors import Fault, Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import AcceptedCall, Call, Era, Kind, ResponseStream, Tool
from mcpward.limits.concurrency.lease import Lease
from mcpward.limits.concurrency.slots import CallSlots
from mcpward.limits.rates.charge import Limits
from mcpward.limits.rates.limit import Charge
from mcpward.pipeline.call_channel import CallChannel
from mcpward.tools.consent import is_consent
from mcpward.traffic.record import Result
from mcpward.traffic.trail import Trail

#: Refusals that show a wrong credential: they count against the address they came from. The id of a session is none: it
#: is sealed for its own caller (attack 61), and a stale one is no sign of a guess.
AUTH_FAILURES: Final = frozenset({Reason.CREDENTIAL_INVALID, Reason.CREDENTIAL_AMBIGUOUS})

Accept = Callable[[Call, Tool], Awaitable[AcceptedCall]]

#: Refusals of calls that had paid and came to nothing, unless the tool itself had asked its caller something.
_NOT_RUN: Final = frozenset(
    {Reason.CONSENT_MISSING, Reason.CAPABILITY_MISSING, Reason.STATE_REFUSED, Reason.PARAMS_INVALID}
)
_CATALOGUE: Final = Kind.CATALOGUE
_MODERN: Final = Era.MODERN


class Admitted(Struct, eq=False):
    """A call that has paid, and has its slots if it needs any.

    ``accepted`` is set if its arguments had a say in what it costs, ``channel`` once it is open.
    """

    call: Call
    tool: Tool | None
    charge: Charge
    lease: Lease | None
    accepted: AcceptedCall | None = None
    channel: CallChannel | None = None


class Admission:
    """Rates, budgets and places of all calls."""

    def __init__(self, limits: Limits, slots: CallSlots, accept: Accept) -> None:
        self._limits = limits
        self._charge = limits.charge
        self._slots = slots
        self._accept = accept

    def enter(
        self, call: Call, tool: Tool | None, trail: Trail, wire: ResponseStream
    ) -> Admitted | Awaitable[Admitted]:
        """Admit a call; awaits shared counters and slots.

        Raises:
            Refusal: as ``Limits.charge`` does, and nothing is charged then; arguments-invalid for a tool that draws on
                budgets, and its caller's own limits are charged; busy, if it has no slot in time.
            Fault: the author's function for a cost failed; the caller's own limits are charged.
            CancelledError: the caller has left.
        """
        runs = tool is not None or call.kind is _CATALOGUE
        lease = self._slots.lease(call.arrival.server, call.principal.key, tool) if runs else None
        if tool is not None and tool.draws:
            return self._priced(call, tool, trail, wire, lease)
        charge = self._charge(call, tool)
        if not isinstance(charge, Charge):
            return self._charged(call, tool, charge, trail, wire, lease)
        if charge.would_refuse:
            trail.shadowed(charge.would_refuse)
        admitted = Admitted(call, tool, charge, lease)
        return admitted if lease is None or lease.enter_now() else self._placed(admitted, lease, wire)

    async def _charged(
        self,
        call: Call,
        tool: Tool | None,
        charge: Charge | Awaitable[Charge],
        trail: Trail,
        wire: ResponseStream,
        lease: Lease | None,
        accepted: AcceptedCall | None = None,
    ) -> Admitted:
        if not isinstance(charge, Charge):
            # The call's slots of the whole site are requested in the same turn as its charge.
            charge = await (charge if lease is None else lease.alongside(charge))
        if charge.would_refuse:
            trail.shadowed(charge.would_refuse)
        admitted = Admitted(call, tool, charge, lease, accepted)
        return admitted if lease is None or lease.enter_now() else await self._placed(admitted, lease, wire)

    async def _priced(
        self, call: Call, tool: Tool, trail: Trail, wire: ResponseStream, lease: Lease | None
    ) -> Admitted:
        """Accept a call before its charge. One that is not accepted is charged all the same, but no budget is."""
        self._limits.require(call, tool)  # a caller with nothing left has no arguments checked
        try:
            accepted = await self._accept(call, tool)
            budgets = self._limits.price(tool, accepted.arguments)
        except (Refusal, Fault):
            charge = self._limits.charge(call, tool)
            if not isinstance(charge, Charge):
                charge = await charge
            self._limits.give_back(call, tool, charge, rates=False)  # it does not run: no budget, and no repetition
            raise
        return await self._charged(call, tool, self._limits.charge(call, tool, budgets), trail, wire, lease, accepted)

    async def _placed(self, admitted: Admitted, lease: Lease, wire: ResponseStream) -> Admitted:
        """Return the call with its slots. A call that is refused here or cancelled has not run, and is refunded."""
        try:
            wire.queue(cancel_on_disconnect=admitted.call.era is _MODERN)
            await lease.enter()
        except BaseException as ended:
            lease.end()  # requested with the charge, its slots would be held for as long as this worker lives
            self.refund(admitted, ended)
            raise
        return admitted

    def answered(self, admitted: Admitted, trail: Trail) -> None:
        """Note whether a call that was made a moment before, too, ran to an answer. A task has none yet."""
        is_task = admitted.tool is not None and admitted.tool.task is not None
        self._limits.note(admitted.call, answered=trail.outcome is Result.OK and not is_task)

    def refund(self, admitted: Admitted, ended: BaseException) -> None:
        """Refund the charges of a call that ended without an answer, unless its caller caused that.

        A call that asked its caller something has run: a caller that keeps questions open on purpose must not get free
        calls. A call that was cancelled while it waited for a slot gets back what it drew on budgets.
        """
        channel = admitted.channel
        match ended:
            case InputRequired() if any(is_consent(question.key) for question in ended.questions):
                self._give_back(admitted, rates=False)  # the tool has not run, and is charged when it does
            case Refusal():
                is_begun = channel is not None and channel.has_asked
                if ended.reason is Reason.BUSY and not is_begun:
                    self._give_back(admitted)
                else:
                    self._without_answer(admitted, budgets=ended.reason in _NOT_RUN and not is_begun)
            case CancelledError():
                self._without_answer(admitted, budgets=channel is None)
            case InputRequired() | Exception():
                self._without_answer(admitted, budgets=False)

    def _without_answer(self, admitted: Admitted, *, budgets: bool) -> None:
        """Only calls that ran are counted as repetitions; of those the loop breaker must not say "you have it"."""
        has_run = admitted.channel is not None and admitted.channel.ran
        if budgets or not has_run:
            self._give_back(admitted, rates=False, budgets=budgets, loop=not has_run)
        if has_run and admitted.charge.is_again:
            self._limits.note(admitted.call, answered=False)

    def _give_back(self, admitted: Admitted, *, rates: bool = True, budgets: bool = True, loop: bool = True) -> None:
        """Undo a charge, or what it drew on rates, on budgets, and as a repetition."""
        self._limits.give_back(admitted.call, admitted.tool, admitted.charge, rates=rates, budgets=budgets, loop=loop)

    async def refused(self, no: Refusal, admitted: Admitted | None, trail: Trail) -> Refusal:
        """Refund the call if it is due, or count a stranger's request; return the refusal to answer with."""
        if admitted is not None:
            self.refund(admitted, no)
        elif trail.principal is None and no.reason is not Reason.ADDRESS_RATE_EXCEEDED:
            try:
                await self._count_stranger(no, trail)
            except Refusal as many:
                no = many  # in place of "wrong": guesses at many workers at once must learn no more than guesses at one
        if no.policy is not None:
            trail.limited(no.policy)
        return no

    async def _count_stranger(self, no: Refusal, trail: Trail) -> None:
        """Count a request of an unauthenticated caller, and its credential if it was wrong.

        Raises:
            Refusal: the answer to the address instead.
        """
        addresses, bucket = self._limits.addresses, trail.arrival.bucket
        would = addresses.count_request(bucket)
        if no.reason in AUTH_FAILURES:
            counted = addresses.count_failure(bucket)
            would += counted if isinstance(counted, tuple) else await counted
        if would:
            trail.shadowed(would)
