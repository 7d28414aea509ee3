"""Which workers serve a site's data now, told by locks on files: the system takes a dead process's lock away itself."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_FOLDER: Final = "workers"


@contextmanager
def present(data: Path, worker: str) -> Iterator[None]:
    """Be found by :func:`find_worker` in this block. ``worker`` is the name in the mail, which has no slash."""
    folder = data / _FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / worker
    descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        file.unlink(missing_ok=True)
        os.close(descriptor)


def find_worker(data: Path) -> str | None:
    """Return the name of a worker that serves these data now; None where none does. Removes what dead ones left."""
    try:
        files = sorted((data / _FOLDER).iterdir())
    except OSError:
        return None
    for file in files:
        with suppress(OSError):
            descriptor = os.open(file, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.name
            else:
                file.unlink(missing_ok=True)
            finally:
                os.close(descriptor)
    return None
