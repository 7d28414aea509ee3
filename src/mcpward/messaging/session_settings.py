"""The settings of legacy sessions: their log level, and the resources they watch.

Kept in the store that all workers share, because the next request of a session may reach another worker, or come after
a restart. A change is seen at once by the worker that made it, and by the others within one poll.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from mcpward.core.clock import Clock
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.retry import Retry, every
from mcpward.core.values import Call
from mcpward.messaging.session_record import SessionRecord
from mcpward.messaging.settings_cache import SettingsCache

_log: Final = logging.getLogger(__name__)
_PRUNE_EVERY_S: Final = 60.0
_NOTHING: Final[frozenset[str]] = frozenset()


class SettingsSource(Protocol):
    """The store of the settings. A port of the storage package."""

    async def change(self, blank: SessionRecord, change: Callable[[SessionRecord], SessionRecord]) -> SessionRecord:
        """Replace the session's record by the result of ``change``, in one transaction, and return it as kept.

        ``blank`` stands for a session that has no record yet. An unchanged record is not written. Raises what
        ``change`` raises, with nothing written.
        """
        ...

    async def changed_since(self, revision: int) -> tuple[int, Sequence[SessionRecord]]:
        """Return the revision to ask with next time, and the records changed after ``revision``, in their order."""
        ...

    async def forget(self, session: str) -> None:
        """Forget one session."""
        ...

    async def prune(self, now: float) -> None:
        """Forget the sessions whose tokens have run out at ``now``."""
        ...


class SessionSettings:
    """The settings of all sessions. ``poll`` may also be called directly.

    ``lifetime_s`` is how long a session's token lives, in seconds.
    """

    def __init__(
        self,
        store: SettingsSource,
        clock: Clock,
        *,
        lifetime_s: float = 24 * 3600.0,
        interval_s: float = 0.25,
        book: SettingsCache | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._lifetime_s = lifetime_s
        self._interval_s = interval_s
        self._book = SettingsCache() if book is None else book
        self._pruned_at = clock.monotonic()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read all settings once, so that the first request finds them, then keep in step. Raises as the store does."""
        await self.poll()
        self._task = asyncio.create_task(self._run(), name="channel-settings")

    async def stop(self) -> None:
        """Stop polling."""
        self._stopping.set()
        if self._task is not None:
            await self._task
            self._task = None

    def level(self, session: str) -> str | None:
        """Return the least severity of messages for the session; None if it has set none."""
        record = self._book.find(session)
        return None if record is None else record.level

    def uris(self, session: str) -> frozenset[str]:
        """Return the resources that the session watches."""
        record = self._book.find(session)
        return _NOTHING if record is None else record.uris

    async def set_level(self, call: Call, level: str) -> None:
        """Set the least severity of messages for the call's session.

        Raises:
            Refusal: params-invalid for an unknown level; session-missing for a call without a session.
        """
        await self._change(call, lambda record: record.at_level(level))

    async def subscribe(self, call: Call, uri: str) -> None:
        """Have the call's session watch the resource. Whether it may know of it was decided before.

        Raises:
            Refusal: rate-exceeded when the session watches too many; session-missing for a call without a session.
        """
        await self._change(call, lambda record: record.subscribed(uri))

    async def unsubscribe(self, call: Call, uri: str) -> None:
        """Have the call's session watch the resource no longer; one that it does not watch changes nothing.

        Raises:
            Refusal: session-missing for a call without a session.
        """
        await self._change(call, lambda record: record.unsubscribed(uri))

    async def forget(self, session: str) -> None:
        """Forget a session that was ended."""
        self._book.remove(session)
        await self._store.forget(session)

    async def poll(self) -> None:
        """Take every change since the last poll."""
        latest, records = await self._store.changed_since(self._book.revision)
        self._book.apply(latest, records)

    async def prune(self) -> None:
        """Forget the sessions whose tokens have run out by themselves."""
        self._pruned_at = self._clock.monotonic()
        now = self._clock.now()
        self._book.prune(now)
        await self._store.prune(now)

    async def _change(self, call: Call, change: Callable[[SessionRecord], SessionRecord]) -> None:
        if call.session is None:
            raise Refusal(Reason.SESSION_MISSING, "settings belong to a session")
        blank = SessionRecord(
            session=call.session,
            principal=call.principal.key,
            forget_at=self._clock.now() + self._lifetime_s,  # the token is older than its first setting
        )
        kept = await self._store.change(blank, change)
        if kept.revision:  # a blank that nothing was changed of is not kept
            self._book.put(kept)

    async def _run(self) -> None:
        turns = Retry(
            lambda error: _log.warning(
                "the settings of sessions cannot be read: the known ones stay in force", exc_info=error
            ),
            lambda: _log.warning("the settings of sessions can be read again"),
        )
        await every(self._interval_s, self._stopping, lambda: turns.attempt(self._turn))

    async def _turn(self) -> None:
        """Poll, and prune when it is time."""
        await self.poll()
        if self._clock.monotonic() - self._pruned_at >= _PRUNE_EVERY_S:
            await self.prune()
