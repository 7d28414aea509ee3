"""Dates and times as models write them, in the form of RFC 3339."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpward.core.rfc3339 import date, date_time, settled, time


@pytest.mark.parametrize(
    "text,read",
    [
        ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00Z"),
        ("2026-03-01t10:00:00z", "2026-03-01T10:00:00Z"),
        ("2026-03-01 10:00:00", "2026-03-01T10:00:00Z"),
        ("2026-03-01T10:00", "2026-03-01T10:00:00Z"),
        ("2026-03-01T10:00:00.250", "2026-03-01T10:00:00.250Z"),
        ("2026-03-01T10:00:00+02", "2026-03-01T10:00:00+02:00"),
        ("2026-03-01T10:00:00-0530", "2026-03-01T10:00:00-05:30"),
        ("2026-03-01", "2026-03-01T00:00:00Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00+00:00"),
        ("2016-12-31T15:59:60-08:00", "2016-12-31T16:00:00-08:00"),
    ],
)
def test_a_date_time_is_read_with_utc_where_it_says_no_offset(text: str, read: str):
    assert date_time(text) == read
    assert datetime.fromisoformat(read).tzinfo is not None


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2026-03-01T10:00:60Z", "9999-12-31T23:59:60Z", "2026-3-1", "10:00", "1700000000", "٢-03-01"],
)
def test_what_is_no_date_time_is_not_made_one(text: str):
    assert date_time(text) is None


def test_a_date_has_no_time_of_day_but_midnight():
    assert date("2026-03-01T00:00:00Z") == date("2026-03-01 00:00") == "2026-03-01"
    assert date("2026-03-01T00:00:01Z") is None


def test_a_time_of_day_without_an_offset_is_in_utc_and_a_leap_second_stays_in_its_day():
    assert time("10:00") == "10:00:00Z"
    assert time("23:59:60Z") == "23:59:59.999999Z"
    assert time("10:00:60Z") is None


def test_a_plain_date_stays_one_where_both_may_stand():
    assert settled("2026-03-01", {"date", "date-time"}) == "2026-03-01"
    assert settled("2026-03-01T10:00", {"date", "date-time"}) == "2026-03-01T10:00:00Z"
    assert settled("tomorrow", {"date-time"}) == "tomorrow"


@given(st.datetimes(timezones=st.timezones(), allow_imaginary=False))
def test_a_moment_is_the_same_after_it_was_read(moment: datetime):
    offset = moment.utcoffset()
    if offset is not None and not offset.seconds % 60:
        text = moment.isoformat()
        # In UTC: of a time that a clock shows twice, Python says that it equals none of another zone (PEP 495).
        assert datetime.fromisoformat(date_time(text) or "").astimezone(UTC) == moment.astimezone(UTC)
