"""Stores for the contract suite. Each test gets a database of its own and may open it several times, as workers do.

SQLite always; PostgreSQL too where MCPWARD_TEST_POSTGRES names a server on which databases may be made
(``postgresql://user@host:port``).
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from mcpward.storage.engine import Store, open_store
from support.clock import ManualClock
from support.records import MACS

Opener = Callable[[], Awaitable[Store]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


POSTGRES = os.environ.get("MCPWARD_TEST_POSTGRES", "")


@pytest.fixture(params=["sqlite", "postgresql"] if POSTGRES else ["sqlite"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'site' / 'mcpward.db'}"
    connection = await asyncpg.connect(f"{POSTGRES}/postgres")
    await connection.execute("DROP DATABASE IF EXISTS mcpward_contract WITH (FORCE)")
    await connection.execute("CREATE DATABASE mcpward_contract")
    await connection.close()
    return f"{POSTGRES}/mcpward_contract"


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
