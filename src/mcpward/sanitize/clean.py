"""A tool's raw result becomes one that may leave: encoded once, screened, redacted, bounded (attacks 84, 85).

Invisible characters go before secrets are looked for: ``sec<U+200B>ret`` without them is the secret. A result that
holds nothing suspicious is encoded and searched once and nothing more.

A changed result still keeps the tool's output schema, or is withheld: a client refuses a mask under ``number``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw

from mcpward.core.errors import Refusal
from mcpward.core.notification_bounds import LONGEST
from mcpward.core.unicode import escape_separators, well_formed
from mcpward.core.values import AcceptedCall, Call, Outcome, RawResult
from mcpward.core.withheld import withheld
from mcpward.sanitize.data_marks import Rewriting, marked_resource, marked_result
from mcpward.sanitize.notification import cut_notification
from mcpward.sanitize.redact import Redactor
from mcpward.sanitize.rewrite import Rewrite, rewritten
from mcpward.sanitize.screening import Screening, Screenings
from mcpward.sanitize.screens import known_credentials
from mcpward.sanitize.screens.invisible import strip, strip_all
from mcpward.sanitize.screens.split import spoken

T = TypeVar("T")
U = TypeVar("U")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_OBJECT: Final = ord("{")
_UNWRITTEN: Final = (TypeError, ValueError, OverflowError, RecursionError)
_TOO_LARGE: Final = "it is too large: ask for less"
#: Bytes for which any part of a value counts, so that none has so many that to look at them takes long.
_PART: Final = 16
_SCALARS: Final = frozenset({bool, int, float, type(None)})
_SEPARATORS: Final = str.maketrans("\u2028\u2029", "  ")
_UNCONFIGURED: Final = Screenings({})


class Sanitizer:
    """Cleans all that goes to a caller. ``redactor`` gives the present one: secrets may be added while serving.

    ``screenings`` says what else must not leave from which server and tool.
    """

    def __init__(
        self, redactor: Callable[[], Redactor], max_bytes: int, screenings: Screenings = _UNCONFIGURED
    ) -> None:
        self._redactor = redactor
        self._max_bytes = max_bytes
        self._screenings = screenings

    def is_little(self, raw: RawResult, call: Call | None = None) -> bool:
        """Whether cleaning the result of a tool is short enough for the event loop."""
        most = self.at_once(call)
        if raw.size:  # most results are one value, encoded already
            return raw.size <= most
        return _is_little((raw.content, raw.structured, raw.meta), most)

    def at_once(self, call: Call | None) -> int:
        """Return the most bytes of a result of that call that may be cleaned on the event loop."""
        return self._screenings.of_call(call).at_once

    def clean(self, accepted: AcceptedCall | None, raw: RawResult) -> Outcome:
        """Return the result as JSON that may leave. Without a call, the defaults of all servers apply.

        Raises :class:`Refusal` (output-refused) if the result is larger than ``max_bytes`` or cannot be written as
        JSON. So too if it holds a secret that is split over several content blocks, or breaks the output schema without
        its secrets; and if it has what the settings of its tool refuse.
        """
        if raw.size > self._max_bytes:
            self._require_small(len(raw.structured))  # it is encoded already: not once more, with its copy
        screening = self._screenings.of_call(None if accepted is None else accepted.call)
        if screening.prepares:
            raw = _nested(screening.prepared, raw)
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
            self._require_small(_size(raw, body))
        if screening.caps is not None:
            screening.caps.require_size(_size(raw, body))
        redactions = 0
        if redactor.suspects(body):
            body, redactions = self._redacted(redactor, raw, body)
        kinds: tuple[str, ...] = ()
        if screening.suspects(body):
            body, kinds = self._screened(screening, redactor, raw, body)
        if len(content) > 1:
            _require_unsplit(screening, redactor, content, body)
        origin = None if accepted is None else accepted.tool.untrusted
        if origin is not None or screening.rewriting.is_any:
            body = self._marked(body, origin, raw, screening.rewriting)
        return Outcome(body, is_error, redactions, kinds)

    def is_split(
        self,
        parts: Sequence[Mapping[str, Any]],
        cleaned: Callable[[], Sequence[Mapping[str, Any]]],
        call: Call | None = None,
    ) -> bool:
        """Return whether a secret stands across several parts. ``cleaned`` gives the parts as they would leave."""
        if len(parts) < 2:
            return False
        redactor, together = self._redactor(), spoken(parts)
        if redactor.finds(together) and redactor.finds(spoken(cleaned())):
            return True
        masks = self._screenings.of_call(call).masks_credentials
        return masks and known_credentials.suspects(together) and _has_split(spoken(cleaned()))

    def frame(self, message: bytes, call: Call | None = None) -> bytes:
        """Return one JSON-RPC message that may leave, sent for ``call``; empty when nothing of it may."""
        try:
            return self.whole(message, call)
        except Refusal:
            return b""

    def notification(self, message: bytes, call: Call | None = None) -> bytes:
        """Return a progress or log message that may leave, cut to its length; empty when nothing of it may."""
        return self.frame(message if len(message) <= LONGEST else cut_notification(message, self.text), call)

    def whole(self, message: bytes, call: Call | None = None) -> bytes:
        """Return one encoded JSON object that may leave. Raises :class:`Refusal` (output-refused) if none may.

        ``call`` is the call that it answers, or that it is sent for; without one, it is of mcpward itself.
        """
        self._require_small(len(message))
        screening = self._screenings.of_call(call)
        is_listing = call is not None and call.method.endswith("/list")
        if screening.drops and not is_listing:
            message = _nested(lambda data: _encode(screening.message(_decode(data))), message)
        clean = self._unsecret(message)
        if screening.suspects(clean):
            value, kinds = _nested(lambda data: screening.other(data, is_listing=is_listing), clean)
            if kinds:
                clean = self._unsecret(escape_separators(_encode(value)))
        return clean

    def _unsecret(self, message: bytes) -> bytes:
        """Return an encoded message without secrets and invisible characters."""
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
        return known_credentials.masked(self._redactor().text(strip(text)), []).translate(_SEPARATORS)

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

    def _screened(
        self, screening: Screening, redactor: Redactor, raw: RawResult, body: bytes
    ) -> tuple[bytes, tuple[str, ...]]:
        value, kinds = _nested(lambda data: screening.result(data, raw.misfit), body)
        if not kinds:
            return body, kinds
        body = escape_separators(_encode(value))
        if redactor.suspects(body):  # what stood between the halves of a secret may be gone
            body, _ = self._redacted(redactor, raw, body)
        if len(body) > self._max_bytes:  # masks make it longer
            self._require_small(len(_encode({**value, "content": []})) if raw.is_mirrored else len(body))
        return body, kinds

    def resource(self, body: bytes, call: Call, origin: str | None) -> bytes:
        """Return a clean result of ``resources/read`` as it leaves: marked, if it comes from an ``origin``.

        Raises:
            Refusal: output-refused; it is nested too deep.
        """
        rewriting = self._screenings.of_call(call).rewriting
        if origin is None and not rewriting.is_any:
            return body
        return _nested(lambda data: marked_resource(data, origin, rewriting), body)

    def _marked(self, body: bytes, origin: str | None, raw: RawResult, rewriting: Rewriting) -> bytes:
        marked = _nested(lambda data: marked_result(data, origin, raw.misfit, rewriting), body)
        self._require_small(len(marked) - len(body))  # each of very many parts has a mark of its own
        return marked

    def _require_small(self, size: int) -> None:
        if size > self._max_bytes:
            detail = f"the result has {size} bytes, output.max_bytes is {self._max_bytes}"
            raise withheld(detail, _TOO_LARGE)


def _is_little(values: Iterable[Any], most: int) -> bool:
    """Whether values are at most ``most`` bytes long as JSON, roughly; what is no plain value is taken for large."""
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
                if size > most:
                    return False
                rest.append(one)
                if kind is not list and kind is not tuple:
                    rest.append(one.values())
            else:
                return False
        if size > most:
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


def _nested(change: Callable[[T], U], given: T) -> U:
    """Return what ``change`` makes of something that may be nested deeper than it can follow."""
    try:
        return change(given)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        raise withheld("the result cannot be screened: it is no JSON, or nested too deep") from None


def _has_split(together: bytes) -> bool:
    return known_credentials.finds_across(together.decode())


def _spoken_of(body: bytes) -> bytes:
    return spoken(_decode(body)["content"])


def _same(value: Any) -> Any:
    return value


def _never(_: Any) -> bool:
    return False


def _require_unsplit(
    screening: Screening, redactor: Redactor, content: Sequence[Mapping[str, Any]], body: bytes
) -> None:
    together = spoken(content)
    if redactor.finds(together):
        _require_whole(redactor, body)
    if screening.masks_credentials and known_credentials.suspects(together) and _has_split(_spoken_of(body)):
        raise withheld("a credential is split over several content blocks")


def _require_whole(redactor: Redactor, body: bytes) -> None:
    """Redacted block by block, no block may hold a part that only together with the next is a secret."""
    if redactor.finds(_spoken_of(body)):
        raise withheld("a secret is split over several content blocks")
