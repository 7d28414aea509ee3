"""Copies of a client's file from before a change, beside it and only for its owner; the newest five are kept.

A copy's name states the changed server and the file's content afterwards. An undo restores the whole file if it is
still that, and only the one server if the client has written to the file since.
"""

import re
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from msgspec import Struct

from mcpward.cli.replace import replace_file

_MOST: Final = 5
_NAME: Final = re.compile(r"\.mcpward-backup\.([1-9][0-9]{0,8})\.([a-z0-9][a-z0-9-]{0,62})\.([0-9a-f]{16})(\.new)?")


class Backup(Struct, frozen=True):
    """One copy. ``is_new``: there was no file before the change."""

    path: Path
    number: int
    server: str
    mark: str
    is_new: bool

    def is_current(self, content: bytes) -> bool:
        """Whether ``content`` is what the change had made of the file."""
        return self.mark == _mark(content)


def backups_of(file: Path) -> list[Backup]:
    """Return the copies of a file, oldest first."""
    kept = list[Backup]()
    with suppress(OSError):
        for path in file.parent.iterdir():
            fits = _NAME.fullmatch(path.name.removeprefix(file.name)) if path.name.startswith(file.name) else None
            if fits and path.is_file() and not path.is_symlink():
                kept.append(Backup(path, int(fits[1]), fits[2], fits[3], bool(fits[4])))
    return sorted(kept, key=lambda backup: backup.number)


def keep(file: Path, before: bytes | None, after: bytes, server: str) -> Path:
    """Write a copy of a file's present content; None if there is no file. Older copies beyond the fifth are deleted."""
    kept = backups_of(file)
    number = kept[-1].number + 1 if kept else 1
    ending = ".new" if before is None else ""
    path = file.with_name(f"{file.name}.mcpward-backup.{number}.{server}.{_mark(after)}{ending}")
    replace_file(path, before or b"", mode=0o600)
    for old in kept[: len(kept) + 1 - _MOST] if len(kept) >= _MOST else []:
        with suppress(OSError):
            old.path.unlink()
    return path


def _mark(content: bytes) -> str:
    return sha256(content).hexdigest()[:16]
