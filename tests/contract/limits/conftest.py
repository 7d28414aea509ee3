"""Counters for the contract suite: in memory, in Redis, in Valkey and in a cluster of three, each new for each test."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from mcpward.core.clock import SystemClock
from mcpward.core.secret import Secret
from mcpward.limits.rates.memory import MemoryCounters, take_all
from mcpward.limits.redis.shared_counters import SharedCounters
from mcpward.limits.redis.store import SharedStore
from support.redis import RedisCluster, RedisServer

numbers = itertools.count()
TIMEOUT_S = 2.0
Joiner = Callable[..., Awaitable[SharedCounters]]


class InMemory:
    """The memory counters with the face of the shared ones."""

    is_up = True

    def __init__(self):
        self.store = MemoryCounters(SystemClock())

    async def take(self, drawn, loop=None):
        return take_all([(self.store, limit, key, cost) for limit, key, cost in drawn])

    def give_back(self, drawn):
        for limit, key, cost in drawn:
            self.store.add(limit, key, -cost)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """The URL of a server of some kind, started when it is first asked for."""
    running: dict[str, RedisServer | RedisCluster] = {}

    def url_of(kind: str) -> str:
        if kind not in running:
            folder = tmp_path_factory.mktemp(kind)
            running[kind] = RedisCluster(folder) if kind == "cluster" else RedisServer(folder, kind)
            running[kind].start()
        return running[kind].url

    yield url_of
    for each in running.values():
        each.kill()


@pytest.fixture
async def join() -> AsyncIterator[Joiner]:
    """Connects to a store as one worker does; closed when the test ends."""
    stores: list[SharedStore] = []

    async def connect(url, namespace="test", clock=None, timeout_s=TIMEOUT_S, told=None):
        clock = clock or SystemClock()
        changes = [] if told is None else told
        store = SharedStore(
            Secret(url),
            namespace=namespace,
            clock=clock,
            timeout_s=timeout_s,
            on_change=lambda up, why: changes.append((up, why)),
        )
        stores.append(store)
        await store.start()
        counters = SharedCounters(store, clock)
        counters.store = store  # type: ignore[attr-defined]  # for tests that look behind the port
        return counters

    yield connect
    for store in stores:
        await store.stop()


@pytest.fixture
def namespace() -> str:
    return f"test-{next(numbers)}"


@pytest.fixture(params=["redis", "valkey", "cluster"])
def url(request: pytest.FixtureRequest, servers: Callable[[str], str]) -> str:
    return servers(request.param)


@pytest.fixture
async def shared(url: str, namespace: str, join: Joiner) -> SharedCounters:
    return await join(url, namespace)


@pytest.fixture(params=["memory", "redis", "valkey", "cluster"])
async def counters(request: pytest.FixtureRequest, servers: Callable[[str], str], namespace: str, join: Joiner):
    if request.param == "memory":
        return InMemory()
    return await join(servers(request.param), namespace)
