"""The record of one request: plain values, taken at its end. No body, no header, no credential ever gets here.

A record waits in a queue, so it holds nothing large: texts that a caller chose are cut when they are taken.
"""

from enum import Enum
from typing import Any, Final

from msgspec import Struct

from mcpward.core.values import Call
from mcpward.traffic.subject import Subject

#: A caller chooses these texts; ours are shorter.
MAX_NAME: Final = 128
MAX_DETAIL: Final = 1024
_MAX_TRACE: Final = 64
#: Raw arguments that wait for redaction. Four times what is kept, so that the cut never shows.
MAX_RAW_ARGUMENTS: Final = 16_384
#: The two chains of the record. A row is removed only from the oldest end of its chain, refusals before calls.
CALLS: Final = "calls"
REFUSALS: Final = "refusals"


class Result(Enum):
    """How a request ended."""

    PENDING = "pending"
    """It is about to begin: the intent of a destructive call. If no other record follows, the process died."""
    OK = "ok"
    ASKED = "asked"
    """The client was asked for something that the call needs, and may send it again."""
    ERROR = "error"
    """The tool itself refused, failed or took too long."""
    REFUSED = "refused"
    """mcpward refused, for ``reason``."""
    FAULT = "fault"
    """mcpward broke; ``error_id`` leads to the log."""
    CANCELLED = "cancelled"
    """The caller went away, or the process stopped, before there was an answer."""


Limits = tuple[str | None, tuple[str, ...]]


class Record(Struct, gc=False):
    """One request. ``subject`` is who called what. From ``id`` on, the fields are columns of the record's row.

    ``arguments`` are raw and not yet redacted: they leave this value only through :mod:`mcpward.traffic.row`.
    ``limits`` is the outcome of limits: the name of the one that refused (None if none did), and the names of those
    that would have, were they enforced. ``detail`` is for the operator, in our words: why a gate refused, why a result
    was withheld (tool, path and rule, or size), or which arguments were dropped. The row of a count has it if it is the
    same for all. ``consent`` says what took the place of an answer in the client: a waiver by "key" or "scope", or
    "approval ID".

    ``chain`` is the row's chain: :data:`CALLS` for requests that were let in, or :data:`REFUSALS`. A record with a
    ``count`` stands for so many requests, from ``at`` to ``last_at``; sizes are their sums. ``peer`` is None if they
    came from several addresses.
    """

    subject: Subject
    outcome: Result
    duration_s: float
    arguments: bytes | None
    trace: str | None
    limits: Limits | None
    detail: str | None
    id: str
    at: float
    peer: str | None
    phase: str
    reason: str | None
    error_id: str | None
    status: int
    bytes_in: int
    bytes_out: int
    consent: str | None = None
    chain: str = CALLS
    count: int | None = None
    last_at: float | None = None

    def __repr__(self) -> str:
        # The arguments are not redacted yet.
        return f"Record(id={self.id!r}, server={self.subject.server!r}, outcome={self.outcome.value!r})"


def name(text: str) -> str:
    """Cut a text that a caller chose. A short one is given back as it is."""
    return text if len(text) <= MAX_NAME else text[:MAX_NAME]


def trace(call: Call) -> str | None:
    """Take the ``traceparent`` of the call, if it has one of a possible length."""
    given: Any = call.trace.get("traceparent") if call.trace else None
    return given if isinstance(given, str) and len(given) <= _MAX_TRACE else None
