"""Attacks 105 and 106: a set clock opens and locks nothing; a million callers cost no more than the bound."""

import resource
from collections import Counter
from typing import ClassVar

import pytest

from mcpward.core.values import Rate
from mcpward.limits.rates import bounded_map
from mcpward.limits.rates.limit import Limit
from mcpward.limits.rates.memory import MemoryCounters, take_all
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


@pytest.mark.slow
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


class CountingYoung(bounded_map._Young):
    """Counts what is done to the entries of a generation, to show that nothing walks over them."""

    steps: ClassVar[Counter[str]] = Counter()

    def popitem(self):
        self.steps["popitem"] += 1
        return super().popitem()

    def __iter__(self):
        self.steps["iter"] += 1
        return super().__iter__()

    def clear(self):
        self.steps["clear"] += 1
        super().clear()


def put(counters, key, value):
    counters.put(key, value)


def ask_and_overwrite(counters, key, value):
    """Write as hot paths do."""
    young = counters.young
    assert young[key] == 0
    young[key] = value


WRITERS = pytest.mark.parametrize("write", [put, ask_and_overwrite])


@WRITERS
def test_106_eviction_throws_away_one_entry_per_write_and_never_scans(monkeypatch, write):
    monkeypatch.setattr(bounded_map, "_Young", CountingYoung)
    counters = MemoryCounters(ManualClock(), max_keys=300)
    CountingYoung.steps.clear()
    for n in range(10_000):
        before = CountingYoung.steps["popitem"]
        write(counters, f"{n}", n)
        assert CountingYoung.steps["popitem"] <= before + 1
        assert len(counters) <= 303
    assert CountingYoung.steps["popitem"] > 9_000
    assert CountingYoung.steps["iter"] == 0
    assert CountingYoung.steps["clear"] == 0
    assert len(counters.dying) <= 101


@WRITERS
def test_106_whoever_was_counted_lately_is_known_whichever_way_it_was_written(write):
    counters = MemoryCounters(ManualClock(), max_keys=300)
    for n in range(1, 1_000):
        write(counters, f"{n}", n)
        assert all(counters.get(f"{m}", 0) == m for m in range(max(1, n - 99), n + 1))
        assert all(counters.get(f"{m}", 0) == 0 for m in range(n - 300, n - 202))


def test_106_an_entry_of_the_old_generation_is_overwritten_where_it_is_found():
    counters = MemoryCounters(ManualClock(), max_keys=3)
    counters.put("a", 1)
    counters.put("b", 2)  # the first generation is full
    young = counters.young
    assert young["a"] == 1
    young["a"] = 7
    assert (counters.get("a", 0), counters.get("b", 0)) == (7, 2)
    young = counters.young
    assert young["c"] == 0  # a new generation begins while it is asked for
    young["c"] = 3
    assert (counters.get("a", 0), counters.get("b", 0), counters.get("c", 0)) == (7, 0, 3)


def test_106_a_caller_who_keeps_calling_is_not_forgotten_in_a_flood_of_others():
    counters = MemoryCounters(ManualClock(), max_keys=300)
    assert drain(counters) == 10
    for n in range(5_000):
        take(counters, f"stranger {n}")
        if n % 50 == 0:
            counters.put("caller", counters.get("caller", 0))
    assert drain(counters) == 0
