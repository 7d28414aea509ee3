"""Opens the store: looks first, brings it up to date, and hands out its tables."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from mcpward.core.clock import Clock
from mcpward.core.errors import Finding, Misconfigured, Unreachable
from mcpward.storage import sqlite
from mcpward.storage.chained import ChainedRecord
from mcpward.storage.keys import KeyTable
from mcpward.storage.lanes import Lanes
from mcpward.storage.mail import MailTable
from mcpward.storage.migrate import migrate
from mcpward.storage.secrets import SecretTable
from mcpward.storage.served import ServedTable
from mcpward.storage.sessions import EndedSessions
from mcpward.storage.settings import SettingsTable
from mcpward.storage.spent import SpentTable
from mcpward.storage.tasks import TaskTable
from mcpward.storage.traffic import TrafficTable
from mcpward.storage.urls import UrlTable
from mcpward.traffic.chain import Macs

_DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}


class Store:
    """All tables of one site. Made by :func:`open_store`; several processes may hold the same one open."""

    def __init__(self, lanes: Lanes, clock: Clock, record: ChainedRecord) -> None:
        self._lanes = lanes
        self.keys = KeyTable(lanes)
        self.urls = UrlTable(lanes)
        self.sessions = EndedSessions(lanes)
        self.traffic = TrafficTable(lanes, record)
        self.secrets = SecretTable(lanes, clock)
        self.settings = SettingsTable(lanes)
        self.tasks = TaskTable(lanes)
        self.mail = MailTable(lanes)
        self.spent = SpentTable(lanes)
        self.served = ServedTable(lanes)

    async def ping(self) -> None:
        """Ask the database for the least it can do; raises whatever it raises when it cannot."""
        async with self._lanes.read() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Let go of every connection."""
        await self._lanes.close()


async def open_store(
    url: str, clock: Clock, key_ids: Sequence[str] = (), *, macs: Macs, mark: Path | None = None
) -> Store:
    """Open the store at ``url`` (``sqlite:///path`` or ``postgresql://…``), making or migrating it as needed.

    ``key_ids`` (``KeyRing.ids``) make sure that the database and the master key belong together. ``macs`` sign the
    record, and ``mark`` is the file outside of the database that knows where it ends. Raises
    :class:`Misconfigured` with one finding and nothing written, and :class:`Unreachable` when the database does not
    answer or is locked.
    """
    target = _parse(url)
    where = target.render_as_string(hide_password=True)
    if target.get_backend_name() == "sqlite":
        where = str(target.database)
        await asyncio.to_thread(sqlite.prepare, Path(where))
    lanes = Lanes(target)
    record = ChainedRecord(macs, mark, clock)
    try:
        await migrate(lanes, clock, where, key_ids, record)
    except (DBAPIError, OSError) as error:
        await lanes.close()
        raise _explained(error, where) from None
    except BaseException:
        await lanes.close()
        raise
    return Store(lanes, clock, record)


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
    return Unreachable(f"the database {where} does not answer", hint="see whether it runs and may be written to")
