"""Keeps the caches of this worker in step with the store that all workers share.

A change made anywhere is seen within one poll. The polls have a thread of their own (``follower``). The age of the
caches is judged by the store's answer and the time of the request. The serving loop's own time to look does not count.
Writes nothing but the times at which keys were used; the serving loop does that.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import Final, Protocol

from mcpward.core.clock import Clock
from mcpward.core.retry import Retry
from mcpward.identity.keys.follower import INTERVAL_S, Follower, Sources, StoreCaches

_log: Final = logging.getLogger(__name__)
FLUSH_EVERY_S: Final = 5.0


class UseNotes(Protocol):
    """The store of the times at which keys were used. A port of the storage package."""

    async def touch(self, used: Mapping[str, float]) -> None:
        """Note when keys were used last."""
        ...


class Forgetful(Protocol):
    """The store of ids that are kept until they may be forgotten. A port of the storage package."""

    async def prune(self, now: float) -> None:
        """Forget what has run out by itself."""
        ...


class Refresher:
    """One thread per worker. ``open_sources`` is called in it, and what it returns is used and closed there."""

    def __init__(
        self,
        open_sources: Callable[[], Sources],
        books: StoreCaches,
        notes: UseNotes,
        ended: Forgetful,
        clock: Clock,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._open_sources = open_sources
        self._books = books
        self._notes, self._ended = notes, ended
        self._clock = clock
        self._interval_s = interval_s
        self._writing = Retry(
            lambda error: _log.warning("the times at which keys were used cannot be written (%s)", type(error).__name__)
        )
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._follower: Follower | None = None
        self._stopping = asyncio.Event()
        self._flushing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Fill the caches once, so that the first request finds them, then keep them in step.

        Raises what the store raises: a site that cannot read its keys does not open.
        """
        began: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(began,), name="mcpward-keys", daemon=True)
        self._thread.start()
        await asyncio.wrap_future(began)
        self._flushing = asyncio.create_task(self._flush_often(), name="identity-flush")

    async def stop(self) -> None:
        """Stop polling and write what is left to write."""
        self._stopping.set()
        follower, loop = self._follower, self._loop
        if follower is not None and loop is not None:
            with suppress(RuntimeError):  # closed already
                loop.call_soon_threadsafe(follower.stop)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
            self._thread = None
        if self._flushing is not None:
            await self._flushing
            self._flushing = None
        await self._flush_or_say()

    async def look(self) -> bool:
        """Have the store read once more, for a caller that cannot be judged otherwise; False if that fails."""
        follower, loop = self._follower, self._loop
        if follower is None or loop is None or self._stopping.is_set():
            return False
        looking = follower.look()
        try:
            asked = asyncio.run_coroutine_threadsafe(looking, loop)
        except RuntimeError:  # stopped in this moment
            looking.close()
            return False
        try:
            return await asyncio.wrap_future(asked)
        except Exception:  # noqa: BLE001 - the thread ended before it looked
            return False

    async def flush(self) -> None:
        """Write when keys were used last, and forget ended sessions that have run out."""
        keys = self._books.keys
        used, keys.used = keys.used, {}
        try:
            if used:
                await self._notes.touch(used)
        except BaseException:
            keys.used = used | keys.used  # not written: kept for the next time
            raise
        now = self._clock.now()
        self._books.ended.prune(now)
        self._books.spent.prune(now)
        await self._ended.prune(now)

    def _run(self, began: "Future[None]") -> None:
        try:
            asyncio.run(self._follow(began))
        except BaseException as error:  # noqa: BLE001 - the caches go stale, which refuses every key
            if not began.done():
                began.set_exception(error)
            else:
                _log.critical("the store is no longer followed: every key is refused", exc_info=True)

    async def _follow(self, began: "Future[None]") -> None:
        sources = self._open_sources()
        try:
            self._follower = Follower(sources, self._books, self._clock, self._interval_s)
            await self._follower.poll()
            self._loop = asyncio.get_running_loop()
            began.set_result(None)
            await self._follower.run()
        finally:
            await sources.close()

    async def _flush_often(self) -> None:
        """Flush every few seconds."""
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), FLUSH_EVERY_S)
            if self._stopping.is_set():
                return  # the last one is stop()'s
            await self._flush_or_say()

    async def _flush_or_say(self) -> None:
        """Flush. A store that accepts no writes, as on a full disk, changes no right: keys stay as they are."""
        await self._writing.attempt(self.flush)
