"""API keys. Every change is on the disk before the call returns, and has a revision that other workers see."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import json
from msgspec.structs import replace
from sqlalchemy import BindParameter, Row, bindparam, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mcpward.core.scope import Access
from mcpward.core.values import Rate
from mcpward.identity.records import KeyRecord
from mcpward.storage.lanes import Lanes
from mcpward.storage.revisions import changes, take_next
from mcpward.storage.tables import KEYS

_REVISION: Final = "keys"
_Records = list[KeyRecord]
_words = json.Decoder(tuple[str, ...]).decode
_rate = json.Decoder(Rate).decode


class KeyTable:
    """Fits ``identity.refresh.KeySource``."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    async def add(self, record: KeyRecord) -> None:
        """Keep a new key. Its ``revision`` is given here."""
        async with self._lanes.durable() as connection:
            await _insert(connection, record)

    async def get(self, key_id: str) -> KeyRecord | None:
        """Give the key, live or not; None where the id was never issued."""
        if not _is_id(key_id):
            return None
        async with self._lanes.read() as connection:
            row = (await connection.execute(select(KEYS).where(KEYS.c.id == key_id))).one_or_none()
        return None if row is None else _record(row)

    async def list(self) -> list[KeyRecord]:
        """Give every key, the oldest first."""
        async with self._lanes.read() as connection:
            rows = (await connection.execute(select(KEYS).order_by(KEYS.c.created_at, KEYS.c.id))).all()
        return [_record(row) for row in rows]

    async def revoke(self, key_id: str, at: float) -> bool:
        """Revoke for good. Says whether there is such a key; a second time changes nothing."""
        if not _is_id(key_id):
            return False
        async with self._lanes.durable() as connection:
            row = (await connection.execute(select(KEYS.c.revoked_at).where(KEYS.c.id == key_id))).one_or_none()
            if row is not None and row.revoked_at is None:
                await _change(connection, key_id, revoked_at=at)
        return row is not None

    async def set_may_confirm(self, key_id: str, may_confirm: bool) -> bool:
        """Change whether the key's calls run where its client cannot ask a person. Says whether there is such a key."""
        if not _is_id(key_id):
            return False
        async with self._lanes.durable() as connection:
            known = (await connection.execute(select(KEYS.c.id).where(KEYS.c.id == key_id))).one_or_none()
            if known is not None:
                await _change(connection, key_id, may_confirm=int(may_confirm))
        return known is not None

    async def rotate(self, old_id: str, new: KeyRecord, grace_until: float) -> None:
        """Keep ``new`` as the successor of ``old_id``, which lives on until ``grace_until``: both or neither.

        Raises ``LookupError`` when there is no such key, or when it is revoked or has a successor already.
        """
        async with self._lanes.durable() as connection:
            alive = select(KEYS.c.id).where(
                KEYS.c.id == old_id, KEYS.c.revoked_at.is_(None), KEYS.c.grace_until.is_(None)
            )
            if (await connection.execute(alive)).one_or_none() is None:
                raise LookupError("there is no such key to rotate")
            await _change(connection, old_id, grace_until=grace_until)
            await _insert(connection, replace(new, rotated_from=old_id))

    async def changed_since(self, revision: int) -> tuple[int, _Records]:
        """Give the revision to ask with next time, and the keys added or changed after ``revision``."""
        latest, rows = await changes(self._lanes, _REVISION, KEYS, revision)
        return latest, [_record(row) for row in rows]

    async def touch(self, used: Mapping[str, float]) -> None:
        """Note when keys were used last; earlier times than the noted ones are dropped. No change for other workers."""
        if not used:
            return
        at: BindParameter[float] = bindparam("used_at")
        is_later = or_(KEYS.c.last_used_at.is_(None), KEYS.c.last_used_at < at)
        statement = update(KEYS).where(KEYS.c.id == bindparam("used_id"), is_later).values(last_used_at=at)
        async with self._lanes.bulk() as connection:
            await connection.execute(statement, [{"used_id": key, "used_at": when} for key, when in used.items()])


def _is_id(text: str) -> bool:
    """Ids are base62. Nothing else is asked for: PostgreSQL answers a NUL with an error instead of with no row."""
    return text.isascii() and text.isalnum()


async def _insert(connection: AsyncConnection, record: KeyRecord) -> None:
    revision = await take_next(connection, _REVISION)
    await connection.execute(insert(KEYS).values(_row(record) | {"revision": revision}))


async def _change(connection: AsyncConnection, key_id: str, **values: float) -> None:
    revision = await take_next(connection, _REVISION)
    await connection.execute(update(KEYS).where(KEYS.c.id == key_id).values(revision=revision, **values))


def _row(record: KeyRecord) -> dict[str, Any]:
    row = {name: getattr(record, name) for name in record.__struct_fields__}
    for name in ("servers", "tools", "scopes", "networks", "rate"):
        row[name] = None if row[name] is None else json.encode(row[name]).decode()
    row["access"] = int(record.access)
    row["may_confirm"] = int(record.may_confirm)
    return row


def _record(row: Row[Any]) -> KeyRecord:
    fields = dict(row._mapping)  # noqa: SLF001 - the documented way to a row's names, public in spite of its name
    for name in ("servers", "scopes", "networks"):
        fields[name] = _words(fields[name])
    fields["tools"] = None if fields["tools"] is None else _words(fields["tools"])
    fields["rate"] = None if fields["rate"] is None else _rate(fields["rate"])
    fields["access"] = Access(fields["access"])
    fields["may_confirm"] = bool(fields["may_confirm"])
    return KeyRecord(**fields)
