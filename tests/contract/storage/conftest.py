"""Stores for the contract suite, on SQLite and PostgreSQL. Each test gets a database of its own and may open it several
times, as workers do.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from mcpward.storage.engine import Store
from support.clock import ManualClock
from support.postgres import PostgresServer
from support.store import mark_of, open_store

Opener = Callable[[], Awaitable[Store]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'site' / 'mcpward.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.url(server.create())
    yield url
    mark_of(url).unlink(missing_ok=True)


@pytest.fixture
async def opener(database: str, clock: ManualClock) -> AsyncIterator[Opener]:
    opened: list[Store] = []

    async def open_another() -> Store:
        opened.append(await open_store(database, clock))
        return opened[-1]

    yield open_another
    for store in opened:
        await store.close()


@pytest.fixture
async def store(opener: Opener) -> Store:
    return await opener()
