"""Moments and spans as people write them: ``90d``, ``2026-12-31``, ``2026-12-31T10:00:00Z``; and back."""

import re
from datetime import UTC, datetime
from typing import Final

from mcpward.cli.ui import Ended, Exit

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SPAN: Final = re.compile(r"(\d{1,6})([smhdw])", re.ASCII)
_LAST: Final = 253_402_300_799.0  # 9999-12-31T23:59:59Z: the last second that an ISO date can say


def parse_span(text: str, option: str) -> float:
    """Read a span such as ``24h`` in seconds; ``0`` is no time at all.

    Raises:
        Ended: it is none (a usage error that names the option).
    """
    match = _SPAN.fullmatch(text.strip().lower())
    if match is None and text.strip() != "0":
        raise Ended(Exit.USAGE, f"{option} is not a span of time", "write 30m, 24h, 90d or 2w")
    return int(match[1]) * _UNITS[match[2]] if match else 0.0


def _parse_iso(text: str, option: str) -> float:
    try:
        at = datetime.fromisoformat(text.strip())
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise Ended(
            Exit.USAGE, f"{option} is neither a span nor a moment", "write 90d, 2026-12-31 or 2026-12-31T10:00:00Z"
        ) from None


def parse_end(text: str, now: float, option: str) -> float:
    """Read a moment in the future: a span from now, or an ISO 8601 date or time (UTC unless it says otherwise).

    Raises:
        Ended: it is none, or it has passed.
    """
    at = now + parse_span(text, option) if _SPAN.fullmatch(text.strip().lower()) else _parse_iso(text, option)
    if not now < at <= _LAST:
        raise Ended(Exit.USAGE, f"{option} has passed already, or lies beyond the year 9999")
    return at


def parse_start(text: str, now: float, option: str) -> float:
    """Read a moment in the past: a span before now, or an ISO 8601 date or time.

    Raises:
        Ended: it is none.
    """
    if _SPAN.fullmatch(text.strip().lower()):
        return now - parse_span(text, option)
    return _parse_iso(text, option)


def moment_text(at: float | None, missing: str = "-") -> str:
    """Write a moment in ISO 8601, in UTC, to the second."""
    if at is None:
        return missing
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
