"""A tool's raw result becomes one that may leave: encoded once, screened, redacted, bounded (attacks 84, 85).

Invisible characters go before secrets are looked for: ``sec<U+200B>ret`` without them is the secret. A result that
holds nothing suspicious is encoded and searched once and nothing more.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import AcceptedCall, Outcome, RawResult
from mcpward.sanitize.redact import Redactor
from mcpward.sanitize.rewrite import Change, rewritten
from mcpward.sanitize.screens.invisible import strip, strip_all
from mcpward.sanitize.screens.split import spoken

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_OBJECT: Final = ord("{")
_UNWRITTEN: Final = (TypeError, ValueError, OverflowError, RecursionError)


class Sanitizer:
    """Cleans all that goes to a caller. ``redactor`` gives the present one: secrets may be added while serving."""

    def __init__(self, redactor: Callable[[], Redactor], max_bytes: int) -> None:
        self._redactor = redactor
        self._max_bytes = max_bytes

    def clean(self, _accepted: AcceptedCall, raw: RawResult) -> Outcome:
        """Give the result as JSON that may leave.

        Raises :class:`Refusal` (output-refused) when it is larger than ``max_bytes``, cannot be written as JSON, or
        holds a secret that is split over several content blocks.
        """
        content, is_error = raw.content, raw.is_error
        redactor = self._redactor()
        if raw.meta or raw.structured is None:
            result = _whole(raw)
        else:
            result = {"content": content, "isError": is_error, "structuredContent": raw.structured}
        try:
            body = _encode(result)
        except _UNWRITTEN:
            body = _written(result)
        if len(body) > self._max_bytes:
            raise self._too_large(body)
        redactions = 0
        if redactor.suspects(body):
            body, redactions = self._redacted(redactor, body)
        if len(content) > 1 and redactor.finds(spoken(content)):
            _require_whole(redactor, body)
        return Outcome(body, is_error, redactions)

    def is_split(self, parts: Sequence[Mapping[str, Any]], cleaned: Callable[[], Sequence[Mapping[str, Any]]]) -> bool:
        """Tell whether a secret stands across several parts. ``cleaned`` gives the parts as they would leave."""
        redactor = self._redactor()
        return len(parts) > 1 and redactor.finds(spoken(parts)) and redactor.finds(spoken(cleaned()))

    def frame(self, message: bytes) -> bytes:
        """Give one JSON-RPC message that may leave; empty when nothing of it may."""
        if len(message) > self._max_bytes:
            return b""
        redactor = self._redactor()
        if not redactor.suspects(message):
            return message
        try:
            clean, _ = _screened(redactor, message)
        except (ValueError, RecursionError, msgspec.MsgspecError):
            return b""
        return clean if clean[0] == _OBJECT and len(clean) <= self._max_bytes else b""

    def text(self, text: str) -> str:
        """Give a text of our own making, such as an error's, that may leave."""
        return self._redactor().text(strip(text))

    def _redacted(self, redactor: Redactor, body: bytes) -> tuple[bytes, int]:
        try:
            body, redactions = _screened(redactor, body)
        except RecursionError:
            raise Refusal(Reason.OUTPUT_REFUSED, "the result is nested too deep to be screened") from None
        if len(body) > self._max_bytes:  # numbered names and masks make it longer
            raise self._too_large(body)
        if body[0] != _OBJECT:
            raise Refusal(Reason.OUTPUT_REFUSED, "a secret stands across several members of the result")
        return body, redactions

    def _too_large(self, body: bytes) -> Refusal:
        return Refusal(Reason.OUTPUT_REFUSED, f"the result has {len(body)} bytes, {self._max_bytes} may leave")


def _written(result: dict[str, Any]) -> bytes:
    """The slow way, for what could not be encoded as it is."""
    try:
        return _encode(result)
    except UnicodeEncodeError:  # lone surrogates: no encoder takes them
        return _written(rewritten(result, Change(strip_all, _same, _never)))
    except _UNWRITTEN as problem:
        raise Refusal(Reason.OUTPUT_REFUSED, f"the result is not JSON: {type(problem).__name__}") from None


def _whole(raw: RawResult) -> dict[str, Any]:
    result: dict[str, Any] = {"content": raw.content, "isError": raw.is_error}
    if raw.meta:
        result = {"_meta": raw.meta, **result}  # first: the reply's own members join it there
    if raw.structured is not None:
        result["structuredContent"] = raw.structured
    return result


def _screened(redactor: Redactor, data: bytes) -> tuple[bytes, int]:
    """The slow way, for what holds a mark or a form of a secret. Gives the clean text and the number of redactions."""
    value = rewritten(_decode(data), Change(strip_all, _same, lambda part: not redactor.suspects(_encode(part))))
    body = _encode(value)
    redactions = redactor.count(body)
    return (redactor.encode(value) if redactions else body), redactions


def _same(value: Any) -> Any:
    return value


def _never(_: Any) -> bool:
    return False


def _require_whole(redactor: Redactor, body: bytes) -> None:
    """Redacted block by block, no block may hold a part that only together with the next is a secret."""
    if redactor.finds(spoken(_decode(body)["content"])):
        raise Refusal(Reason.OUTPUT_REFUSED, "a secret is split over several content blocks")
