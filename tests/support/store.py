"""Opens a store as a site does, with a key ring of the tests and a mark beside the database."""

import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from mcpward.core.clock import Clock
from mcpward.crypto.keyring import KeyRing
from mcpward.crypto.mac import RingMac
from mcpward.storage import engine, migrations
from mcpward.storage.engine import Store
from mcpward.storage.integrity import Integrity
from mcpward.storage.mark import Mark
from mcpward.storage.opening import Accept
from support.records import MACS

RING: Final = KeyRing([b"r" * 32])


def mark_of(url: str) -> Path:
    """The mark of a SQLite database lies beside it; that of another one in the folder for temporary files."""
    if url.startswith("sqlite:///"):
        return Path(f"{Path(url.removeprefix('sqlite:///')).resolve()}.mark")
    return Path(tempfile.gettempdir()) / f"{url.rpartition('/')[2]}.mark"


def integrity_of(url: str, clock: Clock, ring: KeyRing = RING, *, is_place_chosen: bool = False) -> Integrity:
    """The keys that authenticate the rows of the store at ``url``."""
    mark = Mark(mark_of(url), RingMac(ring, "store mark"))
    return Integrity(RingMac(ring, "store rows"), mark, clock, is_place_chosen=is_place_chosen)


async def open_store(
    url: str,
    clock: Clock,
    key_ids: Sequence[str] = (),
    *,
    ring: KeyRing = RING,
    accept: Accept | None = None,
    record_mark: Path | None = None,
) -> Store:
    """Open the store at ``url``, as ``mcpward.storage.engine.open_store`` does."""
    return await engine.open_store(
        url, clock, integrity_of(url, clock, ring), key_ids, accept, macs=MACS, record_mark=record_mark
    )


def earlier(path: Path, steps: int, *statements: str) -> None:
    """Make a database as a release left it that knew the first ``steps`` migrations, with rows of its own."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mcpward_schema (version INTEGER PRIMARY KEY)")
        for step in range(1, steps + 1):
            for statement in migrations.statements(step, "sqlite"):
                connection.execute(statement)
            connection.execute("INSERT INTO mcpward_schema VALUES (?)", (step,))
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    path.chmod(0o600)
