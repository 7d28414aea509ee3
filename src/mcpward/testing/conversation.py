"""Requests of one client, written as the revision 2026-07-28 has them, and what comes back. No network in between."""

import base64
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import pydantic_core
from msgspec import Struct

from mcpward.app.in_process import InProcess
from mcpward.core.values import Reply
from mcpward.protocol.versions import CAPABILITIES_KEY, CLIENT_KEY, LOG_LEVEL_KEY, MODERN, VERSION_KEY
from mcpward.testing.answers import CAPABILITIES, Answers, Question, question_of, response_to
from mcpward.testing.results import Logged, Progress

#: The server puts an end to questions before this.
_MOST_ROUNDS: Final = 100
_PROGRESS: Final = "progress"
_decode: Final = msgspec.json.Decoder().decode


class Ended(Struct, frozen=True):
    """The last response of a request, with what was sent and asked before it."""

    reply: Reply
    raw: Mapping[str, Any]
    progress: tuple[Progress, ...]
    logs: tuple[Logged, ...]
    asked: tuple[Question, ...]


class _Wire:
    """Implements :class:`~mcpward.core.values.ResponseStream`: keeps what is sent while the call runs."""

    def __init__(self) -> None:
        self.sent: list[Mapping[str, Any]] = []
        self.is_gone = False
        self.can_stream = True

    @property
    def streaming(self) -> bool:
        return False

    def notify(self, message: bytes, event_id: str | None = None) -> None:  # noqa: ARG002  the port's
        if message:
            self.sent.append(_decode(message))

    def let_in(self, *, is_known: bool) -> None: ...

    def queue(self, *, cancel_on_disconnect: bool) -> None: ...

    def begin(self, *, cancel_on_disconnect: bool, endless: bool = False) -> None: ...

    async def drained(self) -> None: ...

    def release(self, retry_ms: int) -> None: ...


class Conversation:
    """One caller of an open server. ``answers`` None is a client that cannot be asked."""

    def __init__(self, site: InProcess, mark: bytes, answers: Answers | None) -> None:
        self._site = site
        self._mark = mark
        self._answers = answers
        self._last_id = 0

    async def request(
        self, method: str, params: Mapping[str, Any], target: str = "", headers: Mapping[bytes, bytes] | None = None
    ) -> Ended:
        """Send one request, and again with the answers to what is asked, until it has ended.

        Raises:
            AssertionError: a question is not answered.
        """
        sent: list[Mapping[str, Any]] = []
        asked: list[Question] = []
        more: dict[str, Any] = {}
        for _ in range(_MOST_ROUNDS):
            wire = _Wire()
            reply = await self._send(method, {**params, **more}, target, headers or {}, wire)
            sent += wire.sent
            raw: Mapping[str, Any] = _decode(reply.body) if reply.body else {}
            result = raw.get("result")
            if not isinstance(result, dict) or result.get("resultType") != "input_required":
                return Ended(reply, raw, tuple(_progress(sent)), tuple(_logs(sent)), tuple(asked))
            responses = {}
            for key, request in result.get("inputRequests", {}).items():
                question = question_of(key, request)
                asked.append(question)
                responses[key] = response_to(question, self._answers if self._answers is not None else {})
            more = {"inputResponses": responses, "requestState": result["requestState"]}
        raise AssertionError(f"{method} {target} still asks after {_MOST_ROUNDS} rounds")

    async def _send(
        self, method: str, params: Mapping[str, Any], target: str, headers: Mapping[bytes, bytes], wire: _Wire
    ) -> Reply:
        self._last_id += 1
        meta = {
            VERSION_KEY: MODERN,
            CAPABILITIES_KEY: {} if self._answers is None else CAPABILITIES,
            CLIENT_KEY: {"name": "mcpward.testing", "version": "1"},
            LOG_LEVEL_KEY: "debug",
            "progressToken": _PROGRESS,
        }
        body = pydantic_core.to_json(
            {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": {**params, "_meta": meta}},
            by_alias=True,
        )
        routing = {b"mcp-protocol-version": MODERN.encode(), b"mcp-method": method.encode()}
        if target:
            routing[b"mcp-name"] = header_value(target)
        return await self._site.send(self._mark, body, {**headers, **routing}, wire)


def header_value(value: object) -> bytes:
    """Return a value as a routing header repeats it: as it is if that is plain ASCII, else in base64."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if text.isascii() and text.isprintable() and text == text.strip() and not text.startswith("=?base64?"):
        return text.encode()
    return b"=?base64?%b?=" % base64.b64encode(text.encode())


def _params_of(sent: list[Mapping[str, Any]], method: str) -> list[Mapping[str, Any]]:
    return [message.get("params", {}) for message in sent if message.get("method") == method]


def _progress(sent: list[Mapping[str, Any]]) -> list[Progress]:
    return [
        Progress(params["progress"], params.get("total"), params.get("message"))
        for params in _params_of(sent, "notifications/progress")
    ]


def _logs(sent: list[Mapping[str, Any]]) -> list[Logged]:
    said: Callable[[Any], str] = lambda data: data if isinstance(data, str) else str(data)  # noqa: E731
    return [Logged(params["level"], said(params.get("data"))) for params in _params_of(sent, "notifications/message")]
