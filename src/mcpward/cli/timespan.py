"""Moments and spans as people write them: ``90d``, ``2026-12-31``, ``2026-12-31T10:00:00Z``."""

from datetime import UTC, datetime
from typing import Final

from mcpward.cli.ui import CommandEnded, Exit
from mcpward.config import span

_LAST: Final = 253_402_300_799.0  # 9999-12-31T23:59:59Z: the last second that an ISO date can express


def parse_span(text: str, option: str) -> float:
    """Read a span such as ``24h`` in seconds; ``0`` is no time at all.

    Raises:
        CommandEnded: it is none (a usage error that names the option).
    """
    if text.strip() == "0":
        return 0.0
    try:
        return span.parse_span(text)
    except ValueError:
        raise CommandEnded(Exit.USAGE, f"{option} is not a span of time", "write 30m, 24h, 90d or 2w") from None


def _is_span(text: str) -> bool:
    try:
        span.parse_span(text)
    except ValueError:
        return False
    return True


def _parse_iso(text: str, option: str) -> float:
    try:
        at = datetime.fromisoformat(text.strip())
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise CommandEnded(
            Exit.USAGE, f"{option} is neither a time span nor a time", "write 90d, 2026-12-31 or 2026-12-31T10:00:00Z"
        ) from None


def parse_end(text: str, now: float, option: str) -> float:
    """Read a moment in the future: a span from now, or an ISO 8601 date or time (UTC unless it has an offset).

    Raises:
        CommandEnded: it is none, or it has passed.
    """
    at = now + parse_span(text, option) if _is_span(text) else _parse_iso(text, option)
    if not now < at <= _LAST:
        raise CommandEnded(Exit.USAGE, f"{option} has passed already, or is beyond the year 9999")
    return at


def parse_start(text: str, now: float, option: str) -> float:
    """Read a moment in the past: a span before now, or an ISO 8601 date or time.

    Raises:
        CommandEnded: it is none.
    """
    if _is_span(text):
        return now - parse_span(text, option)
    return _parse_iso(text, option)


def parse_moment(text: str, option: str) -> float:
    """Read a moment, past or future: an ISO 8601 date or time (UTC unless it has an offset).

    Raises:
        CommandEnded: it is none.
    """
    return _parse_iso(text, option)
