"""The way back from a running call to its caller: notifications, and questions that only the caller can answer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct


class Question(Struct, frozen=True, kw_only=True):
    """One request to the client: ``elicitation/create``, ``sampling/createMessage`` or ``roots/list``.

    ``key`` names it within its call, so that its answer finds it; ``capability`` is what the client must have declared
    for it, as a ClientCapabilities object (``{"elicitation": {"form": {}}}``).
    """

    key: str
    method: str
    params: Mapping[str, Any]
    capability: Mapping[str, Any]


class InputRequired(BaseException):
    """Ends a call that cannot go on without answers (modern era): the client sends it again, with them.

    No ``Exception``, so that an author's ``except Exception`` does not swallow it.
    """

    def __init__(self, questions: tuple[Question, ...]) -> None:
        super().__init__("input required")
        self.questions = questions


class ClientChannel(Protocol):
    """Messages of a running call to its caller. Methods are called on the event loop's thread."""

    def notify(self, message: bytes) -> None:
        """Send one JSON-RPC notification, cleaned on its way. Dropped without an error if no client listens."""
        ...

    async def ask(self, questions: Sequence[Question]) -> Mapping[str, Mapping[str, Any]]:
        """Put all questions to the client and return its results by key.

        Raises:
            Refusal: capability-missing, with the fact ``required_capabilities``; consent-missing if the client refused
                to answer or did not in time.
            InputRequired: modern era, and not all answers have come with this request.
        """
        ...

    def release(self) -> None:
        """End the HTTP answer for now; the client comes back for the rest (2025-11-25, without effect elsewhere)."""
        ...

    def retain(self) -> Callable[[], None]:
        """Keep the call's slots beyond its end, until the returned function is called, once.

        For a part of the call that continues although no caller waits for it.
        """
        ...
