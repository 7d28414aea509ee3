"""Dates and times as callers write them, brought into the form of RFC 3339 that schemas publish.

Models often leave the offset, the seconds or the whole time of day out. A missing offset means UTC, as it does in
results; a missing time of day is midnight. A leap second becomes the second after it, which Python can hold.
"""

import re
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

_OFFSET: Final = r"(?:(?P<utc>[Zz])|(?P<sign>[+-])(?P<hours>\d\d)(?::?(?P<minutes>\d\d))?)"
_CLOCK: Final = r"(?P<clock>\d\d:\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,32}))?)?"
_DATE_TIME: Final = re.compile(rf"(?P<date>\d{{4}}-\d\d-\d\d)(?:[Tt _]{_CLOCK} ?{_OFFSET}?)?", re.ASCII)
_TIME: Final = re.compile(rf"{_CLOCK} ?{_OFFSET}?", re.ASCII)
_MIDNIGHT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt _]00:00(?::00(?:[.,]0{1,32})?)? ?(?:[Zz]|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LEAP: Final = "60"
_LONGEST: Final = 80


def date_time(text: str) -> str | None:
    """Return the date-time that ``text`` stands for; None if it is not one. Whether it exists is not checked."""
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        return None
    if found["clock"] is None:
        return f"{found['date']}T00:00:00Z"
    if found["second"] == _LEAP:
        return _after_leap(f"{found['date']}T{found['clock']}", _offset(found))
    return f"{found['date']}T{_time(found)}"


def date(text: str) -> str | None:
    """Return the date that ``text`` stands for; None if it is not one, or has a time of day other than midnight."""
    found = _MIDNIGHT.fullmatch(text)
    return found[1] if found else None


def time(text: str) -> str | None:
    """Return the time of day that ``text`` stands for; None if it is not one."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    if found["second"] == _LEAP:  # the day has no second after it: its last microsecond stands for it
        whole = _after_leap(f"2000-01-01T{found['clock']}", _offset(found))
        return None if whole is None else f"{found['clock']}:59.999999{_offset(found)}"
    return _time(found)


def settled(text: str, formats: Collection[str]) -> str:
    """Return ``text`` in one of the ``formats`` of JSON Schema, ``date-time``, ``date`` and ``time``.

    A text that cannot be brought into one of them is returned as it is.
    """
    if len(text) > _LONGEST or ("date" in formats and _DATE.fullmatch(text)):
        return text
    read = date_time(text) if "date-time" in formats else None
    if read is None and "date" in formats:
        read = date(text)
    if read is None and "time" in formats:
        read = time(text)
    return text if read is None else read


def _time(found: re.Match[str]) -> str:
    fraction = f".{found['fraction']}" if found["fraction"] else ""
    return f"{found['clock']}:{found['second'] or '00'}{fraction}{_offset(found)}"


def _offset(found: re.Match[str]) -> str:
    return f"{found['sign']}{found['hours']}:{found['minutes'] or '00'}" if found["sign"] else "Z"


def _after_leap(minute: str, offset: str) -> str | None:
    """Leap seconds are inserted at 23:59:60 UTC and at no other time (RFC 3339 §5.7)."""
    try:
        last = datetime.fromisoformat(f"{minute}:59{offset.replace('Z', '+00:00')}")
        in_utc = last - (last.utcoffset() or timedelta())
        return (last + timedelta(seconds=1)).isoformat() if (in_utc.hour, in_utc.minute) == (23, 59) else None
    except (ValueError, OverflowError):
        return None
