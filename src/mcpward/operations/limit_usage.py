"""The source of limit usage for an operator's command: the running workers, or the counters they share.

While the shared counters are away, each worker counts by itself, on its part of every limit. Then the workers are
asked.
"""

from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from heapq import nlargest
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from mcpward.config.model import Settings
from mcpward.core.clock import Clock
from mcpward.core.errors import Misconfigured, Unreachable
from mcpward.core.secret import Secret
from mcpward.limits.rates.bucket_usage import BucketFilter
from mcpward.limits.rates.shared_port import StoreDown
from mcpward.limits.redis.shared_counters import SharedCounters
from mcpward.limits.redis.store import SharedStore
from mcpward.operations.bus import bus_of
from mcpward.operations.site import Site, open_site
from mcpward.operations.usage_question import MOST_USES, share_used
from mcpward.operations.worker_query import WorkerAnswers, WorkerQuery


class LimitUsage(Protocol):
    """The usage, and a way to reset it. Both raise :class:`Unreachable` if neither the workers nor the counters
    answer.
    """

    async def uses(self, match: BucketFilter) -> WorkerAnswers:
        """Return the selected buckets that are in use, the most used first."""
        ...

    async def reset(self, match: BucketFilter) -> WorkerAnswers:
        """Refill every selected bucket; ``found`` says how many there were."""
        ...


@asynccontextmanager
async def ask_workers(site: Site, clock: Clock) -> AsyncIterator[LimitUsage]:
    """Ask the workers that serve the site now, each of which counts by itself."""
    bus = bus_of(site, clock)
    inquiry = WorkerQuery(bus, clock)
    await bus.start()
    try:
        yield _Workers(inquiry)
    finally:
        await bus.stop()


@asynccontextmanager
async def ask_store(settings: Settings, url: Secret, clock: Clock) -> AsyncIterator[LimitUsage]:
    """Ask the counters that all workers share; no worker needs to run, unless those counters are away.

    ``away`` of an answer says why they were not asked. Then it is of the workers of this host.
    """
    reasons: list[str] = []

    def note(is_up: bool, why: str) -> None:
        """Keep why there is no answer: the command prints it once, where a worker would log it."""
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
        async with AsyncExitStack() as stack:
            yield _Shared(SharedCounters(store, clock), reasons, _Local(settings, clock, stack))
    finally:
        await store.stop()


class _Workers:
    def __init__(self, inquiry: WorkerQuery) -> None:
        self._inquiry = inquiry

    async def uses(self, match: BucketFilter) -> WorkerAnswers:
        return _heard(await self._inquiry.uses(match))

    async def reset(self, match: BucketFilter) -> WorkerAnswers:
        return _heard(await self._inquiry.reset(match))


class _Local:
    """The workers of this host, found when they are asked for. Reading makes no data."""

    def __init__(self, settings: Settings, clock: Clock, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._clock = clock
        self._stack = stack
        self._tally: LimitUsage | None = None
        self._has_data = Path(settings.store.url.removeprefix("sqlite:///")).exists()

    async def tally(self) -> LimitUsage | None:
        """Return the source to ask; None if this host has no data of the site, or none that can be read."""
        if self._tally is None and self._has_data:
            try:
                site = await self._stack.enter_async_context(open_site(self._settings, self._clock))
            except Misconfigured:
                return None
            self._tally = await self._stack.enter_async_context(ask_workers(site, self._clock))
        return self._tally


class _Shared:
    def __init__(self, counters: SharedCounters, reasons: Sequence[str], local: _Local) -> None:
        self._counters = counters
        self._reasons = reasons
        self._local = local

    async def uses(self, match: BucketFilter) -> WorkerAnswers:
        try:
            uses = await self._counters.uses(match)
        except StoreDown as down:
            local = await self._local.tally()
            return await self._meanwhile(local.uses(match) if local else None, down)
        most = nlargest(MOST_USES, uses, key=share_used)
        return WorkerAnswers(uses=tuple(most), left_out=len(uses) - len(most), found=len(uses), answered=1, workers=1)

    async def reset(self, match: BucketFilter) -> WorkerAnswers:
        try:
            return WorkerAnswers(found=await self._counters.reset(match), answered=1, workers=1)
        except StoreDown as down:
            local = await self._local.tally()
            return await self._meanwhile(local.reset(match) if local else None, down)

    async def _meanwhile(self, asked: Awaitable[WorkerAnswers] | None, down: StoreDown) -> WorkerAnswers:
        """Return what the workers say instead.

        Raises:
            Unreachable: none answers either.
        """
        why = ": ".join(["the shared counters do not answer", *self._reasons])
        if asked is not None:
            try:
                return replace(await asked, away=why)
            except Unreachable:
                why += "; and no worker of this host answers about its own counters"
        raise Unreachable(why, hint="check [limits] counters, and whether that Redis runs") from down


def _heard(answer: WorkerAnswers) -> WorkerAnswers:
    if not answer.answered:
        what = "no running worker answered: in-memory counters exist only while it runs"
        raise Unreachable(what, hint="mcpward serve")
    if answer.failed == answer.answered:
        raise Unreachable("the workers failed to report the current use", hint="their log has the cause")
    return answer
