"""Secrets out of texts and JSON: one pass of Aho-Corasick over all forms of all secrets (attack 85).

Does not decide what a secret is (the vault and ``env`` do) and does not refuse anything; see ``clean.py``.
"""

import re
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

import msgspec

from mcpward.core.pace import step
from mcpward.core.secret import Secret
from mcpward.sanitize.disguise import has_control, has_mark
from mcpward.sanitize.known import NOBODY, Forms, Known
from mcpward.sanitize.own_words import MASK as _MASK_TEXT
from mcpward.sanitize.rewrite import Rewrite, rewritten
from mcpward.sanitize.screens.invisible import bare
from mcpward.sanitize.views import folded, skeleton, unescapings, without_dumps

MASK: Final = _MASK_TEXT
_MASK: Final = MASK.encode()
_MASKED_DOCUMENT: Final = b'"' + _MASK + b'"'
_ESCAPE: Final = re.compile(rb"\\(?:u....|.)", re.DOTALL)
_LINE: Final = re.compile(r"[^\n]*\n?")
#: An anchor is at most so long: it is found in one of two pieces that overlap so far.
_ANCHOR: Final = 512
_PIECE: Final = 65_536
#: Longer texts lose a whole line, or all, for a secret that is disguised: to find its place takes several looks.
_PLACED: Final = 4_096
_PLACES: Final = 4
_FEW_LINES: Final = 2
#: Texts that are kept as they may leave, and how long one may be.
_KEPT: Final = 512
_SHORT: Final = 1_024
_REPLACEMENT: Final = "\ufffd"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_Spans: TypeAlias = list[list[int]]
_Octets: TypeAlias = bytes  # within the class below, ``bytes`` is a method


class Redactor:
    """Finds every form of the given secrets and writes ``[redacted]`` in its place.

    ``weak`` names the secrets that cannot be redacted: shorter than six characters, words that people use, or part of
    the protocol's own words. Building costs tens of microseconds for each secret: once for each set of secrets.
    """

    def __init__(self, values: Iterable[Secret], before: Sequence[Known] = ()) -> None:
        self._known: tuple[Known, ...] = (*before, Known(values))
        self.weak: tuple[str, ...] = tuple(name for one in self._known for name in one.weak)
        self._overlap = max(one.overlap for one in self._known)
        self._window = max(_PIECE, 2 * self._overlap)
        may_be_number = any(one.may_be_number for one in self._known)
        self._string = lru_cache(_KEPT)(self._cleaned)  # a URL that leaks in one row leaks in all of them
        self._change = Rewrite(self._strings, self._scalar if may_be_number else _same, self._is_clean)

    def with_more(self, values: Iterable[Secret]) -> "Redactor":
        """Return one that knows ``values`` besides; made in the time that these take alone.

        Each time adds a look to every search.
        """
        return Redactor(values, self._known)

    @property
    def looks(self) -> int:
        """How often more were added, and the first time."""
        return len(self._known)

    def suspects(self, data: _Octets) -> bool:
        """Return whether ``data`` may hold a secret, or what nobody sees: the one look that most results need."""
        if len(data) <= _PIECE:
            return self._suspects(data)
        places = range(0, len(data), _PIECE - _ANCHOR)
        return any(self._suspects(step(data[start : start + _PIECE])) for start in places)

    def finds(self, data: _Octets) -> bool:
        """Return whether any form of any secret stands in ``data``."""
        return any(one.is_in(text) for text in self._suspect(data) for one in self._known)

    def bytes(self, data: _Octets) -> _Octets:
        """Return ``data`` with every form masked; the same object if there is none."""
        spans = self._spans(data)
        masked = _masked(data, spans) if spans else data
        # Two masks with a remainder between them might spell a third secret: then nothing of it leaves.
        return _MASK if spans and self._spans(masked) else self._undisguised(masked)

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
            own = _encode(value)
            seen = _seen(own.decode()).encode()
            found = any(map(self.finds, dict.fromkeys((data, own, seen))))
        except (ValueError, RecursionError, msgspec.MsgspecError):
            return self.bytes(data)
        return self.encode(value) if found else data

    def encode(self, value: Any) -> _Octets:
        """Encode plain values as JSON in which no form of a secret stands."""
        try:
            data = _encode(rewritten(value, self._change))
        except RecursionError:
            return _MASKED_DOCUMENT
        return _MASKED_DOCUMENT if self.finds(data) else data

    def count(self, data: _Octets) -> int:
        """Count the places in ``data`` that would be masked; those that are disguised count as one."""
        spans = self._spans(data)
        return len(spans) + self.finds(_masked(data, spans) if spans else data)

    def _suspects(self, data: _Octets) -> bool:
        return any(one.suspects(data) for one in self._known) or has_mark(data)

    def _suspect(self, data: _Octets) -> Iterator[str]:
        """Yield the pieces of ``data`` that show an anchor, as they are or in a view: of most texts there are none."""
        for piece in self._pieces(data):
            if any(one.suspects(view) for view in _views(piece) for one in self._known):
                yield _text(piece)

    def _forms(self, data: _Octets) -> list[Forms]:
        """Return the forms of the secrets that ``data`` spells."""
        found = [NOBODY for _ in self._known]
        for text in self._suspect(data):
            found = [owners | one.owners(text) for one, owners in zip(self._known, found, strict=True)]
        return [one.forms(owners) for one, owners in zip(self._known, found, strict=True) if owners]

    def _is_in(self, text: str) -> bool:
        return any(one.is_in(text) for one in self._known)

    def _pieces(self, data: _Octets) -> Iterator[_Octets]:
        if len(data) <= self._window:
            yield data
            return
        for at in range(0, len(data), self._window - self._overlap):
            yield step(data[at : at + self._window])

    def _undisguised(self, data: _Octets) -> _Octets:
        """Return ``data`` without what spells a secret in a disguise; the same object if nothing does."""
        if not self.finds(data):
            return data
        text = without_dumps(_text(data), MASK)  # a piece of one would leave the letters beside its last octets
        lines = _LINE.findall(text)
        if len(lines) > _FEW_LINES:  # one of them is sooner looked through than all
            text = "".join(map(self._line, lines))
        if len(text) <= _PLACED and self._is_in(text):
            text = self._placed(text)
        data = text.encode("utf-8", "surrogateescape")
        return _MASK if self.finds(data) else data

    def _line(self, line: str) -> str:
        if len(line) <= _PLACED:
            return self._placed(line)
        return MASK + "\n" * line.endswith("\n") if self._is_in(line) else line

    def _placed(self, text: str) -> str:
        """Mask what is disguised where it stands: the least piece that still spells a secret, then the next one."""
        for _ in range(_PLACES):
            if not self._is_in(text):
                return text
            end = bisect_left(range(len(text)), True, key=lambda at: self._is_in(text[:at]))
            start = bisect_right(range(end), False, key=lambda at: not self._is_in(text[at:end])) - 1
            text = text[: max(start, 0)] + MASK + text[end:]
        return MASK

    def _hides(self, text: str) -> bool:
        seen = _seen(text)
        return seen is not text and self.finds(_encode(seen))

    def _spans(self, data: _Octets) -> _Spans:
        """Places of all forms, those that overlap united: a mask over one must not leave the end of another."""
        hits = [hit for forms in self._forms(data) for hit in self._hits(data, forms)]
        if not hits:
            return []
        spans: _Spans = []
        for start, end in sorted(hits):
            if spans and start <= spans[-1][1]:
                spans[-1][1] = max(spans[-1][1], end)
            else:
                spans.append([start, end])
        return spans

    def _hits(self, data: _Octets, forms: Forms) -> list[tuple[int, int]]:
        """Places of all forms, in any order; of long data piece by piece, and some of them twice."""
        window = max(self._window, 2 * forms.longest)
        if len(data) <= window:
            return forms.places(data)
        return [
            (at + start, at + end)
            for at in range(0, len(data), window - forms.longest)
            for start, end in forms.places(step(data[at : at + window]))
        ]

    def _is_clean(self, part: Any) -> bool:
        return not self.suspects(_encode(part))

    def _scalar(self, value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        return MASK if self.finds(_encode(value)) else value  # a number may be a PIN

    def _strings(self, texts: list[str]) -> list[str]:
        shown = self.unhidden(texts)
        return [self._string(text) if len(text) <= _SHORT else self._cleaned(text) for text in shown]

    def _cleaned(self, text: str) -> str:
        encoded = _encode(text)
        if text.isascii() and len(encoded) == len(text) + 2 and not self.suspects(encoded):
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


def _views(data: bytes) -> Iterator[bytes]:
    """Yield ``data``, and what it is without its disguise if it shows the mark of one."""
    yield data
    if has_mark(data) or has_control(data):
        for plain in unescapings(_text(data)):
            yield skeleton(plain)
            yield plain.encode("utf-8", "replace")
            if not plain.isascii():
                yield folded(plain)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


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
