"""The secrets as a search sees them: whether a text may hold one, and then which of them it spells.

Made once for a set of secrets, in tens of microseconds for each. What only a text that holds a secret needs is made
with the first of these.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from typing import Final

from ahocorasick_rs import BytesAhoCorasick, Implementation

from mcpward.core.pace import step
from mcpward.core.secret import Secret, value_of
from mcpward.sanitize.anchors import DUMPS, LISTS, NAUGHT, anchors, beginning
from mcpward.sanitize.forms import aligned_base64, as_json, encoded_forms, spellings, utf8
from mcpward.sanitize.matcher import FEW, Matcher
from mcpward.sanitize.own_words import is_own
from mcpward.sanitize.parts import parts
from mcpward.sanitize.views import (
    bare_of_blanks,
    decodings,
    folded,
    has_octets,
    of_utf16,
    plainest,
    skeleton,
    skeleton_of,
    unescapings,
)

#: Bytes that one character of a secret takes at most: "&#x0061;", and what is passed over between two.
_WIDTH: Final = 12
_LEAST: Final = 1_024
#: From here on a secret is looked for without its blanks, too: of a shorter one, neighbouring words may be made.
_TIGHT: Final = 16
#: Sets of secrets whose forms are kept: those that leave again and again.
_KEPT: Final = 16
_BEYOND_ASCII: Final = bytes(range(0x80, 0x100))
#: Of a longer text not every form is masked in its place: its forms would take megabytes.
_LONG: Final = 1_024
_NUMBER: Final = frozenset("0123456789+-.eE")
Owners = frozenset[int]
NOBODY: Final[Owners] = frozenset()


class Forms:
    """The forms of some texts, to be found in their places. ``longest`` is how long one is at most."""

    def __init__(self, secrets: Iterable[Sequence[str]]) -> None:
        written: set[bytes] = set()
        for texts in secrets:
            least = {text for text in smallest(texts) if len(text) <= _LONG}
            for text in texts:  # of one that holds another, the other is found in each of its forms
                written |= step(encoded_forms(text) if text in least else as_json(text))
        self.longest = max(map(len, written), default=1)
        self._find = BytesAhoCorasick(list(written), implementation=Implementation.NoncontiguousNFA)

    def places(self, data: bytes) -> list[tuple[int, int]]:
        """Return where a form stands in ``data``, in any order."""
        return [(start, end) for _, start, end in self._find.find_matches_as_indexes(data, overlapping=True)]


class _Spelt:
    """Some strings by the secrets that they are of."""

    def __init__(self) -> None:
        self._owners: dict[bytes, set[int]] = {}

    def __bool__(self) -> bool:
        return bool(self._owners)

    def add(self, string: bytes, owner: int) -> None:
        """Look for ``string``, forwards and backwards."""
        for way in {string, string[::-1]} if string else ():
            self._owners.setdefault(way, set()).add(owner)

    def owners(self, data: bytes) -> set[int]:
        """Return whose strings stand in ``data``."""
        if not self._owners:
            return set()
        hits = {hit for hit, _, _ in self._search.find_matches_as_indexes(data, overlapping=True)}
        return {owner for hit in hits for owner in self._of[hit]}

    def is_in(self, data: bytes) -> bool:
        """Return whether any of the strings stands in ``data``."""
        return bool(self._owners) and bool(self._search.find_matches_as_indexes(data))

    @cached_property
    def _search(self) -> BytesAhoCorasick:
        return BytesAhoCorasick(list(self._owners), implementation=Implementation.ContiguousNFA)

    @cached_property
    def _of(self) -> list[set[int]]:
        return list(self._owners.values())


class Known:
    """Some secrets. ``weak`` are the names of those that cannot be looked for."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self.weak: list[str] = []
        self._texts: list[Sequence[str]] = []
        always: set[bytes] = set()
        broken: set[bytes] = set()
        for secret in secrets:
            value = value_of(secret)
            found = [] if is_own(value) else [part for part in parts(value) if not is_own(part)]
            if not found:
                self.weak.append(secret.name)
                continue
            self._texts.append(found)
            for part in smallest(found):
                of_part, of_broken = anchors(part)
                always |= of_part
                broken |= of_broken
            if len(found) > 1:
                heads = [beginning(utf8(spelling)) for spelling in spellings(found[0])]
                always.update((*heads, *map(bytes.lower, heads)))
        if len(always) + len(broken) > FEW:
            always |= broken  # one automaton searches for more at the same cost
        plain = {anchor for anchor in always if anchor.isascii()}
        self._plain = plain
        self._always = Matcher(plain | LISTS if self._texts else plain)  # in the same pass
        self._broken, self._beyond = Matcher(broken - always), Matcher(always - plain)
        self.may_be_number = any(_NUMBER.issuperset(part) for found in self._texts for part in found)
        longest = max((len(part) for found in self._texts for part in found), default=0)
        self.overlap = max(_LEAST, _WIDTH * longest)
        self.forms = lru_cache(_KEPT)(self._forms)

    def suspects(self, data: bytes) -> bool:
        """Return whether ``data`` has an anchor of any secret. Base64 is broken into lines only where lines end."""
        if not data.isascii():
            if self._beyond.matches(data):
                return True
            data = data.translate(None, _BEYOND_ASCII)  # what stands between two letters of a secret hides it
        if self._always.matches(data) and (self._anchors.matches(data) or has_octets(data)):
            return True
        if NAUGHT in data and self._texts and any(begin in data for begin in DUMPS) and has_octets(data):
            return True
        return (b"\\" in data or b"\n" in data) and self._broken.matches(data)

    def owners(self, text: str) -> Owners:
        """Return which secrets ``text`` spells, as it is or once its disguise is taken off."""
        found: set[int] = set()
        for spelt, view in self._looks(text):
            found |= spelt.owners(view)
        return frozenset(found)

    def is_in(self, text: str) -> bool:
        """Return whether ``text`` spells any of the secrets."""
        return any(spelt.is_in(view) for spelt, view in self._looks(text))

    def _looks(self, text: str) -> Iterable[tuple[_Spelt, bytes]]:
        ascii_only, tight, other, encoded = self._spelt
        for plain in unescapings(text):
            seen = skeleton(plain)
            yield ascii_only, seen
            yield tight, bare_of_blanks(seen)
            if other:
                yield other, folded(plain)
        for one in {text, plainest(text)}:
            yield encoded, bare_of_blanks(one.encode("ascii", "replace"))
            for decoded in decodings(one):
                yield ascii_only, skeleton_of(decoded)
                if other:
                    yield other, folded(decoded.decode("utf-8", "surrogateescape"))
                    if b"\0" in decoded:
                        yield from ((other, wide) for wide in of_utf16(decoded))

    def _forms(self, owners: Owners) -> Forms:
        return Forms(self._texts[owner] for owner in sorted(owners))

    @cached_property
    def _anchors(self) -> Matcher:
        return Matcher(self._plain)

    @cached_property
    def _spelt(self) -> tuple[_Spelt, _Spelt, _Spelt, _Spelt]:
        ascii_only, tight, other, encoded = _Spelt(), _Spelt(), _Spelt(), _Spelt()
        for owner, texts in enumerate(self._texts):
            least = set(smallest(texts))
            for part, text in ((whole, spelling) for whole in texts for spelling in spellings(whole)):
                if part in least or not part.isascii():  # the base64 of one that holds another holds the other's
                    for form in aligned_base64(utf8(text)):
                        encoded.add(form, owner)
                if (
                    "\\" in text and len(text) <= _LONG
                ):  # one backslash more before it, and every escape in it reads otherwise
                    for form in encoded_forms(text):
                        ascii_only.add(form.lower(), owner)
                if text.isascii():
                    ascii_only.add(seen := skeleton(text), owner)
                    if len(bare := bare_of_blanks(seen)) >= _TIGHT:
                        tight.add(bare, owner)
                else:
                    other.add(folded(text), owner)
                    other.add(folded(text[::-1]), owner)
                    other.add(utf8(text).lower(), owner)
        return ascii_only, tight, other, encoded


def smallest(found: Sequence[str]) -> list[str]:
    """Return those that hold no other: where a larger one stands, one of these does."""
    if len(found) == 1:
        return list(found)
    kept: list[str] = []
    for part in sorted(found, key=len):
        if not any(map(part.__contains__, kept)):
            kept.append(part)
    return kept
