"""Characters that a person does not see but a terminal or a model obeys, or that carry a hidden text (attacks 84, 134).

Control characters (C0 but tab and line ends, DEL, C1), whole ANSI sequences, and by property all that is
``Default_Ignorable_Code_Point`` or ``Cf``: zero-width and bidirectional controls, fillers, tags, selectors, and what
Unicode holds in reserve for more of them. One of them stays if it changes what is seen of its neighbour:

* a variation selector after a base that takes one;
* a joiner between two emoji;
* a non-joiner between letters that would join, and a joiner or non-joiner at a virama (RFC 5892, A.1 and A.2);
* Mongolian's vowel separator before the vowel that it separates.
"""

import re
from collections.abc import Iterator
from typing import Final

from mcpward.core.ignorable import IGNORED, OUT_OF_PLACE, PLACED, RUN, one_of, points
from mcpward.core.pace import step

_ANSI: Final = re.compile(
    r"\x1b(?:"
    r"\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, erase
    r"|[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # OSC, DCS, SOS, PM, APC with their terminator
    r"|[ -/]*[0-~]"
    r")|\x9b[0-?]*[ -/]*[@-~]"
)
_CONTROLS: Final = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff"
_ANY: Final = re.compile(one_of(_CONTROLS, IGNORED, PLACED))
_ALWAYS: Final = re.compile(f"{one_of(_CONTROLS, IGNORED)}+")
_EVERY: Final = re.compile(f"{one_of(IGNORED, PLACED)}+")
_PLACED: Final = re.compile(one_of(PLACED))
#: Characters of a long text that are screened in one go, before the thread may pause.
_PIECE: Final = 8_192
#: Before what is here stands no part of a sequence that goes on after it, unless that one has a terminator.
_BREAK: Final = re.compile(r"(?<=[A-Za-z])|(?=[^ -~])")
_TERMINATED: Final = frozenset("]PX^_")
_TERMINATOR: Final = re.compile(r"[\x07\x9c]|\x1b\\?")
#: Characters that stay: nothing before one is judged by what comes after it, and nothing after it by what comes before.
_STAYS: Final = re.compile(f"[^{PLACED}]")


def strip(text: str) -> str:
    """Return ``text`` without them; the same object if there are none. Lone surrogates go too."""
    if text.isascii() and text.isprintable():
        return text
    # In this order: a sequence needs its escape character, and what changes a neighbour is judged by its final ones.
    if "\x1b" in text or "\x9b" in text:
        text = _without_sequences(text)
    if len(text) <= _PIECE:
        if not _ANY.search(text):
            return text
        return _well_placed(_ALWAYS.sub("", text))
    text = _without(_ALWAYS, text)
    parts: list[str] = []
    start = 0
    while len(text) - start > _PIECE and (found := _STAYS.search(text, start + _PIECE)):
        end = found.start()
        parts.append(step(_well_placed(text[start : end + 1]))[:-1])  # its last is the first of the next, and stays
        start = end
    return _joined(text, [*parts, _well_placed(text[start:])])


def bare(text: str) -> str:
    """Return ``text`` without any of them, wherever it stands: for a search, where a selector must not hide a secret.

    The same object if there are none.
    """
    return text if text.isascii() else _without(_EVERY, text)


def strip_all(texts: list[str]) -> list[str]:
    """Return what :func:`strip` gives of each; as lines of one text, for a search in each of many takes far longer."""
    joined = "\n".join(texts)
    if joined.isascii() and joined.replace("\n", "").isprintable():
        return texts
    # A line end within a text would make two of it, and a sequence without its terminator would run on into the next.
    if joined.count("\n") != len(texts) - 1 or "\x1b" in joined or "\x9b" in joined:
        return [strip(text) for text in texts]
    return strip(joined).split("\n")


def marks() -> Iterator[bytes]:
    """Yield byte strings, one of which stands in any encoded JSON that :func:`strip` or :func:`bare` would change.

    They may also stand where they would not: a mark is a reason to look, not a finding. :func:`strip` leaves three of
    them: U+FFFD, which may stand within a secret, and the two separators that leave escaped.
    """
    yield from (b"\\u", b"\\b", b"\\f", b"\x7f", b"\xf3\xa0")
    yield from map(str.encode, "\ufffd\u2028\u2029")
    for point in _points():
        yield chr(point).encode()


def _without(marks: re.Pattern[str], text: str) -> str:
    """Return ``text`` without characters of which each goes, whatever stands beside it."""
    if len(text) <= _PIECE:
        return marks.sub("", text)
    starts = range(0, len(text), _PIECE)
    return _joined(text, [step(marks.sub("", text[start : start + _PIECE])) for start in starts])


def _well_placed(text: str) -> str:
    return OUT_OF_PLACE.sub("", RUN.sub("", text)) if _PLACED.search(text) else text


def _without_sequences(text: str) -> str:
    if len(text) <= _PIECE:
        return _ANSI.sub("", text)
    parts: list[str] = []
    start = 0
    while len(text) - start > _PIECE and (found := _BREAK.search(text, start + _PIECE)):
        end = _sequence_end(text, start, found.start())
        parts.append(step(_ANSI.sub("", text[start:end])))
        start = end
    return _joined(text, [*parts, _ANSI.sub("", text[start:])])


def _sequence_end(text: str, start: int, place: int) -> int:
    """Return where the sequence ends that begins at ``start`` or later and goes on at ``place``; else ``place``."""
    last = text.rfind("\x1b", start, place)
    if last < 0 or text[last + 1] not in _TERMINATED:
        return place
    found = _TERMINATOR.search(text, last + 2)
    # An escape character that begins another sequence is no terminator: then there is no sequence to be kept whole.
    return found.end() if found and found.start() >= place and found[0] != "\x1b" else place


def _joined(text: str, parts: list[str]) -> str:
    """Return ``text`` without what its parts have lost; the same object if that is nothing."""
    return text if sum(map(len, parts)) == len(text) else "".join(parts)


def _points() -> Iterator[int]:
    """Every single code point of the expressions above that an encoder writes as it is, below the tags."""
    yield from range(0x80, 0xA0)
    yield from (point for point in points(IGNORED + PLACED) if point < 0xE0000)
