"""The response side of an operator's call: its progress is reported, its answer returned, and it may be cancelled."""

from typing import Final

from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import Decoder

from mcpward.operations.operator_call import Progress, Tell

#: The part of a message that is shown on one line of a terminal.
_LONGEST: Final = 300


class _Params(Struct, frozen=True):
    progress: float
    total: float | None = None
    message: str = ""


class _Notification(Struct, frozen=True):
    params: _Params
    method: str = ""


_decode: Final = Decoder(_Notification).decode


class OperatorWire:
    """Implements :class:`~mcpward.core.values.ResponseStream` for a caller that waits for the answer, and may look on.

    ``is_gone``: a cancellation means that the caller has left, so no caller waits for an answer.
    """

    streaming = False
    can_stream = False

    def __init__(self, tell: Tell | None, *, is_gone: bool) -> None:
        self._tell = tell
        self.is_gone = is_gone

    def notify(self, message: bytes, event_id: str | None = None) -> None:  # noqa: ARG002  # of resumable streams
        """Report progress, and drop everything else."""
        if self._tell is None:
            return
        try:
            found = _decode(message)
        except (DecodeError, ValidationError):
            return  # a message of another kind
        if found.method == "notifications/progress":
            said = found.params
            self._tell(Progress(progress=said.progress, total=said.total, message=said.message[:_LONGEST]))

    def let_in(self, *, is_known: bool) -> None:
        """There is no connection that would have to leave."""

    def queue(self, *, cancel_on_disconnect: bool) -> None:
        """A caller waits here to the end, or cancels."""

    def begin(self, *, cancel_on_disconnect: bool, endless: bool = False) -> None:
        """The answer stays plain JSON."""

    async def drained(self) -> None:
        """Nothing waits to be read."""

    def release(self, retry_ms: int) -> None:
        """There is no stream."""
