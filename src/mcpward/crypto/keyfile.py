"""The file that holds the master key: made once, whole or not at all, and readable only by its owner."""

import fcntl
import os
import stat
from base64 import urlsafe_b64encode
from codecs import BOM_UTF8
from pathlib import Path
from typing import Final

from mcpward.core.errors import Finding, Misconfigured

_LONGEST: Final = 4096
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def read_or_create(path: Path, size: int) -> str:
    """Return the file's text; if there is none, first make one with ``size`` random bytes in base64url.

    Raises :class:`Misconfigured` when the file or its folder is open to others, or cannot be read or made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_private(path.parent.stat(), _OTHERS_WRITE, path.parent, "chmod 700")
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)  # several workers start at once: one makes the key, all read it
            if not os.path.lexists(path):
                _create(path, urlsafe_b64encode(os.urandom(size)).rstrip(b"=") + b"\n")
                os.fsync(folder)
        finally:
            os.close(folder)
        return _read(path, os.O_NOFOLLOW, _OTHERS)
    except OSError as error:
        raise _unusable(path, error) from None


def read_mounted(path: Path) -> str:
    """Return the text of a file that another program manages, such as a mounted secret.

    Those are often readable by all inside their own container, so only a file that others may *write* is refused.
    """
    try:
        return _read(path, 0, _OTHERS_WRITE)
    except OSError as error:
        raise _unusable(path, error) from None


def _create(path: Path, content: bytes) -> None:
    """Write beside and rename: a crash leaves either no key or a whole one."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        os.write(file, content)
        os.fsync(file)
    finally:
        os.close(file)
    draft.rename(path)


def _read(path: Path, flags: int, forbidden: int) -> str:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        state = os.fstat(file)  # of what was opened, not of what the name means a moment later
        _require_private(state, forbidden, path, "chmod 600")
        if not stat.S_ISREG(state.st_mode) or state.st_size > _LONGEST:
            raise Misconfigured([Finding("the master key is not a small regular file", str(path))])
        return os.read(file, _LONGEST).removeprefix(BOM_UTF8).decode("ascii")
    except UnicodeDecodeError:
        raise Misconfigured([Finding("the master key is not well-formed", str(path))]) from None
    finally:
        os.close(file)


def _require_private(state: os.stat_result, forbidden: int, path: Path, command: str) -> None:
    if state.st_mode & forbidden:
        what = "other users may read or change the place of the master key"
        raise Misconfigured(
            [Finding(what, str(path), f"{command} {path}; create a new key if the old one may have been read")]
        )
    if state.st_uid not in (os.geteuid(), 0):
        raise Misconfigured([Finding("the place of the master key belongs to another user", str(path))])


def _unusable(path: Path, error: OSError) -> Misconfigured:
    return Misconfigured([Finding(f"the master key cannot be read: {error.strerror}", str(path))])
