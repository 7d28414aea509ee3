"""A backup of a site: its database as of one moment, the marks beside it and ``mcpward.toml``, in one sealed file.

The file is sealed under the master key and holds no master key: the file by itself cannot be opened. It holds only the
data folder and ``mcpward.toml``. A restored database is an older copy of the site, in which credentials that were
revoked since are valid again. So it counts only once an operator has accepted it (attack 125).
"""

import asyncio
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import DecodeError, Struct, json
from msgspec.structs import replace as struct_replace

from mcpward import __version__
from mcpward.config.model import Settings
from mcpward.core.clock import Clock
from mcpward.core.errors import Finding, Misconfigured, Unreachable
from mcpward.core.moment import moment_text
from mcpward.core.operator import Operator
from mcpward.crypto.aead import SealRefused
from mcpward.crypto.keyring import KeyRing
from mcpward.crypto.mac import RingMac
from mcpward.crypto.sealed_stream import SealedReader, SealedWriter
from mcpward.operations.acts import noted
from mcpward.operations.denied import Denied, Invalid
from mcpward.operations.site import MARK_PURPOSE, Site, database_of, open_site
from mcpward.storage import snapshot
from mcpward.storage.mark import Mark
from mcpward.traffic.act import Act

_MAGIC: Final = b"mcpward-backup-1\n"
_PURPOSE: Final = "backup"
MANIFEST: Final = "manifest.json"
DATABASE: Final = "mcpward.db"
MARK: Final = "mcpward.db.mark"
RECORD_MARK: Final = "record.mark"
CONFIG: Final = "mcpward.toml"
_MEMBERS: Final = (MANIFEST, MARK, RECORD_MARK, CONFIG, DATABASE)
_MOST_SMALL: Final = 4 * 1024**2
_BLOCK: Final = 1024**2


class Manifest(Struct, frozen=True):
    """The description inside a backup. ``made_at`` is wall-clock seconds, ``keys`` the ids of the master keys."""

    version: str
    made_at: float
    site: str
    schema: int
    keys: tuple[str, ...]
    rows: dict[str, int]
    members: tuple[str, ...]


class BackedUp(Struct, frozen=True):
    """A backup that was made, and its size in bytes."""

    file: Path
    size: int
    manifest: Manifest


class Unpacked(Struct, frozen=True):
    """A backup whose whole content was opened; its members are files in ``folder``."""

    folder: Path
    manifest: Manifest

    def path(self, member: str) -> Path | None:
        """Return the file of a member; None if the backup has none of this name."""
        path = self.folder / member
        return path if path.exists() else None


class Restored(Struct, frozen=True):
    """The files that a restore replaced or kept. ``aside`` is the database that was there; ``kept`` are files that were
    left as is.
    """

    database: Path
    aside: Path | None
    put: tuple[Path, ...]
    kept: tuple[Path, ...]


async def back_up_site(site: Site, settings: Settings, clock: Clock, file: Path, config: Path | None) -> BackedUp:
    """Do :func:`back_up` for a site whose data are open, in a thread."""
    return await asyncio.to_thread(back_up, settings, site.ring, clock, file, config)


def back_up(settings: Settings, ring: KeyRing, clock: Clock, file: Path, config: Path | None) -> BackedUp:
    """Write a backup of a site, which may be in use, to a new file of mode 0600. Blocking.

    Raises:
        Denied: there is such a file already, or the database is none of SQLite's.
        Unreachable: the database cannot be read or the file not be written.
    """
    database = _sqlite_of(settings)
    if os.path.lexists(file):
        raise Denied(f"there is a file {file} already", "choose another one, or remove it")
    small = {
        # Before the database: a mark is never ahead of the copy that it lies beside.
        MARK: _content(settings.store.mark_path),
        RECORD_MARK: _content(settings.store.record_mark_in(settings.site.data)),
        CONFIG: _content(config) if config is not None else None,
    }
    try:
        # A file that is not sealed yet stays in the data folder: a stick has no modes, and a killed process removes
        # nothing.
        with tempfile.TemporaryDirectory(dir=settings.site.data, prefix=".backup.") as folder, _draft_of(file) as draft:
            copy = Path(folder) / DATABASE
            taken = snapshot.take(database, copy)
            kept = {name: content for name, content in small.items() if content is not None}
            manifest = Manifest(
                __version__, clock.now(), taken.site, taken.schema, ring.ids, taken.rows, (*kept, DATABASE)
            )
            with draft.open("wb") as sealed:
                _seal(sealed, ring, {MANIFEST: json.encode(manifest)} | kept, copy)
                os.fsync(sealed.fileno())
            _place_new(draft, file)
    except FileExistsError:
        raise Denied(f"there is a file {file} already", "choose another one, or remove it") from None
    except OSError as error:
        raise Unreachable(
            f"{file} cannot be written: {error.strerror}", "name a file in a folder of your own"
        ) from None
    return BackedUp(file, file.stat().st_size, manifest)


@contextmanager
def _draft_of(file: Path) -> Iterator[Path]:
    """Make a file of mode 0600 beside a file that is not there yet; it goes at the end unless it was renamed."""
    descriptor, name = tempfile.mkstemp(dir=file.absolute().parent, prefix=f".{file.name[:100]}.")
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def opened(file: Path, ring: KeyRing, folder: Path) -> Iterator[Unpacked]:
    """Open a backup and judge all of it, in a folder of its own inside of ``folder`` that goes at the end.

    Raises:
        Misconfigured: it is no backup, was made with another master key, was changed or cut off, or is of a newer
            release.
        Unreachable: it cannot be read, or not be unpacked there.
    """
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".restore.") as place:
            with file.open("rb") as sealed:
                if sealed.read(len(_MAGIC)) != _MAGIC:
                    raise _unfit(file, "is not a backup of mcpward", "create one: mcpward backup FILE")
                _unpack(sealed, ring, Path(place))
            manifest = json.decode((Path(place) / MANIFEST).read_bytes(), type=Manifest)
            _require_fit(file, Path(place) / DATABASE)
            yield Unpacked(Path(place), manifest)
    except (SealRefused, tarfile.TarError, EOFError, DecodeError):
        what = "was made with another master key, was changed, or is truncated"
        raise _unfit(file, what, "restore the master key of its site; see mcpward restore --help") from None
    except OSError as error:
        raise Unreachable(f"{file} cannot be restored: {error.strerror}") from None


async def note_restored(
    settings: Settings, ring: KeyRing, unpacked: Unpacked, clock: Clock, operator: Operator, file: Path
) -> bool:
    """Put on the record of an unpacked backup that it is restored from a file, before it is put anywhere.

    False on a full disk.

    The database may not open before an operator accepts it, so the act must be in it already.

    Raises:
        Misconfigured: the backup's database and its mark do not belong together.
    """
    database = unpacked.folder / DATABASE
    store = settings.store.model_copy(update={"url": f"sqlite:///{database}", "mark": None})
    site = settings.site.model_copy(update={"data": unpacked.folder})
    apart = settings.model_copy(update={"site": site, "store": store})
    detail = f"site restored from {file}, which was made at {moment_text(unpacked.manifest.made_at)}"
    async with open_site(apart, clock, operator=operator, ring=ring) as opened_site:
        is_noted = await noted(opened_site, Act(object="site", detail=detail))
    snapshot.settle(database)
    return is_noted


def put_config(unpacked: Unpacked, place: Path) -> bool:
    """Put the backup's mcpward.toml if there is none. Return whether it was put.

    Raises:
        Unreachable: it cannot be written.
    """
    source = unpacked.path(CONFIG)
    if source is None or os.path.lexists(place):
        return False
    try:
        _put(source, place)
    except OSError as error:
        raise Unreachable(f"{place} cannot be written: {error.strerror}") from None
    return True


def restore(settings: Settings, ring: KeyRing, unpacked: Unpacked, clock: Clock, *, replace: bool) -> Restored:
    """Put a backup in the place of a site's data. Marks that are there stay: neither must go back.

    A database that is older than the mark is not used until an operator accepts it. If there is no mark, the backup's
    mark is written, with a note that demands the same acceptance. The database that was there is renamed, not removed.

    Raises:
        Denied: there is a database and ``replace`` is not set, or a process uses it.
        Unreachable: a file cannot be put there.
    """
    require_free(settings, replace=replace)
    database, mark = _sqlite_of(settings), settings.store.mark_path
    record_mark = settings.store.record_mark_in(settings.site.data)
    put, aside = list[Path](), None
    kept = [place for place in (mark, record_mark) if os.path.lexists(place)]
    try:
        if database.exists():
            aside = snapshot.set_aside(database, f".before-restore-{int(clock.now())}")
        if mark not in kept:
            _put_mark(unpacked, ring, mark)
            put.append(mark)
        source = unpacked.path(RECORD_MARK)
        if source is not None and record_mark not in kept:
            _put(source, record_mark)
            put.append(record_mark)
        _put(unpacked.folder / DATABASE, database)
    except OSError as error:
        hint = f"the previous database is now {aside}" if aside else ""
        raise Unreachable(f"the backup cannot be put in place: {error.strerror}", hint) from None
    return Restored(database, aside, (*put, database), tuple(kept))


def _put_mark(unpacked: Unpacked, ring: KeyRing, place: Path) -> None:
    source = unpacked.path(MARK)
    marked = None if source is None else Mark(source, RingMac(ring, MARK_PURPOSE)).read()
    if marked is not None:  # without a mark the store is refused, too
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        Mark(place, RingMac(ring, MARK_PURPOSE)).write(struct_replace(marked, is_restored=True))


def require_free(settings: Settings, *, replace: bool) -> None:
    """Check that a site's database may be put in place.

    Raises:
        Denied: as for :func:`restore`.
    """
    database = _sqlite_of(settings)
    process = snapshot.user_of(database)
    if process is not None:
        raise Denied(f"process {process} has the database {database} open", "stop mcpward serve first")
    if database.exists() and not replace:
        hint = "to rename it and restore the backup: --replace"
        raise Denied(f"there is a database {database} already", hint)


def _require_fit(file: Path, database: Path) -> None:
    try:
        snapshot.look(database)
    except Misconfigured as wrong:
        raise _unfit(file, f"cannot be used here: {wrong}", wrong.findings[0].hint) from None


def _place_new(draft: Path, file: Path) -> None:
    """Rename a file unless the name is taken. Raises ``FileExistsError``, or another ``OSError``."""
    try:
        os.link(draft, file)  # unlike a rename it replaces no file
    except FileExistsError:
        raise
    except OSError:  # a file system without links, as on many a stick
        if os.path.lexists(file):
            raise FileExistsError from None
        draft.rename(file)


def _sqlite_of(settings: Settings) -> Path:
    database = database_of(settings)
    if database is None:
        raise Invalid("backup supports only SQLite databases", "use pg_dump for PostgreSQL")
    return database


def _content(path: Path) -> bytes | None:
    """Return a small file's content; None if there is none.

    Raises ``OSError``, and :class:`Unreachable` for a file that is not small.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unreachable(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > _MOST_SMALL:
        raise Unreachable(f"{path} is larger than {_MOST_SMALL // 1024**2} MiB")
    return content


def _seal(file: BinaryIO, ring: KeyRing, small: dict[str, bytes], database: Path) -> None:
    file.write(_MAGIC)
    with (
        SealedWriter(file, ring, _PURPOSE) as sealed,
        tarfile.open(fileobj=sealed, mode="w|gz", bufsize=_BLOCK) as archive,
    ):
        for name, content in small.items():
            with tempfile.SpooledTemporaryFile(_MOST_SMALL) as held:
                held.write(content)
                held.seek(0)
                archive.addfile(_entry(name, len(content)), held)
        with database.open("rb") as copy:
            archive.addfile(_entry(DATABASE, database.stat().st_size), copy)


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    return entry


def _unpack(file: BinaryIO, ring: KeyRing, folder: Path) -> None:
    """Write the members that a backup may have, by our own names, and read the stream to its end."""
    sealed = SealedReader(file, ring, _PURPOSE)
    with tarfile.open(fileobj=sealed, mode="r|gz", bufsize=_BLOCK) as archive:
        for entry in archive:
            source = archive.extractfile(entry) if entry.name in _MEMBERS else None
            if source is None:
                raise tarfile.ReadError("a foreign member")
            with (folder / entry.name).open("xb") as target:
                while block := source.read(_BLOCK):
                    target.write(block)
                os.fsync(target.fileno())
            (folder / entry.name).chmod(0o600)
    while sealed.read(_BLOCK):  # the last frame proves that nothing was cut off
        pass
    if not (folder / MANIFEST).exists() or not (folder / DATABASE).exists():
        raise tarfile.ReadError("a member is missing")


def _put(source: Path, place: Path) -> None:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        source.rename(place)
    except OSError:  # another file system
        with (
            source.open("rb") as file,
            open(place, "xb", opener=lambda path, flags: os.open(path, flags | os.O_NOFOLLOW, 0o600)) as target,
        ):
            while block := file.read(_BLOCK):
                target.write(block)
            target.flush()
            os.fsync(target.fileno())
        source.unlink()


def _unfit(file: Path, what: str, hint: str) -> Misconfigured:
    return Misconfigured([Finding(f"{file} {what}", "", hint)])
