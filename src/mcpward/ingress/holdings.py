"""The number of items that each bucket holds, and the bucket that holds most: updated with each change, never
recounted.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Final, Generic, Protocol, TypeVar

#: Things that one search looks at, so that it costs little however many are busy.
_MOST_TRIES: Final = 64


class Held(Protocol):
    """One thing that a bucket holds. A bound of the type variable: this module knows nothing of connections."""

    @property
    def bucket(self) -> str:
        """The bucket of the item."""
        ...

    @property
    def is_busy(self) -> bool:
        """Whether it must be kept."""
        ...

    def was_used(self) -> bool:
        """Return whether it was used since this was asked last."""
        ...


T = TypeVar("T", bound=Held)


class Holdings(Generic[T]):
    """Things by their bucket, the oldest first. A change takes constant time, a search looks at 64 things at most."""

    def __init__(self) -> None:
        self.size = 0
        self._of: dict[str, OrderedDict[T, None]] = {}
        self._buckets: dict[int, dict[str, None]] = {}  # by how many they hold

    def add(self, one: T) -> None:
        """Add the newest thing of its bucket."""
        held = self._of.setdefault(one.bucket, OrderedDict())
        held[one] = None
        self.size += 1
        self._move(one.bucket, len(held) - 1, len(held))

    def remove(self, one: T) -> None:
        """Remove a thing that is there."""
        held = self._of[one.bucket]
        del held[one]
        self.size -= 1
        self._move(one.bucket, len(held) + 1, len(held))
        if not held:
            del self._of[one.bucket]

    def count(self, bucket: str) -> int:
        """Return how many a bucket holds."""
        return len(self._of.get(bucket, ()))

    def find_idle(self, bucket: str) -> T | None:
        """Return the thing of a bucket that is not busy and has not been used for long; None if there is none."""
        return self._search((bucket,))

    def find_idle_of_greediest(self) -> T | None:
        """Return the item to evict: of the bucket that holds the most and has one that is not busy.

        Of buckets that hold as many, the one comes first that has done so for the longest time.
        """
        return self._search(self._greediest_first())

    def _search(self, buckets: Iterable[str]) -> T | None:
        """Look at the oldest items first. A busy or used one moves to the end of its bucket (second chance)."""
        tries = _MOST_TRIES
        for bucket in buckets:
            held, used = self._of.get(bucket, OrderedDict()), None
            for _ in range(min(tries, len(held))):
                one = next(iter(held))
                tries -= 1
                if not one.is_busy:
                    if not one.was_used():
                        return one
                    used = used or one
                held.move_to_end(one)
            if used is not None or not tries:
                return used
        return None

    def _greediest_first(self) -> Iterator[str]:
        for count in sorted(self._buckets, reverse=True):
            yield from self._buckets[count]

    def _move(self, bucket: str, before: int, after: int) -> None:
        if before:
            equals = self._buckets[before]
            del equals[bucket]
            if not equals:
                del self._buckets[before]
        if after:
            self._buckets.setdefault(after, {})[bucket] = None
