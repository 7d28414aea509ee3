"""The disk under a SQLite database: how much of it is left for keys, and the reserve that a revocation may take.

A full disk must not keep a stolen key alive (CWE-400, CWE-636). So the record stops while operators' acts still fit. If
something else has filled the disk to the last byte, mcpward gives up a file of real blocks.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from mcpward.traffic.sink import NoRoom

_MOST: Final = 4 * 1024 * 1024
#: The largest part of a small disk that mcpward takes for one purpose.
_PART: Final = 16
_SQLITE_FULL: Final = 13
_BLOCK: Final = 512


class Disk:
    """Made for the database at ``path``, whose folder exists. Sizes are bytes.

    ``floor`` is what the record leaves free. ``journal`` is how large the write-ahead log is meant to become.
    """

    def __init__(self, path: Path) -> None:
        self._database = path
        self._folder = path.parent
        self._reserve = path.with_name(f"{path.name}-reserve")
        self._wal = path.with_name(f"{path.name}-wal")
        stat = os.statvfs(self._folder)
        self.floor = self.journal = self.reserve = min(_MOST, stat.f_blocks * stat.f_frsize // _PART)

    def free(self) -> int:
        """Return what is free for the service's user."""
        stat = os.statvfs(self._folder)
        return stat.f_bavail * stat.f_frsize

    def require_room(self) -> None:
        """Raise :class:`NoRoom` if less is free than is left for keys and revocations."""
        if self.free() < self.floor:
            raise NoRoom

    def growth(self) -> int:
        """Return how much the database's file may grow; its log may still become twice as large as it is meant to."""
        return max(0, self.free() - self.floor - max(0, 2 * self.journal - self.log_size()))

    def log_size(self) -> int:
        """Return the size of the write-ahead log."""
        with suppress(OSError):
            return self._wal.stat().st_size
        return 0

    @property
    def has_reserve(self) -> bool:
        """Whether the reserve is there, in real blocks."""
        with suppress(OSError):
            return self._reserve.stat().st_blocks * _BLOCK >= self.reserve
        return False

    def fill_reserve(self) -> None:
        """Make the reserve if it is missing and there is room for it beside what must stay free."""
        if self.has_reserve or self.free() < self.reserve + 2 * self.floor:
            return
        handle = os.open(self._reserve, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(handle, 0, self.reserve)
        except OSError:
            with suppress(OSError):
                self._reserve.unlink()
        finally:
            os.close(handle)

    def release_reserve(self) -> bool:
        """Give up the reserve if the disk is full. Return whether there was one, and there is room now."""
        if self.free() >= self.floor:
            return False
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return True


def is_full(error: BaseException | None) -> bool:
    """Return whether an error says that the disk is full, the driver's own or one that SQLAlchemy wraps."""
    cause = getattr(error, "orig", None) or error
    return isinstance(cause, NoRoom) or getattr(cause, "sqlite_errorcode", 0) & 0xFF == _SQLITE_FULL
