"""Reads the store once more before an unknown key is refused, or a key not confirmed for a second is admitted.

If the store cannot be read, such a key is not admitted. Every text that is no key in the cache is treated alike,
whether its id is known or not. So timing does not reveal which (attack 33). A text with a wrong checksum never comes
here (attack 35). A key refused after a look is remembered, as a digest, so that it is looked for only once.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

from mcpward.core.errors import Refusal
from mcpward.core.facts import RetryAfter
from mcpward.core.reasons import Reason

MOST_WAITING: Final = 1024
"""For texts that are no key in the cache: any caller may send one."""
MOST_OF_ONE: Final = 256
"""For one key, or one secret URL, in the cache. Each has a queue of its own, so none keeps another one's out."""
_STRANGERS: Final = b""
_LOOKS: Final = 2
"""One is given up when it takes too long, and a pause of the whole process in its midst looks like that."""
_MOST_REFUSED: Final = 10_000
_RETRY_AFTER_S: Final = 1

Look = Callable[[], Awaitable[bool]]
"""Reads the changes in the store after the moment of the call; False if it cannot be read in time.

How long it takes is for ``follower`` to judge, in its own thread: a timer of the serving loop would count that loop's
own pauses as the store's.
"""


class KeyLookup:
    """The looks of one worker. ``look`` is shared by all waiters, and paced."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._refused: dict[bytes, None] = {}
        self._waiting: dict[bytes, int] = {}

    def was_refused(self, mark: bytes) -> bool:
        """Return whether a text was looked for before and is no key. ``mark`` is its digest."""
        return mark in self._refused

    async def look(self) -> None:
        """Return when the keys are those that the store has now.

        Raises:
            Refusal: identity-unavailable; the store cannot be read in time, or too many wait for it.
        """
        with self._in_line(_STRANGERS, MOST_WAITING):
            if not await self._look():
                raise _unreadable()

    async def confirm(self, mark: bytes, is_confirmed: Callable[[], bool]) -> None:
        """Return when the store has answered on a credential in the cache; ``is_confirmed`` reports whether it did
        meanwhile.

        The answer is awaited, however late our own loop takes it. A store without an answer may hide a revocation.

        Raises:
            Refusal: identity-unavailable; the store cannot be read, or too many wait for it with this credential.
        """
        with self._in_line(mark, MOST_OF_ONE):
            for _ in range(_LOOKS):
                if await self._look() or is_confirmed():
                    return
        raise _unreadable()

    def refuse(self, mark: bytes) -> None:
        """Note that a text is no key, after a look."""
        while len(self._refused) >= _MOST_REFUSED:
            del self._refused[next(iter(self._refused))]
        self._refused[mark] = None

    @contextmanager
    def _in_line(self, line: bytes, most: int) -> Iterator[None]:
        waiting = self._waiting.get(line, 0)
        if waiting >= most:
            raise _unavailable("too many wait for the store of keys")
        self._waiting[line] = waiting + 1
        try:
            yield
        finally:
            self._waiting[line] -= 1
            if not self._waiting[line]:
                del self._waiting[line]


def _unreadable() -> Refusal:
    return _unavailable("the store of keys cannot be read")


def _unavailable(detail: str) -> Refusal:
    return Refusal(Reason.IDENTITY_UNAVAILABLE, detail, RetryAfter(_RETRY_AFTER_S))
