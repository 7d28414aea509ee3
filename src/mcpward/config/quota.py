"""Quotas as people write them: ``5000/day``. Reads and writes the text; counts nothing."""

import re
from typing import Final

from mcpward.core.values import Period, Quota

_TEXT: Final = re.compile(r"(\d{1,9})\s*/\s*([a-z]{1,8})", re.ASCII)
_SYNTAX: Final = "write a quota as 5000/day (hour, day or month; periods begin at full hours and midnights in UTC)"


def parse_quota(text: str) -> Quota:
    """Read ``COUNT/PERIOD``.

    Raises:
        ValueError: the text is no quota, or counts nothing. The message is for the operator and quotes nothing.
    """
    match = _TEXT.fullmatch(text.strip().lower())
    if match is None or match[2] not in {period.value for period in Period}:
        raise ValueError(_SYNTAX)
    if int(match[1]) < 1:
        raise ValueError("a quota is at least 1")
    return Quota(count=int(match[1]), period=Period(match[2]))


def quota_text(quota: Quota) -> str:
    """Write a quota so that :func:`parse_quota` reads the same one back."""
    return f"{quota.count}/{quota.period.value}"
