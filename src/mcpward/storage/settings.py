"""The settings of legacy sessions, until their tokens would have expired."""

from collections.abc import Callable
from typing import Any, Final

from msgspec import json
from msgspec.structs import replace
from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mcpward.messaging.session_record import SessionRecord
from mcpward.messaging.settings_cache import CAPACITY, PER_PRINCIPAL
from mcpward.storage.connections import Connections
from mcpward.storage.revisions import changes, take_next
from mcpward.storage.tables import REVISIONS, SETTINGS

_REVISION: Final = "settings"
_uris = json.Decoder(frozenset[str]).decode


class SettingsTable:
    """Fits ``messaging.session_settings.SettingsSource``. A power cut may take the last changes back: clients set them
    again.
    """

    def __init__(
        self, connections: Connections, *, per_principal: int = PER_PRINCIPAL, capacity: int = CAPACITY
    ) -> None:
        self._connections = connections
        self._per_principal, self._capacity = per_principal, capacity

    async def change(self, blank: SessionRecord, change: Callable[[SessionRecord], SessionRecord]) -> SessionRecord:
        """Replace the session's record by what ``change`` makes of it, and return it as kept.

        A new record may push out the caller's oldest, and the oldest of all. Raises what ``change`` raises.
        """
        mine = SETTINGS.c.session == blank.session
        async with self._connections.bulk() as connection:
            # The counter's row is the lock: PostgreSQL has nothing else to lock if there is no record yet.
            await connection.execute(select(REVISIONS).where(REVISIONS.c.name == _REVISION).with_for_update())
            row = (await connection.execute(select(SETTINGS).where(mine))).one_or_none()
            before = blank if row is None else _record(row)
            after = change(before)
            if after == before:
                return before
            after = replace(after, revision=await take_next(connection, _REVISION))
            if row is None:
                await connection.execute(insert(SETTINGS).values(_row(after)))
                await self._push_out(connection, after.principal)
            else:
                await connection.execute(update(SETTINGS).where(mine).values(_row(after)))
        return after

    async def changed_since(self, revision: int) -> tuple[int, list[SessionRecord]]:
        """Return the revision to ask with next time, and the records changed after ``revision``, in their order."""
        latest, rows = await changes(self._connections, _REVISION, SETTINGS, revision)
        return latest, [_record(row) for row in rows]

    async def forget(self, session: str) -> None:
        """Forget one session."""
        mine = SETTINGS.c.session == session
        async with self._connections.read() as connection:
            if (await connection.execute(select(SETTINGS.c.session).where(mine))).one_or_none() is None:
                return  # most sessions set nothing: the usual case takes no write lock
        async with self._connections.bulk() as connection:
            await connection.execute(delete(SETTINGS).where(mine))

    async def prune(self, now: float) -> None:
        """Forget the sessions whose tokens have expired at ``now``."""
        over = SETTINGS.c.forget_at <= now
        async with self._connections.read() as connection:
            if (await connection.execute(select(SETTINGS.c.session).where(over).limit(1))).one_or_none() is None:
                return
        async with self._connections.bulk() as connection:
            await connection.execute(delete(SETTINGS).where(over))

    async def _push_out(self, connection: AsyncConnection, principal: str) -> None:
        revision = SETTINGS.c.revision
        newest = select(revision).order_by(revision.desc()).limit(1)
        for is_one, kept in ((SETTINGS.c.principal == principal, self._per_principal), (revision > 0, self._capacity)):
            oldest = (await connection.execute(newest.where(is_one).offset(kept))).scalar_one_or_none()
            if oldest is not None:
                await connection.execute(delete(SETTINGS).where(is_one, revision <= oldest))


def _record(row: Row[Any]) -> SessionRecord:
    return SessionRecord(
        session=row.session,
        principal=row.principal,
        forget_at=row.forget_at,
        level=row.level,
        uris=_uris(row.uris),
        revision=row.revision,
    )


def _row(record: SessionRecord) -> dict[str, Any]:
    return {
        "session": record.session,
        "principal": record.principal,
        "forget_at": record.forget_at,
        "level": record.level,
        "uris": json.encode(sorted(record.uris)).decode(),
        "revision": record.revision,
    }
