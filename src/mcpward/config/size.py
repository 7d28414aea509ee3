"""Sizes as people write them: ``4 MiB``, ``32 KiB`` or a number of bytes."""

import re
from typing import Final

_UNITS: Final = {"": 1, "b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1024, "mib": 1024**2, "gib": 1024**3}
_TEXT: Final = re.compile(r"(\d{1,12})\s*([a-z]{0,3})", re.ASCII)


def parse_size(text: str) -> int:
    """Read a size in bytes.

    Raises:
        ValueError: the text is no size.
    """
    match = _TEXT.fullmatch(text.strip().lower())
    if match is None or match[2] not in _UNITS:
        raise ValueError("write a size as a number of bytes, or as 512 KiB or 4 MiB")
    return int(match[1]) * _UNITS[match[2]]


def size_text(size: int) -> str:
    """Write a size with the largest binary unit that divides it."""
    for unit, factor in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if size and size % factor == 0:
            return f"{size // factor} {unit}"
    return str(size)
