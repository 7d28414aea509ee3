"""What the record asks of the store that keeps it."""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from mcpward.traffic.row import Row


class NoRoom(Exception):
    """The disk has no room for another row. What keys and revocations need is left on it."""


class Usage(Struct, frozen=True):
    """What the database takes on disk, in bytes: ``used`` by its content; ``free`` within its file.

    ``growth`` is what its files may still grow by before the disk counts as full; None where that is not known.
    """

    used: int
    free: int
    growth: int | None = None


class RecordSink(Protocol):
    """Where records are kept, a port of the storage package. ``columns`` names what each value of a row is.

    What writes raises :class:`NoRoom` when the disk is full.
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
        """Raise :class:`NoRoom` where the disk is full. Writes nothing."""
        ...

    async def try_write(self) -> None:
        """Write something small. Raises what a row would meet: :class:`NoRoom`, or what the store raises."""
        ...

    async def tend(self) -> None:
        """Give back what is not needed on disk, and fill up the reserve of revocations where there is room again."""
        ...
