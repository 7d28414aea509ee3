"""A caller who makes a tool fail a thousand times a minute fills no log (attack 126)."""

import logging

import pytest

from mcpward.app.log_rate import MOST_A_MINUTE, LogRate
from support.clock import ManualClock


def line(msg, *args, name="mcpward"):
    return logging.LogRecord(name, logging.ERROR, "", 0, msg, args, None)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def rate(clock):
    return LogRate(clock)


def passed(rate, make, times):
    return sum(rate.filter(make(at)) for at in range(times))


def test_of_one_kind_so_many_lines_a_minute_are_written(rate, clock):
    assert passed(rate, lambda at: line("failed: %s", f"id{at}"), 1000) == MOST_A_MINUTE
    assert passed(rate, lambda at: line({"event": "a call failed", "error_id": at}), 1000) == MOST_A_MINUTE
    clock.advance(60.0)
    assert passed(rate, lambda at: line("failed: %s", f"id{at}"), 1000) == MOST_A_MINUTE


def test_one_kind_takes_nothing_from_another(rate):
    passed(rate, lambda at: line("failed: %s", at), 1000)
    assert rate.filter(line("the disk is full"))


def test_the_next_line_says_how_many_were_not_written(rate, clock):
    passed(rate, lambda at: line("failed: %s", at), MOST_A_MINUTE + 940)
    passed(rate, lambda at: line({"event": "a call failed"}), MOST_A_MINUTE + 7)
    clock.advance(60.0)
    plain, structured = line("failed: %s", "x"), line({"event": "a call failed", "error_id": "1"})
    assert rate.filter(plain)
    assert plain.getMessage() == "failed: x (940 more like this were withheld)"
    assert rate.filter(structured)
    assert structured.msg == {"event": "a call failed", "error_id": "1", "withheld": 7}
    again = line("failed: %s", "x")
    assert rate.filter(again)
    assert again.getMessage() == "failed: x"


def test_kinds_without_end_take_no_memory(rate):
    for at in range(5000):
        rate.filter(line(f"made up {at}"))
    assert len(rate._seen) <= 1000
    assert len(rate._withheld) <= 1000
