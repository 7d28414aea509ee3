"""Rates as people write them: ``120/minute burst 20``. Reads and writes the text; counts nothing."""

import re
from typing import Final

from mcpward.core.values import Rate

PER_S: Final = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
_SHORT: Final = {"s": "second", "sec": "second", "m": "minute", "min": "minute", "h": "hour", "d": "day"}
_TEXT: Final = re.compile(r"(\d{1,9})\s*/\s*([a-z]{1,8})(?:\s+burst\s+(\d{1,9}))?", re.ASCII)
_SYNTAX: Final = "write a rate as 120/minute or 120/minute burst 20 (second, minute, hour or day)"


def parse_rate(text: str) -> Rate:
    """Read ``COUNT/PERIOD`` with an optional ``burst N`` (calls at once; the count, if it is not given).

    Raises:
        ValueError: the text is no rate, or counts nothing. The message is for the operator and quotes nothing.
    """
    match = _TEXT.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(_SYNTAX)
    count, period, burst = int(match[1]), match[2], match[3]
    per_s = PER_S.get(_SHORT.get(period, period))
    if per_s is None:
        raise ValueError(_SYNTAX)
    if count < 1 or (burst is not None and int(burst) < 1):
        raise ValueError("a rate and its burst are at least 1")
    return Rate(count=count, per_s=per_s, burst=int(burst) if burst is not None else count)


def rate_text(rate: Rate) -> str:
    """Write a rate so that :func:`parse_rate` reads the same one back."""
    period = next((word for word, per_s in PER_S.items() if per_s == rate.per_s), f"{rate.per_s:g} s")
    burst = "" if rate.burst == rate.count else f" burst {rate.burst}"
    return f"{rate.count}/{period}{burst}"
