"""A call's draws beside its class: budgets, quotas, totals, cycles of calls; all of them or none."""

from typing import Any

import pytest

from mcpward.config.limits import ServerLimits, SiteLimits
from mcpward.core.errors import Fault, Refusal
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.values import Budget, Draw, Enforcement, Period, Quota, QuotaLimit, Rate, RateLimit
from mcpward.limits.rates.bucket_usage import BucketFilter
from mcpward.limits.rates.charge import Limits
from mcpward.limits.rates.limit import Charge
from mcpward.limits.rates.period import index_of, left_s
from support.facts import facts_of
from support.values import a_call, a_principal, a_tool, an_arrival

HOUR_50 = RateLimit(Rate(50, 3600.0, 50))
STRIPE = Budget(name="stripe", rate=Rate(5, 1.0, 5))
OPENAI = Budget(name="openai", quota=Quota(1000, Period.DAY))
SHADOW = Enforcement(enforce=False)


def limits_of(clock, *, budgets=(), workers=1, site=None, **server):
    rates = {"read": "1000/hour", "repeat_read": "", "repeat_write": "", "repeat_destructive": ""} | server
    named = {each.name: each for each in budgets}
    other = ServerLimits.model_validate({"read": "1000/hour", "repeat_read": ""})
    servers = {"orders": ServerLimits(**rates), "files": other}
    return Limits(SiteLimits(**site or {}), servers, clock, budgets=named, workers=workers)


def charge(limits, call=None, tool=None, **arguments) -> Charge:
    call, tool = call or a_call(), tool or a_tool()
    charged = limits.charge(call, tool, limits.price(tool, arguments))
    assert isinstance(charged, Charge)
    return charged


def refused(limits, call=None, tool=None, **arguments) -> dict[str, Any]:
    with pytest.raises(Refusal) as no:
        charge(limits, call, tool, **arguments)
    return facts_of(no.value) | {"reason": no.value.reason}


def passes(limits, n, call=None, tool=None, **arguments):
    passed = 0
    for _ in range(n):
        try:
            charge(limits, call, tool, **arguments)
        except Refusal:
            continue
        passed += 1
    return passed


def drawing(name="charge_card", server="orders", **draws):
    return a_tool(name, server=server, draws=tuple(Draw(budget=each, cost=cost) for each, cost in draws.items()))


def test_a_budget_is_one_for_all_tools_callers_and_servers(clock):
    limits = limits_of(clock, budgets=[STRIPE])
    here, there = drawing(stripe=1), drawing("refund", "files", stripe=2)
    other = a_call(a_principal("api-key:other", server="files"))
    assert passes(limits, 2, tool=here) == 2
    assert passes(limits, 5, call=other, tool=there) == 1
    assert passes(limits, 5, tool=here) == 1
    assert refused(limits, tool=here)["policy"] == "budget-stripe"
    clock.advance(1.0)
    assert passes(limits, 9, call=other, tool=there) == 2


def test_a_budget_that_refuses_charges_nothing_else(clock):
    limits = limits_of(clock, budgets=[STRIPE, OPENAI], read="10/hour")
    tool = drawing(openai=10, stripe=1)
    assert passes(limits, 50, tool=tool) == 5
    assert passes(limits, 50, tool=a_tool()) == 5  # five of ten are left of the class
    clock.advance(3600.0)
    assert passes(limits, 50, tool=drawing("other", openai=50)) == 10
    # Of the day's 1000 exactly 50 + 500 are used.
    clock.advance(3600.0)
    assert refused(limits, tool=drawing("other", openai=451))["policy"] == "budget-openai-day"
    charge(limits, tool=drawing("other", openai=450))


def test_a_quota_begins_anew_with_the_calendar_in_utc(clock):
    limits = limits_of(clock, quota=QuotaLimit(Quota(3, Period.DAY)))
    clock.shift_wall(86_400 - clock.now() % 86_400 - 90)  # 90 seconds before midnight
    assert passes(limits, 9) == 3
    no = refused(limits)
    assert (no["policy"], no["retry_after_s"]) == ("quota-day", 90)
    assert passes(limits, 9, call=a_call(a_principal("api-key:other"))) == 3
    clock.advance(90.0)
    assert passes(limits, 9) == 3


@pytest.mark.parametrize(
    "period, day, left",
    [(Period.HOUR, 0, 3600), (Period.DAY, 0, 86_400), (Period.MONTH, 0, 31 * 86_400), (Period.MONTH, 31, 28 * 86_400)],
)
def test_a_period_ends_where_the_next_begins(period, day, left):
    begins = day * 86_400.0
    assert left_s(period, begins) == left
    assert index_of(period, begins + left - 1) == index_of(period, begins)
    assert index_of(period, begins + left) == index_of(period, begins) + 1
    assert left_s(period, begins + left - 0.5) == 1


def test_a_cost_comes_from_the_arguments(clock):
    limits = limits_of(clock, budgets=[OPENAI])
    tool = a_tool(draws=(Draw(budget="openai", cost_of=lambda arguments: arguments["tokens"], argument="tokens"),))
    charge(limits, tool=tool, tokens=900)
    assert refused(limits, tool=tool, tokens=101)["policy"] == "budget-openai-day"
    charge(limits, tool=tool, tokens=0)
    charge(limits, tool=tool, tokens=100)


def test_a_cost_that_no_budget_could_ever_give_is_told_of_the_argument(clock):
    limits = limits_of(clock, budgets=[OPENAI])
    tool = a_tool(draws=(Draw(budget="openai", cost_of=lambda arguments: arguments["tokens"], argument="tokens"),))
    no = refused(limits, tool=tool, tokens=1001)
    assert no["reason"] is Reason.ARGUMENTS_INVALID
    assert no["problems"] == [
        {"path": "tokens", "rule": "costs 1001 of the budget openai, which holds at most 1000 at once"}
    ]


@pytest.mark.parametrize("cost_of", [lambda _: -1, lambda _: 1.5, lambda _: True, lambda _: 1 / 0, lambda _: None])
def test_a_cost_that_is_no_whole_number_is_the_authors_fault_and_charges_nothing(clock, cost_of):
    limits = limits_of(clock, budgets=[OPENAI], read="2/hour")
    with pytest.raises(Fault):
        charge(limits, tool=a_tool(draws=(Draw(budget="openai", cost_of=cost_of),)))
    assert passes(limits, 9) == 2


def test_without_budgets_a_call_is_charged_to_its_callers_limits_alone(clock):
    limits = limits_of(clock, budgets=[STRIPE], read="20/hour")
    tool = drawing(stripe=5)
    for _ in range(10):
        limits.charge(a_call(), tool)
    assert passes(limits, 1, tool=tool) == 1
    assert passes(limits, 50) == 9


def test_what_all_callers_share_is_no_callers_business(clock):
    limits = limits_of(clock, budgets=[STRIPE], total="100/hour")
    headers = dict(charge(limits, tool=drawing(stripe=1)).headers)
    assert headers[b"ratelimit-policy"] == b'"read";q=1000;w=3600'
    passes(limits, 50, tool=drawing(stripe=1))
    told = dict(refused(limits, tool=drawing(stripe=1))["headers"])
    assert told[b"ratelimit-policy"] == b'"read";q=1000;w=3600, "budget-stripe";q=5;w=1'


def test_a_total_is_of_all_callers_together_and_a_caller_is_limited_over_all_servers(clock):
    limits = limits_of(clock, total="10/hour", site={"caller": "6/hour"})
    one, two = a_call(a_principal("one")), a_call(a_principal("two"))
    assert passes(limits, 20, call=one) == 6
    assert passes(limits, 20, call=two) == 4
    assert refused(limits, call=two)["policy"] == "total"
    elsewhere = a_call(a_principal("two", server="files"))
    assert passes(limits, 20, call=elsewhere, tool=a_tool(server="files")) == 2


def test_a_charge_that_was_not_used_is_given_back_whole(clock):
    limits = limits_of(
        clock, budgets=[STRIPE, OPENAI], read="5/hour", total="5/hour", quota=QuotaLimit(Quota(5, Period.DAY))
    )
    tool = drawing(stripe=5, openai=1000)
    for _ in range(20):
        limits.give_back(a_call(), tool, charge(limits, tool=tool))
    limits.give_back(a_call(), tool, charge(limits, tool=tool), rates=False)
    assert passes(limits, 9, tool=tool) == 1
    assert passes(limits, 9) == 3


def test_a_call_of_the_class_alone_is_given_back(clock):
    limits = limits_of(clock, read="5/hour")
    for _ in range(20):
        limits.give_back(a_call(), a_tool(), charge(limits))
        limits.give_back(a_call(), a_tool(), paid := charge(limits))
        limits.give_back(a_call(), a_tool(), paid)  # no bucket is ever more than full
    assert passes(limits, 20) == 5


def test_a_limit_that_took_nothing_gives_nothing_back(clock):
    limits = limits_of(clock, write=RateLimit(Rate(2, 3600.0, 2), SHADOW))
    tool = a_tool("w", Access.WRITE)
    for _ in range(2):
        charge(limits, tool=tool)
    for _ in range(2):
        paid = charge(limits, tool=tool)
        assert paid.would_refuse == ("write",)
        limits.give_back(a_call(), tool, paid)


def test_what_is_given_back_is_what_was_taken_whatever_the_cost_is_by_then(clock):
    costs = iter([900])
    limits = limits_of(clock, budgets=[OPENAI])
    tool = a_tool(draws=(Draw(budget="openai", cost_of=lambda _: next(costs)),))
    limits.give_back(a_call(), tool, charge(limits, tool=tool))
    assert passes(limits, 20, tool=drawing(openai=100)) == 10


def test_a_call_that_found_no_place_repeats_nothing_when_it_comes_again(clock):
    limits = limits_of(clock, repeat_read="3/minute", quota=QuotaLimit(Quota(100, Period.DAY)))
    for tool in (a_tool(), a_tool("other")):
        call = a_call(target=tool.name)
        for _ in range(20):
            limits.give_back(call, tool, charge(limits, call, tool))
        assert passes(limits, 9, call, tool) == 3


def test_a_call_that_brings_answers_goes_on_and_repeats_nothing(clock):
    limits = limits_of(clock, repeat_destructive="3/minute", destructive="100/minute")
    tool = a_tool("drop", Access.DESTRUCTIVE)
    assert passes(limits, 1, tool=tool) == 1
    for state in "abcdefgh":
        charge(limits, a_call(state=state), tool)
    assert passes(limits, 9, tool=tool) == 2
    assert passes(limits, 9, a_call(state="a"), tool) == 2


def test_who_has_nothing_left_is_refused_before_anything_is_looked_at(clock):
    limits = limits_of(clock, read="3/hour", total="100/hour")
    limits.require(a_call(), a_tool())
    assert passes(limits, 9) == 3
    with pytest.raises(Refusal) as no:
        limits.require(a_call(), a_tool())
    assert facts_of(no.value)["policy"] == "read"
    limits.require(a_call(a_principal("api-key:other")), a_tool())


@pytest.mark.parametrize("period", list(Period))
def test_105_a_clock_that_is_set_back_gives_no_quota_anew(clock, period):
    limits = limits_of(clock, quota=QuotaLimit(Quota(3, period)))
    clock.shift_wall(left_s(period, clock.now()) + 60)  # a minute into the next one
    assert passes(limits, 9) == 3
    for by in (-120, 120, -120, 120):
        clock.shift_wall(by)
        assert passes(limits, 9) == 0
    clock.shift_wall(left_s(period, clock.now()))
    assert passes(limits, 9) == 3


def test_no_budget_is_forgotten_for_another_however_few_callers_are_counted(clock):
    named = [Budget(name=f"b{n}", rate=Rate(5, 3600.0, 5)) for n in range(9)]
    limits = limits_of(clock, budgets=named, site={"max_callers": 1})
    tools = [drawing(f"tool-{n}", **{f"b{n}": 1}) for n in range(9)]
    assert [sum(passes(limits, 1, tool=tool) for tool in tools) for _ in range(9)] == [9] * 5 + [0] * 4


def test_a_limit_that_is_only_tried_is_not_told(clock):
    limits = limits_of(clock, read=RateLimit(Rate(2, 3600.0, 2), SHADOW), quota=QuotaLimit(Quota(3, Period.DAY)))
    for _ in range(3):
        assert dict(charge(limits).headers)[b"ratelimit-policy"] == b'"quota-day";q=3;w=86400'
    assert b"read" not in dict(refused(limits)["headers"])[b"ratelimit"]


def test_a_limit_that_is_not_enforced_lets_pass_and_says_so(clock):
    limits = limits_of(clock, read=RateLimit(Rate(2, 3600.0, 2), SHADOW), write="5/hour", total="20/hour")
    told = [charge(limits).would_refuse for _ in range(5)]
    assert told == [(), (), ("read",), ("read",), ("read",)]
    assert passes(limits, 50, tool=a_tool("w", Access.WRITE)) == 5


@pytest.mark.parametrize("setting", ["total", "quota", "caller"])
def test_every_limit_can_be_tried_first(clock, setting):
    tried = QuotaLimit(Quota(1, Period.DAY), SHADOW) if setting == "quota" else RateLimit(Rate(1, 60.0, 1), SHADOW)
    limits = limits_of(clock, site={"caller": tried}) if setting == "caller" else limits_of(clock, **{setting: tried})
    assert passes(limits, 10) == 10
    assert charge(limits).would_refuse == ("quota-day" if setting == "quota" else setting,)


def test_addresses_can_be_tried_first(clock):
    trying = RateLimit(Rate(1, 60.0, 1), SHADOW)
    limits = limits_of(clock, site={"auth_failures": trying, "requests": trying})
    told = []
    for _ in range(20):
        address = limits.addresses
        told.append(address.count_failure("192.0.2.1") + address.count_request("192.0.2.1"))
    assert told == [()] + [("auth_failures", "requests")] * 19


def test_the_loop_breaker_can_be_tried_first(clock):
    limits = limits_of(clock, repeat_read=RateLimit(Rate(3, 60.0, 3), SHADOW))
    assert [charge(limits).would_refuse for _ in range(5)] == [()] * 3 + [("repeat",)] * 2


def test_with_several_workers_each_gives_a_share_of_what_all_callers_share(clock):
    limits = limits_of(clock, budgets=[STRIPE, OPENAI], workers=2, total="7/hour")
    assert passes(limits, 50, tool=drawing(stripe=1)) == 2
    assert passes(limits, 50, tool=drawing(openai=400)) == 1
    assert refused(limits, tool=drawing(openai=501))["reason"] is Reason.ARGUMENTS_INVALID
    assert passes(limits, 50) == 0  # three of seven


@pytest.mark.parametrize("around", ["AB", "ABC", "ABCD", "ABCDE", "AAB", "ABAC"])
def test_a_caller_who_goes_round_in_a_circle_is_told_after_the_number_of_its_class(clock, around):
    limits = limits_of(clock, repeat_read="10/minute", read="1000/hour")
    calls = {name: a_call(arguments=b'{"x":"%s"}' % name.encode()) for name in {*around, "Z"}}
    sent, no = 0, None
    while no is None:
        try:
            charge(limits, call=calls[around[sent % len(around)]])
        except Refusal as told:
            no = told
        sent += 1
        assert sent < 10 * 10
    assert (no.reason, facts_of(no)["policy"]) == (Reason.REPEATED_CALL, "repeat")
    assert sent > 10  # a few rounds are no circle yet
    charge(limits, call=calls["Z"])  # a different call passes


def test_work_that_only_looks_alike_is_no_circle(clock):
    limits = limits_of(clock, repeat_read="5/minute", read="1000/hour")
    for n in range(100):
        charge(limits, call=a_call(arguments=b'{"page":%d}' % n))
        charge(limits, call=a_call(target="status"))
        clock.advance(12.0)


def test_a_circle_of_one_caller_is_none_of_another(clock):
    limits = limits_of(clock, repeat_read="4/minute", read="1000/hour")
    for n in range(60):
        caller = a_principal(f"api-key:{n % 3}")
        charge(limits, call=a_call(caller, arguments=b'{"x":%d}' % (n * n)))
    assert passes(limits, 5, call=a_call(a_principal("api-key:9"))) == 4


async def test_what_is_used_is_seen_and_made_full_again(clock):
    limits = limits_of(clock, budgets=[STRIPE, OPENAI], total="100/hour", quota=QuotaLimit(Quota(9, Period.DAY)))
    keyed = a_call(a_principal("api-key:one", rate=Rate(7, 60.0, 7)))
    rated = a_tool("rated", rate=Rate(5, 60.0, 5), draws=(Draw(budget="openai", cost=10), Draw(budget="stripe")))
    passes(limits, 2, call=keyed, tool=rated)
    limits.addresses.count_request("192.0.2.1")
    limits.addresses.count_failure("192.0.2.1")
    seen = {(use.limit, use.scope, use.caller): (use.remaining, use.most) for use in await limits.uses(BucketFilter())}
    assert seen == {
        ("read", "orders", "api-key:one"): (998, 1000),
        ("key", "", "api-key:one"): (5, 7),
        ("tool", "orders\0rated", "api-key:one"): (3, 5),
        ("quota-day", "orders", "api-key:one"): (7, 9),
        ("total", "orders", ""): (98, 100),
        ("budget-stripe", "", ""): (3, 5),
        ("budget-openai-day", "", ""): (980, 1000),
        ("requests", "", "192.0.2.1"): (599, 600),
        ("auth_failures", "", "192.0.2.1"): (9, 10),
    }
    assert await limits.reset(BucketFilter(caller="api-key:one", server="orders")) == 3
    assert {use.limit for use in await limits.uses(BucketFilter(caller="api-key:one"))} == {"key"}
    assert await limits.reset(BucketFilter(limit="budget-openai-day")) == 1
    await limits.reset(BucketFilter())
    assert await limits.uses(BucketFilter()) == []


async def test_a_loop_may_begin_anew_after_a_reset(clock):
    limits = limits_of(clock, repeat_read="2/minute")
    assert passes(limits, 9) == 2
    await limits.reset(BucketFilter(limit="read"))
    assert passes(limits, 9) == 0
    await limits.reset(BucketFilter(limit="repeat"))
    assert passes(limits, 9) == 2


# ---- conversations --------------------------------------------------------------------------------------------------


def in_session(name: str, **more):
    return a_call(session=name, **more)


def in_trace(name: str, **more):
    return a_call(trace={"traceparent": f"00-{name:0>32}-{'1' * 16}-01"}, **more)


def on_connection(number: int, **more):
    return a_call(arrival=an_arrival(connection=number), **more)


@pytest.mark.parametrize(
    "one, other",
    [(in_session("a"), in_session("b")), (in_trace("a"), in_trace("b")), (on_connection(1), on_connection(2))],
)
def test_each_conversation_of_a_caller_has_its_own_repetitions(clock, one, other):
    limits = limits_of(clock, repeat_read="3/minute")
    assert passes(limits, 9, call=one) == 3
    assert passes(limits, 9, call=other) == 3


def test_a_session_is_a_conversation_whatever_its_traces_and_a_trace_whatever_its_connections(clock):
    limits = limits_of(clock, repeat_read="3/minute", repeat_conversations=100)
    traces = [{"traceparent": f"00-{n:032x}-{'1' * 16}-01"} for n in range(9)]
    assert sum(passes(limits, 1, call=in_session("a", trace=trace)) for trace in traces) == 3
    spans = [a_call(trace=traces[0], arrival=an_arrival(connection=n)) for n in range(9)]
    assert sum(passes(limits, 1, call=call) for call in spans) == 3


@pytest.mark.parametrize("make", [lambda n: in_trace(f"{n:x}"), on_connection, lambda n: in_session(f"s{n}")])
def test_who_makes_up_a_conversation_for_each_call_is_stopped_as_a_caller(clock, make):
    limits = limits_of(clock, repeat_read="3/minute", repeat_conversations=5)
    assert sum(passes(limits, 1, call=make(n)) for n in range(1, 50)) == 15
    another = a_call(a_principal("api-key:other"), arrival=an_arrival(connection=1))
    assert passes(limits, 9, call=another) == 3


def test_where_no_conversation_can_be_told_the_caller_is_counted_with_the_higher_number(clock):
    limits = limits_of(clock, repeat_read="3/minute")
    assert passes(limits, 50, call=on_connection(0)) == 12


def test_made_up_conversations_make_no_total_forgotten(clock):
    limits = limits_of(clock, repeat_read="3/minute", site={"max_callers": 300}, repeat_conversations=2)
    assert sum(passes(limits, 1, call=in_trace(f"{n:x}", arguments=b"1")) for n in range(6)) == 6
    for n in range(6, 2000):
        assert passes(limits, 1, call=in_trace(f"{n:x}", arguments=b"1")) == 0


def test_a_call_that_did_not_run_is_no_repetition_and_no_part_of_a_circle(clock):
    limits = limits_of(clock, repeat_read="3/minute", read="1000/hour")
    for n in range(40):
        call = a_call(arguments=b'"ab"'[n % 2 : n % 2 + 1])
        limits.give_back(call, a_tool(), charge(limits, call=call), rates=False, budgets=False)
    for n in range(6):  # the circle is one from the fourth call on
        charge(limits, call=a_call(arguments=b'"ab"'[n % 2 : n % 2 + 1]))


def test_a_call_that_did_not_run_is_taken_out_from_behind_later_ones(clock):
    """It was refused while others, sent after it, ran."""
    limits = limits_of(clock, repeat_read="30/minute", read="1000/hour")
    calls = [a_call(arguments=b"%d" % n) for n in range(4)]
    charges = [charge(limits, call=call) for call in calls]
    limits.give_back(calls[1], a_tool(), charges[1], rates=False)
    plan = limits._plans["orders"]
    ring = next(iter(plan.repeats._recent.young.values()))
    assert len(ring) == 3


@pytest.mark.parametrize("answered", [True, False])
def test_what_is_told_of_the_answer_is_what_became_of_the_calls_before(clock, answered):
    limits = limits_of(clock, repeat_read="3/minute")
    first = charge(limits)
    assert not first.is_again  # a call that is new costs nothing for it
    again = charge(limits)
    assert again.is_again
    limits.note(a_call(), answered=answered)
    charge(limits)
    with pytest.raises(Refusal) as no:
        charge(limits)
    assert facts_of(no.value)["answered"] is answered
    running = a_call(arguments=b"[]")
    assert passes(limits, 3, call=running) == 3
    with pytest.raises(Refusal) as no:
        charge(limits, call=running)
    assert "answered" not in facts_of(no.value)  # they run still
