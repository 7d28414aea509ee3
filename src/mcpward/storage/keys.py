"""API keys. Every change is on the disk before the call returns, and has a revision that other workers see."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import json
from msgspec.structs import replace
from sqlalchemy import BindParameter, bindparam, or_, select, update

from mcpward.core.scope import Access
from mcpward.core.values import Rate
from mcpward.identity.keys.records import KeyRecord
from mcpward.storage.connections import Connections
from mcpward.storage.register import FollowedRecords, Register
from mcpward.storage.tables import KEYS

_Records = list[KeyRecord]
Edit = Callable[[KeyRecord], KeyRecord]
_words = json.Decoder(tuple[str, ...]).decode
_rate = json.Decoder(Rate).decode


class KeyTable:
    """All keys. Rows that are read were written by a holder of the master key, or :class:`Untrusted` is raised."""

    def __init__(self, connections: Connections, register: Register) -> None:
        self._connections = connections
        self._register = register

    async def add(self, record: KeyRecord) -> None:
        """Keep a new key. Its ``revision`` is given here."""
        async with self._register.changing() as changes:
            await changes.insert(_row(record))

    async def get(self, key_id: str) -> KeyRecord | None:
        """Return the key, live or not; None if the id was never issued."""
        if not _is_id(key_id):
            return None
        async with self._connections.read() as connection:
            row = (await connection.execute(select(KEYS).where(KEYS.c.id == key_id))).one_or_none()
        return None if row is None else _record(self._register.opened(row))

    async def list(self) -> list[KeyRecord]:
        """Return every key, the oldest first."""
        async with self._connections.read() as connection:
            rows = (await connection.execute(select(KEYS).order_by(KEYS.c.created_at, KEYS.c.id))).all()
        return [_record(self._register.opened(row)) for row in rows]

    async def revoke(self, key_id: str, at: float) -> bool:
        """Revoke for good. Says whether there is such a key; a second time changes nothing."""
        if not _is_id(key_id):
            return False
        async with self._register.changing() as changes:
            found = await changes.find(KEYS.c.id == key_id)
            for row in found:
                if row["revoked_at"] is None:
                    await changes.change(row, revoked_at=at)
        return bool(found)

    async def edit(self, key_id: str, edited: Edit) -> tuple[KeyRecord, KeyRecord] | None:
        """Replace a key with the result of ``edited``. Return the key before and after; None if there is none.

        ``edited`` sees the key as it is within the transaction. Its exception leaves everything as it was.
        """
        if not _is_id(key_id):
            return None
        async with self._register.changing() as changes:
            found = await changes.find(KEYS.c.id == key_id)
            if not found:
                return None
            before = _record(found[0])
            after = replace(edited(before), id=before.id, digest=before.digest, revision=before.revision)
            if after != before:
                await changes.change(found[0], **_row(after))
                after = replace(after, revision=changes.revision)
        return before, after

    async def rename_server(self, old: str, new: str) -> int:
        """Replace a server's name in every key, live or not. Return how many had it."""
        async with self._register.changing() as changes:
            found = await changes.find(KEYS.c.servers.contains(f'"{old}"', autoescape=True))
            for row in found:
                servers = dict.fromkeys(new if name == old else name for name in _words(row["servers"]))
                await changes.change(row, servers=json.encode(list(servers)).decode())
        return len(found)

    async def rotate(self, old_id: str, new: KeyRecord, grace_until: float) -> None:
        """Keep ``new`` as the successor of ``old_id``, which lives on until ``grace_until``: both or neither.

        Raises ``LookupError`` when there is no such key, or when it is revoked or has a successor already.
        """
        alive = KEYS.c.id == old_id, KEYS.c.revoked_at.is_(None), KEYS.c.grace_until.is_(None)
        async with self._register.changing() as changes:
            found = await changes.find(*alive)
            if not found:
                raise LookupError("there is no such key to rotate")
            await changes.change(found[0], grace_until=grace_until)
            await changes.insert(_row(replace(new, rotated_from=old_id)))

    def follow(self) -> FollowedRecords[KeyRecord]:
        """Return a reader of what changes; it fits ``identity.keys.follower.KeySource``."""
        return FollowedRecords(self._register, _record)

    async def touch(self, used: Mapping[str, float]) -> None:
        """Note when keys were used last; earlier times than the noted ones are dropped. No change for other workers."""
        if not used:
            return
        at: BindParameter[float] = bindparam("used_at")
        is_later = or_(KEYS.c.last_used_at.is_(None), KEYS.c.last_used_at < at)
        statement = update(KEYS).where(KEYS.c.id == bindparam("used_id"), is_later).values(last_used_at=at)
        async with self._connections.bulk() as connection:
            await connection.execute(statement, [{"used_id": key, "used_at": when} for key, when in used.items()])


def _is_id(text: str) -> bool:
    """Ids are base62. Nothing else is asked for: PostgreSQL answers a NUL with an error instead of with no row."""
    return text.isascii() and text.isalnum()


def _row(record: KeyRecord) -> dict[str, Any]:
    row = {name: getattr(record, name) for name in record.__struct_fields__}
    for name in ("servers", "tools", "scopes", "networks", "rate"):
        row[name] = None if row[name] is None else json.encode(row[name]).decode()
    row["tags"] = json.encode(record.tags).decode() if record.tags else None
    row["access"] = int(record.access)
    row["may_confirm"] = int(record.may_confirm)
    return row


def _record(row: Mapping[str, Any]) -> KeyRecord:
    fields = dict(row)
    for name in ("servers", "scopes", "networks"):
        fields[name] = _words(fields[name])
    fields["tools"] = None if fields["tools"] is None else _words(fields["tools"])
    fields["rate"] = None if fields["rate"] is None else _rate(fields["rate"])
    fields["tags"] = () if fields["tags"] is None else _words(fields["tags"])
    fields["access"] = Access(fields["access"])
    fields["may_confirm"] = bool(fields["may_confirm"])
    return KeyRecord(**fields)
