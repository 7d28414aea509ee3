"""An operator's call and its answer: as values, and as letters of the mail."""

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
    came with the questions. ``wants_progress`` says that somebody looks on while the tool runs.
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
    """The JSON-RPC message that answers a call, as text; ``reason`` names the refusal, None where there was none.

    ``hint`` is for the operator: what a caller may not be told, such as why it does not see a tool.
    """

    body: str
    reason: str | None = None
    hint: str = ""


class CallRequest(Struct, frozen=True, kw_only=True):
    """A call as a letter. ``name`` is unguessable, ``by`` its sender in the mail, ``at`` the wall clock there."""

    name: str
    by: str
    at: float
    call: OperatorCall


class CallPage(Struct, frozen=True, kw_only=True):
    """One letter of an answer: the ``page``th of ``pages`` parts of the body."""

    name: str
    body: str
    reason: str | None = None
    hint: str = ""
    page: int = 0
    pages: int = 1


class Progress(Struct, frozen=True, kw_only=True):
    """How far the tool is, as it says; as a letter with the ``name`` of its call."""

    name: str = ""
    progress: float
    total: float | None = None
    message: str = ""


class CalledOff(Struct, frozen=True, kw_only=True):
    """The letter that cancels the call of this name: who made it waits for no answer."""

    name: str


Tell = Callable[[Progress], None]


class MakesCalls(Protocol):
    """Who makes an operator's call: this process, or a worker that serves the site."""

    async def make(self, call: OperatorCall, tell: Tell | None = None) -> CallAnswer:
        """Return the answer to one call; ``tell`` hears of its progress meanwhile. Cancelled, it cancels the call."""
        ...


def read_told(letter: dict[str, Any]) -> CallPage | None:
    """Read a letter of an answer; None where it is none."""
    try:
        return convert(letter, CallPage)
    except ValidationError:
        return None


def read_progress(letter: dict[str, Any]) -> Progress | None:
    """Read a letter of a call's progress; None where it is none."""
    try:
        return convert(letter, Progress)
    except ValidationError:
        return None
