"""The periods of quotas: hours, days and months of the calendar in UTC. Pure: no clock of its own.

A quota follows the calendar because the guarded limit does: a provider's "10,000 a day" begins anew at midnight UTC.
"""

from calendar import monthrange
from datetime import UTC, datetime
from math import ceil
from typing import Final

from mcpward.core.values import Period

_HOUR_S: Final = 3600
_DAY_S: Final = 86_400
_MONTHS: Final = 12


def index_of(period: Period, now_s: float) -> int:
    """Return the number of the period that ``now_s`` (seconds since 1970) lies in; the next period has the next one."""
    if period is Period.MONTH:
        moment = datetime.fromtimestamp(now_s, UTC)
        return (moment.year - 1970) * _MONTHS + moment.month - 1
    return int(now_s // (_HOUR_S if period is Period.HOUR else _DAY_S))


def left_s(period: Period, now_s: float) -> int:
    """Return the seconds until the next period begins, rounded up and at least 1."""
    if period is Period.MONTH:
        moment = datetime.fromtimestamp(now_s, UTC)
        days = monthrange(moment.year, moment.month)[1] - moment.day + 1
        return max(1, ceil(days * _DAY_S - now_s % _DAY_S))
    length = _HOUR_S if period is Period.HOUR else _DAY_S
    return max(1, ceil(length - now_s % length))
