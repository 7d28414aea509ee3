"""Times as RFC 3339 has them: always with an offset. A time without one is taken for UTC."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

_MINUTE: Final = timedelta(minutes=1)
_UTC: Final = "+00:00"
_ANY_DAY: Final = date(2000, 1, 2)


def date_time(value: datetime) -> str:
    """Return an RFC 3339 ``date-time``. An offset with seconds, which RFC 3339 does not have, becomes UTC.

    Raises:
        ValueError: the moment has no place in UTC, which ends with the year 9999.
    """
    if value.tzinfo is None:
        return value.isoformat() + "Z"
    offset = value.utcoffset()
    if offset is None:
        return value.replace(tzinfo=None).isoformat() + "Z"
    if offset % _MINUTE:
        try:
            value = value.astimezone(UTC)
        except OverflowError:
            raise ValueError("a time outside of the years 1 to 9999 in UTC") from None
    text = value.isoformat()
    return f"{text[: -len(_UTC)]}Z" if text.endswith(_UTC) else text


def full_time(value: time) -> str:
    """Return an RFC 3339 ``full-time``.

    Raises:
        ValueError: the time is of a named zone, whose offset depends on the date.
    """
    offset = value.utcoffset()
    if offset is None:
        if value.tzinfo is not None:
            raise ValueError("a time in a named zone has no offset without a date")
        return f"{value.isoformat()}Z"
    if not offset % _MINUTE:
        return value.isoformat() if offset else f"{value.replace(tzinfo=None).isoformat()}Z"
    return f"{datetime.combine(_ANY_DAY, value).astimezone(UTC).time().isoformat()}Z"
