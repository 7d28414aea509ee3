"""A small file of fixed size outside of the database: what it ended with, so that an older copy of it is noticed.

Two places, each overwritten in turn: a write that the power cut short leaves the other one whole. The file never grows,
so it can be written when the disk is full. What it holds is sealed by its owner, who also says how new it is.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

#: A page of most disks and file systems: a place is written whole or not at all.
_PLACE: Final = 4096
_LENGTH: Final = 2
LONGEST: Final = _PLACE - _LENGTH
NumberOf = Callable[[bytes], int | None]


class RecordMark:
    """``number_of`` says how new a content is, and None for what its owner did not write."""

    def __init__(self, path: Path, number_of: NumberOf) -> None:
        self.path = path
        self._number_of = number_of
        #: What each place held when it was last looked at: most often nobody else has written since.
        self._seen: dict[int, tuple[bytes, int]] = {}

    def read(self) -> bytes | None:
        """Return the newest content; None where there is no file, or nothing of ours in it.

        Raises ``OSError`` if the file cannot be read.
        """
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        try:
            return max(self._contents(handle))[1] or None
        finally:
            os.close(handle)

    def advance(self, content: bytes) -> None:
        """Keep ``content`` unless a newer one is there; the file is made if it is missing.

        Raises ``OSError`` if it cannot be written, ``ValueError`` for a content of more than :data:`LONGEST` bytes.
        """
        if len(content) > LONGEST:
            raise ValueError("the content of a mark is too long")
        number = self._number_of(content)
        with self._opened() as handle:
            newest, oldest = sorted(self._contents(handle), reverse=True)
            if number is not None and number > newest[0]:
                whole = (len(content).to_bytes(_LENGTH) + content).ljust(_PLACE, b"\0")
                os.pwrite(handle, whole, oldest[2])
                self._seen[oldest[2]] = (content, number)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """Open the file for this process alone; it has its full size from the start."""
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.fstat(handle).st_size < 2 * _PLACE:
                os.pwrite(handle, bytes(2 * _PLACE), 0)
            yield handle
        finally:
            os.close(handle)

    def _contents(self, handle: int) -> list[tuple[int, bytes, int]]:
        """Return number, content and offset of both places; -1 and nothing for what is none of ours."""
        contents = []
        for offset in (0, _PLACE):
            place = os.pread(handle, _PLACE, offset)
            content = place[_LENGTH : _LENGTH + int.from_bytes(place[:_LENGTH])]
            seen, number = self._seen.get(offset, (None, -1))
            if content != seen:
                found = self._number_of(content) if content else None
                number = -1 if found is None else found
                self._seen[offset] = (content, number)
            contents.append((number, content if number >= 0 else b"", offset))
        return contents
