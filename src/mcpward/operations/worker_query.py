"""Asks the running workers about their limits, and puts their answers together. For commands of an operator."""

import asyncio
from contextlib import suppress
from typing import Any, Final

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from mcpward.core.clock import Clock
from mcpward.core.ids import base62
from mcpward.limits.rates.bucket_usage import BucketFilter, BucketUsage
from mcpward.messaging.bus.worker_bus import WorkerBus
from mcpward.operations.usage_question import ASKING, TELLING, UsagePage, UsageQuestion, read_told, share_used

PATIENCE_S: Final = 2.0
_NAME: Final = 22
_Bucket = tuple[str, str, str]


class WorkerAnswers(Struct, frozen=True, kw_only=True):
    """The answers of the workers together.

    ``uses`` begins with the most used; for ``left_out`` more an answer had no room. ``found`` counts the buckets of all
    workers. ``answered`` of ``workers`` workers have replied; none at all if no worker serves. ``failed`` could not.
    ``away`` says why the counters that all share were not asked: the workers count by themselves meanwhile.
    """

    uses: tuple[BucketUsage, ...] = ()
    left_out: int = 0
    found: int = 0
    answered: int = 0
    workers: int = 0
    failed: int = 0
    away: str = ""


class WorkerQuery:
    """Asks over a bus that has been started; one question at a time."""

    def __init__(self, bus: WorkerBus, clock: Clock, patience_s: float = PATIENCE_S) -> None:
        self._bus = bus
        self._clock = clock
        self._patience_s = patience_s
        self._name = ""
        self._told: dict[str, dict[int, UsagePage]] = {}
        self._is_whole = asyncio.Event()
        bus.on(TELLING, self._receive)

    async def uses(self, match: BucketFilter) -> WorkerAnswers:
        """Ask for the buckets that are meant; waits until all workers have answered, or ``patience_s`` seconds."""
        return await self._ask(match, is_reset=False)

    async def reset(self, match: BucketFilter) -> WorkerAnswers:
        """Have the buckets that are meant made full; ``found`` says how many there were."""
        return await self._ask(match, is_reset=True)

    async def _ask(self, match: BucketFilter, *, is_reset: bool) -> WorkerAnswers:
        self._name, self._told = base62(_NAME), {}
        self._is_whole.clear()
        asked = UsageQuestion(
            name=self._name, by=self._bus.worker, at=self._clock.now(), match=match, is_reset=is_reset
        )
        with self._bus.hurry():
            self._bus.send(ASKING, to_builtins(asked))
            with suppress(TimeoutError):  # those that have answered are shown, and how many have not
                await asyncio.wait_for(self._is_whole.wait(), self._patience_s)
        answer = self._together()
        return replace(answer, left_out=0) if is_reset else answer

    def _receive(self, message: dict[str, Any]) -> None:
        told = read_told(message)
        if told is None or told.name != self._name:
            return  # of a newer release, or late for a question that is over
        self._told.setdefault(told.worker, {})[told.page] = told
        if len(self._whole()) >= told.workers:
            self._is_whole.set()

    def _whole(self) -> list[list[UsagePage]]:
        """Return the answers of which every page is there."""
        return [[*pages.values()] for pages in self._told.values() if len(pages) == next(iter(pages.values())).pages]

    def _together(self) -> WorkerAnswers:
        answers = self._whole()
        good = [pages for pages in answers if not pages[0].has_failed]
        return WorkerAnswers(
            uses=add_up([[use for told in pages for use in told.uses] for pages in good]),
            left_out=max((pages[0].found - sum(len(told.uses) for told in pages) for pages in good), default=0),
            found=sum(pages[0].found for pages in good),
            answered=len(answers),
            workers=max((pages[0].workers for pages in answers), default=0),
            failed=len(answers) - len(good),
        )


def add_up(answers: list[list[BucketUsage]]) -> tuple[BucketUsage, ...]:
    """Add the buckets of several workers up, each of which gives its own share of a limit.

    A worker that does not name a bucket has not been asked for any of its share.
    """
    shares: dict[_Bucket, list[BucketUsage]] = {}
    for uses in answers:
        for use in uses:
            shares.setdefault((use.limit, use.scope, use.caller), []).append(use)
    return tuple(sorted((_sum(uses, len(answers)) for uses in shares.values()), key=share_used, reverse=True))


def _sum(uses: list[BucketUsage], workers: int) -> BucketUsage:
    first = uses[0]
    untouched = (workers - len(uses)) * max(use.most for use in uses)
    return BucketUsage(
        limit=first.limit,
        scope=first.scope,
        caller=first.caller,
        remaining=sum(use.remaining for use in uses) + untouched,
        most=sum(use.most for use in uses) + untouched,
        reset_s=max(use.reset_s for use in uses),
    )
