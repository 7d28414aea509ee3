import asyncio
from typing import Any

import pytest

from mcpward.core.retry import Retry, doubling, every


class Work:
    """Fails as often as the test asks, then succeeds."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.tries = 0

    async def __call__(self) -> None:
        self.tries += 1
        if self.failures:
            raise self.failures.pop(0)


def retry(told: list[str], **more: Any) -> Retry:
    return Retry(lambda error: told.append(f"away: {error}"), lambda: told.append("back"), **more)


async def test_an_outage_is_told_once_and_its_end_once():
    told: list[str] = []
    work, one = Work(OSError("1"), ValueError("2"), OSError("3")), retry(told)
    assert [await one.attempt(work) for _ in range(5)] == [False, False, False, True, True]
    assert told == ["away: 1", "back"]
    work.failures.append(OSError("4"))
    assert [await one.attempt(work) for _ in range(2)] == [False, True]
    assert told == ["away: 1", "back", "away: 4", "back"]


async def test_each_new_cause_is_told_where_causes_are_told_apart():
    told: list[str] = []
    one = retry(told, cause_of=str)
    for cause in ("a", "a", "b", "b", "a"):
        one.failed(OSError(cause))
    one.succeeded()
    one.succeeded()
    one.failed(OSError("a"))
    assert told == ["away: a", "away: b", "away: a", "back", "away: a"]


async def test_pauses_grow_to_the_last_one_and_begin_anew_after_an_outage():
    one = retry([], pauses_s=doubling(0.1, 0.5))
    assert [one.failed(OSError()) for _ in range(5)] == [0.1, 0.2, 0.4, 0.5, 0.5]
    one.succeeded()
    assert not one.is_failing
    assert (one.failed(OSError()), one.is_failing) == (0.1, True)


async def test_work_that_must_be_done_is_tried_until_it_is():
    told: list[str] = []
    work = Work(OSError("1"), OSError("2"))
    await retry(told, pauses_s=(0.0,)).until_done(work)
    assert (work.tries, told) == (3, ["away: 1", "back"])


async def test_a_cancellation_is_no_failure():
    told: list[str] = []

    async def cancelled() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await retry(told).attempt(cancelled)
    assert not told


async def test_turns_are_taken_until_the_stop_and_once_more_at_it():
    stopping, turns = asyncio.Event(), 0

    async def turn() -> None:
        nonlocal turns
        turns += 1
        if turns == 3:
            stopping.set()

    await every(0.0, stopping, turn)
    assert turns == 3
    stopping.clear()
    waiting = asyncio.create_task(every(60.0, stopping, turn))
    await asyncio.sleep(0)
    stopping.set()
    await waiting
    assert turns == 4
