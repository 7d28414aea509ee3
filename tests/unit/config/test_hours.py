"""Hours of a week: days, spans over midnight, time zones with their summer time."""

from datetime import UTC, datetime

import pytest

from mcpward.config.hours import parse_hours


def has(text: str, at: str) -> bool:
    return parse_hours(text).has(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    "text,at,expected",
    [
        ("Mon-Fri 09:00-17:00", "2026-11-30T09:00", True),
        ("Mon-Fri 09:00-17:00", "2026-11-30T17:00", False),
        ("Mon-Fri 09:00-17:00", "2026-11-29T12:00", False),
        ("Mon-Fri 09:00-17:00 Europe/Berlin", "2026-11-30T08:00", True),
        ("Mon-Fri 09:00-17:00 Europe/Berlin", "2026-07-01T07:00", True),
        ("Mon-Fri 09:00-17:00 Europe/Berlin", "2026-07-01T15:30", False),
        ("22:00-06:00", "2026-11-30T23:00", True),
        ("22:00-06:00", "2026-11-30T05:59", True),
        ("22:00-06:00", "2026-11-30T06:00", False),
        ("Fri 22:00-06:00", "2026-12-05T05:00", True),
        ("Fri 22:00-06:00", "2026-12-04T05:00", False),
        ("Sat-Mon,Wed 00:00-24:00", "2026-11-30T23:59", True),
        ("Sat-Mon,Wed 00:00-24:00", "2026-12-01T00:00", False),
        ("Sat-Mon,Wed 00:00-24:00", "2026-12-02T00:00", True),
    ],
)
def test_a_moment_is_within_the_hours_or_not(text, at, expected):
    assert has(text, at) is expected


@pytest.mark.parametrize(
    "text",
    ["", "09:00", "Mon-Fri", "9-17", "25:00-26:00", "09:00-09:00", "Mon-Fru 09:00-17:00", "09:00-17:00 X/Y", "a b c"],
)
def test_what_means_no_hours_is_refused_with_the_form(text):
    with pytest.raises(ValueError, match=r"hours|days|zone|span"):
        parse_hours(text)
