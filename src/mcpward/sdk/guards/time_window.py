"""``TimeWindow``: how far a time may lie from now, and at which time of day."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from math import ceil
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mcpward.core.clock import Clock, SystemClock
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.guards.moments import in_utc, moment, time_of_day
from mcpward.sdk.guards.parameter_guard import ParameterGuard
from mcpward.sdk.options import options

_DAY: Final = timedelta(days=1)
_EXAMPLE: Final = "write TimeWindow(last_days=90, next_days=0)"


class TimeWindow(ParameterGuard):
    """A date or time within the last and next days: ``Annotated[datetime, TimeWindow(last_days=90, next_days=0)]``.

    Without ``last_days`` the past has no bound, without ``next_days`` the future. ``between`` are two times of day in
    ``zone``, the second not included; they may lie on both sides of midnight.

    Raises:
        AuthoringError: no bound at all, or one that is none; a zone that the machine does not know.
    """

    kinds: frozenset[str] = frozenset({"ordered"})

    @options("TimeWindow")
    def __init__(
        self,
        *,
        last_days: float | None = None,
        next_days: float | None = None,
        between: tuple[str, str] | None = None,
        zone: str = "UTC",
        clock: Clock | None = None,
    ) -> None:
        if last_days is None and next_days is None and between is None:
            raise AuthoringError("TimeWindow has no bound", hint=_EXAMPLE)
        self.last_days, self.next_days = _days(last_days), _days(next_days)
        self.between = None if between is None else _times(between)
        self.zone = _zone(zone)
        self._zone_name = zone
        self._clock = clock or SystemClock()

    def check(self, value: Any) -> str | None:
        """Refuse a time outside of the window."""
        try:
            if isinstance(value, time) or (self.last_days is None is self.next_days and not isinstance(value, date)):
                return self._of_day(time_of_day(value))
            at = moment(value)
        except ValueError:
            return "a date or time such as 2026-03-01T00:00:00Z"
        try:
            broken = self._of_now(at)
            if broken is None and self.between is not None and isinstance(at, datetime):
                broken = self._of_day(in_utc(at).astimezone(self.zone).time())
        except OverflowError:
            return self._rule()
        return broken

    def describe(self) -> str:
        """Return the rule for the model."""
        rule = self._rule()
        return f"{rule[0].upper()}{rule[1:]}."

    def __repr__(self) -> str:
        return f"TimeWindow({self._rule()})"

    def _of_now(self, at: date) -> str | None:
        if isinstance(at, datetime):
            ahead = timedelta(seconds=in_utc(at).timestamp() - self._clock.now())
        else:
            ahead = at - datetime.fromtimestamp(self._clock.now(), self.zone).date()
        if self.next_days is not None and ahead > self.next_days:
            return f"{self._rule()}; you asked for {ceil(ahead / _DAY)} days ahead"
        if self.last_days is not None and -ahead > self.last_days:
            return f"{self._rule()}; you asked for {ceil(-ahead / _DAY)} days ago"
        return None

    def _of_day(self, at: time) -> str | None:
        if self.between is None:
            return None
        first, last = self.between
        plain = at.replace(tzinfo=None)
        is_within = first <= plain < last if first <= last else plain >= first or plain < last
        return None if is_within else self._rule()

    def _rule(self) -> str:
        said = []
        if self.last_days is not None:
            said.append(f"within the last {self.last_days / _DAY:g} days" if self.last_days else "not in the past")
        if self.next_days is not None:
            said.append(f"within the next {self.next_days / _DAY:g} days" if self.next_days else "not in the future")
        if self.last_days and self.next_days:
            said = [f"from {self.last_days / _DAY:g} days ago to {self.next_days / _DAY:g} days ahead"]
        if self.between is not None:
            said.append(f"between {self.between[0]:%H:%M} and {self.between[1]:%H:%M} ({self._zone_name})")
        return ", ".join(said)


def _days(value: Any) -> timedelta | None:
    if value is None:
        return None
    if type(value) not in {int, float} or not 0 <= value <= timedelta.max.days:
        raise AuthoringError("TimeWindow: last_days and next_days are numbers of days", hint=_EXAMPLE)
    return timedelta(days=value)


def _times(between: Any) -> tuple[time, time]:
    try:
        first, last = (time.fromisoformat(one) for one in between)
    except (TypeError, ValueError):
        hint = 'write TimeWindow(between=("08:00", "18:00"), zone="Europe/Berlin")'
        raise AuthoringError("TimeWindow: between is two times of day", hint=hint) from None
    return first, last


def _zone(name: Any) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise AuthoringError(f"TimeWindow: there is no zone {name!r}", hint='write zone="Europe/Berlin"') from None
