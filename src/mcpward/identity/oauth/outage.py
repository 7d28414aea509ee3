"""When a provider cannot be used: logged once for each cause and when it is over, tried again in time, told as 503.

An outage is never told as a bad credential: a client that believes that would throw a good one away.
"""

from logging import Logger
from typing import Final

from mcpward.core.errors import Misconfigured, Refusal
from mcpward.core.reasons import Reason
from mcpward.egress.failures import EgressFailed, EgressRefused
from mcpward.identity.jwt.errors import KeysRefused

RETRY_AFTER_S: Final = 5
"""What callers are told to wait."""
_QUICK_RETRY_S: Final = 3.0
_SLOW_RETRY_S: Final = 30.0
_QUICK_RETRIES: Final = 20
_LONGEST: Final = 500


class NoAnswer(Exception):
    """The provider answered, and it was no answer to the question. The text is our own and may be logged."""


class Outage:
    """Of one thing, ``what``, as the log names it."""

    def __init__(self, log: Logger, what: str) -> None:
        self._log = log
        self._what = what
        self._cause = ""
        self._times = 0

    def note(self, error: Exception) -> float:
        """Log the cause if it is a new one; give the seconds until the next try."""
        cause = _explain(error)
        self._times += 1
        if cause != self._cause:
            self._cause = cause
            self._log.warning("%s cannot be used: %s", self._what, cause)
        return _QUICK_RETRY_S if self._times <= _QUICK_RETRIES else _SLOW_RETRY_S

    def end(self) -> None:
        """Log that it is over, if there was anything."""
        if self._cause:
            self._log.warning("%s can be used again", self._what)
        self._cause, self._times = "", 0


def unavailable(detail: str) -> Refusal:
    """Return the refusal for what cannot be said at the moment."""
    return Refusal(Reason.IDENTITY_UNAVAILABLE, detail, retry_after_s=RETRY_AFTER_S)


def _explain(error: Exception) -> str:
    """In words of our own; of an exception that nobody foresaw, the name alone. Findings may quote the provider."""
    if isinstance(error, EgressRefused | EgressFailed):
        return f"{error.why.value} ({error.detail})"
    if isinstance(error, KeysRefused):
        return f"the document is refused: {error.reason.value}{error.detail and f' ({error.detail})'}"
    if isinstance(error, Misconfigured | NoAnswer):
        return ascii(str(error))[1:-1][:_LONGEST]
    return type(error).__name__
