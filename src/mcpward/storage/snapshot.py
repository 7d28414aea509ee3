"""A copy of a SQLite database that is in use, whole and of one moment; and whether any process has it in use.

By SQLite's own backup, never by copying files: a copied file lacks what stands in the write-ahead log, and may hold the
half of a write.
"""

import fcntl
import os
import sqlite3
import struct
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from mcpward.core.errors import Unreachable
from mcpward.storage import sqlite
from mcpward.storage.migrations import LATEST

#: The byte of the shared-memory file that every connection holds a lock on (SQLite, wal.c: WIN_SHM_DMS, UNIX_SHM_DMS).
_IN_USE: Final = 128
#: ``struct flock`` of Linux: type, whence, start, length, process.
_FLOCK: Final = "hhqqi4x"
_COUNTED: Final = {
    "keys": "SELECT COUNT(*) FROM api_keys",
    "urls": "SELECT COUNT(*) FROM unlisted_urls",
    "secrets": "SELECT COUNT(*) FROM vault WHERE kind = 'secret' AND ends_at IS NULL",
    "records": "SELECT COUNT(*) FROM traffic",
}
#: The step that made the table ``vault``; a backup may be older.
_VAULT: Final = 14
_EARLIER_SECRETS: Final = "SELECT COUNT(*) FROM secrets"


class Snapshot(Struct, frozen=True):
    """The contents of a copy: the site's id, the schema, and the number of rows by what they are."""

    site: str
    schema: int
    rows: dict[str, int]


def take(database: Path, copy: Path) -> Snapshot:
    """Copy a database that may be in use to a new file of mode 0600. Blocking; writers are not held up.

    Raises:
        Unreachable: the database cannot be read, or the copy not be written or is not whole.
    """
    try:
        os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600))
        with closing(_opened(database, "mode=ro")) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)  # all pages in one step: one state, however much is written meanwhile
        return look(copy)
    except (sqlite3.Error, OSError) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise Unreachable(f"the database {database} cannot be copied: {said}", "is the disk full?") from None


def settle(copy: Path) -> None:
    """Have all of a closed database in its one file, so that it can be moved without the write-ahead log."""
    with closing(sqlite3.connect(copy)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def look(copy: Path) -> Snapshot:
    """Return what a copy holds, after a look at all of it.

    Raises:
        Misconfigured: it is no whole database of mcpward, or one of a newer release.
    """
    try:
        with closing(_opened(copy, "immutable=1")) as file:
            if file.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise sqlite.damaged(copy)
            (schema,) = file.execute("SELECT MAX(version) FROM mcpward_schema").fetchone()
            if schema is None or schema > LATEST:
                raise sqlite.newer(schema or 0, str(copy))
            found = file.execute("SELECT id FROM mcpward_site").fetchone()
            queries = _COUNTED if schema >= _VAULT else {**_COUNTED, "secrets": _EARLIER_SECRETS}
            rows = {name: file.execute(query).fetchone()[0] for name, query in queries.items()}
    except sqlite3.Error:
        raise sqlite.damaged(copy) from None
    return Snapshot(site=found[0] if found else "", schema=schema, rows=rows)


def user_of(database: Path) -> int | None:
    """Return the id of a process that has the database open, None if none has; our own does not count."""
    shared = database.with_name(f"{database.name}-shm")
    try:
        file = os.open(shared, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _IN_USE, 1, 0)
        kind, *_, process = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    finally:
        os.close(file)
    return None if kind == fcntl.F_UNLCK else process


def set_aside(database: Path, suffix: str) -> Path:
    """Rename a database that no process uses, with the files beside it, and return its new place.

    Raises ``OSError``.
    """
    for beside in ("-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            database.with_name(database.name + beside).rename(database.with_name(database.name + suffix + beside))
    return database.rename(database.with_name(database.name + suffix))


def _opened(database: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.absolute().as_uri()}?{how}", uri=True, timeout=sqlite.BUSY_MS / 1000)
