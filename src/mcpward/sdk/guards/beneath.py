"""Opens what lies below a folder, whatever is renamed or linked meanwhile: no look first, and no name used twice.

Linux has one call for it (openat2, since 5.6). Elsewhere each part of the path is opened from the descriptor of the one
before, and no link is followed (openat with O_NOFOLLOW).
"""

import ctypes
import errno
import os
import stat
import sys
from typing import Final

_OPENAT2: Final = 437
_NO_MAGICLINKS: Final = 0x02
_NO_SYMLINKS: Final = 0x04
_BENEATH: Final = 0x08
_RESOLVE: Final = _NO_MAGICLINKS | _NO_SYMLINKS | _BENEATH
#: What a kernel or a sandbox without the call answers.
_MISSING: Final = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL})
_TRIES: Final = 8
PATH: Final[int] = getattr(os, "O_PATH", 0)
"""Opens a name without what it stands for; 0 where the system has no such flag."""
_OF_PATH: Final = os.O_CLOEXEC | os.O_NOFOLLOW
#: A pipe must not wait for its other end, nor a terminal become ours.
_ALWAYS: Final = _OF_PATH | os.O_NONBLOCK | os.O_NOCTTY
is_supported: Final = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_beneath(folder: int, parts: tuple[str, ...], flags: int, mode: int = 0) -> int:
    """Return a descriptor of what ``parts`` name below the descriptor ``folder``. No part may be a link.

    Raises:
        OSError: as the system says; ELOOP, ENOTDIR or EXDEV for a link.
    """
    flags |= _OF_PATH if flags & PATH else _ALWAYS
    if not parts:
        return os.open(".", flags, dir_fd=folder)
    found = _openat2(folder, parts, flags, mode) if _has_openat2() else open_by_parts(folder, parts, flags, mode)
    if flags & PATH and stat.S_ISLNK(os.fstat(found).st_mode):  # O_PATH opens the last link itself
        os.close(found)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return found


def open_by_parts(folder: int, parts: tuple[str, ...], flags: int, mode: int = 0) -> int:
    """Do the same one part after the other, for systems without openat2."""
    here = folder
    try:
        for part in parts[:-1]:
            inner = os.open(part, PATH | os.O_DIRECTORY | _OF_PATH, dir_fd=here)
            if here != folder:
                os.close(here)
            here = inner
        return os.open(parts[-1], flags, mode, dir_fd=here)
    finally:
        if here != folder:
            os.close(here)


def _openat2(folder: int, parts: tuple[str, ...], flags: int, mode: int) -> int:
    assert _syscall is not None  # it was asked for
    how = _How(flags, mode if flags & os.O_CREAT else 0, _RESOLVE)
    error = errno.EAGAIN
    path = "/".join(parts).encode()
    for _ in range(_TRIES):
        found = _syscall(_OPENAT2, folder, path, ctypes.byref(how), ctypes.sizeof(how))
        if found >= 0:
            return int(found)
        error = ctypes.get_errno()
        if error not in {errno.EAGAIN, errno.EINTR}:  # EAGAIN: something was renamed meanwhile
            break
    raise OSError(error, os.strerror(error))


_syscall: Final = ctypes.CDLL(None, use_errno=True).syscall if sys.platform == "linux" else None
_known: list[bool] = []


def _has_openat2() -> bool:
    """Return whether the call is there, asked once: old kernels and some sandboxes refuse it."""
    if not _known:
        _known.append(_is_there())
    return _known[0]


def _is_there() -> bool:
    if _syscall is None:
        return False
    folder = os.open("/", PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.close(_openat2(folder, (".",), PATH | os.O_CLOEXEC, 0))
    except OSError as error:
        return error.errno not in _MISSING
    finally:
        os.close(folder)
    return True
