"""Runs an author's function after its charge: a tool's arguments are accepted, confirmed, recorded, run and cleaned.

Or hands it over as a task; or reads a resource, a prompt or a list from the catalogue.
"""

from typing import Final

from msgspec.structs import replace

from mcpward.core.client_channel import ClientChannel, InputRequired
from mcpward.core.errors import Refusal
from mcpward.core.facts import Lacking
from mcpward.core.long_work import LongWork, TooLong
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.values import AcceptedCall, Call, Era, Outcome, RawResult, Reply, Tool
from mcpward.core.withheld import CROWDED, withheld
from mcpward.limits.concurrency.slots import CallSlots
from mcpward.limits.rates.limit import Fields
from mcpward.messaging.used_states import UsedStates
from mcpward.pipeline.agreement import Agreement, Need
from mcpward.pipeline.call_channel import CallChannel, ReleasingChannel, is_used_up
from mcpward.pipeline.catalogue import Catalogue
from mcpward.pipeline.conversation_taint import Taints
from mcpward.pipeline.store_timeout import store_deadline
from mcpward.protocol import reply as replies
from mcpward.protocol.mirrored import require_mirrored
from mcpward.protocol.state import State, States
from mcpward.sanitize.clean import Sanitizer
from mcpward.tasks.detached import unladen
from mcpward.tasks.extension import REQUIRED, declares
from mcpward.tasks.tasks import Tasks, Work
from mcpward.tools.run import Runner
from mcpward.validation.accept import accept, is_little
from mcpward.validation.large import LargeArguments

_DESTRUCTIVE: Final = Access.DESTRUCTIVE
#: No state and no approval was used up.
_NOTHING: Final = ("", "")


class Execution:
    """Makes the replies of calls that run something."""

    def __init__(
        self,
        *,
        runner: Runner,
        catalogue: Catalogue,
        sanitizer: Sanitizer,
        slots: CallSlots,
        tasks: Tasks,
        states: States,
        spent: UsedStates,
        agreement: Agreement,
        taints: Taints,
    ) -> None:
        self._runner = runner
        self._catalogue = catalogue
        self._sanitizer = sanitizer
        self._slots = slots
        self._tasks = tasks
        self._states = states
        self._spent = spent
        self._agreement = agreement
        self._taints = taints
        self._large = LargeArguments()
        self._cleaning = LongWork("large-results")

    async def accept(self, call: Call, tool: Tool) -> AcceptedCall:
        """Return the call with its arguments bound.

        Raises:
            Refusal: header-mismatch, arguments-invalid, argument-dangerous.
        """
        if tool.mirrored and call.era is Era.MODERN:
            require_mirrored(call, tool.mirrored)
        # Well formed and sensible. Slow checks run beside the event loop.
        return accept(call, tool) if is_little(call, tool) else await self._large.accept(call, tool)

    async def make(
        self, call: Call, tool: Tool | None, channel: CallChannel, headers: Fields, accepted: AcceptedCall | None = None
    ) -> Reply:
        """Run one call and return its reply; without a tool it is one of the catalogue's.

        ``accepted`` is the call if it was accepted already.

        Raises:
            Refusal: the call, its answers or its result are refused; see the packages.
            InputRequired: modern era, the tool or its consent needs answers.
        """
        if tool is None:
            return await self._listed(call, channel)
        if accepted is not None:
            accepted = replace(accepted, call=call)
        elif tool.mirrored or ((effort := tool.effort) is not None and len(call.arguments or b"") > effort.light):
            accepted = await self.accept(call, tool)
        else:
            accepted = accept(call, tool)  # most calls, without a coroutine
        if accepted.dropped or tool.caller_values is not None:
            _note_arguments(accepted, channel)
        if tool.inquire is not None:
            await self._runner.inquire(accepted, channel)
        is_task = tool.task is not None and self._is_task(call, tool, channel)
        # A person agreed, the answers are good for one run, and that is on record before anything happens.
        used_up, approval = (
            await self._permit(accepted, channel) if is_used_up(tool) or self._agreement.has_rules else _NOTHING
        )
        if tool.untrusted is not None:  # a task's messages can be read before its end
            await self._taints.note(call, tool.untrusted, tool.deadline_s)
        channel.ran = channel.trail.has_run = True
        if is_task:
            async with store_deadline():
                body = await self._tasks.start(accepted, self._work(_light(accepted)), channel.answers)
            return replies.task(call, body)
        try:
            raw = await self._runner.run(accepted, channel)  # do it
        except InputRequired:
            await self._give_back(used_up, approval, call, channel)
            raise
        # fit to leave
        is_little = self._sanitizer.is_little(raw, call)
        outcome = self._sanitizer.clean(accepted, raw) if is_little else await self._clean_large(accepted, raw)
        if outcome.is_error:
            channel.trail.failed()
        if outcome.screened:
            channel.trail.screened(outcome.screened)
        return replies.result(call, outcome, headers)

    async def _listed(self, call: Call, channel: CallChannel) -> Reply:
        listed = await self._catalogue.answer(call, channel)
        if listed.origin is not None:
            await self._taints.note(call, listed.origin)
        return replies.catalogue(call, listed.body, ttl_ms=listed.ttl_ms)

    async def _clean(self, accepted: AcceptedCall, raw: RawResult) -> Outcome:
        if self._sanitizer.is_little(raw, accepted.call):
            return self._sanitizer.clean(accepted, raw)
        return await self._clean_large(accepted, raw)

    async def _give_back(self, used_up: str, approval: str, call: Call, channel: CallChannel) -> None:
        """The tool asks on, and ran no further than that: a client that lost this answer may send the round again."""
        if approval:
            await self._agreement.give_back(approval)
        if used_up:
            async with store_deadline():
                await self._spent.give_back(used_up, self._until(channel.state), call.principal.key)

    async def _clean_large(self, accepted: AcceptedCall, raw: RawResult) -> Outcome:
        """Clean a large result beside the event loop."""
        try:
            return await self._cleaning.do(accepted.call.principal.key, self._sanitizer.clean, accepted, raw)
        except TooLong:  # not "busy": the tool has run, so that to try again is to run it again
            raise withheld("too many large results wait to be cleaned", CROWDED) from None

    async def _permit(self, accepted: AcceptedCall, channel: CallChannel) -> tuple[str, str]:
        """Return when a tool that changes something may run. Return the ids of the state and of the approval that this
        uses up, "" for none.

        Raises:
            Refusal: consent-missing; argument-dangerous of a rule; state-refused, for answers that were used before;
                busy, if the intent of a destructive call cannot be recorded.
            InputRequired: modern era, the question is to be put to a person first.
        """
        tool = accepted.tool
        need = self._agreement.need(accepted)
        if tool.asks_tainted:
            need = await self._tainted(accepted.call, channel, need)
        approval = await self._agreement.agree(accepted, channel, need) if need is not None else ""
        used_up = channel.state.id if need is not None or is_used_up(tool) else ""
        try:
            if used_up:
                await self._spend(accepted.call, channel.state)
            if tool.access is _DESTRUCTIVE:
                await channel.trail.intent(accepted)
        except Refusal:
            if approval:  # it did not run
                await self._agreement.give_back(approval)
            raise
        return used_up, approval

    async def _tainted(self, call: Call, channel: CallChannel, need: Need | None) -> Need | None:
        """Return the need of a person's yes. In a conversation that has read what strangers wrote, the person reads
        that too, beside the reason that there was already.
        """
        why = await self._taints.why(call)
        if not why:
            return need
        channel.trail.withheld(f"a person must agree: {why}")
        return Need(f"{need.why}; {why}" if need is not None and need.why else why)

    async def _spend(self, call: Call, state: State) -> None:
        """Use up the answers, at whichever worker they come: no answer counts for two runs (attack 133)."""
        async with store_deadline():
            is_first = await self._spent.spend(state.id, self._until(state), call.principal.key)
        if not is_first:
            raise Refusal(Reason.STATE_REFUSED, "the state was used before")

    def _until(self, state: State) -> float:
        return state.issued_at + self._states.lifetime_s

    def _is_task(self, call: Call, tool: Tool, channel: CallChannel) -> bool:
        if declares(call):
            # Without an answer yet, such a tool asks in the ordinary way, and begins as a task after it.
            return not tool.ask_first or bool(channel.answers)
        if tool.task == "required":
            raise Refusal(Reason.CAPABILITY_MISSING, "the tool runs only as a task", Lacking(REQUIRED))
        return False

    def _work(self, accepted: AcceptedCall) -> Work:
        """Return the task's work. It takes a slot of its own: its caller's was for the question."""

        async def work(channel: ClientChannel) -> Outcome:
            tool, caller = accepted.tool, accepted.call.principal.key
            async with self._slots.lease(tool.server, caller, tool) as lease:
                raw = await self._runner.run(accepted, ReleasingChannel(channel, lease))
                if tool.untrusted is not None:  # once more: its result can be fetched long after its start
                    await self._taints.note(accepted.call, tool.untrusted)
                return await self._clean(accepted, raw)

        return work


def _note_arguments(accepted: AcceptedCall, channel: CallChannel) -> None:
    """Put on record what was dropped, and what came from the caller's identity."""
    if accepted.dropped:
        channel.trail.without(accepted.dropped)
    values = accepted.tool.caller_values
    if values is not None and (told := values.told(accepted.call.principal)):
        channel.trail.filled(told, values.sources)


def _light(accepted: AcceptedCall) -> AcceptedCall:
    """Drop the parts that a task need not carry: body and credential. Its progress is shown whether asked for or
    not.
    """
    light = unladen(accepted)
    return replace(light, call=replace(light.call, progress_token=0))
