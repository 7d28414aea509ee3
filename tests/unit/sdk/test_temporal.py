"""Times as RFC 3339 has them, whatever their offset."""

import re
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpward.sdk.schema.temporal import date_time, full_time

OFFSETS = st.none() | st.timedeltas(timedelta(hours=-23, minutes=-59), timedelta(hours=23, minutes=59)).map(timezone)
FULL_TIME = re.compile(r"\d\d:\d\d:\d\d(\.\d{6})?(Z|[+-]\d\d:\d\d)")
MIDDLE: dict[str, Any] = {
    "min_value": datetime.fromisoformat("0001-01-03"),
    "max_value": datetime.fromisoformat("9999-12-29"),
}


def fits(text: str, form: str) -> bool:
    return jsonschema_rs.Draft202012Validator({"format": form}, validate_formats=True).is_valid(text)


@given(st.datetimes(**MIDDLE, timezones=OFFSETS))
def test_a_moment_stays_the_same_moment(value: datetime):
    text = date_time(value)
    assert fits(text, "date-time")
    assert FULL_TIME.fullmatch(text.partition("T")[2])
    assert datetime.fromisoformat(text) == (value if value.tzinfo is not None else value.replace(tzinfo=UTC))


@given(st.times(timezones=OFFSETS))
def test_a_time_of_day_stays_the_same_time_of_day(value: time):
    text = full_time(value)
    assert fits(text, "time")
    assert FULL_TIME.fullmatch(text)
    day = datetime.fromisoformat("2026-03-01")
    there, here = (datetime.combine(day, each) for each in (time.fromisoformat(text), value))
    here = here if value.tzinfo is not None else here.replace(tzinfo=UTC)
    assert (there - here) % timedelta(days=1) == timedelta()


def test_utc_is_z_by_any_name():
    moment = datetime.fromisoformat("2026-03-01T12:00:00")
    for zone in (None, UTC, timezone(timedelta(), "GMT"), ZoneInfo("UTC"), ZoneInfo("Europe/London")):
        assert date_time(moment.replace(tzinfo=zone)) == "2026-03-01T12:00:00Z"


def test_what_has_no_place_in_utc_or_no_offset_is_refused():
    mean = timezone(timedelta(minutes=53, seconds=28))
    with pytest.raises(ValueError, match="years 1 to 9999"):
        date_time(datetime.fromisoformat("0001-01-01").replace(tzinfo=mean))
    with pytest.raises(ValueError, match="named zone"):
        full_time(time(12, tzinfo=ZoneInfo("Europe/Berlin")))
