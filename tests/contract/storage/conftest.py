"""Stores for the contract suite, on SQLite and PostgreSQL. Each test gets a database of its own and may open it several
times, as workers do.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from mcpward.storage.engine import Store, open_store
from support.clock import ManualClock
from support.postgres import PostgresServer
from support.records import MACS

Opener = Callable[[], Awaitable[Store]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'site' / 'mcpward.db'}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.url(server.create())


@pytest.fixture
async def opener(database: str, clock: ManualClock) -> AsyncIterator[Opener]:
    opened: list[Store] = []

    async def open_another() -> Store:
        opened.append(await open_store(database, clock, macs=MACS))
        return opened[-1]

    yield open_another
    for store in opened:
        await store.close()


@pytest.fixture
async def store(opener: Opener) -> Store:
    return await opener()
