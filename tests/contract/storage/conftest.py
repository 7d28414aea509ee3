"""Stores for the contract suite. Each test gets a database of its own and may open it several times, as workers do."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from mcpward.storage.engine import Store, open_store
from support.clock import ManualClock

Opener = Callable[[], Awaitable[Store]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "site" / "mcpward.db"


@pytest.fixture
async def opener(database: Path, clock: ManualClock) -> AsyncIterator[Opener]:
    opened: list[Store] = []

    async def open_another() -> Store:
        opened.append(await open_store(f"sqlite:///{database}", clock))
        return opened[-1]

    yield open_another
    for store in opened:
        await store.close()


@pytest.fixture
async def store(opener: Opener) -> Store:
    return await opener()
