"""A key that this worker does not know yet: the store is read once more before the key is refused.

Every text that is no key at hand is treated alike, whether its id is known or not, so that time does not tell which
(attack 33). A text with a wrong checksum never comes here (attack 35). What was refused after a look is remembered, as
a digest, so that it is looked for once only.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason

MOST_WAITING: Final = 1024
_MOST_REFUSED: Final = 10_000
_RETRY_AFTER_S: Final = 1

Look = Callable[[], Awaitable[bool]]
"""Reads what is new in the store, after the moment of the call; False where it cannot be read in time.

How long it takes is for ``follower`` to judge, in its own thread: a timer of the serving loop would count that loop's
own pauses as the store's.
"""


class KeyLookup:
    """The looks of one worker. ``look`` is shared by all who wait, and paced."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._refused: dict[bytes, None] = {}
        self._waiting = 0

    def was_refused(self, mark: bytes) -> bool:
        """Say whether a text was looked for before and is no key. ``mark`` is its digest."""
        return mark in self._refused

    async def look(self) -> None:
        """Return when the keys are those that the store has now.

        Raises:
            Refusal: identity-unavailable; the store cannot be read in time, or too many wait for it.
        """
        if not await self.try_to_look():
            raise _unavailable("the store of keys cannot be read")

    async def try_to_look(self) -> bool:
        """Return when the keys are those that the store has now; False where it cannot be read in time.

        Raises:
            Refusal: identity-unavailable; too many wait for the store.
        """
        if self._waiting >= MOST_WAITING:
            raise _unavailable("too many wait for the store of keys")
        self._waiting += 1
        try:
            return await self._look()
        finally:
            self._waiting -= 1

    def refuse(self, mark: bytes) -> None:
        """Note that a text is no key, after a look."""
        while len(self._refused) >= _MOST_REFUSED:
            del self._refused[next(iter(self._refused))]
        self._refused[mark] = None


def _unavailable(detail: str) -> Refusal:
    return Refusal(Reason.IDENTITY_UNAVAILABLE, detail, retry_after_s=_RETRY_AFTER_S)
