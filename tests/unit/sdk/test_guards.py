from datetime import UTC, date, datetime, timedelta

import pytest

from mcpward import DateRange

GUARD = DateRange("a", "b", max_days=90)
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("days", [0, 1, 90])
def test_a_range_within_the_days_is_fine(days):
    assert GUARD.check({"a": START, "b": START + timedelta(days=days)}) is None


def test_an_open_end_is_not_checked():
    assert GUARD.check({"a": START, "b": None}) is None


@pytest.mark.parametrize(
    "end,rule",
    [
        (START + timedelta(days=90, seconds=1), "at most 90 days after a"),
        (START - timedelta(seconds=1), "not before a"),
        (START.replace(tzinfo=None), "both or neither of a and b with a UTC offset"),
    ],
)
def test_a_range_that_makes_no_sense_is_named_by_path_and_rule(end, rule):
    problem = GUARD.check({"a": START, "b": end})
    assert problem is not None
    assert (problem.path, problem.rule) == ("b", rule)


def test_dates_work_like_times():
    assert GUARD.check({"a": date(2026, 1, 1), "b": date(2026, 3, 1)}) is None
    assert GUARD.check({"a": date(2026, 1, 1), "b": date(2026, 6, 1)}) is not None
