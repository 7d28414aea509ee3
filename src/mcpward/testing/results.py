"""A call as a test sees it: the answer as its client got it, and the private detail of a failure."""

import base64
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from mcpward.testing.answers import Question


class Progress(Struct, frozen=True):
    """One report of progress."""

    progress: float
    total: float | None = None
    message: str | None = None


class Logged(Struct, frozen=True):
    """One log message to the caller."""

    level: str
    text: str


class Refused(AssertionError):
    """The value of a call was read, but the call was refused or failed. The message says why."""


class Result(Struct, frozen=True, kw_only=True):
    """The end of one request.

    ``reason`` is the refusal's name from the closed list, None if the call was let through; ``message`` is the caller's
    error text then. ``detail`` is only for you: the traceback of the failure, which no caller sees. ``raw`` is the
    JSON-RPC response. ``progress`` and ``logs`` were sent before it, ``asked`` are the questions that were answered.
    """

    request: str
    raw: Mapping[str, Any]
    reason: str | None = None
    message: str = ""
    detail: str = ""
    error_id: str | None = None
    retry_after_s: float | None = None
    progress: tuple[Progress, ...] = ()
    logs: tuple[Logged, ...] = ()
    asked: tuple[Question, ...] = ()

    @property
    def is_error(self) -> bool:
        """Whether the caller got an error instead of an answer."""
        return self.reason is not None

    def require(self) -> Mapping[str, Any]:
        """Return the result as the protocol has it.

        Raises:
            Refused: there is none; with the reason, the message and the detail.
        """
        if self.is_error:
            name = self.reason or "its own error"
            detail = f"\n{self.detail}" if self.detail else ""
            raise Refused(f"{self.request}: {name}: {self.message}{detail}")
        return self._result

    @property
    def _result(self) -> Mapping[str, Any]:
        result: Mapping[str, Any] = self.raw.get("result") or {}
        return result


class CallResult(Result, frozen=True, kw_only=True):
    """The end of a tool call. ``is_wrapped`` says that structured content is ``{"result": value}``."""

    is_wrapped: bool = False

    @property
    def is_error(self) -> bool:
        """Whether the call was refused or failed, or its tool raised ``ToolError``."""
        return self.reason is not None or self._result.get("isError") is True

    @property
    def content(self) -> list[Mapping[str, Any]]:
        """The content blocks, also those of an error."""
        return list(self._result.get("content") or [])

    @property
    def text(self) -> str:
        """All text of the content, also that of an error; of a refusal without content its message."""
        blocks = [block["text"] for block in self.content if block.get("type") == "text"]
        return "\n".join(blocks) if blocks else self.message

    @property
    def structured(self) -> Any:
        """``structuredContent`` as the client gets it; None if there is none."""
        return self._result.get("structuredContent")

    @property
    def value(self) -> Any:
        """The function's return value, as JSON. Raises :class:`Refused` for a call that did not succeed."""
        result = self.require()
        structured = result.get("structuredContent")
        if structured is None:
            return self.text if self.content else None
        return structured["result"] if self.is_wrapped else structured

    def __repr__(self) -> str:
        said = f"{self.reason}: {self.message}" if self.reason else ("error: " if self.is_error else "") + self.text
        return f"<{self.request} → {said[:500]}>"


class ReadResult(Result, frozen=True, kw_only=True):
    """The contents of a resource."""

    @property
    def contents(self) -> list[Mapping[str, Any]]:
        """The contents as the client gets them."""
        return list(self.require()["contents"])

    @property
    def text(self) -> str:
        """The text of the first content."""
        return str(self.contents[0]["text"])

    @property
    def blob(self) -> bytes:
        """The bytes of the first content."""
        return base64.b64decode(self.contents[0]["blob"])

    @property
    def mime_type(self) -> str | None:
        """The media type of the first content."""
        found: str | None = self.contents[0].get("mimeType")
        return found


class PromptResult(Result, frozen=True, kw_only=True):
    """The messages of a prompt."""

    @property
    def messages(self) -> list[Mapping[str, Any]]:
        """The messages as the client gets them."""
        return list(self.require()["messages"])

    @property
    def text(self) -> str:
        """The text of all messages."""
        return "\n".join(
            message["content"]["text"] for message in self.messages if message["content"].get("type") == "text"
        )


class CompletionResult(Result, frozen=True, kw_only=True):
    """The values that complete an argument."""

    @property
    def values(self) -> list[str]:
        """The texts, the best first."""
        return list(self.require()["completion"]["values"])
