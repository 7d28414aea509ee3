"""Credentials that are not ours, found by their published shapes: one pass for their anchors, then the exact patterns.

Does not know values: secrets of this site are found by those, see ``redact.py``. Documentation's own examples pass.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from ahocorasick_rs import MATCHKIND_LEFTMOST_FIRST, BytesAhoCorasick
from msgspec import Struct

from mcpward.core.pace import step
from mcpward.sanitize.screens.credential_shapes import IN_URL, SHAPES, Shape

MASK: Final = "[redacted]"
#: The matcher's fastest search takes so many anchors, and none shorter than three bytes.
_GROUP: Final = 33
_ANCHORS: Final = [
    b":\\\\/",  # a URL in JSON that is written within JSON
    *(anchor.encode() for shape in SHAPES if shape.anchors is not IN_URL for anchor in shape.anchors),
]
_SEARCHES: Final = tuple(
    BytesAhoCorasick(_ANCHORS[at : at + _GROUP], matchkind=MATCHKIND_LEFTMOST_FIRST).find_matches_as_indexes
    for at in range(0, len(_ANCHORS), _GROUP)
)

_USERINFO: Final = re.compile(rb"""://[^/@"\s]*+@""").search
#: So many are looked at one by one; for more, one search takes less time.
_FEW: Final = 8
#: Longer data is looked at piece by piece; a credential that lies across two pieces is not longer than the overlap.
_PIECE: Final = 65_536
_OVERLAP: Final = 16_384
_AWS_NAME: Final = re.compile(r"(?i)\w*secret_?access_?key").fullmatch
_AWS_SECRET: Final = re.compile(r"[A-Za-z0-9/+]{40}").fullmatch
_AWS: Final = "aws-secret-key"
_LOOSE: Final = frozenset({"password-in-url", "password-in-connection-string"})
encoded: Final = msgspec.json.Encoder().encode
"""Encode a part of a result, for :func:`suspects`."""
#: Values that vendors print in their manuals. They open nothing, and a model that reads the manual needs them.
_EXAMPLES: Final = frozenset({
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY",
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    (
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
        "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ."
        "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
    ),
    "sk_test_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "sk_test_" + "BQokikJOvBiI2HlWgH4olfQ2",
})  # fmt: skip
_EXAMPLE_KEY: Final = re.compile(r"A[A-Z]{3}[A-Z0-9]*EXAMPLE[A-Z0-9]?").fullmatch
#: A token of so few different characters at its end was typed, not drawn.
_DRAWN: Final = 4
_TAIL: Final = 16


class _Pattern(Struct, frozen=True):
    shape: Shape
    finditer: Any
    group: int


def _compiled(shape: Shape) -> _Pattern:
    pattern = re.compile(shape.pattern)
    unnamed = [at for at in range(1, pattern.groups + 1) if at not in pattern.groupindex.values()]
    return _Pattern(shape, pattern.finditer, unnamed[-1] if unnamed else 0)


_PATTERNS: Final = tuple(_compiled(shape) for shape in SHAPES)


def suspects(data: bytes) -> bool:
    """Return whether encoded JSON may hold a credential: few results do, and only those are looked at closely."""
    if len(data) <= _PIECE:
        return _suspects(data)
    return any(_suspects(step(piece)) for _, piece in _pieces(data))


def finds_across(text: str) -> bool:
    """Return whether a text that was put together holds a credential. One whose form is loose would come about so."""
    return any(kind not in _LOOSE for _, _, kind in _spans(text))


def masked(text: str, kinds: list[str]) -> str:
    """Return ``text`` with each credential as ``[redacted]``, and add the kinds; the same object if there is none."""
    if not _may_hold(text):
        return text
    spans = _spans(text)
    if not spans:
        return text
    parts: list[str] = []
    at = 0
    for start, end, kind in spans:
        if start < at:  # within the one before, or overlapping it
            at = max(at, end)
            continue
        parts += (text[at:start], MASK)
        kinds.append(kind)
        at = end
    return "".join([*parts, text[at:]])


def masked_member(name: str, value: str, kinds: list[str]) -> str:
    """Return the value of a member: a secret whose form says little is known by the member's name."""
    if _AWS_SECRET(value) and _AWS_NAME(name) and value not in _EXAMPLES:
        kinds.append(_AWS)
        return MASK
    return value


def _suspects(data: bytes) -> bool:
    for search in _SEARCHES:
        if search(data):
            return True
    count = data.count(b"@")
    return count > 0 and (_USERINFO(data) is not None if count > _FEW else _has_userinfo(data))


def _has_userinfo(data: bytes) -> bool:
    """Return whether an "@" stands in a URL, before its path. Addresses are fewer than URLs in most results."""
    at = data.find(b"@")
    while at >= 0:
        start = data.rfind(b"/", 0, at) + 1
        if data[max(start - 3, 0) : start] == b"://" and b'"' not in data[start:at]:
            return True
        at = data.find(b"@", at + 1)
    return False


def _may_hold(text: str) -> bool:
    """One search for all anchors: texts are many, and to try each pattern on each of them takes far longer."""
    return ":\\/" in text or suspects(text.encode("utf-8", "surrogatepass"))


def _pieces(data: Any) -> Iterator[tuple[int, Any]]:
    for start in range(0, len(data), _PIECE - _OVERLAP):
        yield start, data[start : start + _PIECE]
        if start + _PIECE >= len(data):
            return


def _spans(text: str) -> Sequence[tuple[int, int, str]]:
    if len(text) <= _PIECE:
        return sorted(_found(text))
    return sorted({
        (start + at, end + at, kind) for at, piece in _pieces(text) for start, end, kind in _found(step(piece))
    })  # fmt: skip


def _found(text: str) -> Iterator[tuple[int, int, str]]:
    for one in _PATTERNS:
        shape = one.shape
        if not any(anchor in text for anchor in shape.anchors):
            continue
        for found in one.finditer(step(text)):
            value = found[one.group]
            if not _is_example(value) and (shape.check is None or shape.check(found)):
                yield (*found.span(one.group), shape.kind)


def _is_example(value: str) -> bool:
    if value in _EXAMPLES or _EXAMPLE_KEY(value):
        return True
    return len(value) >= 2 * _TAIL and len(set(value[-_TAIL:])) < _DRAWN
