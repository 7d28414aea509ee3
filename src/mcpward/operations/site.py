"""One site's data, opened: the store, the key ring, and what is derived from it. Shared by the server and the CLI."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct

from mcpward.config.model import Settings
from mcpward.core.clock import Clock, SystemClock
from mcpward.core.errors import Finding, Misconfigured, Unreachable
from mcpward.core.operator import Operator
from mcpward.crypto.digest import Pepper
from mcpward.crypto.envelope import Envelope
from mcpward.crypto.keyring import KeyRing, generated_file, is_given, load_or_create
from mcpward.crypto.mac import RingMac
from mcpward.crypto.record_mac import RecordMacs
from mcpward.crypto.sealed import SealedToken
from mcpward.storage.disk import Disk
from mcpward.storage.engine import Store, open_store
from mcpward.storage.integrity import Integrity
from mcpward.storage.mark import Mark
from mcpward.storage.opening import Accept
from mcpward.storage.permissions import require_private_folder
from mcpward.traffic.sink import NoRoom
from mcpward.vault.store import Vault

__all__ = [
    "MARK_PURPOSE", "Accept", "Site", "database_of", "has_data", "key_beside_data", "open_site", "release_reserve",
    "ring_for_restore", "ring_of", "unusable",
]  # fmt: skip

MARK_PURPOSE: Final = "store mark"


class Site(Struct, frozen=True):
    """The parts that live as long as the store is open."""

    store: Store
    ring: KeyRing
    pepper_keys: Pepper
    pepper_urls: Pepper
    sessions: SealedToken
    vault: Vault


@asynccontextmanager
async def open_site(
    settings: Settings,
    clock: Clock | None = None,
    accept: Accept | None = None,
    operator: Operator | None = None,
    ring: KeyRing | None = None,
) -> AsyncIterator[Site]:
    """Open the data of a site, making folder, key, database and mark if they are missing; close it at the end.

    ``accept`` is asked whether a database that is forged, or older than its mark, is to be taken. What ``operator``
    changes of keys, URLs and secrets is put on record. ``ring`` is used in the place of the site's own master keys.

    Raises:
        Misconfigured: the folder, the key or the database cannot be used as they are; nothing was written then.
    """
    clock = clock or SystemClock()
    _make_folder(settings)
    ring = ring_of(settings) if ring is None else ring
    mark = Mark(settings.store.mark_path, RingMac(ring, MARK_PURPOSE))
    is_place_chosen = settings.store.mark is not None
    integrity = Integrity(RingMac(ring, "store rows"), mark, clock, is_place_chosen=is_place_chosen)
    macs = RecordMacs(ring, "traffic record")
    store = await open_store(
        settings.store.url,
        clock,
        integrity,
        ring.ids,
        accept,
        macs=macs,
        record_mark=settings.store.record_mark_in(settings.site.data),
        operator=operator,
    )
    try:
        yield Site(
            store=store,
            ring=ring,
            pepper_keys=Pepper(*ring.derive_all("api keys")),
            pepper_urls=Pepper(*ring.derive_all("unlisted urls")),
            sessions=SealedToken(ring, "mcp sessions"),
            vault=Vault(store.vault, Envelope(ring), integrity.site, clock),
        )
    finally:
        await store.close()


def ring_of(settings: Settings) -> KeyRing:
    """Return the master keys of a site; the first one is made if there is no database yet.

    Raises:
        Misconfigured: there is a database and no master key, or the key cannot be used as it is.
    """
    database = database_of(settings)
    has_rows = database is not None and database.exists() and database.stat().st_size > 0
    return load_or_create(settings.site.data, os.environ, needed_by=f"the database {database}" if has_rows else "")


def has_data(settings: Settings) -> bool:
    """Return whether the site may have data: its database is there, or is a server of its own."""
    database = database_of(settings)
    return database is None or database.exists()


def key_beside_data(settings: Settings) -> Path | None:
    """Return the file of a master key that a first start made beside the data that it opens; None if the operator keeps
    it elsewhere.
    """
    return None if is_given(os.environ) else generated_file(settings.site.data)


def ring_for_restore(settings: Settings) -> KeyRing:
    """Return the master keys of a site that is to be restored; none is made. The data folder is made if missing.

    Raises:
        Misconfigured: there is no master key, or it or the folder cannot be used as it is.
    """
    _make_folder(settings)
    return load_or_create(settings.site.data, os.environ, needed_by="the backup")


def database_of(settings: Settings) -> Path | None:
    """Return the file of the database; None if it is none of SQLite's."""
    is_file = settings.store.url.startswith("sqlite:///")
    return Path(settings.store.url.removeprefix("sqlite:///")) if is_file else None


def release_reserve(database: Path) -> bool:
    """Give up the reserve of a full disk, which is kept for taking rights away. Return whether that made room."""
    try:
        return Disk(database).release_reserve()
    except OSError:  # there is no such folder
        return False


def unusable(database: Path, error: Exception) -> Unreachable | None:
    """Return that the database refuses to work now, if an error says so; None for any other error.

    Only storage knows the driver's errors by name; here they are all one: a full disk, a lock.
    """
    if isinstance(error, NoRoom) or type(error).__module__.startswith(("sqlalchemy.", "sqlite3")):
        return Unreachable(f"the database {database} cannot be used", "is the disk full, or the file locked?")
    return None


def _make_folder(settings: Settings) -> None:
    data = settings.site.data
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        require_private_folder(data)
    except OSError as error:
        what = f"the data folder cannot be created or read: {error.strerror or 'unknown reason'}"
        raise Misconfigured([Finding(what, str(data), "choose another one with [site] data")]) from None
