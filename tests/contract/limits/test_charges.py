"""Limits on real counters in common, and without them: what a call is charged, by what, and what holds meanwhile."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from mcpward.config.limits import ServerLimits, SiteLimits
from mcpward.core.clock import SystemClock
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.secret import Secret
from mcpward.core.values import AuthMethod, Budget, Draw, Enforcement, Period, Quota, QuotaLimit, Rate, RateLimit
from mcpward.crypto.digest import fingerprint
from mcpward.limits.rates.bucket_usage import BucketFilter
from mcpward.limits.rates.charge import Limits
from mcpward.limits.rates.limit import Charge
from mcpward.limits.redis.shared_counters import SharedCounters
from mcpward.limits.redis.store import SharedStore
from support.facts import facts_of
from support.redis import RedisServer
from support.values import a_call, a_principal, a_tool, an_arrival

OPENAI = Budget(name="openai", quota=Quota(1000, Period.MONTH))
QUIET = {"repeat_read": "", "repeat_write": "", "repeat_destructive": ""}


@asynccontextmanager
async def limits_on(server: RedisServer, *, site=None, budgets=(), workers=1, **rates):
    """Two workers' limits on one server, and the store of the first."""
    clock = SystemClock()
    stores = [
        SharedStore(Secret(server.url), namespace="t", clock=clock, timeout_s=0.3, on_change=lambda *_: None)
        for _ in range(2)
    ]
    for store in stores:
        await store.start()
    named = {each.name: each for each in budgets}
    servers = {"orders": ServerLimits(**{"read": "1000/hour"} | QUIET | rates)}
    try:
        yield [
            Limits(
                SiteLimits(**site or {}),
                servers,
                clock,
                budgets=named,
                workers=workers,
                common=SharedCounters(store, clock),
                digest=fingerprint(b"k" * 32),
            )
            for store in stores
        ]
    finally:
        for store in stores:
            await store.stop()


async def charge(limits: Limits, call=None, tool=None, **arguments) -> Charge:
    call, tool = call or a_call(), tool or a_tool()
    charged = limits.charge(call, tool, limits.price(tool, arguments))
    return charged if isinstance(charged, Charge) else await charged


async def outcome(limits: Limits, call=None, tool=None) -> str:
    try:
        await charge(limits, call, tool)
    except Refusal as no:
        return f"{no.reason.value} {facts_of(no).get('policy', '')}".rstrip()
    return "ok"


async def passes(both, n, call=None, tool=None) -> int:
    return (await asyncio.gather(*(outcome(both[i % 2], call, tool) for i in range(n)))).count("ok")


async def test_102_of_200_parallel_calls_at_two_workers_exactly_50_pass(redis_server):
    async with limits_on(redis_server, read="50/hour") as both:
        assert await passes(both, 200) == 50
        assert await passes(both, 200, call=a_call(a_principal("api-key:other"))) == 50


async def test_a_refusal_by_one_limit_charges_no_other(redis_server):
    async with limits_on(
        redis_server, budgets=[OPENAI], read="60/hour", quota=QuotaLimit(Quota(90, Period.MONTH))
    ) as both:
        costly = a_tool(draws=(Draw(budget="openai", cost=100),))
        assert await passes(both, 100, tool=costly) == 10
        assert await outcome(both[0], tool=costly) == "rate-exceeded budget-openai-month"
        assert await passes(both, 100) == 50
        seen = {use.limit: use.most - use.remaining for use in await both[1].uses(BucketFilter(caller="api-key:abc"))}
        assert seen["quota-month"] == 60


async def test_what_was_not_used_is_given_back(redis_server):
    async with limits_on(redis_server, budgets=[OPENAI], read="5/hour") as both:
        costly = a_tool(draws=(Draw(budget="openai", cost=1000),))
        for _ in range(10):
            paid = await charge(both[0], tool=costly)
            both[0].give_back(a_call(), costly, paid)
        assert await passes(both, 10, tool=costly) == 1
        assert await passes(both, 10) == 4


async def test_what_was_paid_there_is_not_given_back_here(redis_server):
    async with limits_on(redis_server, site={"fallback_share": 0.5}, read="4/hour") as both:
        paid = [await charge(both[0]) for _ in range(4)]
        redis_server.kill()
        assert await passes(both[:1] * 2, 9) == 2
        for each in paid:
            both[0].give_back(a_call(), a_tool(), each)
        assert await passes(both[:1] * 2, 9) == 0


async def test_who_was_refused_a_moment_ago_is_known_without_asking(redis_server):
    async with limits_on(redis_server, read="3/hour") as both:
        both[0].require(a_call(), a_tool())
        assert await passes(both[:1] * 2, 9) == 3
        with pytest.raises(Refusal) as no:
            both[0].require(a_call(), a_tool())
        assert facts_of(no.value)["policy"] == "read"
        both[0].require(a_call(a_principal("api-key:other")), a_tool())
        both[1].require(a_call(), a_tool())  # which does not know it yet, and asks


async def test_the_same_call_is_broken_off_at_whichever_worker_it_comes(redis_server):
    async with limits_on(redis_server, repeat_read="6/minute", read="10/hour") as both:
        said = [await outcome(both[n % 2]) for n in range(20)]
        assert said == ["ok"] * 6 + ["repeated-call repeat"] * 14
        another = a_call(arguments=b'{"limit":21}')
        assert await passes(both, 20, call=another) == 4  # nothing was charged for what was broken off


async def test_a_circle_of_calls_is_broken_off_at_whichever_worker_they_come(redis_server):
    async with limits_on(redis_server, repeat_read="10/minute") as both:
        calls = [a_call(arguments=b'{"x":%d}' % n) for n in range(3)]
        said = [await outcome(both[n % 2], calls[n % 3]) for n in range(40)]
        assert 12 < said.index("repeated-call repeat") < 20
        assert await outcome(both[0], a_call(arguments=b'{"x":9}')) == "ok"


async def test_a_circle_of_reads_and_writes_is_one_circle(redis_server):
    async with limits_on(redis_server, repeat_read="9/minute", repeat_write="3/minute") as both:
        reader, writer = (a_call(arguments=b'{"x":1}'), a_tool()), (a_call(target="w"), a_tool("w", Access.WRITE))
        said = [await outcome(both[n % 2], *(reader, writer)[n % 2]) for n in range(20)]
        assert said.index("repeated-call repeat") < 12


async def test_conversations_are_counted_apart_and_their_caller_as_a_whole(redis_server):
    async with limits_on(redis_server, repeat_read="3/hour", repeat_conversations=4) as both:
        calls = [a_call(session=f"s{n}") for n in range(9)]
        assert [await passes(both, 9, call=call) for call in calls] == [3, 3, 3, 3, 0, 0, 0, 0, 0]
        made_up = [a_call(arguments=b"1", trace={"traceparent": f"00-{n:032x}-{'1' * 16}-01"}) for n in range(30)]
        assert [await outcome(both[n % 2], call) for n, call in enumerate(made_up)].count("ok") == 12
        untold = a_call(arguments=b"2", arrival=an_arrival(connection=0))
        assert await passes(both, 30, call=untold) == 12


async def test_calls_that_did_not_run_are_no_repetitions_and_no_circle(redis_server):
    async with limits_on(redis_server, repeat_read="3/hour", read="12/hour") as both:
        pair = [a_call(arguments=b"%d" % n) for n in range(2)]
        for n in range(20):
            limits, call = both[n % 2], pair[n % 2]
            paid = await charge(limits, call)
            limits.give_back(call, a_tool(), paid, rates=n >= 5)
            await both[0].uses(BucketFilter())  # what is given back has arrived
            await both[1].uses(BucketFilter())
        said = [await outcome(both[n % 2], pair[n % 2]) for n in range(8)]
        assert said == ["ok"] * 6 + ["repeated-call repeat"] * 2  # the circle is one from the fourth call on
        others = [await outcome(both[1], a_call(arguments=b"%d" % n)) for n in (3, 4)]
        assert others == ["ok", "rate-exceeded read"]  # what five of those calls cost was kept


async def test_a_reset_of_loops_is_by_caller_whatever_its_conversations(redis_server):
    async with limits_on(redis_server, repeat_read="2/hour") as both:
        for n in range(3):
            assert await passes(both, 5, call=a_call(session=f"s{n}")) == 2
        assert await passes(both, 5, call=a_call(a_principal("api-key:other"), session="s0")) == 2
        await both[0].reset(BucketFilter(limit="repeat", caller="api-key:abc"))
        assert await passes(both[1:] * 2, 5, call=a_call(session="s0")) == 2
        assert await passes(both[1:] * 2, 5, call=a_call(a_principal("api-key:other"), session="s0")) == 0


async def test_what_became_of_the_calls_before_is_told_where_it_is_known(redis_server):
    async with limits_on(redis_server, repeat_read="3/hour") as both:
        charges = [await charge(both[0]) for _ in range(3)]
        assert [one.is_again for one in charges] == [False, True, True]
        both[0].note(a_call(), answered=True)
        told = []
        for limits in both:
            with pytest.raises(Refusal) as no:
                await charge(limits)
            told.append(facts_of(no.value).get("answered"))
        assert told == [True, None]


async def test_a_limit_that_is_not_enforced_is_told(redis_server):
    shadow = RateLimit(Rate(1, 3600.0, 1), Enforcement(enforce=False))
    async with limits_on(redis_server, read=shadow, repeat_read=shadow) as both:
        assert (await charge(both[0])).would_refuse == ()
        assert (await charge(both[1])).would_refuse == ("read", "repeat")
        assert (await charge(both[0], a_call(arguments=b"[]"))).would_refuse == ("read",)


async def test_of_guesses_at_two_workers_no_more_are_told_than_at_one(redis_server):
    async with limits_on(redis_server, site={"auth_failures": "10/hour"}) as both:

        async def guess(limits):
            try:
                await outcome_of_failure(limits)
            except Refusal as no:
                return no.reason
            return None

        told = await asyncio.gather(*(guess(both[n % 2]) for n in range(40)))
        assert told.count(None) == 10
        assert set(told) == {None, Reason.ADDRESS_RATE_EXCEEDED}
        # And a right key from there is served, at either of them.
        for limits in both:
            assert await outcome(limits, a_call(arrival=an_arrival(bucket="192.0.2.1"))) == "ok"


async def test_without_the_counters_a_failure_is_told_as_its_ruling_says(redis_server):
    failures = RateLimit(Rate(2, 3600.0, 2), Enforcement(on_store_failure="closed"))
    async with limits_on(redis_server, site={"auth_failures": failures}) as both:
        redis_server.kill()
        for _ in range(2):
            with pytest.raises(Refusal) as no:
                await outcome_of_failure(both[0])
            assert (no.value.reason, facts_of(no.value)["policy"]) == (Reason.BUSY, "auth_failures")
        assert await outcome(both[0]) == "ok"  # and a good one is served


async def outcome_of_failure(limits):
    counted = limits.addresses.count_failure("192.0.2.1")
    return counted if isinstance(counted, tuple) else await counted


async def test_anonymous_calls_of_an_address_are_counted_in_common_and_those_of_callers_are_not(redis_server):
    async with limits_on(redis_server, site={"requests": "30/hour"}) as both:
        stranger = a_call(a_principal("anonymous:192.0.2.7", way=AuthMethod.ANONYMOUS))
        assert await passes(both, 100, call=stranger) == 30
        assert await passes(both, 100) == 100


@pytest.mark.parametrize(
    "ruling, said",
    [("closed", ["busy read"] * 20), ("open", ["ok"] * 20), ("local", ["ok"] * 5 + ["rate-exceeded read"] * 15)],
)
async def test_without_the_counters_each_limit_holds_as_its_ruling_says(redis_server, ruling, said):
    read = RateLimit(Rate(20, 3600.0, 20), Enforcement(on_store_failure=ruling))
    async with limits_on(redis_server, read=read, workers=2) as both:
        assert await passes(both, 4) == 4
        redis_server.kill()
        assert [await outcome(both[0]) for _ in range(20)] == said


async def test_without_the_counters_nothing_is_endless(redis_server):
    async with limits_on(redis_server, budgets=[OPENAI], site={"caller": "8/hour"}, total="6/hour") as both:
        redis_server.kill()
        costly = a_tool(draws=(Draw(budget="openai", cost=100),))
        assert await outcome(both[0], tool=costly) == "ok"
        assert await passes(both[:1] * 2, 20, tool=costly) == 2
        assert await passes(both[:1] * 2, 20, call=a_call(a_principal("other"))) == 0  # of the total's six a half


async def test_when_the_counters_are_back_they_count_again(redis_server):
    read = RateLimit(Rate(20, 3600.0, 20), Enforcement(on_store_failure="closed"))
    async with limits_on(redis_server, read=read) as both:
        redis_server.kill()
        assert await outcome(both[0]) == "busy read"
        redis_server.restart()
        said = []
        for _ in range(100):  # two seconds at most
            said.append(await outcome(both[0]))
            if said[-1] == "ok":
                break
            await asyncio.sleep(0.02)
        assert set(said) <= {"busy read", "ok"}
        assert said[-1] == "ok"


async def test_keys_that_others_put_there_blind_no_operator(redis_server):
    async with limits_on(redis_server) as both:
        await charge(both[0])
        redis_server.run("SET", b"{t}b\0\xff\xfe\0x", "r 99999999999999999 1 1000 3")
        redis_server.run("SET", b"{t}h\0\xff\xfe\0x", "2 a b c")
        assert "read" in {use.limit for use in await both[1].uses(BucketFilter())}
        assert await both[1].reset(BucketFilter(limit="read")) == 1
