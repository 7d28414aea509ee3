"""A map that forgets: bounded whatever comes, without a clock and without a scan (attack 106).

Two generations: an entry that is written lives in the young one; when that is full it becomes the old one, and the
former old one is thrown away, one entry per later write. So an entry is forgotten only after a third of ``most`` other
ones were written since it last was, and eviction never looks at more than one entry.
"""

from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

Key = str | int
V = TypeVar("V")

#: The young, the old and the one that is being thrown away.
_GENERATIONS: Final = 3


class Generations(Generic[V]):
    """At most ``most`` entries."""

    __slots__ = ("_capacity", "_dying", "_old", "_young")

    def __init__(self, most: int) -> None:
        self._capacity = max(1, most // _GENERATIONS)
        self._young: dict[Key, V] = {}
        self._old: dict[Key, V] = {}
        self._dying: dict[Key, V] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old) + len(self._dying)

    def get(self, key: Key, default: V) -> V:
        """Give the entry; ``default`` for one that was never written, or is forgotten."""
        found = self._young.get(key)
        return self._old.get(key, default) if found is None else found

    def put(self, key: Key, value: V) -> None:
        """Write the entry."""
        young = self._young
        young[key] = value
        if self._dying:
            self._dying.popitem()
        if len(young) > self._capacity:
            self._dying, self._old, self._young = self._old, young, {}

    def keys(self) -> Iterator[Key]:
        """Give the key of each entry that is not forgotten, once."""
        yield from {**self._old, **self._young}

    def forget(self, matches: Callable[[Key], bool]) -> int:
        """Throw away the entries whose key matches; gives how many there were."""
        found = [key for key in self.keys() if matches(key)]
        for key in found:
            self._young.pop(key, None)
            self._old.pop(key, None)
        return len(found)
