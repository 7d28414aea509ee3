"""Rows as an author's own type. SQLite knows few types, so texts become dates and ones become True here."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
from pydantic import TypeAdapter


@lru_cache(maxsize=256)
def reader_of(into: Any) -> Callable[[list[dict[str, Any]]], list[Any]]:
    """Return what turns rows into ``into``: a pydantic model, dataclass, TypedDict or msgspec struct.

    The reader raises ``ValueError`` if a row does not fit (pydantic's and msgspec's errors are such).
    """
    if isinstance(into, type) and issubclass(into, msgspec.Struct):
        return lambda rows: msgspec.convert(rows, list[into], strict=False)
    return TypeAdapter(list[into]).validate_python
