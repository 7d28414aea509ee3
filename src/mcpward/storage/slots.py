"""A small file of two slots outside of the database, overwritten in turn and in place.

A write that is cut off leaves the other slot whole, and a full disk hinders none: the file has its size from the start.
The owner of a slot decides its contents, its age and its writer.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

#: A page of most disks and file systems: a slot is written whole or not at all.
SLOT: Final = 4096


@contextmanager
def opened(path: Path, flags: int, lock: int | None) -> Iterator[int]:
    """Open the file, never through a link, and lock it: workers and commands are processes of their own.

    Raises ``OSError``, as for a file that is not there and is not to be made (``os.O_CREAT``).
    """
    file = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if lock is not None:
            fcntl.flock(file, lock)
        yield file
    finally:
        os.close(file)


def read_slots(file: int) -> tuple[bytes, bytes]:
    """Return what the slots hold, with the bytes that fill them up."""
    return os.pread(file, SLOT, 0), os.pread(file, SLOT, SLOT)


def write_slot(file: int, slot: int, content: bytes) -> None:
    """Overwrite a slot, 0 or 1. The caller puts on the disk what must survive a power cut."""
    os.pwrite(file, filled(content), slot * SLOT)


def filled(content: bytes) -> bytes:
    """Return a whole slot. Raises ``ValueError`` for a content that is longer than one."""
    if len(content) > SLOT:
        raise ValueError(f"a slot has no room for {len(content)} bytes")
    return content.ljust(SLOT, b"\0")
