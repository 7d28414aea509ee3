"""Paths of fields as they may be shown. A name that the caller made up is shown only if it is plain and short."""

import re
from collections.abc import Iterable
from typing import Final

# Anything else could carry control characters, markup or a whole value into a log, a terminal or a model.
_PLAIN: Final = re.compile(r"[A-Za-z0-9_$-]{1,64}", re.ASCII)
_DEEPEST: Final = 16
_UNKNOWN: Final = "?"


def public_path(parts: Iterable[str | int]) -> str:
    """Join a path with dots: ``orders.0.id``. Names that are not plain show as ``?``, what is too deep as ``…``."""
    shown = [_public(part) for part in parts]
    if len(shown) > _DEEPEST:
        shown = [*shown[:_DEEPEST], "…"]
    return ".".join(shown)


def _public(part: str | int) -> str:
    if isinstance(part, int):
        return str(part)
    return part if _PLAIN.fullmatch(part) else _UNKNOWN
