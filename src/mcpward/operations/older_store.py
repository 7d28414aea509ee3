"""The live entries of a store that is older than its mark, or was changed outside of mcpward: to be reviewed before
use.

A row that was not written with the master key may hold anything, so other values than lists and classes are shown as
is.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import DecodeError, Struct, json

from mcpward.core.scope import Access
from mcpward.storage.opening import Older

__all__ = ["Alive", "Older", "OlderKey", "OlderUrl", "alive_in"]

_Row = Mapping[str, Any]


class OlderKey(Struct, frozen=True, kw_only=True):
    """A live key in it. ``tools`` is None for all of its servers'."""

    id: str
    name: str
    servers: tuple[str, ...]
    access: str
    tools: tuple[str, ...] | None
    may_confirm: bool
    created_at: float


class OlderUrl(Struct, frozen=True):
    """A secret URL that is alive in it."""

    server: str
    created_at: float


class Alive(Struct, frozen=True):
    """The entries that would grant access again."""

    keys: tuple[OlderKey, ...]
    urls: tuple[OlderUrl, ...]


def alive_in(older: Older, now: float, max_age_s: float | None) -> Alive:
    """Return the keys and secret URLs that are live in a store at ``now``. ``max_age_s`` is ``keys.max_age``."""
    keys = [_key(row) for row in older.rows["keys"] if _is_live(row, now, max_age_s)]
    urls = [row for row in older.rows["urls"] if row["expires_at"] is None or row["expires_at"] > now]
    return Alive(tuple(keys), tuple(OlderUrl(row["server"], row["created_at"]) for row in urls))


def _key(row: _Row) -> OlderKey:
    return OlderKey(
        id=row["id"],
        name=row["name"],
        servers=_words(row["servers"]),
        access=_class(row["access"]),
        tools=None if row["tools"] is None else _words(row["tools"]),
        may_confirm=bool(row["may_confirm"]),
        created_at=row["created_at"],
    )


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(json.decode(text, type=list[str]))
    except (DecodeError, TypeError):
        return (str(text),)


def _class(number: int) -> str:
    try:
        return Access(number).label
    except ValueError:
        return str(number)


def _is_live(row: _Row, now: float, max_age_s: float | None) -> bool:
    oldest = None if max_age_s is None else row["created_at"] + max_age_s
    ends = [at for at in (row["expires_at"], row["grace_until"], oldest) if isinstance(at, float)]
    return row["revoked_at"] is None and all(now < at for at in ends)
