"""Sealed secrets by server and name. What is inside is for ``vault`` to know."""

from sqlalchemy import select

from mcpward.core.clock import Clock
from mcpward.storage.lanes import Lanes
from mcpward.storage.register import Register
from mcpward.storage.tables import SECRETS


class SecretTable:
    """Fits ``vault.store.SealedValues``."""

    def __init__(self, lanes: Lanes, register: Register, clock: Clock) -> None:
        self._lanes = lanes
        self._register = register
        self._clock = clock

    async def set(self, server: str, name: str, blob: bytes) -> None:
        """Keep ``blob`` in the place of whatever was there. On the disk when the call returns."""
        async with self._register.changing() as changes:
            for row in await changes.find(SECRETS.c.server == server, SECRETS.c.name == name):
                await changes.remove(row)
            await changes.insert({"server": server, "name": name, "blob": blob, "set_at": self._clock.now()})

    async def get(self, server: str, name: str) -> bytes | None:
        """Give what is kept, or None."""
        statement = select(SECRETS.c.blob).where(SECRETS.c.server == server, SECRETS.c.name == name)
        async with self._lanes.read() as connection:
            blob = (await connection.execute(statement)).scalar_one_or_none()
        return None if blob is None else bytes(blob)

    async def list(self, server: str) -> dict[str, bytes]:
        """Give all that is kept for ``server``, by name, in the order of names."""
        statement = select(SECRETS.c.name, SECRETS.c.blob).where(SECRETS.c.server == server).order_by(SECRETS.c.name)
        async with self._lanes.read() as connection:
            return {row.name: bytes(row.blob) for row in (await connection.execute(statement)).all()}

    async def remove(self, server: str, name: str) -> bool:
        """Forget; says whether there was anything."""
        async with self._register.changing() as changes:
            found = await changes.find(SECRETS.c.server == server, SECRETS.c.name == name)
            for row in found:
                await changes.remove(row)
        return bool(found)
