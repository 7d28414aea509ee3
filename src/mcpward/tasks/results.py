"""The ending of a task: the answer that its call would have had.

A result is a completion, ``isError`` or not; ``failed`` is for what would have been a JSON-RPC error (extension
specification, task execution errors).
"""

import asyncio
import traceback
from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.json import Decoder

from mcpward.core.errors import Fault, Refusal
from mcpward.core.facts import ErrorId
from mcpward.core.ids import error_id
from mcpward.core.reasons import Reason
from mcpward.core.values import Call, Outcome, Reply
from mcpward.core.withheld import about
from mcpward.tasks.record import Status

Refuse = Callable[[Refusal, Call | None], Reply]
"""Return the answer of a refusal: ``protocol.reply.refusal``."""
Report = Callable[[str, str], None]
"""Writes private detail under an error id to the log."""

_BROKEN: Final = frozenset({Reason.TOOL_FAILED, Reason.TOOL_TIMEOUT, Reason.OUTPUT_REFUSED})
_STOPPED: Final = "the server stopped before the task had ended"
_EXPIRED: Final = "the task had not ended when its time was over"


class Cut(Enum):
    """The cause of an end from outside."""

    CANCELLED = "its caller cancelled it"
    STOPPED = "the server stops"
    EXPIRED = "its time is over"
    LOST = "it was given up for dead"


class Ending(Struct, frozen=True):
    """The final status, the encoded result or error (empty for ``cancelled``), and what to say of it."""

    status: Status
    body: bytes = b""
    message: str = ""


class _Answer(Struct):
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET


class _Error(Struct):
    message: str


_answer: Final = Decoder(_Answer).decode
_error: Final = Decoder(_Error).decode
_CANCELLED: Final = Ending(Status.CANCELLED, message="cancelled by the client")


class Endings:
    """Turns the outcome of the work into an ending. Private detail goes only to the log."""

    def __init__(self, refuse: Refuse, report: Report) -> None:
        self._refuse = refuse
        self._report = report

    def of(self, work: "asyncio.Task[Outcome]", call: Call, cut: Cut | None) -> Ending:
        """Return the ending of work that is done."""
        if work.cancelled():
            if cut is Cut.CANCELLED:
                return _CANCELLED
            return self.stopped(_EXPIRED if cut is Cut.EXPIRED else _STOPPED)
        error = work.exception()
        if error is None:
            return Ending(Status.COMPLETED, b'{"resultType":"complete",' + work.result().body[1:])
        if isinstance(error, Refusal):
            if (known := error.find(ErrorId)) is not None:
                self._report(known.error_id, about(error, call))
            # No caller waits for the answer of a task that broke down: its status says so, and not a result.
            return self._refused(error, None if error.reason in _BROKEN else call)
        under = error.error_id if isinstance(error, Fault) else error_id()
        self._report(under, "".join(traceback.format_exception(error)))
        return self._refused(Refusal(Reason.FAULT, "", ErrorId(under)), call)

    def stopped(self, message: str = _STOPPED) -> Ending:
        """Return the ending of a task that its worker did not end: it stopped, or died."""
        return self._refused(Refusal(Reason.BUSY, message), None, message)

    def _refused(self, no: Refusal, call: Call | None, message: str = "") -> Ending:
        answer = _answer(self._refuse(no, call).body)
        if isinstance(answer.result, Raw):
            return Ending(Status.COMPLETED, bytes(answer.result))
        assert isinstance(answer.error, Raw)  # a response has one or the other
        body: Any = bytes(answer.error)
        return Ending(Status.FAILED, body, message or _error(body).message)
