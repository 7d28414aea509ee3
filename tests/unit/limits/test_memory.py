"""Attacks 105 and 106: a set clock opens and locks nothing; a million callers cost no more than the bound."""

import resource
from collections import Counter
from typing import ClassVar

from mcpward.core.values import Rate
from mcpward.limits.limit import Limit
from mcpward.limits.memory import MemoryCounters, take_all
from support.clock import ManualClock

TEN = Limit("read", "orders", Rate(10, 60.0, 10))


def take(counters, key="caller", cost=1):
    return take_all([(counters, TEN, key, cost)])[0]


def drain(counters, key="caller"):
    passed = 0
    while not take(counters, key).wait_s:
        passed += 1
    return passed


def test_looking_takes_nothing():
    counters = MemoryCounters(ManualClock())
    assert [counters.look(TEN, "caller", 1).remaining for _ in range(3)] == [10, 10, 10]


def test_take_says_what_remains_and_when_there_is_more():
    clock = ManualClock()
    counters = MemoryCounters(clock)
    first = take(counters)
    assert (first.remaining, first.reset_s, first.wait_s) == (9, 6, 0)
    assert drain(counters) == 9
    refused = take(counters)
    assert (refused.remaining, refused.reset_s, refused.wait_s) == (0, 6, 6)
    clock.advance(6)
    assert take(counters).wait_s == 0
    assert take(counters).wait_s == 6


def test_a_cost_is_taken_whole_or_not_at_all():
    counters = MemoryCounters(ManualClock())
    assert take(counters, cost=11).wait_s == 6
    assert take(counters, cost=10).wait_s == 0
    assert take(counters).wait_s == 6


def test_105_a_wall_clock_that_jumps_gives_no_free_burst_and_no_lockout():
    for jump in (-3600.0, 3600.0):
        clock = ManualClock()
        counters = MemoryCounters(clock)
        assert drain(counters) == 10
        clock.shift_wall(jump)
        assert drain(counters) == 0
        clock.advance(6)
        assert drain(counters) == 1


class BrokenClock(ManualClock):
    """A virtual machine that was restored: even the monotonic clock goes back."""

    def go_back(self, seconds):
        self._monotonic -= seconds


def test_105_even_a_monotonic_clock_that_goes_back_locks_nobody_out_for_longer_than_a_window():
    clock = BrokenClock()
    clock.advance(10_000)
    counters = MemoryCounters(clock)
    assert drain(counters) == 10
    clock.go_back(3600)
    assert take(counters).wait_s == 6
    clock.advance(6)
    assert drain(counters) == 1
    clock.advance(60)
    assert drain(counters) == 10


def test_106_a_million_callers_stay_within_the_bound_and_cost_the_same_each():
    limit = 30_000
    counters = MemoryCounters(ManualClock(), max_keys=limit)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    highest = 0
    for n in range(1_000_000):
        counters.put(f"anonymous:2001:db8:{n >> 16:x}:{n & 65535:x}::/64", n)
        if n % 1000 == 0:
            highest = max(highest, len(counters))
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert highest <= limit
    assert len(counters) <= limit
    assert grown_kib < 32 * 1024  # a million such entries would be 180 MiB


class CountingDict(dict):
    """Counts what is done to the entries, to show that nothing walks over them."""

    steps: ClassVar = Counter()

    def popitem(self):
        self.steps["popitem"] += 1
        return super().popitem()

    def __iter__(self):
        self.steps["iter"] += 1
        return super().__iter__()

    def clear(self):
        self.steps["clear"] += 1
        super().clear()


def test_106_eviction_throws_away_one_entry_per_write_and_never_scans():
    counters = MemoryCounters(ManualClock(), max_keys=300)
    CountingDict.steps.clear()
    for n in range(10_000):
        counters.put(f"{n}", n)
        for store in ("_young", "_old", "_dying"):
            if type(getattr(counters, store)) is dict:
                setattr(counters, store, CountingDict(getattr(counters, store)))
    assert CountingDict.steps["popitem"] <= 10_000
    assert CountingDict.steps["iter"] == 0
    assert CountingDict.steps["clear"] == 0
    assert not counters._dying or len(counters._dying) <= 101


def test_106_a_caller_who_keeps_calling_is_not_forgotten_in_a_flood_of_others():
    counters = MemoryCounters(ManualClock(), max_keys=300)
    assert drain(counters) == 10
    for n in range(5_000):
        take(counters, f"stranger {n}")
        if n % 50 == 0:
            counters.put("caller", counters.get("caller", 0))
    assert drain(counters) == 0
