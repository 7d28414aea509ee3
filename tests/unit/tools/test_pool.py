import asyncio
import threading

import pytest

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.tools.pool import Pool, Pools


async def test_no_more_functions_than_the_size_run_at_once():
    pool, gate, lock = Pool(2), threading.Event(), threading.Lock()
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

    tasks = [asyncio.create_task(pool.run(work)) for _ in range(6)]
    gate.set()
    assert await asyncio.wait_for(asyncio.gather(*tasks), 10) == [1] * 6
    assert most == 2
    pool.close()


async def test_a_waiting_function_that_is_given_up_never_starts():
    pool, gate, started = Pool(1), threading.Event(), []
    first = asyncio.create_task(pool.run(lambda: gate.wait(5)))
    second = asyncio.create_task(pool.run(lambda: started.append(True)))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.set()
    await first
    assert await pool.run(lambda: "next") == "next"
    assert started == []
    pool.close()


async def test_a_closed_pool_takes_nothing_and_its_threads_end():
    pool = Pool(1)
    thread = await pool.run(threading.current_thread)
    assert thread.daemon
    pool.close()
    await asyncio.to_thread(thread.join, 5)
    assert not thread.is_alive()
    with pytest.raises(RuntimeError):
        await pool.run(print)


def test_a_pool_has_at_least_one_thread():
    with pytest.raises(ValueError, match="at least one"):
        Pool(0)


def test_a_thread_that_outlives_its_loop_disturbs_nobody():
    pool, gate = Pool(1), threading.Event()

    async def give_up() -> None:
        task = asyncio.create_task(pool.run(lambda: gate.wait(5)))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(give_up())
    gate.set()
    assert asyncio.run(pool.run(lambda: "next")) == "next"
    pool.close()


async def test_a_pool_whose_threads_and_queue_are_taken_says_so_at_once():
    pool, gate = Pool(2), threading.Event()
    tasks = [asyncio.create_task(pool.run(lambda: gate.wait(5))) for _ in range(6)]
    await asyncio.sleep(0)
    with pytest.raises(Refusal) as no:
        await pool.run(print)
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
    """A pool of one lends four places: with the four that wait, one more runs, and two wait in the queue."""
    pool, gate = Pool(1), threading.Event()

    def waits() -> None:
        with pool.lent():
            gate.wait(5)

    tasks = [asyncio.create_task(pool.run(waits)) for _ in range(4)]
    async with asyncio.timeout(5):
        while pool._lent < 4:  # noqa: ASYNC110  a thread tells nobody that it waits
            await asyncio.sleep(0.005)
    tasks += [asyncio.create_task(pool.run(waits)) for _ in range(3)]
    await asyncio.sleep(0.05)
    assert pool._lent == 4
    with pytest.raises(Refusal) as no:
        await pool.run(waits)
    assert no.value.reason is Reason.BUSY
    gate.set()
    await asyncio.gather(*tasks)
    assert pool._lent == 0
    pool.close()
