"""Counters in Redis: exact for all processes and hosts of a site, by one script for each call."""

import logging
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from mcpward.core.clock import Clock
from mcpward.limits.rates.bounded_map import BoundedMap
from mcpward.limits.rates.bucket_usage import BucketFilter, BucketUsage
from mcpward.limits.rates.limit import Drawn, Limit, Loop, Standing
from mcpward.limits.rates.loop_detector import REPEAT
from mcpward.limits.rates.period import index_of, left_s
from mcpward.limits.redis.listing import Listing
from mcpward.limits.redis.script import Command, bulk
from mcpward.limits.redis.store import TAKE, SharedStore

_log: Final = logging.getLogger(__name__)

SECOND: Final = 1_000_000
#: How long a full bucket stays: a machine's clock that is set an hour forward must not delete one that is drained.
_LONG_MS: Final = 2 * 3600 * 1000
#: Strangers can make up addresses without end, and callers can make up calls; theirs go as soon as they are full.
_BRIEF_MS: Final = 1000
_STRANGER: Final = "anonymous:"
#: Before the digest of a call that is taken out of its ring.
_OUT: Final = "!"
_BRIEF: Final = frozenset({"auth_failures", "requests", REPEAT})
_MOST_LIMITS: Final = 20_000
_MOST_REFUSED: Final = 10_000
_MOST_FLOORS: Final = 30_000
_REMEMBERED_S: Final = 1.0


class _Ready:
    """A limit, made ready for the script: microseconds, and the words that never change."""

    __slots__ = ("brief", "interval", "is_brief", "length", "limit", "long", "tolerance")

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.length = len(limit.prefix.encode("utf-8", "surrogatepass"))
        self.is_brief = limit.name in _BRIEF
        self.interval = self.tolerance = 0
        if limit.quota is None:
            # Rounded up, as nanoseconds are: never more passes than the limit states.
            self.interval = -(-limit.interval // 1000)
            self.tolerance = self.interval * (limit.tolerance // limit.interval)
            self.long, self.brief = self.rate(1, _LONG_MS), self.rate(1, _BRIEF_MS)

    def rate(self, cost: int, life_ms: int) -> bytes:
        """Return the script's words for a draw on a rate."""
        enforced = int(self.limit.ruling.enforce)
        return bulk("r", cost, enforced, self.length, life_ms, self.interval, self.tolerance)


class _Refused(Struct, frozen=True):
    """A caller's last refusal: its end (monotonic), the buckets and their cost, and where its limits stood."""

    until: float
    buckets: dict[str, int]
    standings: dict[Limit, Standing]


class SharedCounters:
    """The port :class:`~mcpward.limits.rates.shared_port.Common`, on a :class:`SharedStore`."""

    def __init__(self, store: SharedStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._clock_key = bulk(store.clock_key)
        self._bucket = store.key("b", "x")[:-1]
        self._ring = store.key("h", "x")[:-1]
        self._ready: dict[Limit, _Ready] = {}
        self._refused: BoundedMap[_Refused | None] = BoundedMap(_MOST_REFUSED)
        #: The period, its used count, and the epoch in which that was so: a deleted quota is not granted anew.
        self._floors: BoundedMap[tuple[int, int, int]] = BoundedMap(_MOST_FLOORS)

    @property
    def is_up(self) -> bool:
        """Whether the store answered last time."""
        return self._store.is_up

    async def take(self, drawn: Sequence[Drawn], loop: Loop | None = None) -> list[Standing]:
        """Take every draw, or none if one refuses; returns where each bucket stands, in order.

        A cost of 0 asks for one and takes nothing. With ``loop`` the call is added to its ring if it is taken, and the
        standing of a cycle comes last if there is one. A refused caller is refused again for up to a second without a
        request, if the same bucket would still refuse.

        Raises:
            StoreDown: whether the call was taken is unknown.
        """
        sent_at = self._clock.monotonic()
        again = self.recall(drawn)
        if again:
            return again
        answer = await self._store.ask(self._command(drawn, loop))
        return self._read(answer, drawn, loop, sent_at)

    def recall(self, drawn: Sequence[Drawn]) -> list[Standing]:
        """Return where the buckets stand if it is known, without asking, that one of them refuses; else nothing."""
        refused = self._refused.get(drawn[0][1], None)
        if refused is None or self._clock.monotonic() >= refused.until:
            return []
        return _again(drawn, refused) or []

    def give_back(self, drawn: Sequence[Drawn], loop: Loop | None = None) -> None:
        """Refund draws that were not needed, and remove a call from its ring. Callers need not wait for it."""
        given = [(limit, key, -cost) for limit, key, cost in drawn if cost]
        if given and self._store.is_up:
            self._refused.put(given[0][1], None)
            self._store.tell(self._command(given, loop, is_back=True))

    async def uses(self, match: BucketFilter) -> list[BucketUsage]:
        """Return the standing of every bucket that matches and is in use.

        Raises:
            StoreDown: the store does not answer.
        """
        return await Listing(self._store, self._clock).uses(match)

    async def reset(self, match: BucketFilter) -> int:
        """Make every bucket full again that matches; returns how many there were.

        Raises:
            StoreDown: the store does not answer.
        """
        self._refused = BoundedMap(_MOST_REFUSED)
        return await Listing(self._store, self._clock).reset(match)

    # ---- to the script --------------------------------------------------------------------------------------------

    def _command(self, drawn: Sequence[Drawn], loop: Loop | None, *, is_back: bool = False) -> Command:
        keys, words, draws = [self._clock_key], 0, drawn
        expected = b"%d" % self._store.expected()
        args = [b"$%d\r\n%b\r\n" % (len(expected), expected)]
        if loop is None:
            args.append(_NO_LOOP)
        else:
            ring = loop.ring.encode("utf-8", "surrogatepass")
            keys.append(bulk(self._ring + ring))
            limit, key, _ = loop.drawn
            # The owner of the ring is last in its name, for commands that reset it.
            before = len(ring) - len(key.removeprefix(limit.prefix).encode("utf-8", "surrogatepass")) - 1
            # A circle that takes longer than its limit takes to be full again would pass in any case.
            digest = _OUT + loop.digest if is_back else loop.digest
            args.append(bulk(digest, before, self._ready_for(limit).tolerance // 1000 + _BRIEF_MS))
            draws = drawn if is_back else (*drawn, loop.drawn)
        readies, bucket, start = self._ready, self._bucket, len(self._bucket)
        for limit, key, cost in draws:
            name = key.encode("utf-8", "surrogatepass")
            keys.append(b"$%d\r\n%b%b\r\n" % (len(name) + start, bucket, name))
            ready = readies.get(limit) or self._ready_for(limit)
            if limit.quota is not None:
                args.append(self._quota(ready, key, cost))
                words += 11
                continue
            is_brief = ready.is_brief or key.startswith(_STRANGER, len(limit.prefix))
            if cost == 1:
                args.append(ready.brief if is_brief else ready.long)
            else:
                args.append(ready.rate(cost, _BRIEF_MS if is_brief else _LONG_MS))
            words += 7
        count = len(keys)
        rest = b"".join([_number(count), *keys, *args])
        return Command(rest, count + words + 5, TAKE)

    def _ready_for(self, limit: Limit) -> _Ready:
        ready = self._ready.get(limit)
        if ready is None:
            if len(self._ready) >= _MOST_LIMITS:
                self._ready.clear()
            ready = self._ready[limit] = _Ready(limit)
        return ready

    def _quota(self, ready: _Ready, key: str, cost: int) -> bytes:
        quota, now_s = ready.limit.quota, self._clock.now()
        assert quota is not None  # only for quotas
        index = index_of(quota.period, now_s)
        seen = self._floors.get(key, (-1, 0, 0))
        life_ms = left_s(quota.period, now_s) * 1000 + _LONG_MS
        return bulk(
            "q", cost, int(ready.limit.ruling.enforce), ready.length, life_ms, quota.count, quota.period.value, index,
            *seen,
        )  # fmt: skip

    # ---- from the script ------------------------------------------------------------------------------------------

    def _read(self, answer: list[int], drawn: Sequence[Drawn], loop: Loop | None, sent_at: float) -> list[Standing]:
        virtual, epoch, wrong, taken = answer[:4]
        self._store.saw(virtual, epoch)
        if wrong:
            self._store.failures += wrong
            _log.warning("%d keys of the shared counters had a wrong type, and were deleted", wrong)
        draws = drawn if loop is None or len(answer) == 4 + 3 * len(drawn) else (*drawn, loop.drawn)
        standings: list[Standing] = []
        at = 4
        for limit, key, cost in draws:
            state, over, index = answer[at], answer[at + 1], answer[at + 2]
            at += 3
            if limit.quota is None:
                standings.append(_standing(self._ready_for(limit), state, cost or 1, over))
            else:
                self._floors.put(key, (index, state, epoch))
                wait_s = left_s(limit.quota.period, self._clock.now())
                left = max(0, limit.quota.count - state)
                standings.append(Standing(limit, left, wait_s, wait_s if over else 0))
        if not taken:
            self._remember(draws, answer, standings, sent_at)
        return standings

    def _remember(self, draws: Sequence[Drawn], answer: list[int], standings: list[Standing], sent_at: float) -> None:
        """Keep a refusal for a second at most, and never past the moment at which the call would pass."""
        wait_s = _REMEMBERED_S
        buckets: dict[str, int] = {}
        for n, (standing, (limit, key, cost)) in enumerate(zip(standings, draws, strict=True)):
            if standing.refuses:
                buckets[key] = max(1, cost)
                if limit.quota is not None:
                    wait_s = min(wait_s, standing.wait_s - 1)  # rounded up, so the period ends later than this
                else:
                    ready = self._ready_for(limit)
                    beyond = answer[4 + 3 * n] + ready.interval * max(1, cost) - ready.tolerance
                    wait_s = min(wait_s, beyond / SECOND)
        refused = _Refused(sent_at + wait_s, buckets, {each.limit: each for each in standings})
        self._refused.put(draws[0][1], refused)


_NO_LOOP: Final = bulk("", 0, 0)
_NUMBERS: Final = tuple(bulk(n) for n in range(32))


def _number(n: int) -> bytes:
    return _NUMBERS[n] if n < len(_NUMBERS) else bulk(n)


def _again(drawn: Sequence[Drawn], refused: _Refused) -> list[Standing] | None:
    """Return the standings of a call that would be refused as the last one was; None if Redis has to be asked."""
    buckets, standings = refused.buckets, refused.standings
    if not any(key in buckets and max(1, cost) >= buckets[key] for _, key, cost in drawn):
        return None
    found: list[Standing] = []
    for limit, key, _ in drawn:
        standing = standings.get(limit)
        if standing is None:
            return None
        # A refusal is of one bucket; another of the same limit (a different call to the loop breaker) has its own.
        is_other = standing.refuses and key not in buckets
        found.append(Standing(limit, standing.remaining, standing.reset_s) if is_other else standing)
    return found


def _standing(ready: _Ready, ahead: int, cost: int, over: int) -> Standing:
    interval, spare = ready.interval, ready.tolerance - ahead
    reset_s = 0 if ahead <= 0 else -(-(interval - spare % interval) // SECOND)
    wait_s = max(1, -(-(interval * cost - spare) // SECOND)) if over else 0
    return Standing(ready.limit, spare // interval, reset_s, wait_s)
