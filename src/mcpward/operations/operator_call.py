"""An operator's call and its answer: as values, and as messages of the bus."""

from collections.abc import Callable
from typing import Any, Final, Protocol

from msgspec import Struct, ValidationError, convert

from mcpward.identity.named_caller import NamedCaller

__all__ = [
    "ASKING", "CANCELLING", "PROGRESSING", "TELLING", "CallAnswer", "CallPage", "CallRequest", "CalledOff",
    "MakesCalls", "NamedCaller", "OperatorCall", "Progress", "Tell", "read_progress", "read_told",
]  # fmt: skip

ASKING: Final = "call-asked"
TELLING: Final = "call-told"
PROGRESSING: Final = "call-progress"
CANCELLING: Final = "call-cancelled"


class OperatorCall(Struct, frozen=True, kw_only=True):
    """One call. ``arguments`` is the JSON text of an object, as it was typed.

    ``can_ask`` says that a person at a terminal answers questions; ``inputs`` are their answers, with ``state`` as it
    came with the questions. ``wants_progress`` says that a person watches while the tool runs.
    """

    server: str
    tool: str
    arguments: str
    caller: NamedCaller
    can_ask: bool = False
    wants_progress: bool = False
    inputs: dict[str, Any] | None = None
    state: str | None = None


class CallAnswer(Struct, frozen=True, kw_only=True):
    """The JSON-RPC message that answers a call, as text; ``reason`` names the refusal, None if there was none.

    ``hint`` is for the operator: the reason that mcpward keeps from a caller, such as why it does not see a tool.
    """

    body: str
    reason: str | None = None
    hint: str = ""


class CallRequest(Struct, frozen=True, kw_only=True):
    """A call as a message. ``name`` is unguessable, ``by`` its sender on the bus, ``at`` the sender's wall clock."""

    name: str
    by: str
    at: float
    call: OperatorCall


class CallPage(Struct, frozen=True, kw_only=True):
    """One message of an answer: the ``page``th of ``pages`` parts of the body."""

    name: str
    body: str
    reason: str | None = None
    hint: str = ""
    page: int = 0
    pages: int = 1


class Progress(Struct, frozen=True, kw_only=True):
    """The progress that the tool reports, as a message with the ``name`` of its call."""

    name: str = ""
    progress: float
    total: float | None = None
    message: str = ""


class CalledOff(Struct, frozen=True, kw_only=True):
    """The message that cancels the call of this name: its sender waits for no answer."""

    name: str


Tell = Callable[[Progress], None]


class MakesCalls(Protocol):
    """The maker of an operator's call: this process, or a worker that serves the site."""

    async def make(self, call: OperatorCall, tell: Tell | None = None) -> CallAnswer:
        """Return the answer to one call; ``tell`` receives its progress meanwhile. Its cancellation cancels the
        call.
        """
        ...


def read_told(message: dict[str, Any]) -> CallPage | None:
    """Read a message of an answer; return None if it is none."""
    try:
        return convert(message, CallPage)
    except ValidationError:
        return None


def read_progress(message: dict[str, Any]) -> Progress | None:
    """Read a message of a call's progress; return None if it is none."""
    try:
        return convert(message, Progress)
    except ValidationError:
        return None
