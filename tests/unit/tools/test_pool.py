import asyncio
import threading
from collections import Counter, defaultdict
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.work import Work
from mcpward.tools.pool import Pool, Pools
from support.back import Letterbox
from support.waiting import soon


class Kept:
    """The slots that abandoned calls keep, by caller."""

    def __init__(self) -> None:
        self.channels: defaultdict[str, Letterbox] = defaultdict(Letterbox)

    def of(self, caller: str = "me") -> int:
        return self.channels[caller].retained

    def work(self, caller: str = "me") -> Work:
        return Work("orders", caller, self.channels[caller])


def work_of(caller: str = "me") -> Work:
    return Kept().work(caller)


class Slow:
    """Functions that run until the gate opens, and who has begun one."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.gate = threading.Event()
        self.begun: list[str] = []
        self.kept = Kept()
        self.tasks: list[asyncio.Task[None]] = []

    def begin(self, caller: str, count: int = 1) -> list[asyncio.Task[None]]:
        def work() -> None:
            self.begun.append(caller)
            self.gate.wait(10)

        tasks = [asyncio.create_task(self.pool.run(work, self.kept.work(caller))) for _ in range(count)]
        self.tasks += tasks
        return tasks

    async def until(self, **begun: int) -> None:
        """Wait until so many have begun, and no thread is about to begin another."""
        await asyncio.sleep(0)  # all have asked for a thread
        await soon(lambda: Counter(self.begun) == begun)
        assert self.pool.busy == len(self.begun)
        assert Counter(self.begun) == begun

    async def end(self) -> None:
        self.gate.set()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.pool.close()


@asynccontextmanager
async def slow_in(pool: Pool):
    slow = Slow(pool)
    try:
        yield slow
    finally:
        await slow.end()


async def cancelled(*tasks) -> None:
    for task in tasks:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_caller_has_half_the_threads_and_its_next_call_the_next_that_is_free():
    pool, gate, lock = Pool(4), threading.Event(), threading.Lock()
    running, most = 0, 0
    both = threading.Barrier(2)

    def work() -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait(5)
        gate.wait(5)
        with lock:
            running -= 1
        return 1

    tasks = [asyncio.create_task(pool.run(work, work_of())) for _ in range(6)]
    gate.set()
    assert await asyncio.wait_for(asyncio.gather(*tasks), 10) == [1] * 6
    assert most == 2
    pool.close()


async def test_more_callers_have_smaller_shares_and_a_newcomer_begins_at_once():
    async with slow_in(Pool(12)) as slow:
        slow.begin("a", 12)
        await slow.until(a=6)
        slow.begin("b", 12)
        await slow.until(a=6, b=3)
        slow.begin("c", 3)
        await slow.until(a=6, b=3, c=2)
        slow.begin("d")
        await slow.until(a=6, b=3, c=2, d=1)
        slow.begin("e", 2)  # all threads are taken: one is added for who has none
        await slow.until(a=6, b=3, c=2, d=1, e=1)


async def test_threads_are_added_for_callers_without_one_up_to_as_many_again():
    async with slow_in(Pool(2)) as slow:
        for caller in "abcdef":
            slow.begin(caller)
        await slow.until(a=1, b=1, c=1, d=1)
        assert (slow.pool.threads, slow.pool.busy, slow.pool.waiting) == (4, 4, 2)
    assert await asyncio.wait_for(asyncio.gather(*slow.tasks), 5) == [None] * 6
    await soon(lambda: not slow.pool.busy)


async def test_the_caller_with_the_fewest_running_is_next():
    order: list[str] = []
    pool, gates = Pool(4), [threading.Event() for _ in range(2)]
    first = [asyncio.create_task(pool.run(partial(gate.wait, 5), work_of("a"))) for gate in gates]
    rest = [asyncio.create_task(pool.run(lambda: order.append("a"), work_of("a"))) for _ in range(3)]
    other = [asyncio.create_task(pool.run(lambda: order.append("b"), work_of("b"))) for _ in range(3)]
    await asyncio.wait_for(asyncio.gather(*other), 5)  # in turn, with one thread
    assert order == ["b"] * 3
    for gate in gates:
        gate.set()
    await asyncio.wait_for(asyncio.gather(*first, *rest), 5)
    pool.close()


async def test_a_thread_that_runs_on_keeps_its_calls_places_until_it_returns():
    async with slow_in(Pool(4)) as slow:
        tasks = slow.begin("a", 2)
        await slow.until(a=2)
        await cancelled(*tasks)
        assert (slow.kept.of("a"), slow.pool.abandoned, slow.pool.busy) == (2, 2, 2)
        assert await slow.pool.run(lambda: "here", work_of("b")) == "here"
        slow.gate.set()
        await soon(lambda: not slow.kept.of("a"))
        assert (slow.pool.abandoned, slow.pool.busy) == (0, 0)


async def test_whoever_begins_and_hangs_up_again_and_again_has_no_more_than_a_share():
    async with slow_in(Pool(8)) as slow:
        for _ in range(10):
            tasks = slow.begin("attacker", 11)
            await slow.until(attacker=4)
            await cancelled(*tasks)
            assert slow.pool.waiting == 0
        assert Counter(slow.begun) == {"attacker": 4}
        assert slow.kept.of("attacker") == 4
        assert await asyncio.wait_for(slow.pool.run(lambda: "here", work_of("b")), 1) == "here"


async def test_what_has_ended_when_its_caller_leaves_keeps_nothing():
    """The function is over, and the loop does not know it yet."""
    pool, kept, over = Pool(1), Kept(), threading.Event()
    task = asyncio.create_task(pool.run(over.set, kept.work()))
    await asyncio.sleep(0)
    assert over.wait(5)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await soon(lambda: not kept.of("me") and not pool.abandoned)
    pool.close()


async def test_a_full_queue_gives_the_last_place_to_who_has_fewer_waiting():
    async with slow_in(Pool(1)) as slow:
        a, b = slow.begin("a", 3), slow.begin("b", 1)  # a thread each, and two of a wait: the queue is full
        await slow.until(a=1, b=1)
        with pytest.raises(Refusal) as no:
            await slow.pool.run(print, work_of("a"))
        assert no.value.reason is Reason.BUSY
        b += slow.begin("b", 1)
        with pytest.raises(Refusal) as no:
            await asyncio.wait_for(a[2], 5)
        assert no.value.reason is Reason.BUSY
        slow.gate.set()
        await asyncio.wait_for(asyncio.gather(a[0], a[1], *b), 5)


async def test_a_waiting_function_that_is_given_up_never_starts():
    pool, gate, started = Pool(1), threading.Event(), []
    first = asyncio.create_task(pool.run(lambda: gate.wait(5), work_of()))
    second = asyncio.create_task(pool.run(lambda: started.append(True), work_of()))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.set()
    await first
    assert await pool.run(lambda: "next", work_of()) == "next"
    assert started == []
    pool.close()


async def test_a_closed_pool_takes_nothing_and_its_threads_end():
    pool = Pool(1)
    thread = await pool.run(threading.current_thread, work_of())
    assert thread.daemon
    pool.close()
    await asyncio.to_thread(thread.join, 5)
    assert not thread.is_alive()
    with pytest.raises(RuntimeError):
        await pool.run(print, work_of())


def test_a_pool_has_at_least_one_thread():
    with pytest.raises(ValueError, match="at least one"):
        Pool(0)


def test_a_thread_that_outlives_its_loop_disturbs_nobody():
    pool, gate = Pool(1), threading.Event()

    async def give_up() -> None:
        task = asyncio.create_task(pool.run(lambda: gate.wait(5), work_of()))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(give_up())
    gate.set()
    assert asyncio.run(pool.run(lambda: "next", work_of())) == "next"
    pool.close()


async def test_a_pool_whose_threads_and_queue_are_taken_says_so_at_once():
    pool, gate = Pool(2), threading.Event()
    tasks = [asyncio.create_task(pool.run(lambda: gate.wait(5), work_of())) for _ in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(Refusal) as no:
        await pool.run(print, work_of())
    assert no.value.reason is Reason.BUSY
    gate.set()
    await asyncio.gather(*tasks)
    pool.close()


def test_each_server_has_a_pool_of_its_own():
    pools = Pools(1)
    assert pools.of("orders") is pools.of("orders")
    assert pools.of("orders") is not pools.of("files")
    pools.close()
    with pytest.raises(ValueError, match="at least one"):
        Pools(0)


async def test_places_of_threads_that_wait_are_lent_to_a_bound():
    """A pool of one lends four places, two to one caller: with those that wait one runs, and two are in the queue."""
    pool, gate = Pool(1), threading.Event()

    def waits() -> None:
        with pool.lent("me"):
            gate.wait(5)

    def run() -> asyncio.Task[None]:
        return asyncio.create_task(pool.run(waits, work_of()))

    tasks = [run() for _ in range(3)]
    await soon(lambda: pool.busy == 3 and pool._lent.taken == 2)
    tasks += [run() for _ in range(2)]
    await soon(lambda: pool.waiting == 2)
    assert (pool._lent.taken, pool._shares.taken) == (2, 1)
    with pytest.raises(Refusal) as no:
        await pool.run(waits, work_of())
    assert no.value.reason is Reason.BUSY
    assert await asyncio.wait_for(pool.run(lambda: "here", work_of("you")), 1) == "here"
    gate.set()
    await asyncio.gather(*tasks)
    assert (pool._lent.taken, pool._shares.taken) == (0, 0)
    pool.close()
