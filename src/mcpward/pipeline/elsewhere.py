"""A person's yes that is given elsewhere, for clients that cannot ask: the call waits under an id and is made again.

The answer that the model reads has only the id: it decides nothing by itself. No link of a page is ever in it, because
a model that can fetch pages would approve its own calls.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from mcpward.approvals.approvals import Approvals, Claim, arguments_of, who_of
from mcpward.approvals.record import ApprovalStatus, Full, WaitingCall
from mcpward.core.client_channel import Question
from mcpward.core.errors import Refusal
from mcpward.core.facts import Remedy
from mcpward.core.reasons import Reason
from mcpward.core.values import AcceptedCall, AuthMethod, Call, Era
from mcpward.core.withheld import withheld
from mcpward.pipeline.call_channel import CallChannel, is_able
from mcpward.pipeline.store_timeout import store_deadline
from mcpward.sanitize.clean import Sanitizer
from mcpward.tools.consent import (
    DECLINED,
    PAGE_CAPABILITY,
    PAGE_KEY,
    asked_text,
    no_way_to_ask,
    page_key,
    page_question,
    waits_for,
)

#: The person's time on the page while the call waits for it; after that the call is to be made again.
_LONGEST_WAIT_S: Final = 240.0
_LOOK_S: Final = 0.7
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode
_ADVICE: Final = "a question of the tool contained a secret: try other arguments"


class Elsewhere:
    """The approvals of one worker's calls. ``page`` is the address of approval pages, before the link; "" for none."""

    def __init__(self, approvals: Approvals, sanitizer: Sanitizer, page: str) -> None:
        self._approvals = approvals
        self._sanitizer = sanitizer
        self._page = page

    def has_page(self, channel: CallChannel) -> bool:
        """Return whether the client of a call can have its person open a page of this site."""
        return bool(self._page) and is_able(channel, PAGE_CAPABILITY)

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
        has_page = self.has_page(channel)
        waiting = self._waiting(call, question)
        was_opened = any(key.startswith(PAGE_KEY) for key in channel.answers)
        claim = await self._claim(call, accepted.tool.name, waiting, has_page=has_page and not was_opened)
        if claim.status is ApprovalStatus.PENDING and has_page:
            if was_opened and page_key(claim.id) not in channel.answers:  # that page is used: this is another one
                claim = await self._claim(call, accepted.tool.name, waiting, has_page=True)
            await self._open(claim, accepted, channel)
            claim = await self._claim(call, accepted.tool.name, waiting)
        if claim.status is ApprovalStatus.APPROVED:
            channel.trail.approved(claim.id)
            return claim.id
        if claim.status is ApprovalStatus.DENIED:
            raise Refusal(Reason.CONSENT_MISSING, f"approval {claim.id} was denied", Remedy(DECLINED))
        advice = waits_for(claim.id, self._approvals.lifetime_s, call.principal.way, has_page=has_page)
        raise Refusal(Reason.CONSENT_MISSING, f"approval {claim.id} is pending", Remedy(advice))

    async def _open(self, claim: Claim, accepted: AcceptedCall, channel: CallChannel) -> None:
        """Have the person open the page in their client, and wait a while for what they decide there.

        Raises:
            Refusal: consent-missing; the person does not open it.
            InputRequired: modern era, the page's address goes to the client first.
        """
        url = f"{self._page}{claim.id}{claim.link}"
        asked = page_question(accepted.tool, url, claim.id, is_session=accepted.call.era is Era.LEGACY)
        answer = (await channel.ask([asked]))[asked.key]
        if not isinstance(answer, Mapping) or answer.get("action") != "accept":
            raise Refusal(Reason.CONSENT_MISSING, "the person did not open the page", Remedy(DECLINED))
        async with channel.lent():  # a person may take minutes: the slot is for others meanwhile
            for _ in range(int(_LONGEST_WAIT_S / _LOOK_S)):
                async with store_deadline():
                    standing = await self._approvals.standing(claim.id)
                if standing is not ApprovalStatus.PENDING:
                    return
                await asyncio.sleep(_LOOK_S)

    async def give_back(self, approval_id: str) -> None:
        """Make an approval good again."""
        async with store_deadline():
            await self._approvals.give_back(approval_id)

    async def _claim(self, call: Call, tool: str, waiting: WaitingCall, *, has_page: bool = False) -> Claim:
        try:
            async with store_deadline():
                try:
                    return await self._approvals.claim(call, tool, waiting, has_page=has_page)
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
