"""Opens the store: looks first, brings it up to date, and hands out its tables."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from mcpward.core.clock import Clock
from mcpward.core.ended_cache import CAPACITY, SPENT_CAPACITY
from mcpward.core.errors import Finding, Misconfigured, Unreachable, Untrusted
from mcpward.core.operator import Operator
from mcpward.storage import sqlite
from mcpward.storage.acts import Acts
from mcpward.storage.approvals import ApprovalTable
from mcpward.storage.bus_messages import BusTable
from mcpward.storage.chained import ChainedRecord
from mcpward.storage.connections import Connections
from mcpward.storage.integrity import Integrity
from mcpward.storage.journal import Journal
from mcpward.storage.keys import KeyTable
from mcpward.storage.migrate import migrate
from mcpward.storage.opening import PINNED, RENAMES, VAULTED, WAITING, Accept, Opening
from mcpward.storage.pins import PinTable
from mcpward.storage.record import RecordStore
from mcpward.storage.register import Register
from mcpward.storage.renames import RenamedTable
from mcpward.storage.served import ServedTable
from mcpward.storage.sessions import EndedSessions
from mcpward.storage.settings import SettingsTable
from mcpward.storage.tables import APPROVALS, ENDED, KEYS, PINS, RENAMED, SPENT, URLS, VAULT
from mcpward.storage.taints import TaintTable
from mcpward.storage.tasks import TaskTable
from mcpward.storage.traffic import TrafficTable
from mcpward.storage.urls import UrlTable
from mcpward.storage.used_states import UsedStateTable
from mcpward.storage.vault import VaultTable
from mcpward.traffic.chain import Macs

_Guarded = tuple[Register, Register, Register, Journal, Journal, Register, Register, Register]
_COUNTERS: Final = (
    "SELECT name, value, floor, mac FROM revisions WHERE name IN ('keys', 'urls', 'sessions', 'spent') ORDER BY name"
)
_DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}


class Store:
    """All tables of one site. Made by :func:`open_store`; several processes may hold the same one open."""

    def __init__(
        self,
        connections: Connections,
        url: URL,
        integrity: Integrity,
        guarded: _Guarded,
        record: ChainedRecord,
        acts: Acts,
    ) -> None:
        self._connections = connections
        self._url = url
        self._integrity = integrity
        self._file = sqlite.file_of(url)
        keys, urls, vault, sessions, spent, renames, approvals, pins = guarded
        self.acts = acts
        self.keys = KeyTable(connections, keys)
        self.urls = UrlTable(connections, urls)
        self.sessions = EndedSessions(sessions)
        self.traffic = TrafficTable(connections, record)
        self.record = RecordStore(connections, self.traffic)
        self.vault = VaultTable(connections, vault)
        self.settings = SettingsTable(connections)
        self.tasks = TaskTable(connections)
        self.mail = BusTable(connections)
        self.spent = UsedStateTable(spent)
        self.served = ServedTable(connections)
        self.renamed = RenamedTable(renames)
        self.approvals = ApprovalTable(connections, approvals)
        self.pins = PinTable(connections, pins)
        self.taints = TaintTable(connections)

    def reader(self) -> "StoreReader":
        """Return a reader with connections of its own, for the event loop that it is used in and that closes it."""
        return StoreReader(self._url, self._integrity, self._file)

    async def ping(self) -> None:
        """Ask the database for the least it can do; raises whatever it raises when it cannot."""
        async with self._connections.read() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Let go of every connection."""
        await self._connections.close()


class StoreReader:
    """The changes of the store that workers follow: each table from the beginning. Also sees that the file is still the
    same.
    """

    def __init__(self, url: URL, integrity: Integrity, file: sqlite.File | None) -> None:
        self._connections = Connections(url)
        self._url, self._file = url, file
        keys, urls, vault, sessions, spent, _, _, pins = _guarded(self._connections, integrity)
        self.keys = KeyTable(self._connections, keys).follow()
        self.urls = UrlTable(self._connections, urls).follow()
        self.ended = sessions.follow()
        self.spent = spent.follow()
        self.vault = VaultTable(self._connections, vault).follow()
        self.pins = PinTable(self._connections, pins).follow()

    async def counters(self) -> object:
        """Return the counters of everything followed, as they stand: one look instead of one for each table."""
        async with self._connections.read() as connection:
            return (await connection.exec_driver_sql(_COUNTERS)).all()

    def require_same_file(self) -> None:
        """Require that the database is the file that was opened: another one in its place would go unread.

        Raises:
            Untrusted: it is another one, or there is none.
        """
        if self._file != sqlite.file_of(self._url):
            what = "the database file was replaced while the server runs"
            raise Untrusted(what, str(self._url.database), "restart the server")

    async def close(self) -> None:
        """Let go of every connection."""
        await self._connections.close()


def _guarded(connections: Connections, integrity: Integrity, acts: Acts | None = None) -> _Guarded:
    """Return the tables whose rows grant or refuse something, or say what is meant."""
    return (
        Register(connections, integrity, "keys", KEYS, acts),
        Register(connections, integrity, "urls", URLS, acts),
        Register(connections, integrity, VAULTED, VAULT, acts),
        # Every caller that may begin a session may end it, and each is a row for a day: no more than a worker
        # remembers.
        Journal(connections, integrity, "sessions", ENDED, CAPACITY),
        Journal(connections, integrity, "spent", SPENT, SPENT_CAPACITY, is_once=True),
        Register(connections, integrity, RENAMES, RENAMED),  # an act of its own says that a server was renamed
        Register(connections, integrity, WAITING, APPROVALS, acts),
        Register(connections, integrity, PINNED, PINS, acts),
    )


async def open_store(
    url: str,
    clock: Clock,
    integrity: Integrity,
    key_ids: Sequence[str] = (),
    accept: Accept | None = None,
    *,
    macs: Macs,
    record_mark: Path | None = None,
    operator: Operator | None = None,
) -> Store:
    """Open the store at ``url`` (``sqlite:///path`` or ``postgresql://…``), making or migrating it as needed.

    ``key_ids`` (``KeyRing.ids``) make sure that the database and the master key belong together. ``accept`` is asked
    whether a store that is forged, or older than its mark, is to be taken. ``macs`` sign the record;
    ``record_mark`` is the file outside of the database that knows where it ends. What ``operator`` changes is on
    record, in the same transaction.

    Raises:
        Misconfigured: there is one finding and nothing was written; :class:`Untrusted` for a store that is not taken.
        Unreachable: the database does not answer or is locked.
    """
    target = _parse(url)
    where = target.render_as_string(hide_password=True)
    if target.get_backend_name() == "sqlite":
        where = str(target.database)
        await asyncio.to_thread(sqlite.prepare, Path(where))
    connections = Connections(target)
    record = ChainedRecord(macs, record_mark, clock)
    acts = Acts(connections, record, clock, operator)
    guarded = _guarded(connections, integrity, acts)
    try:
        opening = Opening(integrity, list(guarded), clock)
        await migrate(connections, clock, where, key_ids, opening, record, accept)
    except (DBAPIError, OSError) as error:
        await connections.close()
        raise _explained(error, where) from None
    except BaseException:
        await connections.close()
        raise
    return Store(connections, target, integrity, guarded, record, acts)


def _parse(url: str) -> URL:
    try:
        target = make_url(url)
        driver = _DRIVERS[target.drivername]
    except (ArgumentError, KeyError):
        # The URL may hold a password: it is not quoted.
        hint = "sqlite:///path/to/file.db or postgresql://user@host/database"
        raise Misconfigured([Finding("the store's URL is not understood", "store.url", hint)]) from None
    if driver == _DRIVERS["sqlite"] and target.database in (None, "", ":memory:"):
        raise Misconfigured([Finding("the store must be a file: workers share it", "store.url")])
    return target.set(drivername=driver)


def _explained(error: DBAPIError | OSError, where: str) -> Misconfigured | Unreachable:
    cause = str(getattr(error, "orig", error))
    if "locked" in cause:
        return Unreachable(f"the database {where} is locked by another process")
    if "malformed" in cause or "not a database" in cause:
        return sqlite.damaged(Path(where))
    return Unreachable(f"the database {where} does not answer", hint="check that it runs and is writable")
