"""The file for the first key and the secret URL if no terminal shows them; only its owner can read it (attack 135).

Log collectors keep the stdout of a service or a container, and all readers of those logs can see it.
"""

import os
from pathlib import Path
from typing import Final

from mcpward.core.secret import Secret

_PRIVATE: Final = 0o600
_LONGEST: Final = 4096


def file_for(data: Path, what: str, server: str) -> Path:
    """Return the file of a server's first credential in the data folder; ``what`` is ``key`` or ``url``."""
    return data / f"first-{what}-{server}"


def put(path: Path, text: Secret) -> None:
    """Write a credential to a new file of mode 0600, whatever file or link had its name.

    Raises:
        OSError: it cannot be written; nothing is left of it then.
    """
    path.unlink(missing_ok=True)  # of a site that has no credential: nothing in it opens anything
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE)
    try:
        with os.fdopen(file, "w", encoding="ascii") as written:
            os.fchmod(written.fileno(), _PRIVATE)  # a umask may have taken the owner's rights too
            written.write(f"{text.reveal()}\n")
            written.flush()
            os.fsync(written.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def left(path: Path) -> str | None:
    """Return what a file of an earlier start holds; None if there is none."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(file, "rb") as found:
        return found.read(_LONGEST).decode("ascii", "replace").strip()


def rename_file(data: Path, old: str, new: str) -> None:
    """Move a first key that was not collected yet to where the next start looks for it, after its server was
    renamed.
    """
    was, now = (file_for(data, "key", name) for name in (old, new))
    if was.exists() and not now.exists():
        was.rename(now)
