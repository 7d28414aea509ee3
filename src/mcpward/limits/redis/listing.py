"""Reads the shared counters without a worker: every bucket describes itself."""

from collections.abc import AsyncIterator
from typing import Any, Final

from mcpward.core.clock import Clock
from mcpward.core.values import Period
from mcpward.limits.rates.bucket_usage import BucketFilter, BucketUsage
from mcpward.limits.rates.loop_detector import REPEAT
from mcpward.limits.rates.period import index_of, left_s
from mcpward.limits.redis.script import Command
from mcpward.limits.redis.store import TAKE, SharedStore

_PAGE: Final = 1000
_MOST_USES: Final = 100_000
_MICRO: Final = 1_000_000


class Listing:
    """Scans the whole store, a page at a time, so that no other client of the store waits for it."""

    def __init__(self, store: SharedStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def uses(self, match: BucketFilter) -> list[BucketUsage]:
        """Return the standing of every bucket that matches and is in use; 100,000 at the most."""
        virtual = (await self._store.call(TAKE, [self._store.clock_key], [self._store.expected(), "", 0]))[0]
        found: list[BucketUsage] = []
        async for _, fields, scope, name, caller in self._buckets(match):
            use = None if name == REPEAT else self._use(fields, scope, name, caller, virtual)
            if use is not None and use.remaining < use.most:
                found.append(use)
            if len(found) >= _MOST_USES:
                break
        return found

    async def reset(self, match: BucketFilter) -> int:
        """Make every bucket full again that matches; returns how many there were.

        A quota stays, with nothing used: workers report their last standing of a deleted one.
        """
        count = 0
        store = self._store
        async for key, fields, _, _, _ in self._buckets(match):
            if fields[0] == "q":
                store.tell(Command.of("SET", key, " ".join(("q", "0", *fields[2:])), "XX", "KEEPTTL"))
            else:
                store.tell(Command.of("UNLINK", key))
            count += 1
        if match.limit in {None, REPEAT}:
            async for keys in self._pages("h"):
                for key, value in zip(keys, await self._values(keys), strict=True):
                    ring = _parted(key, _number(value.split(b" ", 1)[0])) if value else None
                    if ring is not None and match.fits(REPEAT, ring[0], ring[1].partition("\0")[0]):
                        store.tell(Command.of("UNLINK", key))
        await store.ask(Command.of("PING"))
        return count

    async def _buckets(self, match: BucketFilter) -> AsyncIterator[tuple[bytes, list[str], str, str, str]]:
        async for keys in self._pages("b"):
            for key, value in zip(keys, await self._values(keys), strict=True):
                fields = (value or b"").decode("ascii", "replace").split(" ")
                if fields[0] not in {"r", "q"}:
                    continue
                parted = _parted(key, _number(fields[-1].encode()) - 1)
                if parted is None:
                    continue
                before, caller = parted
                scope, _, name = before.rpartition("\0")
                if name == REPEAT:
                    caller = caller.partition("\0")[0]  # each call has a bucket of its own
                if match.fits(name, scope, caller):
                    yield key, fields, scope, name, caller

    async def _pages(self, kind: str) -> AsyncIterator[list[bytes]]:
        cursor = b"0"
        while True:
            words = ("SCAN", cursor, "MATCH", self._store.key(kind, "*"), "COUNT", _PAGE)
            cursor, keys = await self._store.ask(Command.of(*words))
            if keys:
                yield keys
            if cursor == b"0":
                return

    async def _values(self, keys: list[bytes]) -> list[Any]:
        return list(await self._store.ask(Command.of("MGET", *keys)))

    def _use(self, fields: list[str], scope: str, name: str, caller: str, virtual: int) -> BucketUsage | None:
        try:
            if fields[0] == "r":
                tat, interval, tolerance = map(int, fields[1:4])
                spare = tolerance - min(max(0, tat - virtual), tolerance)
                reset_s = -(-(interval - spare % interval) // _MICRO)
                return BucketUsage(name, scope, caller, spare // interval, tolerance // interval, reset_s)
            used, count, period, index = int(fields[1]), int(fields[2]), Period(fields[3]), int(fields[4])
        except (ValueError, ZeroDivisionError):
            return None
        now_s = self._clock.now()
        if index < index_of(period, now_s):
            return None
        return BucketUsage(name, scope, caller, max(0, count - used), count, left_s(period, now_s))


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() and len(text) < 6 else -1


def _parted(key: bytes, length: int) -> tuple[str, str] | None:
    """Part a key's name after ``length`` bytes, where a NUL stands; None if none does, or it is no text."""
    name = key.partition(b"\0")[2]
    if not 0 <= length < len(name) or name[length]:
        return None
    try:
        return name[:length].decode("utf-8", "surrogatepass"), name[length + 1 :].decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return None  # not written by mcpward
