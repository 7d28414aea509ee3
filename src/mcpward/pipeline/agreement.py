"""A person's yes to an accepted call: whether it needs one and why, what the person reads, and whether they agreed."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from mcpward.core.client_channel import Question
from mcpward.core.clock import Clock
from mcpward.core.errors import Refusal
from mcpward.core.facts import Problem, Problems, Remedy
from mcpward.core.reasons import Reason
from mcpward.core.values import AcceptedCall, RawResult, Tool
from mcpward.pipeline.call_channel import CallChannel, is_able
from mcpward.pipeline.elsewhere import Elsewhere
from mcpward.policy.server_rules import CONFIRM, DENY, SiteRules, Verdict, named_arguments
from mcpward.sanitize.clean import Sanitizer
from mcpward.tools.consent import CAPABILITY, DECLINED, computed, is_yes, question_of, worded
from mcpward.tools.run import Runner

#: The text that a function of the author's has made, as the runner returns it.
_TEXT: Final = "text"


class Need(Struct, frozen=True):
    """The reason why a call needs a person's yes; "" if its tool always does."""

    why: str = ""


_OWN: Final = Need()


class Agreement:
    """Decides, for one worker, which calls need a person's yes, and obtains it."""

    def __init__(
        self, runner: Runner, sanitizer: Sanitizer, elsewhere: Elsewhere, rules: SiteRules, clock: Clock
    ) -> None:
        self.has_rules: Final = bool(rules)
        self._rules = rules
        self._clock = clock
        self._runner = runner
        self._sanitizer = sanitizer
        self._elsewhere = elsewhere

    def need(self, accepted: AcceptedCall) -> Need | None:
        """Return why an accepted call needs a person's yes; None if it needs none. The one place that decides it.

        Raises:
            Refusal: argument-dangerous; a rule of the operator's refuses these arguments, or this time.
        """
        tool = accepted.tool
        own = _OWN if tool.confirm else None
        book = self._rules.of(tool.server)
        if book is None:
            return own
        verdict = book.judge(accepted.call.principal, tool, named_arguments(accepted), self._clock.now())
        if verdict.do == DENY:
            raise _denied(verdict)
        return Need(_why(verdict)) if verdict.do == CONFIRM else own

    async def agree(self, accepted: AcceptedCall, channel: CallChannel, need: Need) -> str:
        """Return when the tool may run: a person agreed, or the operator waived that for callers who cannot be asked.

        Returns the id of the approval that this uses up; "" if the person answered in the client.

        Raises:
            Refusal: consent-missing; also for an argument that a person cannot be shown whole. No waiver replaces the
                answer of a person who can be asked. Or tool-failed and tool-timeout, of the function that words it.
            InputRequired: modern era, the question is to be put to the person first.
        """
        principal = accepted.call.principal
        can_ask = is_able(channel, CAPABILITY)
        if not can_ask and principal.waiver is not None and not self._elsewhere.has_page(channel):
            channel.trail.waived(principal.waiver)
            return ""
        question = await self._question(accepted, channel, need)
        if not can_ask:
            return await self._elsewhere.approved(accepted, channel, question)
        answers = await channel.ask([question])
        if not is_yes(answers[question.key]):
            raise Refusal(Reason.CONSENT_MISSING, "the person did not agree", Remedy(DECLINED))
        channel.trail.agreed()
        return ""

    async def give_back(self, approval_id: str) -> None:
        """Make an approval good again: its call asked its client something, and has not run further."""
        await self._elsewhere.give_back(approval_id)

    async def _question(self, accepted: AcceptedCall, channel: CallChannel, need: Need) -> Question:
        tool, arguments, raw = accepted.tool, accepted.arguments, accepted.call.arguments
        text = tool.question
        if tool.asker is not None:
            text = await self._computed(accepted, channel, tool)
        elif tool.wording is not None:
            text = worded(tool.wording, arguments, raw)
        return question_of(tool, arguments, raw, text, need.why, is_computed=tool.asker is not None)

    async def _computed(self, accepted: AcceptedCall, channel: CallChannel, tool: Tool) -> str:
        """Return the text that the author's function makes of the arguments, in the tool's own time.

        A ``ToolError`` of the function is the call's answer: there is no such order, so there is nothing to ask.
        """
        asking = replace(tool, run=tool.asker, shape=_as_text)
        raw = await self._runner.run(replace(accepted, tool=asking), channel)
        said = str(_first(raw)[_TEXT])
        if raw.is_error:
            told = Remedy(self._sanitizer.text(said))
            raise Refusal(Reason.TOOL_FAILED, "the function of confirm refused", told)
        return computed(said)


def _denied(verdict: Verdict) -> Refusal:
    when = "at this time" if verdict.is_timed and not verdict.paths else "with these arguments"
    said = f"the rule {verdict.rule} refuses the call {when}{f': {verdict.reason}' if verdict.reason else ''}"
    problems = Problems(tuple(Problem(path, said) for path in verdict.paths or ("",)))
    return Refusal(Reason.ARGUMENT_DANGEROUS, f"denied by rule {verdict.rule}", problems)


def _why(verdict: Verdict) -> str:
    return f"{verdict.reason} (rule {verdict.rule})" if verdict.reason else f"the rule {verdict.rule}"


def _as_text(value: Any) -> RawResult:
    if not isinstance(value, str) or not value.strip():
        raise TypeError("the function of confirm= returned no text")
    return RawResult(content=[{"type": "text", _TEXT: value}])


def _first(raw: RawResult) -> Mapping[str, Any]:
    return raw.content[0]
