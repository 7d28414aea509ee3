"""Characters that a person does not see but a terminal or a model obeys (attack 84).

Control characters (C0 but tab and line ends, DEL, C1), whole ANSI sequences, zero-width and bidirectional
controls, Unicode tags (U+E0000…) and the supplementary variation selectors, both of which carry hidden text.
A joiner between two letters of a script that needs one, or between two emoji, stays.
"""

import re
from collections.abc import Iterator
from typing import Final

_ANSI: Final = re.compile(
    r"\x1b(?:"
    r"\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, erase
    r"|[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # OSC, DCS, SOS, PM, APC with their terminator
    r"|[ -/]*[0-~]"
    r")|\x9b[0-?]*[ -/]*[@-~]"
)
_ZERO_WIDTH: Final = "\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
_BIDI: Final = "\u202a-\u202e"
_SINGLE: Final = re.compile(
    f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{_ZERO_WIDTH}{_BIDI}\ud800-\udfff\U000e0000-\U000e0fff]+"
)
_JOINERS: Final = re.compile(
    "(?<![^\x00-\u02ff\u200c\u200d])[\u200c\u200d]+|[\u200c\u200d]+(?![^\x00-\u02ff\u200c\u200d])|[\u200c\u200d]{2,}"
)


def strip(text: str) -> str:
    """Give ``text`` without them; the same object where there are none. Lone surrogates go too."""
    if text.isascii() and text.isprintable():
        return text
    # In this order: a sequence needs its escape character, and what joins is judged by its final neighbours.
    if "\x1b" in text or "\x9b" in text:
        text = _ANSI.sub("", text)
    text = _SINGLE.sub("", text)
    return _JOINERS.sub("", text) if "\u200c" in text or "\u200d" in text else text


def strip_all(texts: list[str]) -> list[str]:
    """Give what :func:`strip` gives of each; as lines of one text, for a search in each of many takes far longer."""
    joined = "\n".join(texts)
    if joined.isascii() and joined.replace("\n", "").isprintable():
        return texts
    # A line end within a text would make two of it, and a sequence without its terminator would run on into the next.
    if joined.count("\n") != len(texts) - 1 or "\x1b" in joined or "\x9b" in joined:
        return [strip(text) for text in texts]
    return strip(joined).split("\n")


def marks() -> Iterator[bytes]:
    """Give byte strings of which at least one stands in any encoded JSON that :func:`strip` would change.

    They may also stand where it would not: a mark is a reason to look, not a finding. :func:`strip` leaves three of
    them: U+FFFD, which may stand within a secret, and the two separators that leave escaped.
    """
    yield from (b"\\u", b"\\b", b"\\f", b"\x7f", b"\xf3\xa0")
    yield from map(str.encode, "\ufffd\u2028\u2029")
    for point in _points():
        yield chr(point).encode()


def _points() -> Iterator[int]:
    """Every single code point of the expressions above that an encoder writes as it is, below the tags."""
    yield from range(0x80, 0xA0)
    yield from (0x200C, 0x200D)
    for part in re.findall(r"(.)(?:-(.))?", _ZERO_WIDTH + _BIDI):
        yield from range(ord(part[0]), ord(part[1] or part[0]) + 1)
