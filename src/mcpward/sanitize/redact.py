"""Secrets out of texts and JSON: one pass of Aho-Corasick over all forms of all secrets (attack 85).

Does not decide what a secret is (the vault and ``env`` do) and does not refuse anything; see ``clean.py``.
"""

import re
import sys
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

import msgspec
from ahocorasick_rs import BytesAhoCorasick

from mcpward.core.pace import step
from mcpward.core.secret import Secret
from mcpward.sanitize.forms import encoded_forms
from mcpward.sanitize.rewrite import Rewrite, rewritten
from mcpward.sanitize.screens.invisible import bare, marks

MASK: Final = "[redacted]"
_MASK: Final = MASK.encode()
_MASKED_DOCUMENT: Final = b'"' + _MASK + b'"'
_ESCAPE: Final = re.compile(rb"\\(?:u....|.)", re.DOTALL)
#: Longer data is searched in pieces of this size, or of twice the longest form.
_WINDOW: Final = 65_536
_NUMBER: Final = b"0123456789+-.eE"
_MARKS: Final = tuple(dict.fromkeys(marks()))
_OURS: Final = (
    b'{"jsonrpc":"2.0","id":0,"result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{}},'
    b'"content":[{"type":"text","text":""},{"type":"image","data":"","mimeType":""},{"type":"resource","resource":'
    b'{"uri":"","mimeType":"","text":"","blob":""}}],"structuredContent":{"result":null},"isError":false}}'
    b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","logger":"","data":"[redacted]"}}'
    b'{"method":"notifications/progress","params":{"progressToken":"","progress":0,"total":0,"message":""}}'
    b'"isError":true "level":"debug" "warning" "error" "type":"audio" "type":"resource_link"'
)
_REPLACEMENT: Final = "\ufffd"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_Spans: TypeAlias = list[list[int]]
_Octets: TypeAlias = bytes  # within the class below, ``bytes`` is a method


class Redactor:
    """Finds every form of the given secrets and writes ``[redacted]`` in its place.

    ``weak`` names the secrets that cannot be redacted: shorter than six characters, or part of the protocol's own
    words. The code that builds one reports them to the operator. Building costs milliseconds: once for each set of
    secrets.
    """

    def __init__(self, values: Iterable[Secret]) -> None:
        found: set[_Octets] = set()
        weak: list[str] = []
        for secret in values:
            of_secret = encoded_forms(secret.reveal())
            if of_secret and not any(form in _OURS for form in of_secret):
                found |= of_secret
            else:
                weak.append(secret.name)
        self.weak: tuple[str, ...] = tuple(weak)
        self._suspicious = BytesAhoCorasick([*_MARKS, *sorted(found)]).find_matches_as_indexes
        self._forms = BytesAhoCorasick(sorted(found))
        self._overlap = max(map(len, [*_MARKS, *found]))
        self._window = max(_WINDOW, 2 * self._overlap)
        may_be_number = any(not form.strip(_NUMBER) for form in found)
        self._change = Rewrite(self._strings, self._scalar if may_be_number else _same, self._is_clean)

    def suspects(self, data: _Octets) -> bool:
        """Return whether ``data`` has any form of a secret, or a mark of invisible characters."""
        if len(data) <= self._window:
            return bool(self._suspicious(data))
        # Piece by piece: of a text that is full of marks the matcher would list them all.
        places = range(0, len(data), self._window - self._overlap)
        return any(self._suspicious(step(data[start : start + self._window])) for start in places)

    def finds(self, data: _Octets) -> bool:
        """Return whether any form of any secret stands in ``data``."""
        return bool(self._spans(data))

    def bytes(self, data: _Octets) -> _Octets:
        """Return ``data`` with every form masked; the same object if there is none."""
        spans = self._spans(data)
        if not spans:
            return data if data.isascii() else self._uncovered(data)
        masked = _masked(data, spans)
        # Two masks with a remainder between them might spell a third secret: then nothing of it leaves.
        return _MASK if self._spans(masked) else masked

    def unhidden(self, texts: list[str]) -> list[str]:
        """Return ``texts``; of each in which a secret is spelt with characters between that are not seen, what is seen.

        Half of a surrogate pair became U+FFFD: if it stands within a secret it goes, too.
        """
        joined = "\n".join(texts)
        if joined.isascii() or not self._hides(joined):
            return texts
        return [_seen(text) if self._hides(text) else text for text in texts]

    def text(self, text: str) -> str:
        """Return ``text`` with every form masked; the same object if there is none."""
        data = text.encode("utf-8", "surrogatepass")
        masked = self.bytes(data)
        return text if masked is data else masked.decode("utf-8", "replace")

    def json(self, data: _Octets) -> _Octets:
        """Return a JSON text with every form masked, valid if ``data`` was; the same object if there is none.

        A secret that spans several members, so that nothing smaller than the whole can be masked, masks the whole.
        """
        if b"\\/" not in data and not self.suspects(data):
            return data  # no secret as we spell it, and no escape that our encoder would write otherwise
        try:
            value = _decode(data)
            # Strangers may escape any character they like: the form is looked for in our own spelling too.
            found = (
                self._spans(data) or self._spans(_encode(value)) or self._spans(_seen(_encode(value).decode()).encode())
            )
        except (ValueError, RecursionError, msgspec.MsgspecError):
            return self.bytes(data)
        return self.encode(value) if found else data

    def encode(self, value: Any) -> _Octets:
        """Encode plain values as JSON in which no form of a secret stands."""
        try:
            data = _encode(rewritten(value, self._change))
        except RecursionError:
            return _MASKED_DOCUMENT
        return _MASKED_DOCUMENT if self._spans(data) else data

    def count(self, data: _Octets) -> int:
        """Count the places in ``data`` that would be masked."""
        return len(self._spans(data))

    def _hides(self, text: str) -> bool:
        seen = _seen(text)
        return seen is not text and self.finds(_encode(seen))

    def _uncovered(self, data: _Octets) -> _Octets:
        """Return ``data`` without what is not seen if that hides a secret, and without the secret."""
        seen = bare(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        return self.bytes(seen) if len(seen) < len(data) and self._spans(seen) else data

    def _spans(self, data: _Octets) -> _Spans:
        """Places of all forms, those that overlap united: a mask over one must not leave the end of another."""
        hits = self._hits(data)
        if not hits:
            return []
        spans: _Spans = []
        for start, end in sorted(hits):
            if spans and start <= spans[-1][1]:
                spans[-1][1] = max(spans[-1][1], end)
            else:
                spans.append([start, end])
        return spans

    def _hits(self, data: _Octets) -> list[tuple[int, int]]:
        """Places of all forms, in any order; of long data piece by piece, and some of them twice."""
        find = self._forms.find_matches_as_indexes
        if len(data) <= self._window:
            return [(start, end) for _, start, end in find(data, overlapping=True)]
        return [
            (at + start, at + end)
            for at in range(0, len(data), self._window - self._overlap)
            for _, start, end in find(step(data[at : at + self._window]), overlapping=True)
        ]

    def _is_clean(self, part: Any) -> bool:
        return not self._spans(_encode(part))

    def _scalar(self, value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        return MASK if self._spans(_encode(value)) else value  # a number may be a PIN

    def _strings(self, texts: list[str]) -> list[str]:
        return [self._string(text) for text in self.unhidden(texts)]

    def _string(self, text: str) -> str:
        encoded = _encode(text)
        if text.isascii() and len(encoded) == len(text) + 2 and not self._spans(encoded):
            return text  # spelled alike in JSON: one search instead of two
        clean = self.text(text)
        encoded = _encode(clean)
        # The end of an escape sequence may be a secret's beginning: it stands in the JSON though not in the text.
        spans = self._spans(encoded)
        if not spans:
            return clean
        try:
            decoded: str = _decode(b'"' + _masked(encoded[1:-1], _whole_escapes(encoded, spans)) + b'"')
        except (ValueError, msgspec.MsgspecError):
            return MASK
        return decoded


def _same(value: Any) -> Any:
    return value


def _seen(text: str) -> str:
    seen = bare(text)
    return seen.replace(_REPLACEMENT, "") if _REPLACEMENT in seen else seen


def _masked(data: bytes, spans: Sequence[Sequence[int]]) -> bytes:
    parts: list[bytes] = []
    at = 0
    for start, end in spans:
        parts += (data[at:start], _MASK)
        at = end
    return b"".join([*parts, data[at:]])


def _whole_escapes(encoded: bytes, spans: _Spans) -> _Spans:
    """Widen spans of a quoted string to whole escape sequences; positions are those without the quotes."""
    escapes = [found.span() for found in _ESCAPE.finditer(encoded)]
    widened: _Spans = []
    for start, end in spans:
        first = max(_escape_at(escapes, start)[0], 1) - 1
        last = min(_escape_at(escapes, end - 1)[1], len(encoded) - 1) - 1
        if widened and first <= widened[-1][1]:
            widened[-1][1] = max(last, widened[-1][1])
        else:
            widened.append([first, last])
    return widened


def _escape_at(escapes: Sequence[tuple[int, int]], at: int) -> tuple[int, int]:
    """Return the escape sequence that covers the byte at ``at``, or else only that byte."""
    before = bisect_right(escapes, (at, sys.maxsize)) - 1
    return escapes[before] if before >= 0 and escapes[before][1] > at else (at, at + 1)
