"""Fingerprints of what servers offer, with those that are approved. A pin cannot be written, moved or taken away
without the master key.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import asdict
from sqlalchemy import select

from mcpward.storage.connections import Connections
from mcpward.storage.register import Changes, FollowedRecords, Register
from mcpward.storage.tables import PINS
from mcpward.tools.pin import Pin, pin_id

_Row = dict[str, Any]


class PinTable:
    """All pins. Rows that are read were written by a holder of the master key, or :class:`Untrusted` is raised."""

    def __init__(self, connections: Connections, register: Register) -> None:
        self._connections = connections
        self._register = register

    async def list(self, server: str) -> Sequence[Pin]:
        """Return a server's pins by kind and name."""
        statement = select(PINS).where(PINS.c.server == server).order_by(PINS.c.kind, PINS.c.name)
        async with self._connections.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [_pin(self._register.opened(row)) for row in rows]

    @asynccontextmanager
    async def changing(self, server: str) -> AsyncIterator["PinTransaction"]:
        """Open a transaction over a server's pins; it is on the disk when the block has been left."""
        async with self._register.changing() as changes:
            yield PinTransaction(changes, await changes.find(PINS.c.server == server))

    async def rename_server(self, old: str, new: str) -> int:
        """Carry a server's pins over to another name, in the place of those it has. Return how many there were."""
        async with self._register.changing() as changes:
            found = await changes.find(PINS.c.server == old)
            for row in await changes.find(PINS.c.server == new) if found else ():
                await changes.remove(row)
            for row in found:
                await changes.remove(row)
                await changes.insert(row | {"id": pin_id(new, row["kind"], row["name"]), "server": new})
        return len(found)

    def follow(self) -> FollowedRecords[Pin]:
        """Return a reader of what changes."""
        return FollowedRecords(self._register, _pin)


class PinTransaction:
    """One transaction over the pins of a server. ``pins`` are those within it, by id."""

    def __init__(self, changes: Changes, rows: Sequence[_Row]) -> None:
        self._changes = changes
        self._rows = {row["id"]: row for row in rows}

    @property
    def pins(self) -> Mapping[str, Pin]:
        """The pins as they are within the transaction."""
        return {known: _pin(row) for known, row in self._rows.items()}

    async def put(self, pin: Pin) -> None:
        """Add a pin, or change the one with its id."""
        before, values = self._rows.get(pin.id), asdict(pin)
        if before is None:
            await self._changes.insert(values)
        else:
            await self._changes.change(before, **values)
        self._rows[pin.id] = values | {"revision": self._changes.revision}

    async def remove(self, pin: Pin) -> None:
        """Remove a pin."""
        await self._changes.remove(self._rows.pop(pin.id))


def _pin(row: Mapping[str, Any]) -> Pin:
    fields = {name: value for name, value in row.items() if name != "mac"}
    fields["seen_entry"] = bytes(fields["seen_entry"])
    if fields["approved_entry"] is not None:
        fields["approved_entry"] = bytes(fields["approved_entry"])
    return Pin(**fields)
