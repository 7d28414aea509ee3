"""Files and folders that a guard has let through: accepted by name first, opened when the call runs, closed at its end.

The function never gets a name to open later: between a check and an opening a name can come to mean something else.
"""

import errno
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

from msgspec import Struct

from mcpward.sdk.errors import AuthoringError, ToolError
from mcpward.sdk.guards.beneath import PATH, open_beneath
from mcpward.sdk.guards.path_name import Unnamed, parts_of

_ROOT: Final = PATH | os.O_DIRECTORY | os.O_CLOEXEC
_MODE: Final = 0o640
_READABLE: Final = "the name of an existing file below the folder"
_NO_LINK: Final = "a path below the folder without links"
_FOLDERS: Final = "a path below the folder whose folders are folders, and not files or links"
#: What a caller may know of an error of the system; all other errors fail the call, with an error id.
_RULES: Final = {
    errno.ENOENT: _READABLE,
    errno.ENOTDIR: _FOLDERS,
    errno.ELOOP: _NO_LINK,
    errno.EXDEV: _NO_LINK,
    errno.EACCES: "a file that may be opened",
    errno.EPERM: "a file that may be opened",
    errno.EISDIR: "a file, and not a folder",
    errno.ENXIO: "a regular file",
    errno.EEXIST: "a new name: there is something of this name already",
    errno.ENAMETOOLONG: "a shorter path",
}


class PathBounds(Struct, frozen=True):
    """The limits of one guard: bytes of a file, entries of a folder, and the suffixes that names must have."""

    max_bytes: int
    max_entries: int
    suffixes: tuple[str, ...] = ()


class Unopened(Exception):
    """A file cannot be handed to the function. Its first argument is the rule, for the caller."""


class SafeOpening:
    """One accepted name below ``root``. ``name`` is relative, with ``/`` between folders."""

    def __init__(self, root: Path, parts: tuple[str, ...], bounds: PathBounds) -> None:
        self.name = "/".join(parts) or "."
        self._root = root
        self._parts = parts
        self._bounds = bounds
        self._file: io.FileIO | None = None

    @property
    def fd(self) -> int:
        """The descriptor, for libraries that take one. It is closed when the call ends: do not keep the number."""
        return self._opened().fileno()

    def fileno(self) -> int:
        """Return the same, as files do."""
        return self.fd

    def open_within(self, folder: int) -> None:
        """Open it below a descriptor. Raises :class:`Unopened`."""
        raise NotImplementedError

    def open(self) -> None:
        """Open it. Raises :class:`Unopened`, and OSError if the system is at fault."""
        root = os.open(self._root, _ROOT)
        try:
            self.open_within(root)
        except OSError as error:
            rule = _RULES.get(error.errno or 0)
            if rule is None:
                raise
            raise Unopened(rule) from None
        finally:
            os.close(root)

    def close(self) -> None:
        """Close it. Later reads fail, also those of a thread that outlives the call."""
        if self._file is not None:
            self._file.close()

    def discard(self) -> None:
        """Remove what opening it has created; called for a call that failed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _opened(self) -> io.FileIO:
        if self._file is None:
            raise ValueError("it is opened when the call runs")
        return self._file

    def _take(self, fd: int, mode: str) -> None:
        try:
            self._file = io.FileIO(fd, mode)
        except BaseException:
            os.close(fd)
            raise

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
        hint = f'write Annotated[{cls.__name__}, SafePath("folder")]'
        raise AuthoringError(f"{cls.__name__} has no folder", hint=hint)


class SafeFile(SafeOpening):
    """A file to read, open. It lies below the guard's folder, is a regular file, and was reached over no link."""

    size: int = 0
    """Bytes, when it was opened: at most the guard's ``max_bytes``."""
    _stream: io.BufferedReader | None = None

    def read_bytes(self) -> bytes:
        """Return the contents.

        Raises:
            ToolError: the file has grown beyond the guard's ``max_bytes`` meanwhile.
        """
        file, most = self._opened(), self._bounds.max_bytes
        file.seek(0)
        found = bytearray()
        while len(found) <= most and (piece := file.read(min(most + 1 - len(found), 1 << 20))):
            found += piece
        if len(found) > most:
            raise ToolError(f"the file has more than {most} bytes")
        return bytes(found)

    def read_text(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the contents as text.

        Raises:
            ToolError: as :meth:`read_bytes`; or the file is not text in that encoding.
        """
        try:
            return self.read_bytes().decode(encoding, errors)
        except UnicodeDecodeError:
            raise ToolError(f"the file is not text in {encoding}") from None

    @property
    def stream(self) -> io.BufferedReader:
        """The file as libraries read one, in binary. Closed when the call ends."""
        if self._stream is None:
            self._stream = io.BufferedReader(self._opened())
        return self._stream

    def close(self) -> None:
        """Close it, and the stream."""
        if self._stream is not None:
            self._stream.close()
        super().close()

    def open_within(self, folder: int) -> None:
        """Look at its kind before it is opened for reading: to open a device or a pipe may have effects."""
        _require_regular(folder, self._parts)
        self._take(open_beneath(folder, self._parts, os.O_RDONLY), "rb")
        seen = os.fstat(self.fd)
        if not stat.S_ISREG(seen.st_mode):
            self.close()
            raise Unopened("a regular file")
        if seen.st_size > self._bounds.max_bytes:
            self.close()
            raise Unopened(f"a file of at most {self._bounds.max_bytes} bytes; this one has {seen.st_size}")
        self.size = seen.st_size


class NewFile(SafeOpening):
    """A file to write, just created, and of this call alone: there was nothing of that name."""

    _written = 0
    _created: tuple[int, int] | None = None

    def write_bytes(self, data: bytes) -> None:
        """Append to what was written so far.

        Raises:
            ToolError: it would be larger than the guard's ``max_bytes``. Nothing of ``data`` is written.
        """
        most = self._bounds.max_bytes
        if self._written + len(data) > most:
            raise ToolError(f"a file may have at most {most} bytes")
        file, view = self._opened(), memoryview(data)
        while view:
            view = view[file.write(view) or 0 :]
        self._written += len(data)

    def write_text(self, text: str, encoding: str = "utf-8") -> None:
        """Append text; see :meth:`write_bytes`."""
        self.write_bytes(text.encode(encoding))

    def open_within(self, folder: int) -> None:
        """Create it: O_EXCL takes no name that is there, be it a link that leads nowhere."""
        self._take(open_beneath(folder, self._parts, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "wb")
        self._created = _identity(os.fstat(self.fd))

    def discard(self) -> None:
        """Remove it, unless the name stands for another file by now."""
        if self._created is None:
            return
        *folders, name = self._parts
        root = os.open(self._root, _ROOT)
        try:
            folder = open_beneath(root, tuple(folders), PATH | os.O_DIRECTORY)
            try:
                if _identity(os.stat(name, dir_fd=folder, follow_symlinks=False)) == self._created:
                    os.unlink(name, dir_fd=folder)
            finally:
                os.close(folder)
        except FileNotFoundError:
            pass  # moved or removed meanwhile
        finally:
            os.close(root)


class FolderEntry(Struct, frozen=True):
    """What a folder holds: the name of a file or folder, and the size of a file in bytes."""

    name: str
    is_folder: bool
    size: int


class SafeFolder(SafeOpening):
    """A folder to list, open. Links, devices and other special files in it do not appear."""

    def entries(self) -> list[FolderEntry]:
        """Return its files and folders, by name.

        Raises:
            ToolError: they are more than the guard's ``max_entries``.
        """
        found = sorted(self._entries(), key=lambda entry: entry.name)
        if len(found) > self._bounds.max_entries:
            raise ToolError(f"the folder has more than {self._bounds.max_entries} entries")
        return found

    def open_file(self, name: str) -> SafeFile:
        """Return a file below this folder, open; use it in ``with``, or close it.

        Raises:
            ToolError: there is none, or it may not be read; its message says so to the caller.
        """
        try:
            file = SafeFile(self._root, parts_of(name), self._bounds)
            file.open_within(self.fd)
        except (Unnamed, Unopened) as refused:
            raise ToolError(f"pass {refused.args[0]}") from None
        except OSError as error:
            raise ToolError(f"pass {_RULES.get(error.errno or 0, _READABLE)}") from None
        return file

    def open_within(self, folder: int) -> None:
        """Open it for listing."""
        self._take_folder(open_beneath(folder, self._parts, os.O_RDONLY | os.O_DIRECTORY))

    def close(self) -> None:
        """Close it."""
        fd, self._folder = self._folder, None
        if fd is not None:
            os.close(fd)

    @property
    def fd(self) -> int:
        """The descriptor of the folder, for ``dir_fd=``. It is closed when the call ends."""
        if self._folder is None:
            raise ValueError("it is opened when the call runs, and closed at its end")
        return self._folder

    _folder: int | None = None

    def _take_folder(self, fd: int) -> None:
        self._folder = fd

    def _entries(self) -> Iterator[FolderEntry]:
        with os.scandir(self.fd) as listed:
            for at, entry in enumerate(listed):
                if at > self._bounds.max_entries:
                    raise ToolError(f"the folder has more than {self._bounds.max_entries} entries")
                if entry.is_dir(follow_symlinks=False):
                    yield FolderEntry(entry.name, is_folder=True, size=0)
                elif entry.is_file(follow_symlinks=False) and entry.name.endswith(self._bounds.suffixes or ""):
                    yield FolderEntry(entry.name, is_folder=False, size=entry.stat(follow_symlinks=False).st_size)


def _identity(seen: os.stat_result) -> tuple[int, int]:
    return seen.st_dev, seen.st_ino


def _require_regular(folder: int, parts: tuple[str, ...]) -> None:
    if not PATH:  # there a pipe opens without waiting, and what it is is looked at then
        return
    seen = open_beneath(folder, parts, PATH)
    try:
        mode = os.fstat(seen).st_mode
    finally:
        os.close(seen)
    if stat.S_ISDIR(mode):
        raise Unopened(_RULES[errno.EISDIR])
    if not stat.S_ISREG(mode):
        raise Unopened("a regular file")
