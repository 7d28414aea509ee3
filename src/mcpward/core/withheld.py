"""A result that must not leave: the caller's message, and the operator's detail in the log and the record."""

from typing import Final

from mcpward.core.errors import Refusal
from mcpward.core.facts import ErrorId, Remedy
from mcpward.core.ids import error_id
from mcpward.core.reasons import Reason
from mcpward.core.values import Call

CROWDED: Final = "it is complete, but there are too many large results at the moment: ask for less"
"""Advice if the turn of a large result does not come in time."""


def withheld(detail: str, advice: str = "it contains a secret: ask for less of it") -> Refusal:
    """Return the refusal of a result: ``detail`` is for the operator, ``advice`` for the model, no value in either."""
    return Refusal(Reason.OUTPUT_REFUSED, detail, ErrorId(error_id()), Remedy(advice))


def about(no: Refusal, call: Call | None) -> str:
    """Return the log text of a refusal: for a withheld result, with its server and tool too."""
    if no.reason is not Reason.OUTPUT_REFUSED or call is None:
        return no.detail
    return f"{call.arrival.server}: {call.method} {call.target}: {no.detail}"
