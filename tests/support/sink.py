"""A traffic table in a real SQLite file, for tests of the rooms above and beside storage."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

COLUMNS = (
    "id", "at", "server", "method", "tool", "era", "version", "way", "principal", "client", "key_id", "peer", "phase",
    "outcome", "reason", "error_id", "status", "duration_us", "bytes_in", "bytes_out", "arguments", "trace",
    "limit_name", "would_refuse", "consent",
)  # fmt: skip


class SqliteSink:
    """Keeps rows in one table. ``locked`` makes the database unwritable, as another process would."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.batches: list[int] = []
        with self._open() as db:
            db.execute("PRAGMA journal_mode=WAL")  # readers and the writer do not stop each other
            db.execute(f"CREATE TABLE IF NOT EXISTS traffic ({', '.join(COLUMNS)})")
        self._lock: sqlite3.Connection | None = None

    async def append(self, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
        await asyncio.to_thread(self._insert, columns, rows)
        self.batches.append(len(rows))

    async def append_intent(self, columns: tuple[str, ...], row: tuple[Any, ...]) -> None:
        await asyncio.to_thread(self._insert, columns, [row])

    async def prune(self, before: float) -> None:
        with self._open() as db:
            db.execute("DELETE FROM traffic WHERE at < ?", (before,))

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
