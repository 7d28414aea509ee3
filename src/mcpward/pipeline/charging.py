"""Charges rate limits and budgets before a call runs, and refunds calls that did not run."""

from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import Struct

from mcpward.core.errors import Fault, Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import AcceptedCall, Arrival, Call, Tool
from mcpward.limits.concurrency.lease import Lease
from mcpward.limits.rates.charge import Limits
from mcpward.limits.rates.limit import Charge
from mcpward.pipeline.call_channel import CallChannel
from mcpward.traffic.record import Result
from mcpward.traffic.trail import Trail

#: Refusals that show a wrong credential: they count against the address they came from. The id of a session is none:
#: it is sealed for its own caller (attack 61), and one that has become stale tells of no guess.
AUTH_FAILURES: Final = frozenset({Reason.CREDENTIAL_INVALID, Reason.CREDENTIAL_AMBIGUOUS})

Accept = Callable[[Call, Tool], Awaitable[AcceptedCall]]


#: Refusals of calls that had paid and came to nothing, unless the tool itself had asked its caller something.
_NOT_RUN: Final = frozenset(
    {Reason.CONSENT_MISSING, Reason.CAPABILITY_MISSING, Reason.STATE_REFUSED, Reason.PARAMS_INVALID}
)


class ChargedCall(Struct, frozen=True, gc=False):
    """A call that was charged. ``accepted`` is set where its arguments had a say in what it costs."""

    call: Call
    tool: Tool | None
    charge: Charge
    accepted: AcceptedCall | None = None


class Charging:
    """Charges calls, and counts what refusals say of their callers."""

    def __init__(self, limits: Limits, accept: Accept) -> None:
        self._limits = limits
        self._charge = limits.charge
        self._accept = accept

    def charge(
        self, call: Call, tool: Tool | None, trail: Trail, lease: Lease | None
    ) -> ChargedCall | Awaitable[ChargedCall]:
        """Charge a call; what has to be asked elsewhere is awaited, and the call's places are asked for on the way.

        Raises:
            Refusal: as ``Limits.charge`` does, and nothing is charged then; arguments-invalid for a tool that draws on
                budgets, and its caller's own limits are charged.
            Fault: the author's function for a cost failed; the caller's own limits are charged.
        """
        if tool is not None and tool.draws:
            return self._priced(call, tool, trail, lease)
        charge = self._charge(call, tool)
        if isinstance(charge, Charge):
            if charge.would_refuse:
                trail.shadowed(charge.would_refuse)
            return ChargedCall(call, tool, charge)
        return self._awaited(call, tool, charge, trail, lease)

    async def _awaited(
        self, call: Call, tool: Tool | None, charge: Awaitable[Charge], trail: Trail, lease: Lease | None
    ) -> ChargedCall:
        # The call's places of the whole site are asked for in the same turn as its charge.
        return _paid(call, tool, await (charge if lease is None else lease.alongside(charge)), trail)

    async def _priced(self, call: Call, tool: Tool, trail: Trail, lease: Lease | None) -> ChargedCall:
        """Accept a call before its charge. One that is not accepted is charged all the same, but no budget is."""
        self._limits.require(call, tool)  # who has nothing left has no arguments looked at
        try:
            accepted = await self._accept(call, tool)
            budgets = self._limits.price(tool, accepted.arguments)
        except (Refusal, Fault):
            charge = self._limits.charge(call, tool)
            if not isinstance(charge, Charge):
                charge = await charge
            self._limits.give_back(call, tool, charge, rates=False)  # it does not run: no budget, and no repetition
            raise
        charge = self._limits.charge(call, tool, budgets)
        if not isinstance(charge, Charge):
            charge = await (charge if lease is None else lease.alongside(charge))
        return _paid(call, tool, charge, trail, accepted)

    def give_back(self, paid: ChargedCall, *, rates: bool = True, budgets: bool = True, loop: bool = True) -> None:
        """Undo a charge, or what it drew on rates, on budgets, and as a repetition."""
        self._limits.give_back(paid.call, paid.tool, paid.charge, rates=rates, budgets=budgets, loop=loop)

    def ended(self, paid: ChargedCall, trail: Trail) -> None:
        """Note whether a call that was made a moment before, too, ran to an answer. A task has none yet."""
        is_task = paid.tool is not None and paid.tool.task is not None
        self._limits.note(paid.call, answered=trail.outcome is Result.OK and not is_task)

    def cancelled(self, paid: ChargedCall | None, channel: CallChannel | None) -> None:
        """A call was called off: one that waited for a place gets back what it drew on budgets."""
        if paid is not None:
            self._without_answer(paid, channel, budgets=channel is None)

    def unanswered(self, paid: ChargedCall | None, channel: CallChannel | None) -> None:
        """A call ended by a fault, or with a question of its tool."""
        if paid is not None:
            self._without_answer(paid, channel, budgets=False)

    def _without_answer(self, paid: ChargedCall, channel: CallChannel | None, *, budgets: bool) -> None:
        """Only calls that ran are counted as repetitions; of those the loop breaker must not say "you have it"."""
        has_run = channel is not None and channel.ran
        if budgets or not has_run:
            self.give_back(paid, rates=False, budgets=budgets, loop=not has_run)
        if has_run and paid.charge.is_again:
            self._limits.note(paid.call, answered=False)

    async def refused(
        self, no: Refusal, arrival: Arrival, trail: Trail, paid: ChargedCall | None, channel: CallChannel | None = None
    ) -> Refusal:
        """Count what a refusal says of its caller; returns the refusal to answer with.

        A call that did not run gets back what it paid, as far as it is not its caller's doing. One that has asked its
        caller something has run: whoever keeps questions open on purpose must not have calls for nothing.
        """
        if trail.principal is None and no.reason is not Reason.ADDRESS_RATE_EXCEEDED:
            try:
                await self._count_stranger(no, arrival, trail)
            except Refusal as many:
                no = many  # in place of "wrong": of guesses at many workers at once no more are told than at one
        elif paid is not None:
            is_begun = channel is not None and channel.has_asked
            if no.reason is Reason.BUSY and not is_begun:
                self.give_back(paid)
            else:
                self._without_answer(paid, channel, budgets=no.reason in _NOT_RUN and not is_begun)
        if no.policy is not None:
            trail.limited(no.policy)
        return no

    async def _count_stranger(self, no: Refusal, arrival: Arrival, trail: Trail) -> None:
        """Count a request of somebody who has not shown who it is, and its credential where it was wrong.

        Raises:
            Refusal: what the address is told instead.
        """
        addresses = self._limits.addresses
        would = addresses.count_request(arrival.bucket)
        if no.reason in AUTH_FAILURES:
            counted = addresses.count_failure(arrival.bucket)
            would += counted if isinstance(counted, tuple) else await counted
        if would:
            trail.shadowed(would)


def _paid(
    call: Call, tool: Tool | None, charge: Charge, trail: Trail, accepted: AcceptedCall | None = None
) -> ChargedCall:
    if charge.would_refuse:
        trail.shadowed(charge.would_refuse)
    return ChargedCall(call, tool, charge, accepted)
