"""Sealed secrets by server and name. Only ``vault`` knows their contents."""

from collections.abc import Callable

from sqlalchemy import func, select

from mcpward.core.clock import Clock
from mcpward.storage.connections import Connections
from mcpward.storage.register import Register
from mcpward.storage.tables import SECRETS


class SecretTable:
    """Fits ``vault.store.SealedValues``."""

    def __init__(self, connections: Connections, register: Register, clock: Clock) -> None:
        self._connections = connections
        self._register = register
        self._clock = clock

    async def set(self, server: str, name: str, blob: bytes) -> None:
        """Keep ``blob`` in the place of whatever was there. On the disk when the call returns."""
        async with self._register.changing() as changes:
            for row in await changes.find(SECRETS.c.server == server, SECRETS.c.name == name):
                await changes.remove(row)
            await changes.insert({"server": server, "name": name, "blob": blob, "set_at": self._clock.now()})

    async def get(self, server: str, name: str) -> bytes | None:
        """Return what is kept, or None."""
        statement = select(SECRETS.c.blob).where(SECRETS.c.server == server, SECRETS.c.name == name)
        async with self._connections.read() as connection:
            blob = (await connection.execute(statement)).scalar_one_or_none()
        return None if blob is None else bytes(blob)

    async def list(self, server: str) -> dict[str, bytes]:
        """Return all that is kept for ``server``, by name, in the order of names."""
        statement = select(SECRETS.c.name, SECRETS.c.blob).where(SECRETS.c.server == server).order_by(SECRETS.c.name)
        async with self._connections.read() as connection:
            return {row.name: bytes(row.blob) for row in (await connection.execute(statement)).all()}

    async def servers(self) -> dict[str, int]:
        """Return how many secrets are kept, by server."""
        statement = select(SECRETS.c.server, func.count()).group_by(SECRETS.c.server)
        async with self._connections.read() as connection:
            return {row[0]: row[1] for row in (await connection.execute(statement)).all()}

    async def rename_server(self, old: str, new: str, reseal: Callable[[str, bytes], bytes]) -> int:
        """Return a server's values to another name, as ``reseal`` makes them of name and value. Return how many.

        Raises ``LookupError`` with a name that both servers have, and whatever ``reseal`` raises; nothing was changed.
        """
        async with self._register.changing() as changes:
            found = await changes.find(SECRETS.c.server == old)
            taken = {row["name"] for row in await changes.find(SECRETS.c.server == new)}
            for row in found:
                if row["name"] in taken:
                    raise LookupError(row["name"])
                await changes.remove(row)
                await changes.insert(row | {"server": new, "blob": reseal(row["name"], bytes(row["blob"]))})
        return len(found)

    async def remove(self, server: str, name: str) -> bool:
        """Forget; says whether there was anything."""
        async with self._register.changing() as changes:
            found = await changes.find(SECRETS.c.server == server, SECRETS.c.name == name)
            for row in found:
                await changes.remove(row)
        return bool(found)
