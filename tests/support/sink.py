"""A traffic table in a real SQLite file, for tests of the packages above and beside storage."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

from mcpward.traffic.sink import NoRoom, Usage

COLUMNS = (
    "id", "at", "server", "method", "tool", "era", "version", "way", "principal", "client", "key_id", "peer", "phase",
    "outcome", "reason", "error_id", "status", "duration_us", "bytes_in", "bytes_out", "arguments", "trace",
    "limit_name", "would_refuse", "detail", "consent", "chain", "count", "last_at",
)  # fmt: skip


class SqliteSink:
    """Keeps rows in one table. ``lock`` makes the database unwritable, as another process would; with ``is_full`` set
    the disk is full. ``used`` bytes are taken by each row, of ``free`` ones and ``growth`` to come.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.batches: list[int] = []
        with self._open() as db:
            db.execute("PRAGMA journal_mode=WAL")  # readers and the writer do not stop each other
            db.execute(f"CREATE TABLE IF NOT EXISTS traffic ({', '.join(COLUMNS)})")
        self._lock: sqlite3.Connection | None = None
        self.is_full = False
        self.row_bytes = 0
        self.growth: int | None = None
        self.tended = 0

    async def append(self, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
        await asyncio.to_thread(self._insert, columns, rows)
        self.batches.append(len(rows))

    async def append_intent(self, columns: tuple[str, ...], row: tuple[Any, ...]) -> None:
        await asyncio.to_thread(self._insert, columns, [row])

    async def prune(self, before: float) -> None:
        with self._open() as db:
            db.execute("DELETE FROM traffic WHERE at < ?", (before,))

    async def prune_oldest(self, chain: str, rows: int) -> int:
        oldest = "SELECT rowid FROM traffic WHERE chain = ? ORDER BY rowid LIMIT ?"
        with self._open() as db:
            return db.execute(f"DELETE FROM traffic WHERE rowid IN ({oldest})", (chain, rows)).rowcount

    async def counts(self) -> dict[str, int]:
        with self._open() as db:
            return dict(db.execute("SELECT chain, COUNT(*) FROM traffic GROUP BY chain").fetchall())

    async def usage(self) -> Usage:
        with self._open() as db:
            (count,) = db.execute("SELECT COUNT(*) FROM traffic").fetchone()
        return Usage(count * self.row_bytes, 0, self.growth)

    async def require_room(self) -> None:
        if self.is_full:
            raise NoRoom

    async def try_write(self) -> None:
        await self.require_room()
        with self._open() as db:
            db.execute("UPDATE traffic SET id = id WHERE 0")

    async def tend(self) -> None:
        self.tended += 1

    def rows(self) -> list[dict[str, Any]]:
        """Read the file anew, as another process would."""
        with self._open() as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute("SELECT * FROM traffic ORDER BY rowid")]

    def lock(self) -> None:
        self._lock = sqlite3.connect(self.path, isolation_level=None)
        self._lock.execute("BEGIN EXCLUSIVE")

    def unlock(self) -> None:
        assert self._lock is not None
        self._lock.close()

    def _insert(self, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
        if self.is_full:
            raise NoRoom
        with self._open() as db:
            values = ", ".join("?" * len(columns))
            db.executemany(f"INSERT INTO traffic ({', '.join(columns)}) VALUES ({values})", rows)

    def _open(self) -> "_Closing":
        return _Closing(sqlite3.connect(self.path, timeout=0.1))


class _Closing:
    """Commits or rolls back, and closes."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def __enter__(self) -> sqlite3.Connection:
        return self.db

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.db.commit() if kind is None else self.db.rollback()
        self.db.close()
