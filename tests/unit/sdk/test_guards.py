from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from mcpward import DateRange, Server
from mcpward.core.facts import Problem
from mcpward.sdk.errors import AuthoringError

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
        (START + timedelta(days=90, seconds=1), "date range cannot exceed 90 days; you asked for 91"),
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


class Positive:
    """A guard of an author's own, which says which types it can check."""

    parameters = ("count",)

    def require_types(self, annotations: Mapping[str, Any]) -> None:
        if annotations["count"] is not int:
            raise AuthoringError("Positive compares numbers, and 'count' is not a number", hint="annotate count: int")

    def check(self, arguments: Mapping[str, Any]) -> Problem | None:
        return None if arguments["count"] > 0 else Problem("count", "above 0")


def test_a_guard_of_an_authors_own_may_refuse_a_type_when_the_tool_is_declared() -> None:
    server = Server("shop")

    @server.tool(guards=[Positive()])
    def buy(count: int) -> int:
        """Buy."""
        return count

    with pytest.raises(AuthoringError, match="tool 'sell': Positive compares numbers"):

        @server.tool(guards=[Positive()])
        def sell(count: str) -> str:
            """Sell."""
            return count
