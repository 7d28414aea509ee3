"""Bounds the effort of checking a tool's arguments: from its schema in advance, by counting if that is not enough."""

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

LARGE: Final = 65_536
"""Arguments of more bytes are never checked on the event loop."""


class Effort(Struct, frozen=True, eq=False):
    """The cost of a tool's schema. A visit is one schema that looks at one value.

    Arguments of up to ``light`` bytes cannot take long. ``per_part`` is the number of visits that one part of a value
    may take, 0 if there is no bound. ``count`` counts those of raw arguments and need not be exact above its second
    argument; it raises ``ValueError`` for a text that is not JSON. At most ``few`` of them are done on the event loop,
    and at most ``most`` at all. ``bind`` does the same as the tool's, on a thread that has begun a piece of long work
    (``core.pace``).
    """

    light: int
    per_part: int
    few: int
    most: int
    count: Callable[[bytes, int], int]
    bind: Callable[[bytes], dict[str, Any]]

    def is_little(self, raw: bytes) -> bool:
        """Whether raw arguments may be checked on the event loop. The answer itself costs microseconds."""
        size = len(raw)
        if size <= self.light:
            return True
        if size > LARGE:
            return False
        parts = _parts(raw)
        if self.per_part and parts * self.per_part <= self.few:
            return True
        return parts <= _COUNTED and self._has_few(raw)

    def is_too_much(self, raw: bytes) -> bool:
        """Whether raw arguments may not be checked at all. Takes milliseconds, if they have to be decoded for it.

        Raises:
            ValueError: they are no JSON.
        """
        if self.per_part and _parts(raw) * self.per_part <= self.most:
            return False
        return self.count(raw, self.most) > self.most

    def _has_few(self, raw: bytes) -> bool:
        try:
            return self.count(raw, self.few) <= self.few
        except ValueError:
            return True  # it is refused at its first byte that is wrong


_COUNTED: Final = 1024
"""Values of so many parts may be counted on the event loop: that takes half a millisecond."""


def _parts(raw: bytes) -> int:
    """Return the greatest possible number of parts of a value: text that looks like a part is counted, too."""
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{") + 1
