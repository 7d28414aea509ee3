"""Attacks 102, 105, 107 and 108: who pays, exactly how often, and what a refusal says."""

import asyncio

import pytest

from mcpward.config.limits import ServerLimits, SiteLimits
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.values import AuthMethod, Kind, Rate
from mcpward.limits.rates.charge import Limits
from mcpward.limits.rates.limit import Limit, fields
from mcpward.limits.rates.memory import MemoryCounters
from support.clock import ManualClock
from support.facts import facts_of
from support.values import a_call, a_principal, a_tool, an_arrival


@pytest.fixture
def clock():
    return ManualClock()


def limits_of(clock, *, site=None, repeat="", **server):
    """Limits without the loop breaker, where it is not what the test is about."""
    server |= {"repeat_read": repeat, "repeat_write": repeat, "repeat_destructive": repeat}
    return Limits(SiteLimits(**site or {}), {"orders": ServerLimits(**server)}, clock)


def passes(limits, n, call=None, tool=None):
    """How many of ``n`` calls pass."""
    return sum(is_charged(limits, call or a_call(), tool) for _ in range(n))


def is_charged(limits, call, tool):
    try:
        limits.charge(call, tool)
    except Refusal as no:
        if no.reason is not Reason.RATE_EXCEEDED:
            raise
        return False
    return True


@pytest.mark.parametrize("_again", range(20))
async def test_102_of_200_parallel_calls_at_a_limit_of_50_exactly_50_pass(clock, _again):
    limits = limits_of(clock, read="50/minute", concurrency=200)
    passed = []

    async def call(n):
        await asyncio.sleep(0)
        try:
            limits.charge(a_call(), a_tool())
        except Refusal:
            return
        await asyncio.sleep(0)
        passed.append(n)

    await asyncio.gather(*[call(n) for n in range(200)])
    assert len(passed) == 50


def test_the_classes_of_tools_are_limited_apart_and_by_default_120_20_and_6(clock):
    limits = limits_of(clock)
    assert passes(limits, 200, tool=a_tool()) == 120
    assert passes(limits, 200, tool=a_tool("w", Access.WRITE)) == 20
    assert passes(limits, 200, tool=a_tool("d", Access.DESTRUCTIVE)) == 6
    assert passes(limits, 200, call=a_call(kind=Kind.CATALOGUE, method="tools/list")) == 120


def test_a_drained_bucket_fills_at_its_rate(clock):
    limits = limits_of(clock, write="20/minute")
    writer = a_tool("w", Access.WRITE)
    assert passes(limits, 30, tool=writer) == 20
    clock.advance(3.0)
    assert passes(limits, 30, tool=writer) == 1
    clock.advance(60.0)
    assert passes(limits, 30, tool=writer) == 20


def test_105_a_set_wall_clock_changes_nothing(clock):
    limits = limits_of(clock, read="10/minute")
    assert passes(limits, 20, tool=a_tool()) == 10
    for jump in (3600.0, -7200.0):
        clock.shift_wall(jump)
        assert passes(limits, 5, tool=a_tool()) == 0
    clock.advance(6.0)
    assert passes(limits, 5, tool=a_tool()) == 1


def test_107_callers_pay_by_verified_identity_whatever_their_requests_say(clock):
    limits = limits_of(clock, read="10/minute")
    one = [
        a_call(
            a_principal("api-key:one"),
            arguments=b'{"x":%d}' % n,
            arrival=an_arrival(headers={b"x-user": b"%d" % n, b"x-forwarded-for": b"198.51.100.%d" % n}),
        )
        for n in range(20)
    ]
    assert sum(passes(limits, 1, call=call, tool=a_tool()) for call in one) == 10
    assert passes(limits, 20, call=a_call(a_principal("api-key:two")), tool=a_tool()) == 10


def test_107_strangers_pay_by_address_and_a_flood_of_them_makes_no_caller_forgotten(clock):
    limits = limits_of(clock, read="10/minute", site={"max_callers": 300})
    mine = a_call(a_principal("api-key:one"))
    assert passes(limits, 20, call=mine, tool=a_tool()) == 10
    for n in range(2_000):
        stranger = a_call(a_principal(f"anonymous:2001:db8:0:{n:x}::/64", way=AuthMethod.ANONYMOUS))
        assert passes(limits, 1, call=stranger, tool=a_tool()) == 1
        limits.addresses.count_request(f"2001:db8:0:{n:x}::/64")
        limits.addresses.count_failure(f"2001:db8:0:{n:x}::/64")
    assert passes(limits, 20, call=mine, tool=a_tool()) == 0


def test_107_no_name_can_be_made_to_look_like_another_limits_bucket(clock):
    limits = limits_of(clock, read="10/minute", write="10/minute")
    assert passes(limits, 20, call=a_call(a_principal("orders\0write\0a")), tool=a_tool()) == 10
    assert passes(limits, 20, call=a_call(a_principal("a")), tool=a_tool("w", Access.WRITE)) == 10
    assert passes(limits, 20, call=a_call(a_principal("write\0a")), tool=a_tool()) == 10


def test_107_no_server_name_runs_into_the_limit_of_another(clock):
    rates = ServerLimits.model_validate({"read": "10/minute", "repeat_read": ""})
    limits = Limits(SiteLimits(), {"orders": rates, "ordersread": rates}, clock)
    assert passes(limits, 20, call=a_call(a_principal("reada")), tool=a_tool()) == 10
    assert passes(limits, 20, call=a_call(a_principal("a", server="ordersread")), tool=a_tool()) == 10


def test_108_an_answer_carries_the_policy_and_what_remains(clock):
    limits = limits_of(clock, read="120/minute burst 20")
    charge = limits.charge(a_call(), a_tool())
    assert charge.headers == ((b"ratelimit-policy", b'"read";q=120;w=60'), (b"ratelimit", b'"read";r=19;t=1'))
    assert limits.charge(a_call(), a_tool()).headers[1] == (b"ratelimit", b'"read";r=18;t=1')


@pytest.mark.parametrize("rate", [Rate(120, 60.0, 20), Rate(6, 60.0, 6), Rate(7, 60.0, 5), Rate(40, 60.0, 9)])
def test_108_every_answer_says_what_the_bucket_itself_would_say(clock, rate):
    limit = Limit("read", "orders", rate)
    counters = MemoryCounters(clock)
    steps = range(limit.tolerance, 0, -limit.interval // 7 - 1)
    edges = [second * 1_000_000_000 + by for second in range(1, limit.tolerance // 1_000_000_000) for by in (-1, 0, 1)]
    for ahead in [*steps, *edges, *(limit.tolerance - edge for edge in edges)]:
        counters.put("caller", clock.monotonic_ns() + ahead)
        assert limit.charged(limit.tolerance - ahead).headers == fields([counters.look(limit, "caller")])
        spare = limit.tolerance - ahead
        known = limit.charges.get(spare // limit.cell)
        assert known is None or known is limit.charged(spare)


def test_108_a_refusal_says_when_to_come_again_and_then_the_caller_is_let_in(clock):
    limits = limits_of(clock, destructive="6/minute")
    tool = a_tool("cancel", Access.DESTRUCTIVE)
    assert passes(limits, 6, tool=tool) == 6
    clock.advance(2.5)
    with pytest.raises(Refusal) as no:
        limits.charge(a_call(), tool)
    assert no.value.reason is Reason.RATE_EXCEEDED
    assert facts_of(no.value) == {
        "retry_after_s": 8,
        "policy": "destructive",
        "headers": ((b"ratelimit-policy", b'"destructive";q=6;w=60'), (b"ratelimit", b'"destructive";r=0;t=8')),
    }
    clock.advance(7.0)
    assert passes(limits, 1, tool=tool) == 0
    clock.advance(1.0)
    assert passes(limits, 1, tool=tool) == 1


def test_a_keys_own_rate_and_a_tools_own_rate_come_on_top(clock):
    limits = limits_of(clock, read="100/minute")
    keyed = a_call(a_principal(rate=Rate(30, 60.0, 30)))
    rated = a_tool("slow", rate=Rate(5, 60.0, 5))
    headers = dict(limits.charge(keyed, rated).headers)
    assert headers[b"ratelimit-policy"] == b'"read";q=100;w=60, "key";q=30;w=60, "tool";q=5;w=60'
    assert headers[b"ratelimit"] == b'"read";r=99;t=1, "key";r=29;t=2, "tool";r=4;t=12'
    assert passes(limits, 50, call=keyed, tool=rated) == 4
    assert passes(limits, 50, call=keyed, tool=a_tool()) == 25


def test_a_call_is_charged_to_all_of_its_buckets_or_to_none(clock):
    limits = limits_of(clock, read="100/minute")
    keyed = a_call(a_principal(rate=Rate(30, 60.0, 30)))
    rated = a_tool("slow", rate=Rate(5, 60.0, 5))
    assert passes(limits, 50, call=keyed, tool=rated) == 5  # 45 times refused, and not charged elsewhere
    assert passes(limits, 50, call=keyed, tool=a_tool()) == 25
    with pytest.raises(Refusal) as no:
        limits.charge(keyed, rated)
    assert facts_of(no.value)["policy"] == "tool"  # of those that refuse, the one that takes longest
    assert facts_of(no.value)["retry_after_s"] == 12


def test_failed_credentials_decide_what_the_next_failure_of_their_address_is_told_and_nothing_else(clock):
    limits = limits_of(clock, site={"auth_failures": "10/minute"})
    addresses = limits.addresses
    for _ in range(10):
        addresses.require_failure("192.0.2.1")
        assert addresses.count_failure("192.0.2.1") == ()
    for refused in (addresses.count_failure, addresses.require_failure):
        with pytest.raises(Refusal) as no:
            refused("192.0.2.1")
        assert no.value.reason is Reason.ADDRESS_RATE_EXCEEDED
        assert facts_of(no.value) == {"retry_after_s": 6, "policy": "auth_failures"}
    limits.admit(a_principal(), "192.0.2.1")  # a good credential from there
    limits.admit(
        a_principal("anonymous:192.0.2.1", way=AuthMethod.ANONYMOUS), "192.0.2.1"
    )  # or none, where none is needed
    addresses.count_failure("192.0.2.2")
    clock.advance(6.0)
    addresses.count_failure("192.0.2.1")


def test_failures_beyond_the_limit_do_not_lengthen_the_lockout(clock):
    limits = limits_of(clock, site={"auth_failures": "10/minute"})
    told = []
    for _ in range(1000):
        try:
            limits.addresses.count_failure("192.0.2.1")
        except Refusal:
            told.append(429)
    assert len(told) == 990
    clock.advance(6.0)
    limits.addresses.count_failure("192.0.2.1")


def test_a_caller_pays_for_its_own_requests_and_for_no_neighbour(clock):
    limits = limits_of(clock, site={"requests": "60/minute burst 5"})
    mine, other = a_principal("api-key:mine"), a_principal("api-key:other")
    for _ in range(5):
        limits.admit(a_principal("anonymous:192.0.2.1", way=AuthMethod.ANONYMOUS), "192.0.2.1")
        limits.admit(other, "192.0.2.1")
    with pytest.raises(Refusal):
        limits.addresses.count_request("192.0.2.1")
    with pytest.raises(Refusal):
        limits.admit(other, "192.0.2.9")  # wherever it comes from
    for _ in range(5):
        limits.admit(mine, "192.0.2.1")
    with pytest.raises(Refusal) as no:
        limits.admit(mine, "192.0.2.1")
    assert facts_of(no.value) == {"retry_after_s": 1, "policy": "requests"}


def test_a_flood_of_made_up_addresses_makes_no_flooding_caller_forgotten(clock):
    limits = limits_of(clock, site={"requests": "5/minute", "max_callers": 300})
    for _ in range(5):
        limits.admit(a_principal("api-key:one"), "192.0.2.1")
    for n in range(2_000):
        limits.addresses.count_request(f"2001:db8:0:{n:x}::/64")
    with pytest.raises(Refusal):
        limits.admit(a_principal("api-key:one"), "192.0.2.1")


def test_all_requests_of_one_address_are_limited_before_anything_else(clock):
    limits = limits_of(clock, site={"requests": "60/minute burst 5"})
    for _ in range(5):
        limits.addresses.count_request("192.0.2.1")
    with pytest.raises(Refusal) as no:
        limits.addresses.count_request("192.0.2.1")
    assert no.value.reason is Reason.ADDRESS_RATE_EXCEEDED
    assert facts_of(no.value) == {"retry_after_s": 1, "policy": "requests"}
    clock.advance(1.0)
    limits.addresses.count_request("192.0.2.1")


def test_the_same_call_again_and_again_is_broken_off_and_another_is_not(clock):
    limits = limits_of(clock, repeat="3/minute")
    for _ in range(3):
        limits.charge(a_call(), a_tool())
    with pytest.raises(Refusal) as no:
        limits.charge(a_call(), a_tool())
    assert no.value.reason is Reason.REPEATED_CALL
    assert facts_of(no.value) == {"retry_after_s": 20, "policy": "repeat"}
    limits.charge(a_call(arguments=b'{"limit":21}'), a_tool())
    limits.charge(a_call(target="another"), a_tool())
    limits.charge(a_call(a_principal("api-key:other")), a_tool())
    clock.advance(20.0)
    limits.charge(a_call(), a_tool())


def test_long_arguments_are_compared_whole(clock):
    limits = limits_of(clock, repeat="1/minute")
    for place in range(0, 100_000, 9_973):
        text = b"x" * place + b"y" + b"x" * (100_000 - place)
        limits.charge(a_call(arguments=b'"' + text + b'"'), a_tool())
    with pytest.raises(Refusal):
        limits.charge(a_call(arguments=b'"y' + b"x" * 100_000 + b'"'), a_tool())


def test_a_repeated_call_that_is_broken_off_is_charged_to_nothing(clock):
    limits = limits_of(clock, repeat="3/minute", read="5/minute")
    for _ in range(3):
        limits.charge(a_call(), a_tool())
    for _ in range(50):
        with pytest.raises(Refusal) as no:
            limits.charge(a_call(), a_tool())
        assert no.value.reason is Reason.REPEATED_CALL
    other = a_call(arguments=b'{"limit":21}')
    assert passes(limits, 10, call=other, tool=a_tool()) == 2


def test_lists_may_be_asked_for_again_and_again(clock):
    limits = limits_of(clock, repeat="3/minute")
    for _ in range(120):
        limits.charge(a_call(kind=Kind.CATALOGUE, method="tools/list", arguments=None), None)


def test_the_loop_breaker_can_be_turned_off(clock):
    limits = limits_of(clock, repeat="", read="1000/minute")
    for _ in range(500):
        limits.charge(a_call(), a_tool())


def test_trap_7_lists_do_not_use_up_what_keeps_a_conversation_going(clock):
    limits = limits_of(clock, discovery="1/minute", lifecycle="2/minute")
    listing = a_call(method="tools/list", kind=Kind.CATALOGUE)
    going = [("server/discover", Kind.LIFECYCLE), ("notifications/cancelled", Kind.NOTIFICATION)]
    limits.charge(listing, None)
    with pytest.raises(Refusal):
        limits.charge(listing, None)
    for method, kind in going:
        limits.charge(a_call(method=method, kind=kind), None)
    with pytest.raises(Refusal) as refused:
        limits.charge(a_call(method="ping", kind=Kind.LIFECYCLE), None)
    assert facts_of(refused.value)["policy"] == "lifecycle"
