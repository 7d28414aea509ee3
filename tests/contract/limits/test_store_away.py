"""Attack 104: the store killed, paused, flushed, full, tampered with, cut off. Answered in time, never without a limit,
and up again within a second of its recovery."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest

from mcpward.limits.rates.limit import Loop
from mcpward.limits.rates.shared_port import StoreDown
from mcpward.limits.redis.dns_cache import DnsCache
from mcpward.limits.redis.script import Command
from support.clock import ManualClock
from support.drains import ANN, draw, passes, passing, quota, rate, until_up
from support.outside import certificate_for
from support.proxy import proxied
from support.redis import RedisServer, started
from support.waiting import soon, turns

TIMEOUT_S = 0.3
#: The time that the machine may add to the timeout while it does other things.
LEEWAY_S = 0.4


@pytest.fixture(params=["redis", "valkey"])
def server(request: pytest.FixtureRequest, tmp_path) -> Iterator[RedisServer]:
    yield from started(tmp_path / "store", request.param)


@pytest.fixture
def changes() -> list[tuple[bool, str]]:
    return []


@pytest.fixture
async def counters(server, join, changes):
    return await join(server.url, timeout_s=TIMEOUT_S, told=changes)


def fell(changes, times) -> bool:
    return [up for up, _ in changes].count(False) == times


async def is_down(counters) -> float:
    """How long an answer of no took, in seconds."""
    began = time.monotonic()
    with pytest.raises(StoreDown):
        await counters.take([draw(rate(50))])
    return time.monotonic() - began


@asynccontextmanager
async def away(counters) -> AsyncIterator[None]:
    """The store is away in this block: detected in time, no call waits a second time, and it is up again in a
    second.
    """
    assert await is_down(counters) < TIMEOUT_S + LEEWAY_S
    assert not counters.is_up
    assert await is_down(counters) < 0.05
    failed = counters.store.failures
    assert failed >= 1
    yield
    assert await until_up(counters) < 1
    assert await passes(counters, draw(rate(50, name="after")))


async def test_a_killed_server_is_down_at_once_and_up_when_it_is_back(server, counters, changes):
    assert await passing(counters, 60, draw(rate(50))) == 50
    server.kill()
    async with away(counters):
        server.start()
    assert [up for up, _ in changes] == [True, False, True]


async def test_a_paused_server_is_given_up_in_time_and_up_when_it_goes_on(server, counters, changes):
    assert await passing(counters, 60, draw(rate(50)), draw(quota(70))) == 50
    server.pause()
    began = time.monotonic()
    told = await asyncio.gather(*(counters.take([draw(rate(9, name="b"))]) for _ in range(100)), return_exceptions=True)
    assert {type(each) for each in told} == {StoreDown}
    assert time.monotonic() - began < TIMEOUT_S + LEEWAY_S
    async with away(counters):
        server.resume()
    # Commands that had been sent to it were counted when it went on, and nothing was lost.
    assert await passing(counters, 60, draw(rate(50))) <= 2
    assert [up for up, _ in changes] == [True, False, True]


async def test_a_server_that_is_not_there_yet_is_no_error_and_is_found_when_it_comes(tmp_path, join, changes):
    server = RedisServer(tmp_path)
    counters = await join(server.url, timeout_s=TIMEOUT_S, told=changes)
    try:
        assert not counters.is_up
        assert await is_down(counters) < 0.05
        assert [up for up, _ in changes] == [False]
        server.start()
        assert await until_up(counters) < 1
        assert await passing(counters, 60, draw(rate(50))) == 50
    finally:
        server.kill()


async def test_flushed_scripts_are_sent_again_and_nothing_is_lost(server, counters):
    assert await passing(counters, 30, draw(rate(50))) == 30
    server.forget_scripts()
    assert await passing(counters, 30, draw(rate(50))) == 20
    assert counters.store.failures == 0


async def test_a_flushed_store_gives_a_quota_not_anew_and_a_rate_one_burst_at_the_most(server, join):
    clock = ManualClock(now=time.time())
    counters, other = await join(server.url, clock=clock), await join(server.url)
    assert await passing(counters, 10, draw(quota(50))) == 10
    assert await passing(other, 25, draw(quota(50))) == 25
    assert await passing(counters, 10, draw(rate(5))) == 5
    server.flush()
    # This worker saw 10 used, the other 35: what it saw counts as soon as it asks.
    assert await passes(counters, draw(quota(50)))
    assert await passing(other, 50, draw(quota(50))) == 15
    assert await passing(counters, 50, draw(quota(50))) == 0
    clock.advance(1.05)  # its refusal is forgotten
    assert await passing(counters, 10, draw(rate(5))) == 5
    assert counters.store.failures == 0


async def test_what_was_given_back_stays_given_back(server, counters, join):
    clock = ManualClock(now=time.time())
    other = await join(server.url, clock=clock)
    assert await passing(counters, 9, draw(quota(5))) == 5
    assert not await passes(other, draw(quota(5)))
    counters.give_back([draw(quota(5), cost=3)])
    await counters.store.ask(Command.of("PING"))
    clock.advance(1.05)  # its refusal is forgotten
    assert await passing(other, 9, draw(quota(5))) == 3


async def test_a_server_out_of_memory_is_down_until_it_has_some(server, counters, changes):
    assert await passes(counters, draw(rate(50)))
    server.config("maxmemory-policy", "noeviction")
    server.config("maxmemory", 1)
    async with away(counters):
        assert "OOM" in changes[-1][1]
        server.config("maxmemory", 0)


async def test_a_server_that_takes_no_writes_is_down(server, counters, tmp_path):
    for other in started(tmp_path / "master", "redis"):
        server.run("REPLICAOF", "127.0.0.1", other.port)
        async with away(counters):
            server.run("REPLICAOF", "NO", "ONE")


@pytest.mark.parametrize("command", [("LPUSH", "x"), ("HSET", "x", "y"), ("SADD", "x")], ids=lambda words: words[0])
async def test_a_wrong_type_under_a_key_is_thrown_away_and_counted(server, counters, caplog, command):
    limits = [draw(rate(5)), draw(quota(5))]
    await counters.take(limits)
    keys = server.keys()
    assert len(keys) == 3
    for key in keys:
        server.run("DEL", key)
        server.run(command[0], key, *command[1:])
    assert await passing(counters, 1, *limits) == 1
    assert counters.is_up
    assert counters.store.failures == 3
    assert "wrong type" in caplog.text
    assert await passing(counters, 9, *limits) == 3  # one was used before, and the quota's is known to the worker


@pytest.mark.parametrize(
    "value",
    [
        "",
        "garbage",
        "r",
        "r x y z",
        "r 99999999999999999999999 1 1 9",
        "r 2999999999999999 1 1 9",
        "q 1",
        "9" * 5000,
        "\0",
    ],
)
async def test_garbage_under_a_key_neither_opens_nor_locks(server, counters, value):
    limits = [draw(rate(5, 60.0)), draw(quota(5))]
    await counters.take(limits)
    keys = server.keys()
    for key in keys:
        server.run("SET", key, value)
    assert await passing(counters, 9, *limits) <= 5
    assert counters.is_up
    (standing, _) = await counters.take(limits)
    assert standing.wait_s <= 60


async def test_every_key_ends_by_itself(server, counters):
    await counters.take([draw(rate(5)), draw(quota(5)), draw(rate(5, 60.0, name="read"), "anonymous:192.0.2.1")])
    keys = server.keys()
    lives = {key: server.run("PTTL", key) for key in keys}
    assert len(lives) == 4
    assert all(life > 0 for life in lives.values())
    assert all(life <= 61_000 for key, life in lives.items() if b"anonymous" in key)


async def test_calls_that_are_made_up_leave_no_keys_for_longer_than_their_rate_takes(server, counters):
    limit = rate(30, 60.0, name="repeat", scope="orders\x000")
    for n in range(50):
        around = Loop(f"orders\0{ANN}", f"{n:022}", draw(limit))
        await counters.take([draw(rate(900)), draw(limit, f"{ANN}\0{n:022}")], around)
    keys = server.keys()
    lives = [server.run("PTTL", key) for key in keys if b"repeat" in key or b"}h" in key]
    assert len(lives) == 51
    assert max(lives) <= 61_000


# ---- the network --------------------------------------------------------------------------------------------------


async def test_answers_that_are_late_are_given_up_and_not_taken_for_others(server, join):
    async with proxied(server.port) as proxy:
        counters = await join(f"redis://127.0.0.1:{proxy.port}", timeout_s=TIMEOUT_S)
        assert await passes(counters, draw(rate(50)))
        proxy.delay_s = 1.0
        async with away(counters):
            proxy.delay_s = 0.0
        (standing,) = await counters.take([draw(rate(7, name="other"))])
        assert standing.remaining == 6


async def test_a_slow_network_is_no_failure(server, join):
    async with proxied(server.port) as proxy:
        proxy.delay_s = 0.05
        counters = await join(f"redis://127.0.0.1:{proxy.port}", timeout_s=1.0)
        assert await passing(counters, 60, draw(rate(50))) == 50
        assert counters.store.failures == 0


async def test_a_cut_connection_is_made_again(server, join, changes):
    async with proxied(server.port) as proxy:
        counters = await join(f"redis://127.0.0.1:{proxy.port}", timeout_s=TIMEOUT_S, told=changes)
        for cut in (1, 2, 3):
            assert await passes(counters, draw(rate(50)))
            proxy.reset()
            await soon(partial(fell, changes, cut))
            assert await until_up(counters) < 1
        assert await passing(counters, 60, draw(rate(50))) == 47


async def test_a_half_open_connection_is_given_up_in_time(server, join):
    async with proxied(server.port) as proxy:
        counters = await join(f"redis://127.0.0.1:{proxy.port}", timeout_s=TIMEOUT_S)
        proxy.swallows = True
        async with away(counters):
            proxy.swallows = False


async def test_a_connection_that_dies_while_nobody_asks_is_noticed(server, join):
    async with proxied(server.port) as proxy:
        counters = await join(f"redis://127.0.0.1:{proxy.port}", timeout_s=TIMEOUT_S)
        proxy.swallows = True
        await soon(lambda: not counters.is_up, 3)


async def test_somebody_who_does_not_speak_the_protocol_is_no_store(join):
    async def greet(reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    counters = await join(f"redis://127.0.0.1:{port}", timeout_s=TIMEOUT_S)
    assert not counters.is_up
    assert await is_down(counters) < 0.05
    await counters.store.stop()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("says", ["-MOVED 1 127.0.0.1:99999", "-MOVED 1 {host}:1".format(host="x" * 80), ":1", "$-1"])
async def test_whatever_answers_in_the_place_of_redis_is_tried_again(join, changes, says):
    tried = []

    async def answer(reader, writer):
        tried.append(says)
        with suppress(OSError, asyncio.IncompleteReadError):
            while await reader.read(65536):
                writer.write(says.encode() + b"\r\n" + b"*0\r\n")
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(5):
        counters = await join(f"redis://127.0.0.1:{port}", timeout_s=TIMEOUT_S, told=changes)
        before = len(tried)
        await soon(lambda: len(tried) >= before + 2)
    assert [up for up, _ in changes] == [False]
    assert await is_down(counters) < 0.05
    await counters.store.stop()
    server.close()
    await server.wait_closed()


async def test_a_name_is_followed_to_whichever_address_takes_a_connection(server, join):
    counters = await join(f"redis://localhost:{server.port}")
    assert await passing(counters, 9, draw(rate(5))) == 5


async def test_a_name_server_that_is_dead_holds_one_thread_and_no_more(join, monkeypatch):
    asked, tried, answer = [], [], threading.Event()
    look_up = DnsCache.of

    async def of(self, host):
        tried.append(host)
        return await look_up(self, host)

    def never(*names, **_):
        asked.append(names[0])
        answer.wait(20)
        raise OSError("no such name")

    monkeypatch.setattr("socket.getaddrinfo", never)
    monkeypatch.setattr(DnsCache, "of", of)
    counters = await join("redis://store.example.com:6379", timeout_s=0.05)
    await soon(lambda: len(tried) >= 4)
    assert asked == ["store.example.com"]
    assert not counters.is_up
    answer.set()


@pytest.mark.parametrize("trusted", [True, False])
async def test_tls_is_spoken_with_whom_the_machine_trusts_and_with_nobody_else(
    server, join, tmp_path, monkeypatch, trusted, changes
):
    here, _ = certificate_for("127.0.0.1", tmp_path)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "outside.pem"))
    async with proxied(server.port, here) as proxy:
        counters = await join(f"rediss://127.0.0.1:{proxy.port}", told=changes)
        assert counters.is_up is trusted
        if trusted:
            assert await passing(counters, 60, draw(rate(50))) == 50
        else:
            assert "certificate" in changes[0][1].lower()
        await counters.store.stop()


# ---- who may come in ----------------------------------------------------------------------------------------------


async def test_a_password_opens_and_a_wrong_one_is_told_without_it(tmp_path, join, changes):
    for server in started(tmp_path, "redis", password="s3cret:/@?"):
        good = await join(f"redis://:s3cret%3A%2F%40%3F@127.0.0.1:{server.port}/3")
        assert await passing(good, 9, draw(rate(5))) == 5
        assert server.run("DBSIZE") == 0
        bad = await join(f"redis://:guess@127.0.0.1:{server.port}", told=changes)
        assert not bad.is_up
        with pytest.raises(StoreDown) as no:
            await bad.take([draw(rate(5))])
        assert "guess" not in str(no.value)
        none = await join(f"redis://127.0.0.1:{server.port}")
        assert not none.is_up


async def test_a_user_who_may_not_run_scripts_is_down(server, join):
    server.run("ACL", "SETUSER", "poor", "on", ">word", "~*", "+@all", "-@scripting")
    counters = await join(f"redis://poor:word@127.0.0.1:{server.port}")
    assert not counters.is_up
    server.run("ACL", "SETUSER", "poor", "+@scripting")
    assert await until_up(counters) < 1
    assert await passes(counters, draw(rate(5), ANN))


async def test_a_stopped_store_fails_what_waits_and_starts_nothing_anew(server, counters):
    server.pause()
    waiting = asyncio.ensure_future(counters.take([draw(rate(5))]))
    await turns()  # it is sent
    await counters.store.stop()
    with pytest.raises(StoreDown):
        await waiting
    server.resume()
    await asyncio.sleep(0.3)
    assert not counters.is_up


async def test_a_caller_who_leaves_disturbs_no_other(server, counters):
    leaving = [asyncio.ensure_future(counters.take([draw(rate(50, name="b"))])) for _ in range(20)]
    staying = [asyncio.ensure_future(counters.take([draw(rate(50))])) for _ in range(20)]
    await asyncio.sleep(0)
    for each in leaving:
        each.cancel()
    told = await asyncio.gather(*staying)
    assert sorted(one[0].remaining for one in told) == list(range(30, 50))
