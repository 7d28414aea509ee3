"""Reports the buckets in memory to an operator, and resets them.

A report walks over all of them, so it serves an operator's command and never a request; requests continue meanwhile.
"""

import asyncio
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final

from mcpward.limits.rates.bounded_map import Key
from mcpward.limits.rates.bucket_usage import BucketFilter, BucketUsage
from mcpward.limits.rates.limit import Limit
from mcpward.limits.rates.memory import MemoryCounters

#: A bucket's key is scope, name and caller, joined by NUL, and a scope has one NUL at the most.
_MOST_PARTS: Final = 3
#: Buckets looked at in one go: half a millisecond.
_AT_ONCE: Final = 200


class BucketReport:
    """The buckets of some stores, and the limits that they belong to.

    ``single`` are stores of one limit each, whose buckets' keys are callers and nothing more.
    """

    def __init__(
        self,
        stores: Iterable[MemoryCounters],
        limits: Iterable[Limit],
        single: Mapping[MemoryCounters, Limit] = {},
    ) -> None:
        self._single = single
        self._stores = (*single, *stores)
        self._limits = {limit.prefix: limit for limit in limits}

    async def uses(self, match: BucketFilter) -> list[BucketUsage]:
        """Return every bucket that is meant and from which something was taken."""
        uses = []
        for store in self._stores:
            for number, key in enumerate(store.keys()):
                if number % _AT_ONCE == 0:
                    await asyncio.sleep(0)
                use = self._use(store, key, match)
                if use is not None:
                    uses.append(use)
        return uses

    def _use(self, store: MemoryCounters, key: Key, match: BucketFilter) -> BucketUsage | None:
        found = self._of(store, key)
        if found is None or not match.fits(found[0].name, found[0].scope, found[1]):
            return None
        limit, caller = found
        standing = store.look(limit, str(key))
        if standing.remaining >= limit.most:
            return None
        return BucketUsage(
            limit=limit.name,
            scope=limit.scope,
            caller=caller,
            remaining=standing.remaining,
            most=limit.most,
            reset_s=standing.reset_s,
        )

    def reset(self, match: BucketFilter) -> int:
        """Make every selected bucket full; returns how many there were."""

        def is_meant(store: MemoryCounters, key: Key) -> bool:
            found = self._of(store, key)
            return found is not None and match.fits(found[0].name, found[0].scope, found[1])

        return sum(store.forget(partial(is_meant, store)) for store in self._stores)

    def _of(self, store: MemoryCounters, key: Key) -> tuple[Limit, str] | None:
        """Return the limit that a bucket belongs to, and whose bucket it is."""
        text, at = str(key), -1
        if store in self._single:
            return self._single[store], text
        for _ in range(_MOST_PARTS):
            at = text.find("\0", at + 1)
            if at < 0:
                return None
            limit = self._limits.get(text[: at + 1])
            if limit is not None:
                return limit, text[at + 1 :]
        return None
