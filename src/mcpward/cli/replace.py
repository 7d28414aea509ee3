"""Writes a whole file at once: a reader sees the old content or the new, never half of it."""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path


def replace_file(file: Path, content: bytes, *, mode: int | None = None) -> None:
    """Write beside the file, flush to disk, rename over it.

    An existing file keeps its mode and, as far as that is allowed, its owner; a new one is for its owner only.

    Raises:
        OSError: the file cannot be written; the old one is still there.
    """
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name[:100]}.")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as beside:
            beside.write(content)
            beside.flush()
            with suppress(FileNotFoundError):
                now = file.stat()
                with suppress(PermissionError):
                    os.chown(name, now.st_uid, now.st_gid)
                beside_mode = stat.S_IMODE(now.st_mode) & 0o777
                Path(name).chmod(beside_mode if mode is None else mode)
            os.fsync(beside.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
