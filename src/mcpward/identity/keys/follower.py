"""Copies the store into the caches of one worker, and reports their age by a clock read where the store was asked.

Runs on an event loop of its own, in a thread of its own, with connections of its own. So the serving loop may stand
still for as long as it likes, and the caches are neither older nor taken to be so. If the store does not answer, they
grow stale; a forged store, or one older than it was, makes them stale at once. Stale caches admit no caller.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Protocol

from mcpward.core.clock import Clock
from mcpward.core.ended_cache import EndedCache
from mcpward.core.errors import Untrusted
from mcpward.core.retry import Retry, every
from mcpward.identity.keys.key_cache import KeyCache
from mcpward.identity.keys.records import KeyRecord, UrlRecord
from mcpward.identity.keys.url_cache import UrlCache

_log: Final = logging.getLogger(__name__)
INTERVAL_S: Final = 0.25
SEEN_WITHIN_S: Final = 2 * INTERVAL_S
"""How long a change takes to reach every worker whose store answers at once."""
_WHOLE_EVERY_S: Final = 60.0
AUDIT_EVERY: Final = 4
"""Turns from one audit to the next, as long as none finds anything: each takes as long as a poll that has changes."""
_GAP_S: Final = 0.25
"""Between looks that callers with unknown keys cause, however many they are."""
_LONGEST_LOOK_S: Final = 2.0


class KeySource(Protocol):
    """The store of keys, followed from the beginning. A port of the storage package."""

    async def news(self, *, whole: bool = False) -> tuple[bool, Sequence[KeyRecord]]:
        """Return the keys added or changed since the last time; with True, all there are."""
        ...


class UrlSource(Protocol):
    """The store of secret URLs, followed from the beginning. A port of the storage package."""

    async def news(self, *, whole: bool = False) -> tuple[bool, Sequence[UrlRecord]]:
        """Return the URLs added or changed since the last time; with True, all there are."""
        ...


class JournalSource(Protocol):
    """The store of ids that are kept until they may be forgotten, followed from the beginning. A port of the storage
    package.
    """

    async def news(self) -> Sequence[tuple[str, float]]:
        """Return what was added since the last time: id, and when it is to be forgotten."""
        ...

    async def audit(self) -> bool:
        """Judge the next few anew; True at the end of all. Raises :class:`Untrusted`, and is at the same ones then."""
        ...


class Sources(Protocol):
    """The store, as it is followed. All of it may raise :class:`Untrusted`, and whatever the store raises.

    A port of the storage package.
    """

    @property
    def keys(self) -> KeySource:
        """API keys."""
        ...

    @property
    def urls(self) -> UrlSource:
        """Secret URLs."""
        ...

    @property
    def ended(self) -> JournalSource:
        """Ended sessions."""
        ...

    @property
    def spent(self) -> JournalSource:
        """Used states."""
        ...

    async def counters(self) -> object:
        """Return what is another value after every change of what is followed."""
        ...

    def require_same_file(self) -> None:
        """Raise :class:`Untrusted` if another database stands in the place of the one that was opened."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class StoreCaches:
    """One worker's copy of keys, secret URLs, ended sessions and used states."""

    def __init__(self, keys: KeyCache, urls: UrlCache, ended: EndedCache, spent: EndedCache) -> None:
        self.keys, self.urls, self.ended, self.spent = keys, urls, ended, spent


class Follower:
    """All of it runs on one event loop. ``poll`` may be called directly."""

    def __init__(self, sources: Sources, books: StoreCaches, clock: Clock, interval_s: float = INTERVAL_S) -> None:
        self._sources, self._books = sources, books
        self._clock = clock
        self._interval_s = interval_s
        self._whole_at = clock.monotonic()
        self._reads = Retry(_tell, lambda: _log.warning("the store can be read again"))
        self._counters: object = None
        self._audited = 0
        self._turns = 0
        self._is_auditing = False
        self._finding: Untrusted | None = None
        self._reading = asyncio.Lock()
        self._look: asyncio.Task[bool] | None = None
        self._looks: set[asyncio.Task[bool]] = set()
        self._looked_at = float("-inf")
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Poll until :meth:`stop`. A failure is logged once, and again when it is over."""
        await every(self._interval_s, self._stopping, self._turn)
        for look in self._looks:
            look.cancel()
        await asyncio.gather(*self._looks, return_exceptions=True)

    def stop(self) -> None:
        """End :meth:`run` after its present turn."""
        self._stopping.set()

    async def poll(self) -> None:
        """Take every change since the last poll into the caches. Raises what the store raises."""
        async with self._reading:  # or an older answer could be taken in after a newer one
            at = self._clock.monotonic()  # before asking: a slow answer is as old as its question
            whole = at - self._whole_at >= _WHOLE_EVERY_S
            try:
                await self._read(whole=whole)
                if self._finding is not None:
                    raise self._finding.with_traceback(None)
            except Untrusted:
                self._distrust()
                raise
            self._books.keys.mark_fresh(at)
            self._books.urls.mark_fresh(at)
            if whole:
                self._whole_at = at

    async def look(self) -> bool:
        """Read the changes until now, for a caller whose key cannot be confirmed otherwise; False if that fails.

        All waiters share one look, and there are no more than four in a second: made-up keys load the store no further,
        and delay a new key by no more than that.
        """
        look = self._look
        if look is None:
            look = self._look = asyncio.create_task(self._look_soon(), name="identity-look")
            self._looks.add(look)
            look.add_done_callback(self._looks.discard)
        await asyncio.wait([look])  # a cancelled waiter leaves the look to the others
        return not look.cancelled() and look.result()

    async def _look_soon(self) -> bool:
        wait_s = self._looked_at + _GAP_S - self._clock.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        self._look = None  # a later waiter may ask for a key that this look is too early for
        self._looked_at = self._clock.monotonic()
        try:
            async with asyncio.timeout(_LONGEST_LOOK_S):  # of this loop, which does nothing else
                await self.poll()
        except Exception:  # noqa: BLE001 - whatever the store raises; the next turn logs it
            return False
        return True

    async def _read(self, *, whole: bool) -> None:
        sources, books = self._sources, self._books
        sources.require_same_file()
        counters = await sources.counters()  # before the rows: later changes are read the next time
        if counters == self._counters and not whole:
            return
        self._counters = None  # until the rows are known to be those of these counters, an older copy must not fit them
        is_whole, keys = await sources.keys.news(whole=whole)
        books.keys.apply(keys, whole=is_whole)
        is_whole, urls = await sources.urls.news(whole=whole)
        books.urls.apply(urls, whole=is_whole)
        for source, book in ((sources.ended, books.ended), (sources.spent, books.spent)):
            for known, forget_at in await source.news():
                book.add(known, forget_at)
        if await sources.counters() == counters:
            self._counters = counters

    async def audit(self) -> None:
        """Judge a few ended sessions or used states anew, apart from the polls: there may be very many.

        A fault makes the caches stale until the same rows are valid again.
        """
        journals = (self._sources.ended, self._sources.spent)
        try:
            is_end = await journals[self._audited].audit()
            self._is_auditing = not is_end  # many rows are judged in as many turns, one after the other
            if is_end:
                self._audited = (self._audited + 1) % len(journals)
        except Untrusted as problem:
            self._finding = problem
            self._distrust()
        except Exception:  # noqa: BLE001 - whatever the store raises: the next poll reports it
            return
        else:
            self._finding = None

    def _distrust(self) -> None:
        for book in (self._books.keys, self._books.urls):
            book.mark_fresh(float("-inf"))

    async def _turn(self) -> None:
        await self._reads.attempt(self.poll)  # while it fails, the caches go stale
        self._turns += 1
        if self._finding is not None or self._is_auditing or self._turns % AUDIT_EVERY == 0:
            await self.audit()


def _tell(error: Exception) -> None:
    if isinstance(error, Untrusted):
        finding = error.findings[0]
        _log.error("%s: every key is refused until that is settled: %s", finding.what, finding.hint)
    else:
        _log.warning("the store cannot be read: keys are refused until it can", exc_info=error)
