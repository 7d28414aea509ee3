"""Secret URLs of unlisted servers: their digests. Durable, with revisions, as keys are."""

from typing import Any, Final

from sqlalchemy import Row, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mcpward.identity.records import UrlRecord
from mcpward.storage.lanes import Lanes
from mcpward.storage.revisions import changes, take_next
from mcpward.storage.tables import URLS

_REVISION: Final = "urls"
_Records = list[UrlRecord]


class UrlTable:
    """Fits ``identity.refresh.UrlSource``."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    async def add(self, record: UrlRecord) -> None:
        """Keep a new secret URL beside those that the server has."""
        async with self._lanes.durable() as connection:
            await _insert(connection, record)

    async def list(self, server: str) -> list[UrlRecord]:
        """Give the server's secret URLs, live or not, the oldest first."""
        statement = select(URLS).where(URLS.c.server == server).order_by(URLS.c.created_at, URLS.c.id)
        async with self._lanes.read() as connection:
            return [_record(row) for row in (await connection.execute(statement)).all()]

    async def rotate(self, server: str, new: UrlRecord, grace_until: float) -> None:
        """Keep ``new`` as the server's secret URL; all others live on until ``grace_until`` at the longest.

        Raises ``ValueError`` when ``new`` is for another server.
        """
        if new.server != server:
            raise ValueError("the new URL is for another server")
        async with self._lanes.durable() as connection:
            revision = await take_next(connection, _REVISION)
            others = (URLS.c.server == server, or_(URLS.c.expires_at.is_(None), URLS.c.expires_at > grace_until))
            await connection.execute(update(URLS).where(*others).values(expires_at=grace_until, revision=revision))
            await _insert(connection, new)

    async def changed_since(self, revision: int) -> tuple[int, _Records]:
        """Give the revision to ask with next time, and the URLs added or changed after ``revision``."""
        latest, rows = await changes(self._lanes, _REVISION, URLS, revision)
        return latest, [_record(row) for row in rows]


async def _insert(connection: AsyncConnection, record: UrlRecord) -> None:
    row: dict[str, Any] = {name: getattr(record, name) for name in record.__struct_fields__}
    row["revision"] = await take_next(connection, _REVISION)
    await connection.execute(insert(URLS).values(row))


def _record(row: Row[Any]) -> UrlRecord:
    return UrlRecord(**row._mapping)  # noqa: SLF001 - the documented way to a row's names, public in spite of its name
