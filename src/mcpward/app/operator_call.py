"""An operator's call and its answer: as values, and as letters of the mail."""

from typing import Any, Final, Protocol

from msgspec import Struct, ValidationError, convert

from mcpward.identity.named_caller import NamedCaller

ASKING: Final = "call-asked"
TELLING: Final = "call-told"


class OperatorCall(Struct, frozen=True, kw_only=True):
    """One call. ``arguments`` is the JSON text of an object, as it was typed.

    ``can_ask`` says that a person at a terminal answers questions; ``inputs`` are their answers, with ``state`` as it
    came with the questions.
    """

    server: str
    tool: str
    arguments: str
    caller: NamedCaller
    can_ask: bool = False
    inputs: dict[str, Any] | None = None
    state: str | None = None


class CallAnswer(Struct, frozen=True, kw_only=True):
    """The JSON-RPC message that answers a call, as text; ``reason`` names the refusal, None where there was none.

    ``hint`` is for the operator: what a caller may not be told, such as why it does not see a tool.
    """

    body: str
    reason: str | None = None
    hint: str = ""


class Asked(Struct, frozen=True, kw_only=True):
    """A call as a letter. ``name`` is unguessable, ``by`` its sender in the mail, ``at`` the wall clock there."""

    name: str
    by: str
    at: float
    call: OperatorCall


class Told(Struct, frozen=True, kw_only=True):
    """One letter of an answer: the ``page``th of ``pages`` parts of the body."""

    name: str
    body: str
    reason: str | None = None
    hint: str = ""
    page: int = 0
    pages: int = 1


class MakesCalls(Protocol):
    """Who makes an operator's call: this process, or a worker that serves the site."""

    async def make(self, call: OperatorCall) -> CallAnswer:
        """Return the answer to one call."""
        ...


def read_told(letter: dict[str, Any]) -> Told | None:
    """Read a letter of an answer; None where it is none."""
    try:
        return convert(letter, Told)
    except ValidationError:
        return None
