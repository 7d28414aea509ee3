"""Spans of time as people write them: ``30m``, ``24h``, ``90d``, ``2w``."""

import re
from typing import Final

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_TEXT: Final = re.compile(r"(\d{1,6})\s*([smhdw])", re.ASCII)


def parse_span(text: str) -> float:
    """Read a span of time in seconds.

    Raises:
        ValueError: the text is no span.
    """
    match = _TEXT.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError("write a span of time as 30m, 24h, 90d or 2w")
    return int(match[1]) * _UNITS[match[2]]


def span_text(seconds: float) -> str:
    """Write a span with the largest unit that divides it; days before weeks, as people count them."""
    for unit in ("d", "h", "m"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{int(seconds // _UNITS[unit])}{unit}"
    return f"{int(seconds)}s"
