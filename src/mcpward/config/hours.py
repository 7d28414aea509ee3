"""Hours of a week in a time zone: ``Mon-Fri 09:00-17:00 Europe/Berlin``. Days that are not named are none.

A span that ends before it begins goes over midnight, and belongs to the day on which it begins.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN: Final = re.compile(r"([0-2][0-9]):([0-5][0-9])-([0-2][0-9]):([0-5][0-9])", re.ASCII)
_DAY: Final = 24 * 60
_FORM: Final = "write it as Mon-Fri 09:00-17:00 Europe/Berlin; without a zone it is UTC"


class Hours(Struct, frozen=True):
    """``days`` are 0 (Monday) to 6, ``begin`` and ``end`` minutes of the day. Invariant: ``begin`` is not ``end``."""

    text: str
    days: frozenset[int]
    begin: int
    end: int
    zone: str

    def has(self, at: float) -> bool:
        """Return whether a moment (seconds since 1970) is within them."""
        local = datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(self.zone))
        minute = local.hour * 60 + local.minute
        if self.begin < self.end:
            return local.weekday() in self.days and self.begin <= minute < self.end
        if minute >= self.begin:
            return local.weekday() in self.days
        return minute < self.end and (local - timedelta(days=1)).weekday() in self.days


def parse_hours(text: str) -> Hours:
    """Return the hours that a text means.

    Raises:
        ValueError: it means none; says what is wrong with it.
    """
    words = text.split()
    span = next((place for place, word in enumerate(words) if _SPAN.fullmatch(word)), None)
    if span is None or span > 1 or len(words) > span + 2:
        raise ValueError(f"{text!r} is not a span of hours: {_FORM}")
    begin, end = _minutes(words[span])
    return Hours(
        text=" ".join(words),
        days=_days(words[0]) if span else frozenset(range(7)),
        begin=begin,
        end=end,
        zone=_zone(words[span + 1]) if len(words) > span + 1 else "UTC",
    )


def _minutes(span: str) -> tuple[int, int]:
    found = _SPAN.fullmatch(span)
    assert found is not None
    hour, minute, last_hour, last_minute = map(int, found.groups())
    begin, end = hour * 60 + minute, last_hour * 60 + last_minute
    if begin >= _DAY or end > _DAY or begin == end:
        raise ValueError(f"{span!r} is not a span of a day: hours go from 00:00 to 24:00")
    return begin, end


def _days(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.lower().split(","):
        first, _, last = part.partition("-")
        try:
            begin = _DAYS.index(first)
            end = _DAYS.index(last) if last else begin
        except ValueError:
            raise ValueError(f"{text!r} are not days: write Mon-Fri, Sat or Mon,Wed,Fri") from None
        days |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}
    return frozenset(days)


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        problem = f"{name!r} is not a time zone that this machine knows"
        raise ValueError(f"{problem}: write Europe/Berlin, or install tzdata (pip install tzdata)") from None
    return name
