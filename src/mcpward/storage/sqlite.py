"""The specifics of a SQLite file: where it lies, whether it is whole, and how each connection is set.

Looks before it writes: a damaged file, a foreign one or one of a newer mcpward is left byte for byte as it was.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL

from mcpward.core.errors import Finding, Misconfigured, Unreachable
from mcpward.storage.migrations import LATEST
from mcpward.storage.permissions import make_private

BUSY_MS: Final = 5000
# A whole look costs about 3 ms per MiB; beyond this size only the small tables that guard mcpward are looked at.
_LOOK_WHOLE: Final = 64 * 1024 * 1024
_SMALLEST_PAGE: Final = 512
_PAGE: Final = 4096
_LEAST_PAGES: Final = 16
_GUARDING: Final = ("mcpward_schema", "api_keys", "unlisted_urls", "vault", "revisions")
_DAMAGED_HINT: Final = "restore it from a backup, or move it away to start again (without its keys and records)"


def prepare(path: Path) -> None:
    """Make the file (0600, in a 0700 folder) or look at the one that is there, and switch it to write-ahead logging.

    A database of ours that group or others may read is made private.

    Raises :class:`Misconfigured` with one finding, the file unchanged: damaged, foreign, newer, not ours to open.
    Raises :class:`Unreachable` when another process holds the file locked.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone_in(path.parent):  # switching the journal does not wait for locks: workers take turns
            if not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            else:
                _look(path)
                make_private(path)
            with closing(sqlite3.connect(path, timeout=BUSY_MS / 1000)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise Unreachable(f"the database {path} is locked by another process") from None
        raise Misconfigured([Finding(f"the database cannot be opened: {error}", str(path))]) from None
    except sqlite3.DatabaseError:
        raise damaged(path) from None
    except OSError as error:
        raise Misconfigured([Finding(f"the database cannot be opened: {error.strerror}", str(path))]) from None


File = tuple[int, int]
"""The identity of a file, whatever its name: device and inode."""


def file_of(url: URL) -> File | None:
    """Return which file stands at the URL now; None if there is none, or the database is none of SQLite's."""
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    try:
        state = Path(url.database).stat()
    except FileNotFoundError:
        return None
    return state.st_dev, state.st_ino


def damaged(path: Path) -> Misconfigured:
    """Return the one finding for a file that is no whole database."""
    return Misconfigured([Finding("the database is damaged, or is not a SQLite database", str(path), _DAMAGED_HINT)])


def newer(version: int, where: str) -> Misconfigured:
    """Return the one finding for a database that a later mcpward has taken over."""
    what = f"the database has schema {version}, this mcpward supports up to {LATEST}"
    return Misconfigured([Finding(what, where, "run the newer mcpward that wrote it")])


def tune(connection: Any, journal: int, *, is_durable: bool) -> None:
    """Set one connection. Durable: a commit returns when the disk has it; else it may be lost with the power.

    ``journal`` is how many bytes the write-ahead log is meant to take: then it is moved into the database, and its
    file is cut back to that when it begins anew.
    """
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA trusted_schema=OFF")
    cursor.execute(f"PRAGMA wal_autocheckpoint={max(_LEAST_PAGES, journal // _PAGE)}")
    cursor.execute(f"PRAGMA journal_size_limit={journal}")
    cursor.execute(f"PRAGMA synchronous={'FULL' if is_durable else 'NORMAL'}")
    cursor.close()


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    # Never a lock on the file itself: closing it would drop the locks that SQLite holds in this process (POSIX).
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _look(path: Path) -> None:
    """Read-only: nothing of the file is changed, whatever is found, and nothing is left beside it."""
    journal = path.with_name(f"{path.name}-wal")
    if not journal.exists():  # no process has it open: this option makes SQLite write no journal of its own
        try:
            _judge(path, "immutable=1")
            return
        except (Misconfigured, sqlite3.DatabaseError):
            if not journal.exists():
                raise
        # Another process has opened it meanwhile: what was seen may be half of a write.
    _judge(path, "mode=ro")


def _judge(path: Path, how: str) -> None:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=BUSY_MS / 1000)) as file:
        tables = {name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables:
            if 0 < path.stat().st_size < _SMALLEST_PAGE:  # SQLite would take these few bytes for an empty database
                raise damaged(path)
            return
        if "mcpward_schema" not in tables:
            what = "the database belongs to another program"
            raise Misconfigured([Finding(what, str(path), "choose another file in store.url")])
        checks = [""] if path.stat().st_size <= _LOOK_WHOLE else [f"('{name}')" for name in _GUARDING if name in tables]
        if any(file.execute(f"PRAGMA quick_check{check}").fetchone() != ("ok",) for check in checks):
            raise damaged(path)
        (version,) = file.execute("SELECT MAX(version) FROM mcpward_schema").fetchone()
        if version is None or version > LATEST:
            raise newer(version or 0, str(path))
