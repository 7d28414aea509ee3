"""Long work beside the loop: callers in turn, each for a bounded time, and what is cancelled leaves the line."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from mcpward.core.long_work import LongWork, TooLong


class Held:
    """Work of a caller's, which holds the thread until ``go``."""

    def __init__(self, long_work: LongWork, caller: str = "holder") -> None:
        self.go = threading.Event()
        self.task = asyncio.ensure_future(long_work.do(caller, self.go.wait, 10))


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def noting(done: list[str], name: str) -> Callable[[], None]:
    return lambda: done.append(name)


async def test_attack_121_callers_take_turns_however_many_one_of_them_sends():
    long_work = LongWork("test")
    done: list[Any] = []
    held = Held(long_work)
    await settled()
    tasks = [asyncio.ensure_future(long_work.do("many", noting(done, f"many{n}"))) for n in range(20)]
    await settled()
    tasks += [asyncio.ensure_future(long_work.do(who, noting(done, who))) for who in ("one", "two")]
    await settled()
    held.go.set()
    await asyncio.gather(held.task, *tasks)
    assert done[:4] == ["many0", "one", "two", "many1"]
    assert len(done) == 22


async def test_attack_121_nobody_waits_for_others_without_end():
    long_work = LongWork("test", patience_s=0.1)
    held = Held(long_work)
    await settled()
    with pytest.raises(TooLong):
        await long_work.do("patient", lambda: pytest.fail("it was given up"))
    held.go.set()
    assert await held.task
    assert await long_work.do("patient", lambda: 5) == 5


async def test_a_full_line_has_a_place_for_who_has_fewest_in_it():
    long_work = LongWork("test", most_waiting=3)
    done: list[Any] = []
    held = Held(long_work)
    await settled()
    many = [asyncio.ensure_future(long_work.do("many", noting(done, f"many{n}"))) for n in range(4)]
    await settled()
    one = asyncio.ensure_future(long_work.do("one", noting(done, "one")))
    await settled()
    held.go.set()
    ends = await asyncio.gather(*many, one, return_exceptions=True)
    assert [type(end) for end in ends] == [type(None), type(None), TooLong, TooLong, type(None)]
    assert done == ["many0", "one", "many1"]


async def test_who_is_cancelled_leaves_the_line_and_begun_work_keeps_the_thread():
    long_work = LongWork("test")
    done: list[Any] = []
    held = Held(long_work)
    await settled()
    waiting = asyncio.ensure_future(long_work.do("a", noting(done, "cancelled")))
    other = asyncio.ensure_future(long_work.do("b", noting(done, "other")))
    await settled()
    waiting.cancel()
    held.task.cancel()
    await settled()
    assert held.task.cancelled()
    assert not done
    held.go.set()
    await other
    assert done == ["other"]


async def test_whose_turn_came_as_it_was_cancelled_gives_it_on():
    long_work = LongWork("test")
    done: list[Any] = []
    held = Held(long_work)
    await settled()
    first = asyncio.ensure_future(long_work.do("a", noting(done, "first")))
    second = asyncio.ensure_future(long_work.do("b", noting(done, "second")))
    await settled()
    held.task.add_done_callback(lambda _: first.cancel())
    held.go.set()
    await asyncio.wait((first, second), timeout=5)
    assert second.done()
    assert await long_work.do("c", lambda: 1) == 1


async def test_what_work_raises_is_raised_and_the_next_goes_on():
    def fails() -> None:
        raise ValueError("no")

    long_work = LongWork("test")
    ends = await asyncio.gather(
        long_work.do("a", fails), long_work.do("a", fails), long_work.do("b", lambda: 7), return_exceptions=True
    )
    assert [type(end) for end in ends] == [ValueError, ValueError, int]
