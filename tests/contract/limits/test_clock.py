"""Attack 105: the clock of the store's machine is set an hour forward or back. Nothing opens, and no caller is locked
out.
"""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files

import pytest

from mcpward.core.values import Period, Rate
from mcpward.limits.rates.limit import Limit
from mcpward.limits.rates.period import index_of
from support.clock import ManualClock
from support.drains import ANN, BEN, draw, passes, passing, quota, rate, until_up
from support.redis import RedisServer

HOUR_S = 3600
#: Longer than a worker remembers a refusal: it asks the store again.
FORGOTTEN_S = 1.1
#: How far the store's time may be ahead of what a worker expects.
SLACK_S = 1.0
JUMPS = pytest.mark.parametrize("jump", [HOUR_S, -HOUR_S], ids=["forward", "back"])


@pytest.fixture(params=["redis", "valkey"])
def server(request: pytest.FixtureRequest, tmp_path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path, request.param).start(faked_clock=True)
    yield server
    server.kill()


def seconds(server: RedisServer) -> int:
    return int(server.run("TIME")[0])


async def test_the_servers_clock_can_be_set(server):
    before = seconds(server)
    server.set_clock(HOUR_S)
    assert HOUR_S - 1 <= seconds(server) - before <= HOUR_S + 5


@JUMPS
async def test_105_a_set_clock_opens_no_window(server, join, jump):
    clock = ManualClock(now=time.time())
    first, second = await join(server.url, clock=clock), await join(server.url, clock=clock)
    minute, day = rate(10, 60.0), quota(30)
    assert await passing(first, 20, draw(minute), draw(day)) == 10
    assert await passing(first, 20, draw(day)) == 20
    server.set_clock(jump)
    clock.advance(FORGOTTEN_S)
    for counters in (second, first, second):
        assert await passing(counters, 20, draw(minute)) == 0
        assert await passing(counters, 20, draw(day)) == 0
    assert first.is_up
    assert second.is_up


@JUMPS
async def test_105_a_set_clock_locks_nobody_out(server, join, jump):
    counters = await join(server.url)
    limit = Limit("read", "orders", Rate(10, 5.0, 10))
    began = time.monotonic()
    assert await passing(counters, 20, draw(limit)) == 10
    server.set_clock(jump)
    refused = (await counters.take([draw(limit)]))[0]
    assert refused.wait_s == 1
    await asyncio.sleep(1.2)
    passed = await passing(counters, 20, draw(limit))
    assert 1 <= passed <= 2 * (time.monotonic() - began + SLACK_S)
    assert await passing(counters, 20, draw(limit, BEN)) == 10


@JUMPS
async def test_105_nor_does_a_clock_that_is_set_again_and_again(server, join, jump):
    counters = await join(server.url)
    limit = rate(20, HOUR_S)
    assert await passing(counters, 40, draw(limit)) == 20
    for n in range(1, 6):
        server.set_clock(jump * (n % 2) * n)
        await asyncio.sleep(0.05)
        assert await passing(counters, 5, draw(limit, ANN)) == 0
    assert await passing(counters, 40, draw(limit, BEN)) == 20


@JUMPS
async def test_105_an_hours_quota_is_one_hours(server, join, jump):
    clock = ManualClock(now=time.time())
    counters = await join(server.url, clock=clock)
    hour = quota(9, Period.HOUR)
    assert await passing(counters, 20, draw(hour)) == 9
    server.set_clock(jump)
    clock.advance(FORGOTTEN_S)
    assert await passing(counters, 20, draw(hour)) == 0


async def test_a_quota_begins_anew_with_its_period(redis_server, join):
    """The store is in the next period already, and the worker gets there."""
    clock = ManualClock(now=float(seconds(redis_server) // 86_400 * 86_400 - 10))
    counters = await join(redis_server.url, clock=clock)
    day = quota(5)
    assert await passing(counters, 9, draw(day)) == 5
    (refused,) = await counters.take([draw(day)])
    assert refused.wait_s == 10
    clock.advance(11)
    assert await passing(counters, 9, draw(day)) == 5


async def test_a_clock_of_a_worker_alone_gives_no_quota_anew(redis_server, join):
    right, wrong = await join(redis_server.url), await join(redis_server.url, clock=ManualClock(now=2_000_000_000.0))
    assert await passing(right, 9, draw(quota(5, Period.MONTH))) == 5
    assert await passing(wrong, 9, draw(quota(5, Period.MONTH))) == 0
    assert await passing(right, 9, draw(quota(5, Period.MONTH))) == 0


async def test_store_and_worker_agree_on_the_calendar(redis_server):
    """The script's own arithmetic, asked of Redis, beside that of Python."""
    text = files("mcpward.limits.redis").joinpath("take.lua").read_text()
    arithmetic = "local function index_of" + text.partition("local function index_of")[2].partition("\nend\n")[0]
    lua = f"""{arithmetic}
end
local told = {{}}
for i, moment in ipairs(ARGV) do told[i] = index_of(KEYS[1], moment * 1000000) end
return told"""
    moments = [
        int(datetime(year, month, 1, tzinfo=UTC).timestamp()) for year in range(1999, 2101) for month in range(1, 13)
    ]
    moments = [moment + more for moment in moments for more in (-1, 0, 86_399 + 14 * 86_400)]
    for period in Period:
        assert redis_server.run("EVAL", lua, 1, period.value, *moments) == [index_of(period, each) for each in moments]


async def test_a_paused_store_loses_no_more_time_than_it_stood(redis_server, join):
    counters = await join(redis_server.url, timeout_s=0.2)
    limit = Limit("read", "orders", Rate(10, 5.0, 10))
    assert await passing(counters, 20, draw(limit)) == 10
    redis_server.pause()
    await asyncio.sleep(1.5)
    redis_server.resume()
    await until_up(counters)
    assert await passes(counters, draw(limit))
