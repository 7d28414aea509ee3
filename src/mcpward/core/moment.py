"""A moment as people and programs read it."""

from datetime import UTC, datetime


def moment_text(at: float | None, missing: str = "-") -> str:
    """Write a moment in ISO 8601, in UTC, to the second."""
    if at is None:
        return missing
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
