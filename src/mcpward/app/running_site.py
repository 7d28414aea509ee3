"""The process that serves a site's data, known by a lock that the system itself releases; and its last reload.

The process keeps a file with its id, and a lock on it. The holder is read from the lock: an id in a file may belong to
another process since. Several sites may share their data; each has a number, and files of that number.
"""

import fcntl
import os
import signal
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from msgspec import MsgspecError, Struct
from msgspec.json import Decoder, Encoder

from mcpward.core.errors import Finding, Unreachable
from mcpward.storage.permissions import require_private_folder

#: Sites of the same data at once.
_MOST: Final = 64
#: ``struct flock``: the offsets of the type and the id differ.
_FLOCK: Final = struct.Struct("qqihh" if sys.platform == "darwin" else "hhqqi")
#: Asks for a reload. SIGHUP does too, but is ignored under ``nohup``, and may come of a terminal.
RELOAD: Final = signal.SIGUSR1


class ReloadReport(Struct, frozen=True):
    """The result of the last reload, or its progress. ``number`` counts from the start of the site.

    ``taken`` lists the changes, ``findings`` the reasons why there are none.
    """

    number: int = 0
    state: str = "none"
    stage: str = ""
    findings: list[Finding] = []
    taken: list[str] = []
    took_s: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether no reload runs."""
        return self.state != "running"


_encode: Final = Encoder().encode
_decode: Final = Decoder(ReloadReport).decode


class SiteFiles:
    """The files of the site with this number among those of the same data."""

    def __init__(self, data: Path, number: int) -> None:
        of = "" if number == 1 else f"-{number}"
        self.pid = data / f"mcpward{of}.pid"
        self.metrics = data / f"metrics{of}"
        self._report = data / f"reload{of}.json"

    def write_report(self, report: ReloadReport) -> None:
        """Leave how a reload went: whole or not at all."""
        new = self._report.with_name(f".{self._report.name}.new")
        with suppress(OSError):  # a full disk: the log reports the same
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
                file.write(_encode(report))
            new.replace(self._report)

    def report(self) -> ReloadReport:
        """Return what was left last."""
        try:
            return _decode(self._report.read_bytes())
        except (OSError, MsgspecError):
            return ReloadReport()


@contextmanager
def held(data: Path) -> Iterator[SiteFiles]:
    """Hold the lock of the first number that is free, for as long as the block lasts or this process lives.

    Raises:
        OSError: the folder cannot be made or written.
        Misconfigured: other users may change the folder.
    """
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    require_private_folder(data)  # before anything in it is opened: in a folder of others it may be a link
    for number in range(1, _MOST + 1):
        files = SiteFiles(data, number)
        descriptor = os.open(files.pid, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            continue
        try:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, b"%d\n" % os.getpid())
            files.write_report(ReloadReport())
            yield files
        finally:
            os.close(descriptor)
        return
    raise OSError(f"{_MOST} sites serve these data already")


class RunningSite:
    """A site that is served now, found by its lock."""

    def __init__(self, files: SiteFiles, pid: int) -> None:
        self.files = files
        self.pid = pid

    def is_running(self) -> bool:
        """Return whether the process still holds the lock."""
        return _holder(self.files.pid) == self.pid

    def ask(self) -> None:
        """Ask for a reload. The signal goes to the process that holds the lock, and to no other.

        Raises:
            Unreachable: it has ended, or is another user's.
        """
        try:
            if sys.platform == "linux":
                self._signal_exactly()
            elif self.is_running():
                os.kill(self.pid, RELOAD)
        except ProcessLookupError:
            raise Unreachable(f"process {self.pid} has ended meanwhile", "mcpward serve") from None
        except PermissionError:
            hint = "run the command as the user of the service: sudo -u USER mcpward reload"
            raise Unreachable(f"process {self.pid} belongs to another user", hint) from None

    def _signal_exactly(self) -> None:
        process = os.pidfd_open(self.pid)
        try:
            if not self.is_running():  # asked after the process was opened: it is the one that holds the lock
                raise ProcessLookupError
            signal.pidfd_send_signal(process, RELOAD)
        finally:
            os.close(process)


def find_sites(data: Path) -> list[RunningSite]:
    """Return the sites that serve these data now."""
    found = [SiteFiles(data, number) for number in range(1, _MOST + 1)]
    holders = [(files, _holder(files.pid)) for files in found if files.pid.exists()]
    return [RunningSite(files, pid) for files, pid in holders if pid is not None]


def _holder(file: Path) -> int | None:
    """Return the process that holds the lock; None if none does that can be signalled from here."""
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        return _told(fcntl.fcntl(descriptor, fcntl.F_GETLK, _asked()))
    finally:
        os.close(descriptor)


def _asked() -> bytes:
    kind, whence = fcntl.F_WRLCK, os.SEEK_SET
    return _FLOCK.pack(0, 0, 0, kind, whence) if sys.platform == "darwin" else _FLOCK.pack(kind, whence, 0, 0, 0)


def _told(answer: bytes) -> int | None:
    values = _FLOCK.unpack(answer)
    kind, pid = (values[3], values[2]) if sys.platform == "darwin" else (values[0], values[4])
    return pid if kind != fcntl.F_UNLCK and pid > 0 else None
