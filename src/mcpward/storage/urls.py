"""Secret URLs of unlisted servers: their digests. Durable, with revisions and codes, as keys are."""

from typing import Any

from sqlalchemy import func, or_, select

from mcpward.identity.keys.records import UrlRecord
from mcpward.storage.connections import Connections
from mcpward.storage.register import FollowedRecords, Register
from mcpward.storage.tables import URLS

_Records = list[UrlRecord]


class UrlTable:
    """All secret URLs. Rows that are read were written by a holder of the master key, or :class:`Untrusted` is
    raised.
    """

    def __init__(self, connections: Connections, register: Register) -> None:
        self._connections = connections
        self._register = register

    async def add(self, record: UrlRecord) -> None:
        """Keep a new secret URL beside those that the server has."""
        async with self._register.changing() as changes:
            await changes.insert(_row(record))

    async def list(self, server: str) -> list[UrlRecord]:
        """Return the server's secret URLs, live or not, the oldest first."""
        statement = select(URLS).where(URLS.c.server == server).order_by(URLS.c.created_at, URLS.c.id)
        async with self._connections.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [UrlRecord(**self._register.opened(row)) for row in rows]

    async def servers(self, now: float) -> dict[str, int]:
        """Return how many secret URLs are live at ``now`` (wall clock), by server."""
        is_live = or_(URLS.c.expires_at.is_(None), URLS.c.expires_at > now)
        statement = select(URLS.c.server, func.count()).where(is_live).group_by(URLS.c.server)
        async with self._connections.read() as connection:
            return {row[0]: row[1] for row in (await connection.execute(statement)).all()}

    async def rename_server(self, old: str, new: str) -> int:
        """Return a server's secret URLs to another name. Return how many there were."""
        async with self._register.changing() as changes:
            found = await changes.find(URLS.c.server == old)
            for row in found:
                await changes.change(row, server=new)
        return len(found)

    async def are_any(self) -> bool:
        """Return whether there is a secret URL, live or not, of any server."""
        async with self._connections.read() as connection:
            return (await connection.execute(select(URLS.c.id).limit(1))).one_or_none() is not None

    async def rotate(self, server: str, new: UrlRecord, grace_until: float) -> None:
        """Keep ``new`` as the server's secret URL; all others live on until ``grace_until`` at the longest.

        Raises ``ValueError`` when ``new`` is for another server.
        """
        if new.server != server:
            raise ValueError("the new URL is for another server")
        others = URLS.c.server == server, or_(URLS.c.expires_at.is_(None), URLS.c.expires_at > grace_until)
        async with self._register.changing() as changes:
            for row in await changes.find(*others):
                await changes.change(row, expires_at=grace_until)
            await changes.insert(_row(new))

    async def revoke(self, server: str, at: float) -> int:
        """End every secret URL of a server that is live at ``at`` (wall clock). Return how many there were."""
        is_live = or_(URLS.c.expires_at.is_(None), URLS.c.expires_at > at)
        async with self._register.changing() as changes:
            found = await changes.find(URLS.c.server == server, is_live)
            for row in found:
                await changes.change(row, expires_at=at)
        return len(found)

    def follow(self) -> FollowedRecords[UrlRecord]:
        """Return a reader of what changes; it fits ``identity.keys.follower.UrlSource``."""
        return FollowedRecords(self._register, lambda row: UrlRecord(**row))


def _row(record: UrlRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}
