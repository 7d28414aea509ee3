"""Where an operator's command finds what is used of limits: at the running workers, or in the counters they share."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from heapq import nlargest
from typing import Protocol

from mcpward.app.channel import mailroom_of
from mcpward.app.inquiry import Answer, Inquiry
from mcpward.app.usage import MOST_USES, share_used
from mcpward.config.model import Settings
from mcpward.core.clock import Clock
from mcpward.core.errors import Unreachable
from mcpward.core.secret import Secret
from mcpward.limits.counters import StoreDown
from mcpward.limits.redis.counters import SharedCounters
from mcpward.limits.redis.store import SharedStore
from mcpward.limits.use import Match
from mcpward.operations.site import Site


class Tally(Protocol):
    """What is used, and a way to give it all back. Both raise :class:`Unreachable` where nobody can say."""

    async def uses(self, match: Match) -> Answer:
        """Give the buckets that are meant and in use, the most used first."""
        ...

    async def reset(self, match: Match) -> Answer:
        """Make every bucket full that is meant; ``found`` says how many there were."""
        ...


@asynccontextmanager
async def ask_workers(site: Site, clock: Clock) -> AsyncIterator[Tally]:
    """Ask the workers that serve the site now, each of which counts by itself."""
    mailroom = mailroom_of(site, clock)
    inquiry = Inquiry(mailroom, clock)
    await mailroom.start()
    try:
        yield _Workers(inquiry)
    finally:
        await mailroom.stop()


@asynccontextmanager
async def ask_store(settings: Settings, url: Secret, clock: Clock) -> AsyncIterator[Tally]:
    """Ask the counters that all workers share; no worker needs to run."""
    reasons: list[str] = []

    def note(is_up: bool, why: str) -> None:
        """Keep why nobody answers: the command tells it once, where the log of a worker would."""
        reasons[:] = [] if is_up else [why]

    store = SharedStore(
        url,
        namespace=settings.limits.namespace,
        clock=clock,
        timeout_s=settings.limits.counters_timeout_s,
        on_change=note,
    )
    await store.start()
    try:
        yield _Shared(SharedCounters(store, clock), reasons)
    finally:
        await store.stop()


class _Workers:
    def __init__(self, inquiry: Inquiry) -> None:
        self._inquiry = inquiry

    async def uses(self, match: Match) -> Answer:
        return _heard(await self._inquiry.uses(match))

    async def reset(self, match: Match) -> Answer:
        return _heard(await self._inquiry.reset(match))


class _Shared:
    def __init__(self, counters: SharedCounters, reasons: Sequence[str]) -> None:
        self._counters = counters
        self._reasons = reasons

    async def uses(self, match: Match) -> Answer:
        try:
            uses = await self._counters.uses(match)
        except StoreDown as down:
            raise self._away() from down
        most = nlargest(MOST_USES, uses, key=share_used)
        return Answer(uses=tuple(most), left_out=len(uses) - len(most), found=len(uses), answered=1, workers=1)

    async def reset(self, match: Match) -> Answer:
        try:
            return Answer(found=await self._counters.reset(match), answered=1, workers=1)
        except StoreDown as down:
            raise self._away() from down

    def _away(self) -> Unreachable:
        what = ": ".join(["the shared counters do not answer", *self._reasons])
        return Unreachable(what, hint="see [limits] counters, and whether that Redis runs")


def _heard(answer: Answer) -> Answer:
    if not answer.answered:
        raise Unreachable("no worker answers, and counters are in their memory", hint="mcpward serve")
    if answer.failed == answer.answered:
        raise Unreachable("the workers cannot say what is used now", hint="their log says why")
    return answer
