"""What is kept of one request: plain values, taken at its end. No body, no header, no credential ever gets here.

A record waits in a queue, so it holds nothing large: texts that a caller chose are cut when they are taken.
"""

from enum import Enum
from typing import Any, Final

from msgspec import Struct

from mcpward.core.values import Call, Era, Kind, Principal

#: A caller chooses these texts; ours are shorter.
MAX_NAME: Final = 128
_MAX_TRACE: Final = 64
#: Raw arguments that wait for redaction. Four times what is kept, so that the cut never shows.
MAX_RAW_ARGUMENTS: Final = 16_384


class Result(Enum):
    """How a request ended."""

    PENDING = "pending"
    """It is about to begin: the intent of a destructive call. Where no other record follows, the process died."""
    OK = "ok"
    ASKED = "asked"
    """The client was asked for something that the call needs, and may send it again."""
    ERROR = "error"
    """The tool itself said no, failed or took too long."""
    REFUSED = "refused"
    """The house said no, for ``reason``."""
    FAULT = "fault"
    """The house broke; ``error_id`` leads to the log."""
    CANCELLED = "cancelled"
    """The caller went away, or the process stopped, before there was an answer."""


Limits = tuple[str | None, tuple[str, ...]]


class Record(Struct, gc=False):
    """One request. ``tool`` is what the caller named; ``is_listed`` says that there is such a tool.

    ``arguments`` are raw and not yet redacted: they leave this value only through :mod:`mcpward.traffic.row`.
    ``limits`` is what was told of limits: the name of the one that refused (None where none did), and the names of
    those that would have, were they enforced.
    """

    id: str
    at: float
    server: str
    peer: str
    phase: str
    outcome: Result
    reason: str | None
    error_id: str | None
    status: int
    duration_s: float
    bytes_in: int
    bytes_out: int
    principal: Principal | None = None
    kind: Kind | None = None
    method: str = ""
    tool: str = ""
    is_listed: bool = False
    era: Era | None = None
    version: str = ""
    arguments: bytes | None = None
    trace: str | None = None
    limits: Limits | None = None

    def __repr__(self) -> str:
        # The arguments are not redacted yet.
        return f"Record(id={self.id!r}, server={self.server!r}, outcome={self.outcome.value!r})"


def name(text: str) -> str:
    """Cut a text that a caller chose. A short one is given back as it is."""
    return text if len(text) <= MAX_NAME else text[:MAX_NAME]


def arguments(call: Call) -> bytes | None:
    """Give the call's raw arguments, cut to what may wait. They are a copy: the body does not live with the record."""
    raw = call.arguments
    return raw if raw is None or len(raw) <= MAX_RAW_ARGUMENTS else raw[:MAX_RAW_ARGUMENTS]


def trace(call: Call) -> str | None:
    """Take the ``traceparent`` of the call, if it has one of a possible length."""
    given: Any = call.trace.get("traceparent") if call.trace else None
    return given if isinstance(given, str) and len(given) <= _MAX_TRACE else None
