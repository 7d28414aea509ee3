"""The record's port to the store that keeps it."""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from mcpward.traffic.row import Row


class NoRoom(Exception):
    """The disk has no space for another row. The space for keys and revocations is left on it."""


class Usage(Struct, frozen=True):
    """The database's space on disk, in bytes: ``used`` by its content; ``free`` within its file.

    ``growth`` is how much its files may still grow before the disk counts as full; None if that is not known.
    """

    used: int
    free: int
    growth: int | None = None


class RecordSink(Protocol):
    """The store of records, a port of the storage package. ``columns`` names the values of a row.

    Methods that write raise :class:`NoRoom` if the disk is full.
    """

    async def append(self, columns: tuple[str, ...], rows: list[Row]) -> None:
        """Keep these rows, all or none."""
        ...

    async def append_intent(self, columns: tuple[str, ...], row: Row) -> None:
        """Keep this row, and return only when it would survive a power cut."""
        ...

    async def prune(self, before: float) -> object:
        """Forget what is older than ``before`` (seconds since 1970)."""
        ...

    async def prune_oldest(self, chain: str, rows: int) -> int:
        """Forget up to so many rows from the oldest end of a chain. Return how many there were."""
        ...

    async def counts(self) -> Mapping[str, int]:
        """Return how many rows each chain has."""
        ...

    async def usage(self) -> Usage:
        """Return what the database takes on disk."""
        ...

    async def require_room(self) -> None:
        """Raise :class:`NoRoom` if the disk is full. Writes nothing."""
        ...

    async def try_write(self) -> None:
        """Write something small. Raises what a row would meet: :class:`NoRoom`, or what the store raises."""
        ...

    async def tend(self) -> None:
        """Give back what is not needed on disk, and fill up the reserve of revocations if there is room again."""
        ...
