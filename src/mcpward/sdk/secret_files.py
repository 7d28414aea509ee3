"""Secrets in files: those that ``NAME_FILE`` names, and those that Docker, Kubernetes and systemd mount.

A file is looked at once a second at most, and read again when it has changed. While it is away or cannot be used, as in
the middle of a rotation, its last value holds, and the log says so once.
"""

import logging
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from mcpward.core.clock import Clock, SystemClock
from mcpward.sdk.errors import SecretUnreadable

_log: Final = logging.getLogger("mcpward.secrets")
LONGEST: Final = 64 * 1024
_LOOK_EVERY_S: Final = 1.0
#: A name is never a path: no slash, and no leading dot (``..data`` is Kubernetes' own link).
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", re.ASCII)
#: Filled by a container's runtime, which may mount them with any mode.
_MOUNTS: Final = ("/run/secrets", "/var/run/secrets")
_CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_MARK: Final = "\ufeff"
#: Without O_NONBLOCK, opening a FIFO would wait for a writer.
_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


class SecretFile(Struct, frozen=True):
    """What a file holds: ``text`` is None if that is no UTF-8. ``trimmed`` says what was left out of it."""

    path: Path
    text: str | None
    trimmed: str = ""

    def __repr__(self) -> str:
        return f"SecretFile({self.path})"


class _Seen(Struct):
    """The result of the last look at one name."""

    at: float
    stamp: object = None
    file: SecretFile | None = None
    problem: SecretUnreadable | None = None
    is_told: bool = False


class SecretFiles:
    """The files of some folders, by the names of secrets; those that are ``withheld`` are mcpward's own."""

    def __init__(
        self, folders: tuple[Path, ...], clock: Clock | None = None, *, withheld: tuple[Path, ...] = ()
    ) -> None:
        self._folders = folders
        self._withheld = withheld
        self._clock = clock or SystemClock()
        self._seen: dict[str, _Seen] = {}

    def find(self, name: str) -> SecretFile | None:
        """Return the file of a secret, with its value; None if there is none, or if it is empty.

        Raises:
            SecretUnreadable: there is one, and it cannot be used.
        """
        if not _NAME.fullmatch(name):
            return None
        now = self._clock.monotonic()
        seen = self._seen.get(name)
        if seen is None or now - seen.at >= _LOOK_EVERY_S:  # without a lock: a slow disk holds up only who reads it
            seen = self._seen[name] = self._look(name, now, seen)
        if seen.problem is not None:
            raise seen.problem.with_traceback(None)
        return seen.file

    def _look(self, name: str, now: float, before: _Seen | None) -> _Seen:
        seen = _Seen(now)
        try:
            for place in _places(name, self._folders):
                found = _stamp_of(name, place, self._withheld)
                if found is None:
                    continue
                seen.stamp = (place.path, found)
                if before is not None and before.stamp == seen.stamp:
                    before.at = now
                    return before
                seen.file = _read(name, place)
                break
        except SecretUnreadable as problem:
            seen.problem = problem
        return _kept(name, seen, before)


class _Place(Struct, frozen=True):
    """A path where a secret may be. ``is_named``: the environment names this very file."""

    path: Path
    is_named: bool
    is_mount: bool


def read_secret_file(name: str, path: Path) -> str:
    """Return the value in a file that the operator named, judged like that of any secret; "" if it is empty.

    Raises:
        SecretUnreadable: the file is away, or cannot be used.
    """
    file = _read(name, _Place(path, is_named=True, is_mount=str(path.parent) in _MOUNTS))
    if file is not None and file.text is None:
        raise SecretUnreadable(name, f"{path} is not UTF-8", "name a file that holds one line of text")
    return "" if file is None or file.text is None else file.text


def trim(text: str) -> tuple[str, str]:
    """Return a value without a byte order mark and one line end, and the words for what was left out."""
    rest = text.removeprefix(_MARK)
    words = ["its byte order mark"] if rest != text else []
    for end in ("\r\n", "\n"):
        if rest.endswith(end):
            return rest.removesuffix(end), " and ".join([*words, "its line end"])
    return rest, "".join(words)


def _places(name: str, folders: tuple[Path, ...]) -> Iterator[_Place]:
    named = os.environ.get(f"{name}_FILE", "")
    if named:
        yield _Place(Path(named), is_named=True, is_mount=False)
    mounted = os.environ.get(_CREDENTIALS, "")
    for folder in (*folders, *([Path(mounted)] if mounted else ())):
        is_mount = str(folder) in {*_MOUNTS, mounted}
        for file in dict.fromkeys((name, name.lower())):
            yield _Place(folder / file, is_named=False, is_mount=is_mount)


def _stamp_of(name: str, place: _Place, withheld: tuple[Path, ...]) -> tuple[int, ...] | None:
    try:
        found = place.path.stat()
    except (FileNotFoundError, NotADirectoryError):
        if not place.is_named:
            return None
        problem = f"{name}_FILE names {place.path}, which is not there"
        raise SecretUnreadable(name, problem, f"name the file, or unset {name}_FILE") from None
    except OSError as error:
        raise _refused(name, place, error.strerror or "it cannot be opened") from None
    if stat.S_ISDIR(found.st_mode) and not place.is_named:  # a mount of its own, of that name
        return None
    if _is_own(found, withheld):
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _is_own(found: os.stat_result, withheld: tuple[Path, ...]) -> bool:
    """Return whether a file holds a secret of mcpward's own, such as the master key, under whatever name."""
    named = [path for name, path in os.environ.items() if name.startswith("MCPWARD_") and name.endswith("_FILE")]
    for path in [*map(Path, filter(None, named)), *withheld]:
        with suppress(OSError):
            if os.path.samestat(found, path.stat()):
                return True
    return False


def _read(name: str, place: _Place) -> SecretFile | None:
    try:
        file = os.open(place.path, _FLAGS)
        try:
            content = _content(name, place, file)
        finally:
            os.close(file)
    except OSError as error:
        raise _refused(name, place, error.strerror or "it cannot be opened") from None
    try:
        text, trimmed = trim(content.decode())
    except UnicodeDecodeError:
        return SecretFile(place.path, None)
    return SecretFile(place.path, text, trimmed) if text else None


def _content(name: str, place: _Place, file: int) -> bytes:
    """Judge what was opened, not what the name means a moment later."""
    state = os.fstat(file)
    if not stat.S_ISREG(state.st_mode):
        raise _refused(name, place, "it is no regular file", "name a file that holds the value")
    if state.st_mode & _OTHERS_WRITE and not place.is_mount:
        raise _refused(name, place, "other users may change it", f"chmod go-w {place.path}")
    parts = [os.read(file, LONGEST + 1)]
    while parts[-1] and sum(map(len, parts)) <= LONGEST:
        parts.append(os.read(file, LONGEST))
    content = b"".join(parts)
    if len(content) > LONGEST:
        raise _refused(name, place, "it is larger than 64 KiB", "keep one value in it")
    return content


def _refused(name: str, place: _Place, problem: str, hint: str = "") -> SecretUnreadable:
    return SecretUnreadable(name, f"{place.path}: {problem}", hint or f"let this user read it: chmod u+r {place.path}")


def _kept(name: str, seen: _Seen, before: _Seen | None) -> _Seen:
    """Keep the last value of a file that is away, empty or refused now: a rotation may be half done."""
    if seen.file is not None or before is None or before.file is None:
        return seen
    if not before.is_told:
        why = "it is gone, or empty" if seen.problem is None else str(seen.problem)
        _log.warning("the file of the secret %s cannot be used, so its last value holds: %s", name, why)
    return _Seen(seen.at, None, before.file, None, is_told=True)
