"""Shared counters hold for all processes of a site, whatever is in the store."""

import asyncio
import sys

import pytest

from mcpward.limits.rates.bucket_usage import BucketFilter
from mcpward.limits.rates.limit import Limit, Loop
from support.drains import ANN, BEN, draw, passes, passing, quota, rate

#: A process of its own, that takes what it can: url, namespace, limit, calls.
TAKER = """
import asyncio, sys
from mcpward.core.clock import SystemClock
from mcpward.core.secret import Secret
from mcpward.limits.redis.shared_counters import SharedCounters
from mcpward.limits.redis.store import SharedStore
from support.drains import draw, passing, rate

async def main(url, namespace, callers, calls):
    store = SharedStore(Secret(url), namespace=namespace, clock=SystemClock(), timeout_s=5, on_change=lambda *_: None)
    await store.start()
    counters = SharedCounters(store, SystemClock())
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range(int(callers)):
        print(await passing(counters, int(calls), draw(rate(50), f"api-key:{n}")), flush=True)
    await store.stop()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_102_of_200_parallel_calls_in_four_processes_exactly_the_limit_passes_twenty_times(url, namespace, root):
    takers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", TAKER, url, namespace, "20", "50",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            env={"PYTHONPATH": f"{root}/src:{root}/tests"},
        )
        for _ in range(4)
    ]  # fmt: skip
    for taker in takers:
        assert taker.stdout is not None
        assert await taker.stdout.readline() == b"ready\n"
    told = await asyncio.gather(*(taker.communicate(b"go\n") for taker in takers))
    rounds = zip(*([int(line) for line in out.split()] for out, _ in told), strict=True)
    assert [sum(one) for one in rounds] == [50] * 20


async def test_what_one_worker_takes_another_has_not(url, namespace, join):
    first, second = await join(url, namespace), await join(url, namespace)
    for limit in (rate(10, name="a"), quota(10, name="b")):
        assert await passing(first, 7, draw(limit)) == 7
        assert await passing(second, 7, draw(limit)) == 3
        assert not await passes(first, draw(limit))


async def test_two_sites_in_one_store_do_not_meet(url, namespace, join):
    first, second = await join(url, namespace), await join(url, namespace + "-b")
    assert await passing(first, 9, draw(rate(5))) == 5
    assert await passing(second, 9, draw(rate(5))) == 5


async def test_a_restarted_worker_gives_nothing_anew(url, namespace, join):
    first = await join(url, namespace)
    assert await passing(first, 9, draw(rate(5)), draw(quota(5))) == 5
    await first.store.stop()
    assert await passing(await join(url, namespace), 9, draw(rate(5)), draw(quota(5))) == 0


async def test_a_draw_of_nothing_asks_for_one(shared):
    for limit in (rate(2, name="a"), quota(2, name="b")):
        assert await passes(shared, draw(limit, cost=0))
        assert await passing(shared, 5, draw(limit)) == 2
        assert not await passes(shared, draw(limit, cost=0))


async def test_a_flood_reaches_the_store_once_a_second(shared):
    one = draw(rate(5))
    assert await passing(shared, 6, one) == 5
    evals = await scripts(shared)
    began = asyncio.get_running_loop().time()
    assert [await passes(shared, one) for _ in range(2000)].count(True) == 0
    seconds = asyncio.get_running_loop().time() - began
    assert await scripts(shared) - evals <= 2 * (seconds + 1)


async def test_who_was_refused_passes_when_there_is_one_more(shared):
    limit = Limit("read", "orders", rate(20, 2.0).rate)
    assert await passing(shared, 25, draw(limit)) == 20
    (refused,) = await shared.take([draw(limit)])
    assert refused.wait_s == 1
    began = asyncio.get_running_loop().time()
    for _ in range(1000):
        if await passes(shared, draw(limit)):
            break
        await asyncio.sleep(0.002)
    assert 0.05 <= asyncio.get_running_loop().time() - began <= 0.15


async def test_a_refusal_of_one_bucket_is_none_of_another(shared):
    limit, again = rate(50), rate(2, name="repeat", scope="orders\0000")

    def call(digest):
        return (draw(limit), (again, f"{again.prefix}{ANN}\0{digest}", 1))

    assert await passing(shared, 5, *call("a")) == 2
    assert not await passes(shared, *call("a"))
    assert [(await shared.take(call("b")))[0].remaining for _ in range(2)] == [47, 46]


# ---- the loop breaker ---------------------------------------------------------------------------------------------


def around(digest, caller=ANN, count=3, **ruling):
    limit = rate(count, name="repeat", scope="orders\0000", **ruling)
    key = f"{limit.prefix}{caller}"
    return [(limit, f"{key}\0{digest}", 1)], Loop(f"orders\0{caller}", digest, (limit, key, 1))


@pytest.mark.parametrize("period", [2, 3, 4, 5])
async def test_a_circle_of_calls_is_stopped_and_a_different_call_passes(shared, period):
    limit = rate(3, name="repeat", scope="orders\0000")
    wide = rate(100, name="repeat", scope="orders\0001")

    async def call(digest):
        loop = Loop(f"orders\0{ANN}", digest, (limit, limit.prefix + ANN, 1))
        return await shared.take([(wide, f"{wide.prefix}{ANN}\0{digest}", 1)], loop)

    told = [await call(f"call{n % period}") for n in range(2 * period + 2)]
    # Two rounds make a circle; two calls more go round in it, and then no more.
    assert [len(one) for one in told] == [1] * (2 * period - 1) + [2] * 3
    assert not any(standing.refuses for one in told for standing in one)
    for _ in range(3):
        assert (await call(f"call{2 % period}"))[-1].refuses
    assert len(await call("something else")) == 1


async def test_a_single_call_again_and_again_is_no_circle(shared):
    for _ in range(12):
        drawn, loop = around("same", count=100)
        assert len(await shared.take(drawn, loop)) == 1


async def test_a_refused_call_is_not_remembered_as_one_of_a_circle(shared):
    strict = rate(1, name="write")
    assert await passes(shared, draw(strict))
    for n in range(12):
        drawn, loop = around("ab"[n % 2], count=100)
        assert len(await shared.take([*drawn, draw(strict)], loop)) == 2


async def test_a_circle_that_is_not_enforced_is_told_and_passes(shared):
    for n in range(12):
        drawn, loop = around("ab"[n % 2], count=2, enforce=False)
        told = await shared.take(drawn, loop)
        assert not any(standing.refuses for standing in told)
    assert told[-1].wait_s > 0


# ---- what an operator sees ----------------------------------------------------------------------------------------


async def test_every_bucket_in_use_is_listed_without_its_worker(url, namespace, join):
    worker = await join(url, namespace)
    tool = rate(4, name="tool", scope="orders\0query")
    total = rate(9, name="total")
    await worker.take([draw(rate(10, 60.0)), draw(tool), (total, total.prefix, 1), draw(quota(20), cost=5)])
    await worker.take([draw(rate(8, scope="stock"), BEN)])
    drawn, loop = around("call")
    await worker.take(drawn, loop)
    visitor = await join(url, namespace)
    uses = await visitor.uses(BucketFilter())
    assert sorted((use.scope, use.limit, use.caller, use.remaining, use.most) for use in uses) == [
        ("orders", "quota-day", ANN, 15, 20),
        ("orders", "read", ANN, 9, 10),
        ("orders", "total", "", 8, 9),
        ("orders\0query", "tool", ANN, 3, 4),
        ("stock", "read", BEN, 7, 8),
    ]
    assert next(use.reset_s for use in uses if use.limit == "read" and use.scope == "orders") == 6
    assert [use.scope for use in await visitor.uses(BucketFilter(server="stock"))] == ["stock"]
    assert len(await visitor.uses(BucketFilter(server="orders"))) == 4
    assert [use.limit for use in await visitor.uses(BucketFilter(limit="total"))] == ["total"]
    assert len(await visitor.uses(BucketFilter(caller=ANN))) == 3


async def test_a_reset_makes_full_what_is_meant_and_nothing_else(url, namespace, join):
    worker, visitor = await join(url, namespace), await join(url, namespace)
    limits = (rate(5), quota(5))
    for caller in (ANN, BEN):
        for limit in limits:
            assert await passing(worker, 9, draw(limit, caller)) == 5
    assert await visitor.reset(BucketFilter(caller=ANN)) == 2
    await asyncio.sleep(1.05)  # for so long a worker remembers the callers that it refused
    for limit in limits:
        assert await passing(worker, 9, draw(limit, ANN)) == 5
        assert await passing(worker, 9, draw(limit, BEN)) == 0
    assert await visitor.reset(BucketFilter()) >= 4
    assert await visitor.uses(BucketFilter()) == []


async def test_a_reset_makes_the_loop_breaker_forget(shared):
    for n in range(9):
        drawn, loop = around("ab"[n % 2])
        told = await shared.take(drawn, loop)
    assert any(standing.refuses for standing in told)
    assert await shared.reset(BucketFilter(caller=ANN, limit="repeat")) == 3
    drawn, loop = around("a")
    assert len(await shared.take(drawn, loop)) == 1


async def test_a_thousand_keys_of_others_are_looked_through_and_left_alone(shared):
    from mcpward.limits.redis.script import Command

    store = shared.store
    for n in range(3000):
        store.tell(Command.of("SET", store.key("other", str(n)), "theirs"))
    await shared.take([draw(rate(5))])
    assert len(await shared.uses(BucketFilter())) == 1
    assert await shared.reset(BucketFilter()) == 1
    assert await store.ask(Command.of("GET", store.key("other", "7"))) == b"theirs"


async def scripts(counters) -> int:
    """How many scripts the server that is connected has run."""
    from mcpward.limits.redis.script import Command

    stats = (await counters.store.ask(Command.of("INFO", "commandstats"))).decode()
    lines = [line for line in stats.splitlines() if line.startswith("cmdstat_evalsha:")]
    return int(lines[0].partition("calls=")[2].partition(",")[0])
