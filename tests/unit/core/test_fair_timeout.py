"""An answer in time counts, although the loop looked late."""

import asyncio
import time

import pytest
import uvloop

from mcpward.core.fair_timeout import fair_timeout

pytestmark = pytest.mark.slow


def stand_still(seconds: float) -> None:
    """The work of a tool that computes on the loop."""
    time.sleep(seconds)


async def asked(pause_s: float, answer_s: float) -> str:
    """Ask a thread that takes ``answer_s``, and stand still meanwhile."""
    async with fair_timeout(0.2):
        answer = asyncio.get_running_loop().run_in_executor(None, lambda: time.sleep(answer_s))
        await asyncio.sleep(0)
        stand_still(pause_s)
        await answer
        return "in time"


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_attack_123_an_answer_that_came_while_the_loop_stood_still_counts(loop) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        for _ in range(3):
            assert runner.run(asked(pause_s=0.6, answer_s=0.0)) == "in time"


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_who_does_not_answer_in_time_is_not_waited_for(loop) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            runner.run(asked(pause_s=0.0, answer_s=1.0))
        assert time.monotonic() - began >= 0.2


async def test_a_loop_that_is_late_each_time_extends_no_limit_for_ever() -> None:
    began = time.monotonic()

    async def be_late() -> None:
        async with fair_timeout(0.3):
            while time.monotonic() - began < 10:
                stand_still(0.1)
                await asyncio.sleep(0)

    with pytest.raises(TimeoutError):
        await be_late()
    assert time.monotonic() - began < 5


async def test_a_cancellation_from_outside_passes_through() -> None:
    async def wait() -> None:
        async with fair_timeout(5.0):
            await asyncio.sleep(60)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
