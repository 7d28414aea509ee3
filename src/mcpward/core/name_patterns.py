"""Patterns for the names of members: ``password``, ``*_token``. Upper and lower case, and how a letter is spelt in
Unicode, make no difference; neither do characters that are not seen.
"""

import re
import unicodedata
from collections.abc import Iterable
from fnmatch import translate
from typing import Final

from mcpward.core.ignorable import IGNORED, PLACED, one_of

_UNSEEN: Final = re.compile(one_of(r"\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffd", IGNORED, PLACED))
_LONGEST: Final = 128
_MOST: Final = 4096


class NamePatterns:
    """Matches names against patterns of ``fnmatch``. An empty one is false."""

    __slots__ = ("_known", "_match", "patterns")

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self.patterns = tuple(dict.fromkeys(patterns))
        self._match = re.compile("|".join(translate(_plain(one)) for one in self.patterns)).match
        self._known: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def match(self, name: object) -> bool:
        """Return whether a pattern matches the whole name. Names are remembered: those of rows come again."""
        if not isinstance(name, str) or not self.patterns:
            return False
        found = self._known.get(name)
        if found is None:
            found = self._match(_plain(name)) is not None
            if len(name) <= _LONGEST:  # strangers choose some of them
                if len(self._known) >= _MOST:
                    self._known.clear()
                self._known[name] = found
        return found


def _plain(name: str) -> str:
    if not name.isascii() or not name.isprintable():
        name = unicodedata.normalize("NFKC", _UNSEEN.sub("", name))
    return name.casefold()
