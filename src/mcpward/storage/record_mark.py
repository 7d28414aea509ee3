"""The end of the record, in a file of two slots outside of the database: an older copy of it is noticed.

Unlike the mark of the store it is written with every batch of records, and therefore not waited for; and its content is
sealed by its owner, who also says how new it is.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mcpward.storage import slots

_LENGTH: Final = 2
LONGEST: Final = slots.SLOT - _LENGTH
NumberOf = Callable[[bytes], int | None]


class RecordMark:
    """``number_of`` says how new a content is, and None for what its owner did not write."""

    def __init__(self, path: Path, number_of: NumberOf) -> None:
        self.path = path
        self._number_of = number_of
        #: The last known contents of each slot: most often no other process has written since.
        self._seen: dict[int, tuple[bytes, int]] = {}

    def read(self) -> bytes | None:
        """Return the newest content; None if there is no file, or nothing of ours in it.

        Raises ``OSError`` if the file cannot be read.
        """
        try:
            with slots.opened(self.path, os.O_RDONLY, None) as handle:
                return max(self._contents(handle))[1] or None
        except FileNotFoundError:
            return None

    def advance(self, content: bytes) -> None:
        """Keep ``content`` unless a newer one is there; the file is made if it is missing.

        Raises ``OSError`` if it cannot be written, ``ValueError`` for a content of more than :data:`LONGEST` bytes.
        """
        if len(content) > LONGEST:
            raise ValueError("the content of a mark is too long")
        number = self._number_of(content)
        with slots.opened(self.path, os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX) as handle:
            if os.fstat(handle).st_size < 2 * slots.SLOT:
                os.pwrite(handle, bytes(2 * slots.SLOT), 0)
            newest, oldest = sorted(self._contents(handle), reverse=True)
            if number is not None and number > newest[0]:
                slots.write_slot(handle, oldest[2], len(content).to_bytes(_LENGTH) + content)
                self._seen[oldest[2]] = (content, number)

    def _contents(self, handle: int) -> list[tuple[int, bytes, int]]:
        """Return number, content and place of both slots; -1 and nothing for what is none of ours."""
        contents = []
        for at, slot in enumerate(slots.read_slots(handle)):
            content = slot[_LENGTH : _LENGTH + int.from_bytes(slot[:_LENGTH])]
            seen, number = self._seen.get(at, (None, -1))
            if content != seen:
                found = self._number_of(content) if content else None
                number = -1 if found is None else found
                self._seen[at] = (content, number)
            contents.append((number, content if number >= 0 else b"", at))
        return contents
