"""A tool's raw result becomes one that may leave: encoded once, screened, redacted, bounded (attacks 84, 85).

Invisible characters go before secrets are looked for: ``sec<U+200B>ret`` without them is the secret. A result that
holds nothing suspicious is encoded and searched once and nothing more.

A changed result still keeps the tool's output schema, or is withheld: a client refuses a mask under ``number``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from mcpward.core.effort import LARGE
from mcpward.core.errors import Refusal
from mcpward.core.unicode import escape_separators, well_formed
from mcpward.core.values import AcceptedCall, Outcome, RawResult
from mcpward.core.withheld import withheld
from mcpward.sanitize.redact import Redactor
from mcpward.sanitize.rewrite import Rewrite, rewritten
from mcpward.sanitize.screens.invisible import strip, strip_all
from mcpward.sanitize.screens.split import spoken

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_OBJECT: Final = ord("{")
_UNWRITTEN: Final = (TypeError, ValueError, OverflowError, RecursionError)
_TOO_LARGE: Final = "it is too large: ask for less"
#: Bytes for which any part of a value counts, so that none has so many that to look at them takes long.
_PART: Final = 16
_SCALARS: Final = frozenset({bool, int, float, type(None)})
_SEPARATORS: Final = str.maketrans("\u2028\u2029", "  ")


class Sanitizer:
    """Cleans all that goes to a caller. ``redactor`` gives the present one: secrets may be added while serving."""

    def __init__(self, redactor: Callable[[], Redactor], max_bytes: int) -> None:
        self._redactor = redactor
        self._max_bytes = max_bytes

    def is_little(self, raw: RawResult) -> bool:
        """Whether cleaning the result is short enough for the event loop."""
        if raw.size:  # most results are one value, encoded already
            return raw.size <= LARGE
        return _is_little((raw.content, raw.structured, raw.meta))

    def clean(self, _accepted: AcceptedCall, raw: RawResult) -> Outcome:
        """Return the result as JSON that may leave.

        Raises :class:`Refusal` (output-refused) if the result is larger than ``max_bytes`` or cannot be written as
        JSON. So too if it holds a secret that is split over several content blocks, or breaks the output schema without
        its secrets.
        """
        content, is_error = raw.content, raw.is_error
        if raw.size > self._max_bytes:
            self._require_small(len(raw.structured))  # it is encoded already: not once more, with its copy
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
            self._require_small(_size(raw, body))
        redactions = 0
        if redactor.suspects(body):
            body, redactions = self._redacted(redactor, raw, body)
        if len(content) > 1 and redactor.finds(spoken(content)):
            _require_whole(redactor, body)
        return Outcome(body, is_error, redactions)

    def is_split(self, parts: Sequence[Mapping[str, Any]], cleaned: Callable[[], Sequence[Mapping[str, Any]]]) -> bool:
        """Return whether a secret stands across several parts. ``cleaned`` gives the parts as they would leave."""
        redactor = self._redactor()
        return len(parts) > 1 and redactor.finds(spoken(parts)) and redactor.finds(spoken(cleaned()))

    def frame(self, message: bytes) -> bytes:
        """Return one JSON-RPC message that may leave; empty when nothing of it may."""
        try:
            return self.whole(message)
        except Refusal:
            return b""

    def whole(self, message: bytes) -> bytes:
        """Return one encoded JSON object that may leave. Raises :class:`Refusal` (output-refused) if none may."""
        self._require_small(len(message))
        redactor = self._redactor()
        if not redactor.suspects(message):
            return message
        try:
            clean, _ = _screened(redactor, message)
        except (ValueError, RecursionError, msgspec.MsgspecError):
            raise withheld("the result cannot be screened: it is no JSON, or nested too deep") from None
        self._require_small(len(clean))
        if clean[0] != _OBJECT:
            raise withheld("a secret stands across several members of the result")
        return clean

    def text(self, text: str) -> str:
        """Return a text of our own making, such as an error's, that may leave."""
        return self._redactor().text(strip(text)).translate(_SEPARATORS)

    def _redacted(self, redactor: Redactor, raw: RawResult, body: bytes) -> tuple[bytes, int]:
        try:
            body, redactions = _screened(redactor, body)
        except RecursionError:
            raise withheld("the result is nested too deep to be screened") from None
        if len(body) > self._max_bytes:  # numbered names and masks make it longer
            self._require_small(len(_encode({**_decode(body), "content": []})) if raw.is_mirrored else len(body))
        if body[0] != _OBJECT:
            raise withheld("a secret stands across several members of the result")
        if raw.misfit is not None and (problem := raw.misfit(_decode(body).get("structuredContent"))) is not None:
            raise withheld(f"without secrets and invisible characters the result breaks its output schema: {problem}")
        return body, redactions

    def _require_small(self, size: int) -> None:
        if size > self._max_bytes:
            detail = f"the result has {size} bytes, output.max_bytes is {self._max_bytes}"
            raise withheld(detail, _TOO_LARGE)


def _is_little(values: Iterable[Any]) -> bool:
    """Whether values are at most ``LARGE`` long as JSON, roughly; what is no plain value is taken for large."""
    size = 0
    rest: list[Iterable[Any]] = [values]
    for group in rest:  # which grows meanwhile
        for one in group:
            kind = type(one)
            if kind is str or kind is Raw:
                size += len(one)
            elif kind in _SCALARS:
                continue
            elif kind is dict or kind is list or kind is tuple or isinstance(one, Mapping):
                size += len(one) * _PART  # before they are looked at
                if size > LARGE:
                    return False
                rest.append(one)
                if kind is not list and kind is not tuple:
                    rest.append(one.values())
            else:
                return False
        if size > LARGE:
            return False
    return True


def _size(raw: RawResult, body: bytes) -> int:
    """Return how many bytes the tool returned: structured content and the same as text count once."""
    return len(_encode(raw.structured)) + len(_encode(raw.meta)) if raw.is_mirrored else len(body)


def _written(result: dict[str, Any]) -> bytes:
    """The slow way, for what could not be encoded as it is."""
    try:
        return _encode(result)
    except UnicodeEncodeError:  # lone surrogates: no encoder takes them
        return _written(rewritten(result, Rewrite(lambda texts: [*map(well_formed, texts)], _same, _never)))
    except _UNWRITTEN as problem:
        raise withheld(f"the result is not JSON: {type(problem).__name__}") from None


def _whole(raw: RawResult) -> dict[str, Any]:
    result: dict[str, Any] = {"content": raw.content, "isError": raw.is_error}
    if raw.meta:
        result = {"_meta": raw.meta, **result}  # first: the reply's own members join it there
    if raw.structured is not None:
        result["structuredContent"] = raw.structured
    return result


def _screened(redactor: Redactor, data: bytes) -> tuple[bytes, int]:
    """The slow way, for what holds a mark or a form of a secret. Returns the clean text and how many redactions."""

    def texts(given: list[str]) -> list[str]:
        return redactor.unhidden(strip_all(given))

    value = rewritten(_decode(data), Rewrite(texts, _same, lambda part: not redactor.suspects(_encode(part))))
    body = _encode(value)
    redactions = redactor.count(body)
    return escape_separators(redactor.encode(value) if redactions else body), redactions


def _same(value: Any) -> Any:
    return value


def _never(_: Any) -> bool:
    return False


def _require_whole(redactor: Redactor, body: bytes) -> None:
    """Redacted block by block, no block may hold a part that only together with the next is a secret."""
    if redactor.finds(spoken(_decode(body)["content"])):
        raise withheld("a secret is split over several content blocks")
