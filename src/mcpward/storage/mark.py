"""The last state of the store, in a small signed file outside of the database: an older copy of the database is
noticed.

Each of the two slots has a code of its own. The mark follows the database and is never ahead of the commits on the
disk, so a process may be killed at any point.

An attacker that can put back an older copy of this file together with the database goes unnoticed. Keep the mark where
those who write the database cannot write (``store.mark``).
"""

import fcntl
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import DecodeError, Struct, json
from msgspec.structs import replace

from mcpward.core.errors import Finding, Misconfigured, Untrusted
from mcpward.crypto.mac import MAC_BYTES, RingMac
from mcpward.storage import slots

_MAGIC: Final = b"mcpward-mark-1\n\0"
_HEAD: Final = len(_MAGIC) + MAC_BYTES + 4


class Standing(Struct, frozen=True):
    """The value of a counter. ``digest`` is that of all rows under it, "" if the number identifies them."""

    revision: int
    digest: str = ""


class Marked(Struct, frozen=True):
    """The contents of the mark. ``is_open`` while a database is being taken over, which may not have been committed.

    ``is_restored`` after a restore from a backup, until an operator has accepted the older state.
    """

    site: str
    at: float
    standings: dict[str, Standing]
    is_open: bool = False
    number: int = 0
    is_restored: bool = False


class Mark:
    """The mark of one site. Blocking: a few hundred microseconds to read, as long as the disk takes to write."""

    def __init__(self, path: Path, mac: RingMac) -> None:
        self.path = path
        self._mac = mac

    def read(self) -> Marked | None:
        """Return what the mark says; None if there is no file.

        Raises:
            Untrusted: neither slot was written with this master key.
            Misconfigured: the file cannot be read.
        """
        try:
            with slots.opened(self.path, os.O_RDONLY, fcntl.LOCK_SH) as file:
                return self._newest(file)[1]
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable("read", error) from None

    def write(self, marked: Marked) -> None:
        """Set the mark, whatever it said before; makes the file if there is none, whole or not at all.

        Raises:
            Misconfigured: the file cannot be written.
        """
        try:
            if not os.path.lexists(self.path):
                self._create(marked)
                return
            with slots.opened(self.path, os.O_RDWR, fcntl.LOCK_EX) as file:
                number = 0
                with suppress(Untrusted):
                    number = self._newest(file)[1].number
                for each in (number + 1, number + 2):  # both: the older one must not come back
                    self._put(file, replace(marked, number=each))
        except OSError as error:
            raise self._unusable("written", error) from None

    def advance(self, site: str, standings: Mapping[str, Standing], at: float) -> None:
        """Take over the state that a commit has put on the disk. A state that is older than the mark changes nothing.

        Raises:
            Untrusted: the mark is another site's, or was not written with this master key.
            Misconfigured: the file cannot be written, or is gone.
        """
        try:
            with slots.opened(self.path, os.O_RDWR, fcntl.LOCK_EX) as file:
                marked = self._newest(file)[1]
                if marked.site != site:
                    raise Untrusted("the mark of the store belongs to another site", str(self.path))
                known = marked.standings
                newer = {
                    name: standing
                    for name, standing in standings.items()
                    if name not in known or standing.revision > known[name].revision
                }
                if newer or marked.is_open:
                    number = marked.number + 1
                    self._put(file, replace(marked, at=at, standings=known | newer, is_open=False, number=number))
        except OSError as error:
            raise self._unusable("written", error) from None

    def _newest(self, file: int) -> tuple[int, Marked]:
        """Return the slot that was written last, and what it says."""
        read = [(at, self._parse(slot)) for at, slot in enumerate(slots.read_slots(file))]
        whole = [(at, marked) for at, marked in read if marked is not None]
        if not whole:
            what = "the mark of the store is damaged, or was made with another master key"
            raise Untrusted(what, str(self.path), "restore the master key; or see mcpward store accept-older")
        return max(whole, key=lambda each: each[1].number)

    def _parse(self, slot: bytes) -> Marked | None:
        size = int.from_bytes(slot[_HEAD - 4 : _HEAD])
        text = slot[_HEAD : _HEAD + size]
        code = slot[len(_MAGIC) : len(_MAGIC) + MAC_BYTES]
        if not slot.startswith(_MAGIC) or len(text) != size or not self._mac.matches(text, code):
            return None
        try:
            return json.decode(text, type=Marked)
        except DecodeError:  # of a newer release
            return None

    def _put(self, file: int, marked: Marked) -> None:
        """Overwrite the slot that was not written last."""
        slots.write_slot(file, marked.number % 2, self._slot(marked))
        os.fdatasync(file)

    def _slot(self, marked: Marked) -> bytes:
        text = json.encode(marked)
        return slots.filled(_MAGIC + self._mac.make(text) + len(text).to_bytes(4) + text)

    def _create(self, marked: Marked) -> None:
        draft = self.path.with_name(self.path.name + ".new")
        draft.unlink(missing_ok=True)
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            os.write(file, self._slot(replace(marked, number=0)) + self._slot(replace(marked, number=1)))
            os.fsync(file)
        finally:
            os.close(file)
        draft.rename(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _unusable(self, how: str, error: OSError) -> Misconfigured:
        what = f"the mark of the store cannot be {how}: {error.strerror}"
        return Misconfigured([Finding(what, str(self.path), "check store.mark, and the write permissions there")])
