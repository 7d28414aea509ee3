"""Whether any of some strings stands in a text. Few strings are looked for with SIMD, many with an automaton.

A group of at most 64 strings is searched by comparing 32 bytes at a time (the *Teddy* algorithm): a tenth of what one
pass of an automaton costs, however many groups of strings that has.
"""

from collections.abc import Callable, Iterable
from typing import Final

from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

#: Strings that the library looks for in one pass with SIMD.
_AT_ONCE: Final = 64
FEW: Final = 9 * _AT_ONCE
"""Strings for which passes with SIMD cost less than one pass of an automaton."""
#: Strings for which a table of all transitions is kept: beyond them it takes tens of megabytes.
_TABLE: Final = 6_000

Search = Callable[[bytes], list[tuple[int, int, int]]]


class Matcher:
    """Finds whether any of the strings stands in a text."""

    def __init__(self, strings: Iterable[bytes]) -> None:
        ordered = sorted(set(strings))
        if len(ordered) <= FEW:
            groups = [ordered[at : at + _AT_ONCE] for at in range(0, len(ordered), _AT_ONCE)]
            kind = None
        else:
            groups = [ordered]
            kind = Implementation.DFA if len(ordered) <= _TABLE else Implementation.ContiguousNFA
        self._searches: tuple[Search, ...] = tuple(
            BytesAhoCorasick(group, MatchKind.LeftmostFirst, kind).find_matches_as_indexes for group in groups
        )

    def matches(self, data: bytes) -> bool:
        """Return whether any of the strings stands in ``data``."""
        return any(search(data) for search in self._searches)
