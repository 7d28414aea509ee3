"""Attack 103: a rate has no window edge to stand on, whatever the arrival times are."""

from bisect import bisect_right

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpward.core.values import Rate
from mcpward.limits.rates.gcra import SECOND, Gcra, moved, remaining, reset_s
from mcpward.limits.rates.limit import Limit
from mcpward.limits.rates.memory import MemoryCounters, take_all
from support.clock import ManualClock

RATES = st.builds(
    Rate,
    count=st.integers(1, 1000),
    per_s=st.sampled_from([0.5, 1.0, 60.0, 3600.0, 86400.0]),
    burst=st.integers(1, 50),
)
#: Steps between arrivals in nanoseconds: bursts, near the interval, and long silences.
STEPS = st.lists(st.one_of(st.just(0), st.integers(0, 10**6), st.integers(0, 10**12)), min_size=1, max_size=200)


def arrivals(steps):
    now = 12_345 * SECOND
    for step in steps:
        now += step
        yield now


@given(rate=RATES, steps=STEPS)
@settings(max_examples=300)
def test_103_no_window_of_any_length_passes_more_than_its_share_and_one_burst(rate, steps):
    gcra = Gcra.of(rate)
    tat, passed = 0, []
    for now in arrivals(steps):
        after = moved(tat, now, gcra)
        if after - now <= gcra.tolerance:
            tat = after
            passed.append(now)
    for i, start in enumerate(passed):
        for end in passed[i:]:
            calls = bisect_right(passed, end) - i
            # rate × window + burst, in whole numbers: calls ≤ burst + window ÷ interval
            assert (calls - rate.burst) * gcra.interval <= end - start


@given(rate=RATES, steps=STEPS)
@settings(max_examples=150)
def test_103_the_interval_is_never_shorter_than_the_rate_says(rate, steps):
    assert Gcra.of(rate).interval * rate.count >= rate.per_s * SECOND


@given(rate=RATES, steps=STEPS)
@settings(max_examples=150)
def test_a_caller_who_waits_as_told_is_let_in(rate, steps):
    gcra = Gcra.of(rate)
    tat = 0
    for now in arrivals(steps):
        after = moved(tat, now, gcra)
        if after - now <= gcra.tolerance:
            tat = after
        else:
            later = now + reset_s(tat, now, gcra) * SECOND
            assert moved(tat, later, gcra) - later <= gcra.tolerance


@given(rate=RATES, steps=STEPS)
@settings(max_examples=150)
def test_what_is_said_to_remain_passes_and_not_one_call_more(rate, steps):
    gcra = Gcra.of(rate)
    tat = 0
    for now in arrivals(steps):
        left = remaining(tat, now, gcra)
        assert 0 <= left <= rate.burst
        assert moved(tat, now, gcra, left) - now <= gcra.tolerance
        assert moved(tat, now, gcra, left + 1) - now > gcra.tolerance
        tat = moved(tat, now, gcra) if left else tat


@pytest.mark.parametrize("uptime", [0.0, 1.0, 1e6, 1e9, 12345.678901])
@pytest.mark.parametrize("count", [1, 3, 7, 50, 60, 120, 999])
def test_exactly_the_burst_passes_at_once_however_long_the_machine_is_up(uptime, count):
    clock = ManualClock()
    clock.advance(uptime)
    counters = MemoryCounters(clock)
    limit = Limit("read", "orders", Rate(count, 60.0, count))
    verdicts = [take_all([(counters, limit, "caller", 1)])[0].wait_s == 0 for _ in range(count + 5)]
    assert verdicts == [True] * count + [False] * 5


@pytest.mark.parametrize("rate", [Rate(0, 60.0, 1), Rate(1, 60.0, 0), Rate(1, 0.0, 1), Rate(1, -1.0, 1)])
def test_a_rate_that_counts_nothing_is_no_rate(rate):
    with pytest.raises(ValueError):
        Gcra.of(rate)
