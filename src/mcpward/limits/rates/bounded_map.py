"""A map that evicts: bounded whatever comes, without a clock and without a scan (attack 106).

Two generations: a written entry lives in the young one. A full young one becomes the old one, and the former old one is
discarded, one entry per later write of a new one. So an entry is evicted only after a third of ``most`` other entries
were written, or read by ``young``, since its own last use. Eviction never looks at more than one entry.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, TypeVar

Key = str | int
V = TypeVar("V")

#: The young generation, the old one, and the one that is being discarded.
_GENERATIONS: Final = 3


class BoundedMap(Generic[V]):
    """At most ``most`` entries. ``unknown`` stands for one that was never written, or is forgotten.

    A hot path takes ``young`` once, reads ``young[key]``, which writes the entry there as it is, and may then overwrite
    it: nothing grows by that, so nothing has to go.
    """

    __slots__ = ("capacity", "dying", "old", "unknown", "young")

    def __init__(self, most: int, unknown: V | None = None) -> None:
        self.capacity = max(1, most // _GENERATIONS)
        self.unknown: Any = unknown
        self.young: dict[Key, V] = _Young(self)
        self.old: dict[Key, V] = {}
        self.dying: dict[Key, V] = {}

    def __len__(self) -> int:
        return len(self.young) + len(self.old) + len(self.dying)

    def get(self, key: Key, default: V) -> V:
        """Return the entry; ``default`` for one that was never written, or is forgotten."""
        found = self.young.get(key)
        return self.old.get(key, default) if found is None else found

    def put(self, key: Key, value: V) -> None:
        """Write the entry."""
        young = self.young
        young[key] = value
        if self.dying:
            self.dying.popitem()
        if len(young) > self.capacity:
            self.age()

    def age(self) -> None:
        """Begin a generation: the young one is full."""
        self.dying, self.old, self.young = self.old, self.young, _Young(self)

    def keys(self) -> Iterator[Key]:
        """Return the key of each entry that is not forgotten, once."""
        yield from {**self.old, **self.young}

    def forget(self, matches: Callable[[Key], bool]) -> int:
        """Discard the entries whose key matches; returns how many there were."""
        found = [key for key in self.keys() if matches(key)]
        for key in found:
            self.young.pop(key, None)
            self.old.pop(key, None)
        return len(found)


class _Young(dict[Key, V]):
    """Has every entry that it is asked for."""

    __slots__ = ("_all",)

    def __init__(self, generations: BoundedMap[V]) -> None:
        super().__init__()
        self._all = generations

    def __missing__(self, key: Key) -> V:
        # As ``BoundedMap.put`` does, which needs twice as long.
        every = self._all
        value: V = every.old.get(key, every.unknown)
        self[key] = value
        if every.dying:
            every.dying.popitem()
        if len(self) > every.capacity:
            every.age()
        return value
