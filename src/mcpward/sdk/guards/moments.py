"""Dates and times of arguments, typed or as callers write them, made comparable."""

from datetime import UTC, date, datetime, time
from typing import Any, Final

from mcpward.core import rfc3339

_MIDNIGHT: Final = time()
_LONGEST: Final = 80


def moment(value: Any) -> date:
    """Return a date or a datetime; a text is read as RFC 3339, and without an offset it is in UTC.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, date):
        return value
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise ValueError("no date")
    if len(value) == len("2026-03-01") and value[4] == "-" == value[7]:
        return date.fromisoformat(value)
    text = rfc3339.date_time(value)  # Python itself reads far more: weeks, and days without hyphens
    if text is None:
        raise ValueError("no date")
    return datetime.fromisoformat(text)


def pair(start: date, end: date) -> tuple[date, date]:
    """Return two moments that can be subtracted: a date beside a datetime is its midnight, in the offset of that."""
    if isinstance(start, datetime) is isinstance(end, datetime):
        return start, end
    if isinstance(start, datetime):
        return start, datetime.combine(end, _MIDNIGHT, start.tzinfo)
    assert isinstance(end, datetime)
    return datetime.combine(start, _MIDNIGHT, end.tzinfo), end


def in_utc(value: datetime) -> datetime:
    """Return a datetime with an offset: without one it is in UTC."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value


def time_of_day(value: Any) -> time:
    """Return a time of day; a text is read as RFC 3339.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, time):
        return value
    text = rfc3339.time(value) if isinstance(value, str) else None
    if text is None:
        raise ValueError("no time of day")
    return time.fromisoformat(text)
