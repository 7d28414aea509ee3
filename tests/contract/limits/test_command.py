"""``mcpward limits`` reads counters that all workers share by itself: no worker runs, and there is no data."""

import asyncio
import json
import os

import pytest

from mcpward.cli.main import run
from mcpward.core.clock import SystemClock
from mcpward.core.secret import Secret
from mcpward.core.values import Period, Quota, Rate
from mcpward.limits.rates.limit import Limit
from mcpward.limits.redis.shared_counters import SharedCounters
from mcpward.limits.redis.store import SharedStore
from support.redis import RedisServer

READ = Limit("read", "orders", Rate(10, 60.0, 10))
TOOL = Limit("tool", "orders\0find", Rate(4, 60.0, 4))
DAY = Limit("budget-stripe-day", "", Quota(100, Period.DAY))
ALICE, BOB = "api-key:aliceaaaaaaa", "oauth:bob"


def draw(url: str, *drawn: tuple[Limit, str, int], namespace: str = "shop") -> None:
    """Take from the store as a worker does."""

    async def take() -> None:
        clock = SystemClock()
        store = SharedStore(
            Secret(url), namespace=namespace, clock=clock, timeout_s=2.0, on_change=lambda *change: None
        )
        await store.start()
        for limit, caller, cost in drawn:
            await SharedCounters(store, clock).take([(limit, limit.prefix + caller, cost)])
        await store.stop()

    asyncio.run(take())


@pytest.fixture
def server(redis_server: RedisServer, tmp_path, monkeypatch) -> RedisServer:
    """A Redis that a site in the current folder counts in; three buckets are in use."""
    for name in [name for name in os.environ if name.startswith("MCPWARD_")]:
        monkeypatch.delenv(name)
    (tmp_path / "site").mkdir()
    monkeypatch.chdir(tmp_path / "site")
    (tmp_path / "site" / "mcpward.toml").write_text(
        f'[limits]\ncounters = "{redis_server.url}"\nnamespace = "shop"\ncounters_timeout_s = 2.0\n'
        '[servers.orders]\nsource = "tools.py"\n'
    )
    draw(redis_server.url, (READ, ALICE, 5), (READ, BOB, 1), (TOOL, BOB, 4), (DAY, "", 30))
    draw(redis_server.url, (READ, "api-key:another-site", 9), namespace="other")
    return redis_server


@pytest.fixture
def limits(server, capsys):
    def say(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["limits", *words])
        said = capsys.readouterr()
        return int(code), said.out, said.err

    return say


def standing(limits, *words: str) -> list[tuple[str, str | None, int, int]]:
    code, out, _ = limits("--json", *words)
    uses = json.loads(out)
    assert code == (0 if uses else 1)
    return [(use["limit"], use["caller"], use["used"], use["of"]) for use in uses]


def test_what_is_used_at_this_site_is_shown_the_most_used_first(limits):
    assert standing(limits) == [
        ("tool", BOB, 4, 4),
        ("read", ALICE, 5, 10),
        ("budget-stripe-day", None, 30, 100),
        ("read", BOB, 1, 10),
    ]
    assert standing(limits, "--server", "orders", "--caller", BOB) == [("tool", BOB, 4, 4), ("read", BOB, 1, 10)]
    assert standing(limits, "--limit", "budget-stripe-day") == [("budget-stripe-day", None, 30, 100)]


def test_a_reset_gives_back_what_is_meant_and_nothing_else(limits, server):
    code, out, err = limits("reset", "--caller", "aliceaaaaaaa", "--yes", "--json")
    assert (code, json.loads(out), "1 counter" in err) == (0, {"reset": 1}, True)
    assert ALICE not in {caller for _, caller, _, _ in standing(limits)}
    assert limits("reset", "--limit", "budget-stripe-day", "--yes")[0] == 0
    assert standing(limits) == [("tool", BOB, 4, 4), ("read", BOB, 1, 10)]
    draw(server.url, (READ, ALICE, 10), (DAY, "", 100))  # all of it is there again
    assert limits("reset", "--yes")[0] == 0
    assert standing(limits) == []
    others = server.keys("{other}b*")
    assert len(others) == 1


def test_a_store_that_is_away_is_told_and_not_waited_for(limits, server):
    server.kill()
    for words in ((), ("--watch",), ("reset", "--yes")):
        code, out, err = limits(*words)
        assert (code, out) == (3, "")
        assert "error: the shared counters do not answer" in err


def test_why_a_store_refuses_is_told_without_the_password(limits, server, monkeypatch):
    monkeypatch.setenv("MCPWARD_LIMITS__COUNTERS", server.url.replace("://", "://:kx93-wrong@"))
    for words in ((), ("reset", "--yes")):
        code, out, err = limits(*words)
        assert (code, out) == (3, "")
        assert "AUTH" in err
        assert "kx93" not in err
