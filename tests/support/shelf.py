"""A store in memory for all that a worker follows, whose outages, forgeries and delays a test may order."""

import asyncio
import threading
from collections.abc import Mapping

from msgspec.structs import replace

from mcpward.core.errors import Untrusted
from mcpward.identity.keys.records import KeyRecord, UrlRecord


class Keys:
    """The keys of a register, followed from the beginning."""

    def __init__(self, shelf: "Shelf") -> None:
        self._shelf = shelf
        self._seen = 0

    async def news(self, *, whole: bool = False) -> tuple[bool, list[KeyRecord]]:
        shelf = self._shelf
        shelf.reads += 1
        shelf.wholes += whole
        since, revision = (0 if whole else self._seen), shelf.revision
        records = [record for record in shelf.kept.values() if record.revision > since]
        if shelf.gate is not None:
            await shelf.gate.wait()
        shelf.answer()
        self._seen = revision
        return whole, records


class Urls:
    """No URL at all."""

    async def news(self, *, whole: bool = False) -> tuple[bool, list[UrlRecord]]:
        return whole, []


class Ids:
    """Ids of one list, followed from the beginning."""

    def __init__(self, ids: list[tuple[str, float]]) -> None:
        self._ids = ids
        self._seen = self.audits = 0
        self.is_forged = False
        self.gate: asyncio.Event | None = None

    async def news(self) -> list[tuple[str, float]]:
        since, self._seen = self._seen, len(self._ids)
        return self._ids[since:]

    async def audit(self) -> bool:
        self.audits += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.is_forged:
            raise Untrusted("the ids were changed by somebody", "a.db", "do something")
        return True


class Shelf:
    """Keys and ids. Its own thread reads it through :meth:`reader`."""

    def __init__(self) -> None:
        self.kept: dict[str, KeyRecord] = {}
        self.sessions: list[tuple[str, float]] = []
        self.states: list[tuple[str, float]] = []
        self.ended, self.spent = Ids(self.sessions), Ids(self.states)
        self.revision = 0
        self.used: dict[str, float] = {}
        self.is_out = self.is_forged = False
        self.is_replaced = False
        self.reads = self.wholes = self.looks = 0
        #: Whether unchanged counters tell that there is nothing new; else every table is read each time.
        self.has_counters = False
        self.gate: asyncio.Event | None = None
        self.polled = threading.Semaphore(0)
        self.threads: set[str] = set()

    def put(self, record: KeyRecord) -> None:
        self.revision += 1
        self.kept[record.id] = replace(record, revision=self.revision)

    def answer(self) -> None:
        """Answer a read, or raise what was ordered."""
        self.threads.add(threading.current_thread().name)
        self.polled.release()
        if self.is_out:
            raise OSError("the disk is gone")
        if self.is_forged:
            raise Untrusted("api_keys were changed by somebody", "a.db", "do something")

    def await_polls(self, count: int) -> None:
        """Wait until the store was read so many times from now on."""
        while self.polled.acquire(blocking=False):
            pass
        for _ in range(count):
            assert self.polled.acquire(timeout=5)

    def reader(self) -> "Reader":
        return Reader(self)

    async def touch(self, used: Mapping[str, float]) -> None:
        if self.is_out:
            raise OSError("the disk is gone")
        self.used.update(used)

    async def prune(self, now: float) -> None:
        """Nothing is kept long here."""


class Reader:
    """One follower's view of a register."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.keys, self.urls = Keys(shelf), Urls()
        self.ended, self.spent = shelf.ended, shelf.spent
        self.is_closed = False

    async def counters(self) -> object:
        shelf = self.shelf
        shelf.looks += 1
        return (shelf.revision, len(shelf.sessions), len(shelf.states)) if shelf.has_counters else object()

    def require_same_file(self) -> None:
        if self.shelf.is_replaced:
            raise Untrusted("the database file was replaced", "a.db", "restart the server")

    async def close(self) -> None:
        self.is_closed = True
