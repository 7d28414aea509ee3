"""A person's yes that is given elsewhere, for clients that cannot ask: the call waits under an id and is made again.

The answer that the model reads has only the id: it decides nothing by itself. No link of a page is ever in it, because
a model that can fetch pages would approve its own calls.
"""

from typing import Any, Final

import msgspec

from mcpward.approvals.approvals import Approvals, Claim, arguments_of, who_of
from mcpward.approvals.record import ApprovalStatus, Full, WaitingCall
from mcpward.core.client_channel import Question
from mcpward.core.errors import Refusal
from mcpward.core.facts import Remedy
from mcpward.core.reasons import Reason
from mcpward.core.values import AcceptedCall, AuthMethod, Call
from mcpward.core.withheld import withheld
from mcpward.pipeline.call_channel import CallChannel
from mcpward.pipeline.store_timeout import store_deadline
from mcpward.sanitize.clean import Sanitizer
from mcpward.tools.consent import DECLINED, asked_text, no_way_to_ask, waits_for
from mcpward.traffic.record import MAX_DETAIL

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode
_ADVICE: Final = "a question of the tool contained a secret: try other arguments"


class Elsewhere:
    """The approvals of one worker's calls."""

    def __init__(self, approvals: Approvals, sanitizer: Sanitizer) -> None:
        self._approvals = approvals
        self._sanitizer = sanitizer

    async def approved(self, accepted: AcceptedCall, channel: CallChannel, question: Question) -> str:
        """Return the id of the approval that lets this call run, used up now.

        Raises:
            Refusal: consent-missing: the call waits, with the id and what to do; it was denied; or too many wait. busy,
                if the store does not take it.
        """
        call = accepted.call
        if call.principal.way is AuthMethod.ANONYMOUS:  # a stranger is no caller that could be told from another one
            advice = no_way_to_ask(call.principal.way)
            raise Refusal(Reason.CONSENT_MISSING, "the client cannot ask a person", Remedy(advice))
        claim = await self._claim(call, accepted.tool.name, self._waiting(call, question))
        if claim.status is ApprovalStatus.APPROVED:
            channel.trail.approved(claim.id)
            return claim.id
        if claim.status is ApprovalStatus.DENIED:
            raise Refusal(Reason.CONSENT_MISSING, f"approval {claim.id} was denied", Remedy(DECLINED))
        advice = waits_for(claim.id, self._approvals.lifetime_s, call.principal.way)
        raise Refusal(Reason.CONSENT_MISSING, f"approval {claim.id} is pending"[:MAX_DETAIL], Remedy(advice))

    async def give_back(self, approval_id: str) -> None:
        """Make an approval good again."""
        async with store_deadline():
            await self._approvals.give_back(approval_id)

    async def _claim(self, call: Call, tool: str, waiting: WaitingCall) -> Claim:
        try:
            async with store_deadline():
                try:
                    return await self._approvals.claim(call, tool, waiting)
                except Full as full:
                    whose = "of this caller" if full.of_caller else "of the site"
                    advice = f"too many calls {whose} wait for a person's approval: have them decided first"
                    detail = f"too many calls {whose} wait"
                    raise Refusal(Reason.CONSENT_MISSING, detail, Remedy(advice)) from None
        except ValueError:
            advice = "the arguments are too long to be kept until a person approves them: send less in one call"
            raise Refusal(Reason.CONSENT_MISSING, "too long to be kept", Remedy(advice)) from None

    def _waiting(self, call: Call, question: Question) -> WaitingCall:
        """Return what the person is shown, without secrets."""
        told: dict[str, Any] = {"question": asked_text(question), "arguments": arguments_of(call.arguments)}
        clean = self._sanitizer.frame(_encode(told), call)
        if not clean:
            raise withheld("a question to a person contained a secret", _ADVICE)
        shown, principal = _decode(clean), call.principal
        return WaitingCall(
            question=shown["question"],
            arguments=shown["arguments"],
            who=who_of(principal),
            way=principal.way.value,
            subject=principal.subject,
            peer=call.arrival.peer,
            client=principal.client,
            key_id=principal.key_id,
        )
