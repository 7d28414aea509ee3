"""Threads that an author's async function takes: of its server, by its caller, and never for nothing."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mcpward import Server
from mcpward.core.clock import SystemClock
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import AcceptedCall
from mcpward.tools.registry import Defaults, Registry
from mcpward.tools.run import Runner
from support.back import Letterbox
from support.calls import arrival_of, call_of


@pytest.fixture
async def runner():
    runner, loop = Runner(4, SystemClock()), asyncio.get_running_loop()
    loop.set_default_executor(runner.executor)
    yield runner
    await runner.close()


def accepted(function, server: str = "orders", deadline_s: float = 5.0) -> AcceptedCall:
    shop = Server("shop")
    shop.tool()(function)
    tool = Registry(server, shop, Defaults(deadline_s=deadline_s)).tools[0]
    return AcceptedCall(call=call_of(tool.name, arrival=arrival_of(server)), tool=tool, arguments={})


async def settled(count) -> None:
    async with asyncio.timeout(5):
        while count():  # noqa: ASYNC110  # a thread ends without a notification
            await asyncio.sleep(0.002)


async def test_functions_give_what_they_give_and_raise_what_they_raise(runner):
    async def works() -> str:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        loop = asyncio.get_running_loop()
        powers = await asyncio.gather(*(loop.run_in_executor(None, pow, 2, at) for at in range(50)))
        thread = await asyncio.to_thread(threading.current_thread)
        return f"{sum(powers)} {thread.daemon}"

    result = await runner.run(accepted(works), Letterbox())
    assert result.content[0]["text"] == f"{2**50 - 1} True"


@pytest.mark.parametrize("how", ["to_thread", "run_in_executor"])
async def test_what_runs_on_when_its_time_is_over_keeps_its_calls_places(runner, how):
    gate, channel = threading.Event(), Letterbox()

    async def waits() -> None:
        if how == "to_thread":
            await asyncio.to_thread(gate.wait, 10)
        else:
            await asyncio.get_running_loop().run_in_executor(None, gate.wait, 10)

    with pytest.raises(Refusal) as no:
        await runner.run(accepted(waits, deadline_s=0.05), channel)
    assert no.value.reason is Reason.TOOL_TIMEOUT
    (pool,) = runner.executor.pools
    assert (channel.retained, pool.abandoned) == (1, 1)
    gate.set()
    await settled(lambda: channel.retained)
    assert (pool.abandoned, pool.busy) == (0, 0)


async def test_what_has_not_begun_leaves_with_its_call(runner):
    gate, channel, begun = threading.Event(), Letterbox(), []

    def work() -> None:
        begun.append(1)
        gate.wait(10)

    async def waits() -> None:
        await asyncio.gather(*(asyncio.to_thread(work) for _ in range(20)))

    with pytest.raises(Refusal):
        await runner.run(accepted(waits, deadline_s=0.1), channel)
    (pool,) = runner.executor.pools
    assert (channel.retained, pool.abandoned, pool.waiting, len(begun)) == (2, 2, 0, 2)  # half of the pool
    gate.set()
    await settled(lambda: channel.retained)
    assert len(begun) == 2


async def test_threads_of_one_server_are_not_anothers_nor_mcpwards_own(runner):
    gate = threading.Event()

    async def waits() -> None:
        await asyncio.gather(*(asyncio.to_thread(gate.wait, 10) for _ in range(50)))

    async def answers() -> str:
        return await asyncio.to_thread(lambda: "here")

    slow = asyncio.create_task(runner.run(accepted(waits, "slow"), Letterbox()))
    await settled(lambda: sum(pool.busy for pool in runner.executor.pools) < 2)
    quick = await asyncio.wait_for(runner.run(accepted(answers, "quick"), Letterbox()), 5)
    assert quick.content[0]["text"] == "here"
    assert await asyncio.wait_for(asyncio.to_thread(lambda: "own"), 5) == "own"
    gate.set()
    await asyncio.wait_for(slow, 5)


async def test_a_thread_that_is_given_up_within_a_call_keeps_its_places_beyond_the_answer(runner):
    gate, begun, channel = threading.Event(), threading.Event(), Letterbox()

    def holds() -> None:
        begun.set()
        gate.wait(10)

    async def gives_up() -> str:
        held = asyncio.create_task(asyncio.to_thread(holds))
        await settled(lambda: not begun.is_set())  # one that has not begun leaves its queue instead
        held.cancel()
        await asyncio.wait([held])
        return "later" if held.cancelled() else "now"

    result = await runner.run(accepted(gives_up), channel)
    assert (result.content[0]["text"], channel.retained) == ("later", 1)
    gate.set()
    await settled(lambda: channel.retained)


async def test_what_an_author_leaves_running_on_purpose_keeps_no_place(runner):
    gate, channel, left = threading.Event(), Letterbox(), []

    async def begins() -> str:
        left.append(asyncio.create_task(asyncio.to_thread(gate.wait, 10)))
        await asyncio.sleep(0)
        return "begun"

    await runner.run(accepted(begins), channel)
    left[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await left[0]
    assert channel.retained == 0
    gate.set()


def test_it_is_what_event_loops_take_for_one():
    assert issubclass(type(Runner(1, SystemClock()).executor), ThreadPoolExecutor)
