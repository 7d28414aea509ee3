"""The behaviour of every store of counters: the memory of a process, Redis, Valkey, a cluster."""

import asyncio
import random

import pytest

from mcpward.core.values import Rate
from mcpward.limits.rates.limit import Limit
from support.drains import ANN, BEN, draw, passes, passing, quota, rate


async def test_102_of_200_parallel_calls_exactly_the_limit_passes_twenty_times(counters):
    for n in range(20):
        assert await passing(counters, 200, draw(rate(50), f"api-key:{n}")) == 50


async def test_103_a_window_gives_its_rate_and_its_burst_and_no_more(counters):
    limit = Limit("read", "orders", Rate(100, 1.0, 20))
    loop = asyncio.get_running_loop()
    began, passed = loop.time(), 0
    while loop.time() - began < 0.5:
        passed += await passing(counters, 10, draw(limit))
        await asyncio.sleep(0.005)
    window = loop.time() - began
    assert 0.6 * window * 100 <= passed <= window * 100 + 20 + 1


async def test_a_limit_that_was_too_strict_is_mended_at_once(counters):
    """The value in a bucket is of the wrong limit: under the right one a drained bucket gives a call soon."""
    wrong, right = Limit("read", "orders", Rate(2, 3600.0, 2)), Limit("read", "orders", Rate(20, 1.0, 20))
    assert await passing(counters, 9, draw(wrong)) == 2
    assert not await passes(counters, draw(right))
    async with asyncio.timeout(10):
        while not await passes(counters, draw(right)):  # noqa: ASYNC110  # the bucket fills by itself
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("limit", [rate(5), quota(5)], ids=["rate", "quota"])
async def test_a_bucket_is_its_callers_own(counters, limit):
    assert await passing(counters, 9, draw(limit, ANN)) == 5
    assert await passing(counters, 9, draw(limit, BEN)) == 5


async def test_draws_of_a_call_are_taken_all_or_none(counters):
    much, little, day = rate(10), rate(3, name="write"), quota(7)
    assert await passing(counters, 20, draw(much), draw(little), draw(day)) == 3
    refused = await counters.take([draw(much), draw(little), draw(day)])
    assert [standing.refuses for standing in refused] == [False, True, False]
    assert [standing.remaining for standing in refused] == [7, 0, 4]
    assert await passing(counters, 20, draw(much), draw(day)) == 4
    assert await passing(counters, 20, draw(much)) == 3


async def test_what_is_left_is_told(counters):
    first, second = await counters.take([draw(rate(10, 60.0)), draw(quota(10), cost=4)])
    assert (first.remaining, first.reset_s, first.wait_s) == (9, 6, 0)
    assert (second.remaining, second.wait_s) == (6, 0)
    assert 1 <= second.reset_s <= 86_400
    (refused,) = await counters.take([draw(quota(10), cost=7)])
    assert refused.remaining == 6
    assert abs(refused.wait_s - second.reset_s) <= 1


async def test_a_cost_is_taken_whole_or_not_at_all(counters):
    for limit in (rate(10, name="a"), quota(10, name="b")):
        assert not await passes(counters, draw(limit, cost=11))
        assert await passes(counters, draw(limit, cost=6))
        assert not await passes(counters, draw(limit, cost=5))
        assert await passes(counters, draw(limit, cost=4))


async def test_a_cost_of_nothing_takes_nothing(counters):
    for limit in (rate(2, name="a"), quota(2, name="b")):
        assert await passing(counters, 5, draw(limit, cost=0)) == 5
        assert await passing(counters, 5, draw(limit)) == 2


async def test_a_limit_that_is_not_enforced_counts_and_holds_up_nobody(counters):
    strict, shadow = rate(5), rate(2, name="write", enforce=False)
    standings = [await counters.take([draw(strict), draw(shadow)]) for _ in range(6)]
    assert [any(each.refuses for each in one) for one in standings] == [False] * 5 + [True]
    assert [one[1].wait_s > 0 for one in standings] == [False, False, True, True, True, True]
    assert [one[1].remaining for one in standings] == [1, 0, 0, 0, 0, 0]


async def test_what_is_given_back_can_be_taken_again(counters):
    for limit in (rate(5, name="a"), quota(5, name="b")):
        assert await passing(counters, 9, draw(limit)) == 5
        counters.give_back([draw(limit, cost=2)])
        assert await passing(counters, 9, draw(limit)) == 2
        counters.give_back([draw(limit, cost=50)])
        assert await passing(counters, 9, draw(limit)) == 5


async def test_a_key_may_hold_anything(counters):
    for caller in ("oauth:https://issuer|ünïcode\r\n$3\r\n", "oauth:i|\ud800", "oauth:i|a\0b", "x" * 5000, ""):
        assert await passing(counters, 4, draw(rate(2), caller)) == 2


async def test_many_draws_agree_with_the_arithmetic(counters):
    # Hours per call: nothing comes back while the test runs, so a plain sum is the model.
    chance = random.Random(7)
    limits = [rate(30, 3600.0 * 24 * 30, name=f"r{n}") for n in range(3)] + [quota(40, name=f"q{n}") for n in range(2)]
    left = {limit: limit.most for limit in limits}
    for _ in range(200):
        chosen = chance.sample(limits, chance.randint(1, 4))
        draws = [draw(limit, cost=chance.randint(0, 4)) for limit in chosen]
        if chance.random() < 0.2:
            counters.give_back(draws)
            for limit, _, cost in draws:
                left[limit] = min(limit.most, left[limit] + cost)
            continue
        expected = all(left[limit] >= cost for limit, _, cost in draws if cost)
        if any(not cost and not left[limit] for limit, _, cost in draws):
            continue  # whether a draw of nothing refuses is asked elsewhere
        assert await passes(counters, *draws) is expected
        if expected:
            for limit, _, cost in draws:
                left[limit] -= cost
