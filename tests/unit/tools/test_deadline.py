"""A call that holds the event loop pays with its own time, by itself or by a task that it began; others do not."""

import asyncio

import pytest

from mcpward.tools.deadline import Watch
from support.waiting import soon

SLICE_S = 0.4


@pytest.fixture
async def hold(monkeypatch):
    """Let the loop's time go on as if the running task had held the loop: no test waits for it."""
    loop, held, ticks = asyncio.get_running_loop(), [0.0], [0]
    real, tick = loop.time, Watch._tick
    monkeypatch.setattr(loop, "time", lambda: real() + held[0])

    def counted(watch):
        tick(watch)
        ticks[0] += 1

    monkeypatch.setattr(Watch, "_tick", counted)

    async def hold(watch, seconds=SLICE_S):
        held[0] += seconds
        if watch is not None:
            watch.held_by(asyncio.current_task())  # what a LoopWatch sees from its own thread
        before = ticks[0]
        await soon(lambda: ticks[0] > before)

    return hold


async def test_a_task_that_a_call_began_does_not_excuse_its_own_call_again_and_again(hold):
    watch = Watch()
    deadline = watch.start(1.0)

    async def child():
        for _ in range(12):
            await hold(watch)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.gather(child())
    assert deadline.is_over
    deadline.stop()
    watch.close()


async def test_a_call_that_holds_the_loop_itself_takes_no_time_from_another_one(hold):
    watch, begun = Watch(), asyncio.Event()
    others = []

    async def other():
        others.append(watch.start(2.0))
        begun.set()
        await asyncio.sleep(3600)

    waiting = asyncio.create_task(other())
    await begun.wait()
    own = watch.start(1000.0)
    for _ in range(8):
        await hold(watch)
    assert not others[0].is_over
    own.stop()
    watch.close()
    waiting.cancel()


async def test_a_call_that_ends_as_it_lets_go_of_the_loop_is_still_known_to_have_held_it(hold):
    watch, begun = Watch(), asyncio.Event()
    others = []

    async def other():
        others.append(watch.start(1.0))
        begun.set()
        await asyncio.sleep(3600)

    async def holds():
        own = watch.start(1000.0)
        watch.held_by(asyncio.current_task())
        own.stop()  # in the same turn of the loop: no tick has been between

    waiting = asyncio.create_task(other())
    await begun.wait()
    await asyncio.create_task(holds())
    await hold(None, seconds=3.0)
    assert not others[0].is_over
    others[0].stop()
    watch.close()
    waiting.cancel()
