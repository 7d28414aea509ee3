"""Keeps the books of this worker in step with the store that all workers share.

A change made anywhere is seen within one poll; a store that cannot be read leaves the books to go stale, and stale
books let nobody in. Writes nothing but the times at which keys were used.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, Protocol

from mcpward.core.clock import Clock
from mcpward.core.ended import EndedBook
from mcpward.identity.keybook import KeyBook
from mcpward.identity.records import KeyRecord, UrlRecord
from mcpward.identity.unlisted import UrlBook

_log: Final = logging.getLogger(__name__)
FLUSH_EVERY_S: Final = 5.0
INTERVAL_S: Final = 0.25
SEEN_WITHIN_S: Final = 2 * INTERVAL_S
"""How long a change takes to reach every worker whose store answers at once."""
_GAP_S: Final = 0.25
"""Between looks that callers with unknown keys cause, however many they are."""


class KeySource(Protocol):
    """Where keys are kept."""

    async def changed_since(self, revision: int) -> tuple[int, Sequence[KeyRecord]]:
        """Give the store's revision and the records changed after ``revision``."""
        ...

    async def touch(self, used: Mapping[str, float]) -> None:
        """Note when keys were used last."""
        ...


class UrlSource(Protocol):
    """Where secret URLs are kept."""

    async def changed_since(self, revision: int) -> tuple[int, Sequence[UrlRecord]]:
        """Give the store's revision and the records changed after ``revision``."""
        ...


class EndedSource(Protocol):
    """Where ended sessions are kept."""

    async def ended_since(self, revision: int) -> tuple[int, Sequence[tuple[str, float]]]:
        """Give the store's revision and the sessions ended after ``revision``, with the time to forget them."""
        ...

    async def prune(self, now: float) -> None:
        """Forget the sessions whose tokens have run out by themselves."""
        ...


class Refresher:
    """One background task per worker. ``poll`` and ``flush`` may also be called directly."""

    def __init__(
        self,
        *,
        keys: KeySource,
        urls: UrlSource,
        ended: EndedSource,
        key_book: KeyBook,
        url_book: UrlBook,
        ended_book: EndedBook,
        clock: Clock,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._keys, self._urls, self._ended = keys, urls, ended
        self._key_book, self._url_book, self._ended_book = key_book, url_book, ended_book
        self._clock = clock
        self._interval_s = interval_s
        self._revisions = [0, 0, 0]
        self._flushed_at = clock.monotonic()
        self._is_failing = False
        self._is_unwritten = False
        self._reading = asyncio.Lock()
        self._look: asyncio.Task[bool] | None = None
        self._looks: set[asyncio.Task[bool]] = set()
        self._looked_at = float("-inf")
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Fill the books once, so that the first request finds them, then keep them in step.

        Raises what the store raises: a site that cannot read its keys does not open.
        """
        await self.poll()
        self._task = asyncio.create_task(self._run(), name="identity-refresh")

    async def stop(self) -> None:
        """Stop polling and write what is left to write."""
        self._stopping.set()
        for look in self._looks:
            look.cancel()
        await asyncio.gather(*self._looks, return_exceptions=True)
        if self._task is not None:
            await self._task
            self._task = None
        await self._flush_or_say()

    async def poll(self) -> None:
        """Take every change since the last poll into the books."""
        revisions = self._revisions
        await self._read_keys()
        at = self._clock.monotonic()
        revisions[1], urls = await self._urls.changed_since(revisions[1])
        self._url_book.apply(urls)
        self._url_book.mark_fresh(at)
        revisions[2], ended = await self._ended.ended_since(revisions[2])
        for session_id, forget_at in ended:
            self._ended_book.add(session_id, forget_at)

    async def look(self) -> bool:
        """Read the keys that are new since now, for a caller whose key is unknown; False where that fails.

        All who wait share one look, and there are no more than four in a second: made-up keys load the store no
        further, and delay a new key by no more than that.
        """
        look = self._look
        if look is None:
            look = self._look = asyncio.create_task(self._look_soon(), name="identity-look")
            self._looks.add(look)
            look.add_done_callback(self._looks.discard)
        await asyncio.wait([look])  # whoever is cancelled while waiting leaves the look to the others
        return not look.cancelled() and look.result()

    async def _look_soon(self) -> bool:
        wait_s = self._looked_at + _GAP_S - self._clock.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        self._look = None  # whoever comes from here on may ask for a key that this look is too early for
        self._looked_at = self._clock.monotonic()
        try:
            await self._read_keys()
        except Exception:  # noqa: BLE001 - whatever the store raises; the next turn logs it
            return False
        return True

    async def _read_keys(self) -> None:
        async with self._reading:  # or an older answer could be taken in after a newer one
            at = self._clock.monotonic()  # before asking: a slow answer is as old as its question
            self._revisions[0], keys = await self._keys.changed_since(self._revisions[0])
            self._key_book.apply(keys)
            self._key_book.mark_fresh(at)

    async def flush(self) -> None:
        """Write when keys were used last, and forget ended sessions that have run out."""
        self._flushed_at = self._clock.monotonic()
        used, self._key_book.used = self._key_book.used, {}
        try:
            if used:
                await self._keys.touch(used)
        except BaseException:
            self._key_book.used = used | self._key_book.used  # not written: kept for the next time
            raise
        now = self._clock.now()
        self._ended_book.prune(now)
        await self._ended.prune(now)

    async def _run(self) -> None:
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._interval_s)
            await self._turn()

    async def _turn(self) -> None:
        """Poll, and flush when it is time. A failure is logged once, and again when it is over."""
        try:
            await self.poll()
        except Exception:  # noqa: BLE001 - whatever the store raises, the books go stale and the next turn tries again
            if not self._is_failing:
                _log.warning("the store cannot be read: keys are refused until it can", exc_info=True)
            self._is_failing = True
        else:
            if self._is_failing:
                _log.warning("the store can be read again")
            self._is_failing = False
            if self._clock.monotonic() - self._flushed_at >= FLUSH_EVERY_S:
                await self._flush_or_say()

    async def _flush_or_say(self) -> None:
        """Flush. A store that takes nothing, as on a full disk, ends no right and gives none: keys stay as they are."""
        try:
            await self.flush()
        except Exception as error:  # noqa: BLE001 - whatever the store raises, the next flush tries again
            if not self._is_unwritten:
                _log.warning("the times at which keys were used cannot be written (%s)", type(error).__name__)
            self._is_unwritten = True
        else:
            self._is_unwritten = False
