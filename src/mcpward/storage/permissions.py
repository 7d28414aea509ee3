"""Permissions of a site's files: only their owner may read or change them, whatever the umask or a copy made of them.

A user who may write the data folder may replace our database with one in which a revoked key is valid. Looks at the
folder itself, not at those above it.
"""

import os
import stat
from pathlib import Path
from typing import Final

from mcpward.core.errors import Finding, Misconfigured

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_PRIVATE: Final = 0o600
_BESIDE: Final = ("", "-wal", "-shm", "-journal")


def require_private_folder(folder: Path) -> None:
    """Refuse a folder that others may write, or that is neither ours nor root's.

    Raises :class:`Misconfigured` with one finding; ``OSError`` when the folder cannot be looked at.
    """
    state = folder.stat()
    if state.st_uid not in (os.geteuid(), 0):
        hint = "run as its owner, or choose another one with [site] data"
        raise Misconfigured([Finding("the data folder belongs to another user", str(folder), hint)])
    if state.st_mode & _OTHERS_WRITE:
        raise Misconfigured([Finding("other users may change the data folder", str(folder), f"chmod 700 {folder}")])


def make_private(database: Path) -> None:
    """Take the rights of group and others from a database and the files that SQLite keeps beside it.

    Raises :class:`Misconfigured` if one is open to others and not ours to change.
    """
    for suffix in _BESIDE:
        path = database.with_name(database.name + suffix)
        # Never opened: closing it would drop the locks that SQLite holds in this process (POSIX).
        if path.exists() and path.stat().st_mode & _OTHERS:
            _take_rights(path)


def _take_rights(path: Path) -> None:
    try:
        if path.is_symlink():  # it may lead to a file that is no database
            raise PermissionError
        path.chmod(_PRIVATE)
    except PermissionError:
        what = "other users may read or change the database, and mcpward is not its owner"
        raise Misconfigured([Finding(what, str(path), f"as its owner: chmod 600 {path.resolve()}")]) from None
