"""The record for an operator: find, count, follow and verify its rows; and which name in a filter is unknown."""

from collections.abc import Callable, Collection, Mapping
from enum import Enum
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from mcpward.config.model import Settings
from mcpward.operations.keys import every_key
from mcpward.operations.limit_names import known_limits
from mcpward.operations.site import Site
from mcpward.storage.traffic_filter import TrafficFilter
from mcpward.traffic.verification import Finding, Report, Verified

__all__ = [
    "Finding", "Found", "Report", "Row", "TrafficFilter", "UnknownName", "Verified", "Word", "newer_than", "newest",
    "stream", "unknown_name", "verify_record",
]  # fmt: skip

Row = Mapping[str, Any]
Progress = Callable[[int, int], None]
_AT_ONCE = 1000


class Found(Struct, frozen=True):
    """The newest rows that a filter takes, the oldest of them first; ``of`` counts all that it takes."""

    rows: tuple[Row, ...]
    of: int


class Word(Enum):
    """The names in a filter."""

    SERVER = "server"
    LIMIT = "limit"
    KEY = "key"
    TOOL = "tool"


class UnknownName(Struct, frozen=True):
    """A name in a filter that neither the site nor any record has. ``known`` are those that there are."""

    word: Word
    name: str
    known: tuple[str, ...]


async def newest(site: Site, wanted: TrafficFilter, most: int) -> Found:
    """Return the newest ``most`` rows that agree with a filter."""
    wanted = replace(wanted, limit=most)
    rows = await site.store.traffic.select(wanted)
    of = await site.store.traffic.count(wanted) if len(rows) == most else len(rows)
    return Found(tuple(reversed(rows)), of)


async def stream(site: Site, wanted: TrafficFilter, take: Callable[[Row], None]) -> int:
    """Hand every row that agrees with a filter to ``take``, the oldest first; return how many there were.

    ``take`` may be called in another thread.
    """
    return await site.store.traffic.stream(wanted, take)


async def newer_than(site: Site, wanted: TrafficFilter, last: int) -> list[Row]:
    """Return rows that agree with a filter and came after the one with the ``seq`` ``last``, the oldest first."""
    newer = replace(wanted, after_id=last, limit=_AT_ONCE, newest_first=False)
    return [*await site.store.traffic.select(newer)]


async def verify_record(site: Site, progress: Progress | None = None) -> Report:
    """Verify all rows as they are now; changes nothing. ``progress`` receives how many of all were seen."""
    return await site.store.traffic.verify(progress)


async def unknown_name(site: Site, settings: Settings, wanted: TrafficFilter) -> UnknownName | None:
    """Return the first unknown name in a filter, with which no row agrees; None if there is none."""
    known = site.store.traffic.known
    if wanted.server is not None and wanted.server not in settings.servers:
        servers = dict.fromkeys((*settings.servers, *await known("server")))
        if wanted.server not in servers:
            return _unknown(Word.SERVER, wanted.server, servers)
    if wanted.by_limit is not None:
        limits = dict.fromkeys((*known_limits(settings), *await known("limit_name")))
        if wanted.by_limit not in limits:
            return _unknown(Word.LIMIT, wanted.by_limit, limits)
    if wanted.key_id is not None:
        ids = dict.fromkeys([*(one.id for one in await every_key(site)), *await known("key_id")])
        if wanted.key_id not in ids:
            return _unknown(Word.KEY, wanted.key_id, ids)
    if wanted.tool is not None:
        tools = await known("tool")
        if wanted.tool not in tools:
            return _unknown(Word.TOOL, wanted.tool, tools)
    return None


def _unknown(word: Word, name: str, known: Collection[str]) -> UnknownName:
    return UnknownName(word, name, tuple(known))
