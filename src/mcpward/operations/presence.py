"""The workers that serve a site's data now, found by locks on files: the system takes a dead process's lock away
itself.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_log: Final = logging.getLogger("mcpward")
_FOLDER: Final = "workers"
#: Begins the name of a file whose lock may not be taken yet.
_DRAFT: Final = "."


@contextmanager
def present(data: Path, worker: str) -> Iterator[None]:
    """Be found by :func:`find_worker` in this block. ``worker`` is the name on the bus, which has no slash.

    A worker that cannot be found serves all the same, and the log says so: it listens already.
    """
    file = data / _FOLDER / worker
    try:
        descriptor = _locked(file)
    except OSError as error:
        _log.warning("mcpward call cannot find this worker: %s: %s", file, error.strerror)
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError):  # a file without a lock is removed by the next process that looks
            file.unlink(missing_ok=True)
        os.close(descriptor)


def _locked(file: Path) -> int:
    """Make a file that is locked from the moment on at which it can be seen: one without a lock is a dead worker's."""
    file.parent.mkdir(mode=0o700, exist_ok=True)
    draft = file.with_name(_DRAFT + file.name)
    descriptor = os.open(draft, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        draft.rename(file)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def find_worker(data: Path) -> str | None:
    """Return the name of a worker that serves these data now; None if none does. Removes what dead ones left."""
    try:
        files = sorted(file for file in (data / _FOLDER).iterdir() if not file.name.startswith(_DRAFT))
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
