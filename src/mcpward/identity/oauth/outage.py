"""Outages of a provider: logged once for each cause and at the end, retried in time, answered with 503.

An outage is never answered as a bad credential: a client that believes that would throw a valid one away.
"""

from logging import Logger
from typing import Final

from mcpward.core.errors import Misconfigured, Refusal
from mcpward.core.facts import RetryAfter
from mcpward.core.reasons import Reason
from mcpward.core.retry import Retry
from mcpward.egress.failures import EgressFailed, EgressRefused
from mcpward.identity.jwt.errors import KeysRefused

RETRY_AFTER_S: Final = 5
"""The seconds in ``Retry-After`` of a refusal."""
#: For a minute often, then seldom.
_PAUSES_S: Final = (*[3.0] * 20, 30.0)
_LONGEST: Final = 500


class NoAnswer(Exception):
    """The provider answered, and it was no answer to the question. The text is our own and may be logged."""


def outage(log: Logger, what: str) -> Retry:
    """Return the retried work for ``what``, as the log names it. Each new cause is logged."""
    return Retry(
        lambda error: log.warning("%s cannot be used: %s", what, _explain(error)),
        lambda: log.warning("%s can be used again", what),
        pauses_s=_PAUSES_S,
        cause_of=_explain,
    )


def unavailable(detail: str) -> Refusal:
    """Return the refusal for a question that cannot be answered at the moment."""
    return Refusal(Reason.IDENTITY_UNAVAILABLE, detail, RetryAfter(RETRY_AFTER_S))


def _explain(error: Exception) -> str:
    """In words of our own; of an unexpected exception, only the name. Findings may quote the provider."""
    if isinstance(error, EgressRefused | EgressFailed):
        return f"{error.why.value} ({error.detail})"
    if isinstance(error, KeysRefused):
        return f"the document is refused: {error.reason.value}{error.detail and f' ({error.detail})'}"
    if isinstance(error, Misconfigured | NoAnswer):
        return ascii(str(error))[1:-1][:_LONGEST]
    return type(error).__name__
