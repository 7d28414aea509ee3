"""The rows of the vault: versions of secrets, and the keys that wrap theirs. Only ``vault`` knows their contents."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from msgspec import json
from msgspec.structs import asdict
from sqlalchemy import bindparam, func, select, update

from mcpward.storage.connections import Connections
from mcpward.storage.register import Changes, FollowedRecords, Register
from mcpward.storage.tables import VAULT
from mcpward.vault.vault_entry import SECRET, VaultEntry

_Row = dict[str, Any]
#: 9999-12-31: the last moment that can be written as a date.
_LAST: Final = 253_402_300_799.0
_words = json.Decoder(tuple[str, ...]).decode


class VaultTable:
    """Fits ``vault.store.VaultRows``. Rows that are read were written by a holder of the master key."""

    def __init__(self, connections: Connections, register: Register) -> None:
        self._connections = connections
        self._register = register

    async def entries(self) -> Sequence[VaultEntry]:
        """Return all rows. Raises :class:`Untrusted` if one was not written with the master key."""
        async with self._connections.read() as connection:
            rows = (await connection.execute(select(VAULT))).all()
        return [_entry(self._register.opened(row)) for row in rows]

    @asynccontextmanager
    async def changing(self) -> AsyncIterator["VaultTransaction"]:
        """Open a transaction; what it changed is on the disk when the block has been left."""
        async with self._register.changing() as changes:
            yield VaultTransaction(changes, await changes.find())

    async def servers(self) -> dict[str, int]:
        """Return how many secrets are kept, by server."""
        names = func.count(func.distinct(VAULT.c.name))
        statement = select(VAULT.c.server, names).where(VAULT.c.kind == SECRET).group_by(VAULT.c.server)
        async with self._connections.read() as connection:
            return {row[0]: row[1] for row in (await connection.execute(statement)).all()}

    def follow(self) -> FollowedRecords[VaultEntry]:
        """Return a reader of what changes."""
        return FollowedRecords(self._register, _entry)

    async def touch(self, used: Mapping[tuple[str, str], float]) -> None:
        """Note when secrets were last used, by server and name. No change for other workers."""
        if not used:
            return
        mine = VAULT.c.server == bindparam("used_server"), VAULT.c.name == bindparam("used_name")
        current = VAULT.c.kind == SECRET, VAULT.c.ends_at.is_(None)
        statement = update(VAULT).where(*mine, *current).values(last_used_at=bindparam("used_at"))
        rows = [{"used_server": server, "used_name": name, "used_at": at} for (server, name), at in used.items()]
        async with self._connections.bulk() as connection:
            await connection.execute(statement, rows)


class VaultTransaction:
    """One transaction over all rows."""

    def __init__(self, changes: Changes, rows: Sequence[_Row]) -> None:
        self._changes = changes
        self._rows = {row["id"]: row for row in rows}

    @property
    def entries(self) -> Sequence[VaultEntry]:
        """All rows, as they are within the transaction."""
        return [_entry(row) for row in self._rows.values()]

    async def put(self, entry: VaultEntry) -> None:
        """Add a row, or change the one with its id."""
        before, values = self._rows.get(entry.id), _row(entry)
        if before is None:
            await self._changes.insert(values)
        else:
            await self._changes.change(before, **values)
        self._rows[entry.id] = values | {"revision": self._changes.revision}

    async def remove(self, entry: VaultEntry) -> None:
        """Remove a row."""
        await self._changes.remove(self._rows.pop(entry.id))


def _row(entry: VaultEntry) -> _Row:
    return asdict(entry) | {"hosts": json.encode(entry.hosts).decode(), "is_http_only": int(entry.is_http_only)}


def _entry(row: Mapping[str, Any]) -> VaultEntry:
    fields = dict(row)
    fields["hosts"] = _words(fields["hosts"])
    fields["is_http_only"] = bool(fields["is_http_only"])
    fields["last_used_at"] = _moment(fields["last_used_at"])
    fields["blob"], fields["wrapped"] = bytes(fields["blob"]), bytes(fields["wrapped"])
    return VaultEntry(**fields)


def _moment(value: Any) -> float | None:
    """Return a time of last use, which no code covers: whoever writes the database may have put anything there."""
    return value if isinstance(value, float) and 0.0 <= value < _LAST else None
