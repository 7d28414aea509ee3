r"""Text of a caller as a person is shown it: all of it, on one line, and nothing in it that they would not see.

A character that is invisible, or appears elsewhere than it stands, is written as its number, as ``\u{200b}``. So a
person who is asked for consent sees the real text (attack 133). A backslash of the text itself must be doubled before.
"""

import re
import unicodedata
from typing import Final

from mcpward.core.ignorable import IGNORED, OUT_OF_PLACE, PLACED

#: Controls, formats, surrogates, private use, what no character has been given to, all blanks but the plain space, and
#: lines and paragraphs. Beyond these categories: blanks that are letters or symbols by theirs.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"})
_BLANK: Final = re.compile(f"[{IGNORED}\u2800\u303f\ufffc\U0001d159\U00013441\U00013442]")
_PLACED: Final = re.compile(f"[{PLACED}]")
#: More than so many spaces in a row push what follows them out of sight.
_SPACES: Final = 8
#: More than so many signs over and under one letter cover its neighbours. Tibetan and Burmese need five.
_MARKS: Final = 6
#: Signs such as U+0301 belong to no script: in composed form (NFC) the languages that need them have none left.
_NO_SCRIPT: Final = frozenset({"COMBINING", ""})


def shown(text: str) -> str:
    """Return ``text``, composed, as one line that hides nothing."""
    text = unicodedata.normalize("NFC", text)
    out_of_place = {found.start() for found in OUT_OF_PLACE.finditer(text)}
    line: list[str] = []
    base, marks, spaces = "", "", 0
    for at, sign in enumerate(text):
        category = unicodedata.category(sign)
        spaces = spaces + 1 if sign == " " else 0
        if sign == " ":
            is_seen, base = spaces <= _SPACES, ""
        elif _PLACED.match(sign):
            is_seen = bool(base) and at not in out_of_place
        elif category[0] == "M":
            is_seen = _is_at_home(sign, base, marks)
            marks += sign
        else:
            is_seen = category not in _UNSEEN and not _BLANK.match(sign)
            base, marks = sign, ""
        if not is_seen:
            base = ""  # a sign over what is written instead would be over a brace
        line.append(sign if is_seen else f"\\u{{{ord(sign):x}}}")
    return "".join(line)


def _is_at_home(mark: str, base: str, marks: str) -> bool:
    """Whether a combining sign stands over a letter of its own script, with few others and not twice."""
    script = _script(mark)
    return (
        base != ""
        and script not in _NO_SCRIPT
        and script == _script(base)
        and len(marks) < _MARKS
        and not marks.endswith(mark)
    )


def _script(sign: str) -> str:
    """The first word of a character's name, which for letters and their signs is that of the script."""
    return unicodedata.name(sign, "").partition(" ")[0]
