"""Places: never more than there are, handed on in order, and never lost."""

import asyncio

import pytest

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.limits.lease import Lease, Loan


async def turns(n=5):
    for _ in range(n):
        await asyncio.sleep(0)


async def test_a_free_place_is_had_without_a_turn_of_the_loop():
    lease = Lease(1)
    turned = []
    asyncio.get_running_loop().call_soon(turned.append, True)
    async with lease:
        assert not turned
        assert lease.free == 0
    assert lease.free == 1


async def test_no_more_calls_run_at_once_than_there_are_places():
    lease, running, most = Lease(4, queue=100), 0, 0

    async def call():
        nonlocal running, most
        async with lease:
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1

    await asyncio.gather(*[call() for _ in range(60)])
    assert most == 4
    assert (lease.free, lease.waiting) == (4, 0)


async def test_places_are_handed_on_in_the_order_of_arrival():
    lease, order = Lease(1, queue=10), []

    async def call(n):
        async with lease:
            order.append(n)
            await asyncio.sleep(0)

    await asyncio.gather(*[call(n) for n in range(8)])
    assert order == list(range(8))


async def test_a_full_queue_is_busy_at_once():
    lease = Lease(1, queue=1)
    await lease.acquire()
    waiter = asyncio.create_task(lease.acquire())
    await turns()
    with pytest.raises(Refusal) as busy:
        await lease.acquire()
    assert busy.value.reason is Reason.BUSY
    assert busy.value.facts["retry_after_s"] >= 1
    lease.release()
    await waiter
    lease.release()
    assert lease.free == 1


async def test_who_waits_too_long_is_told_busy_and_leaves_the_queue():
    lease = Lease(1, queue=2, timeout_s=0.0)
    await lease.acquire()
    with pytest.raises(Refusal) as busy:
        await lease.acquire()
    assert busy.value.reason is Reason.BUSY
    assert lease.waiting == 0
    lease.release()
    assert lease.free == 1


async def test_a_waiter_who_is_cancelled_leaves_the_queue():
    lease = Lease(1, queue=2)
    await lease.acquire()
    waiter = asyncio.create_task(lease.acquire())
    await turns()
    waiter.cancel()
    await turns()
    assert lease.waiting == 0
    lease.release()
    assert lease.free == 1


async def test_a_place_handed_to_a_waiter_who_is_cancelled_in_the_same_turn_is_not_lost():
    lease = Lease(1, queue=2)
    await lease.acquire()
    waiter = asyncio.create_task(lease.acquire())
    await turns()
    lease.release()  # the place is the waiter's now
    waiter.cancel()
    await turns()
    assert waiter.cancelled()
    assert lease.free == 1


async def test_a_place_is_given_back_when_the_call_fails():
    lease = Lease(1)
    with pytest.raises(RuntimeError):
        async with lease:
            raise RuntimeError
    assert lease.free == 1


async def test_nobody_slips_in_before_those_who_wait():
    lease = Lease(1, queue=2)
    await lease.acquire()
    waiter = asyncio.create_task(lease.acquire())
    await turns()
    lease.release()
    assert not lease.try_acquire()
    await waiter


async def test_a_call_that_gave_its_place_away_comes_before_those_that_have_not_begun():
    lease = Lease(1)
    order: list[str] = []
    await lease.acquire()
    lease.release()
    await lease.acquire()  # somebody else has it now

    async def begin() -> None:
        async with lease:
            order.append("new")

    async def come_back() -> None:
        await lease.take_back()
        order.append("back")
        lease.release()

    tasks = [asyncio.ensure_future(begin())]
    await asyncio.sleep(0)
    tasks.append(asyncio.ensure_future(come_back()))
    await asyncio.sleep(0)
    lease.release()
    await asyncio.gather(*tasks)
    assert order == ["back", "new"]
    assert lease.free == 1


async def test_a_call_that_is_cancelled_on_its_way_back_takes_no_place_with_it():
    lease = Lease(1)
    waiting = asyncio.Event()

    async def ask() -> None:
        async with lease:
            lease.release()
            waiting.set()
            await asyncio.sleep(0)
            await lease.take_back()

    asking = asyncio.ensure_future(ask())
    await waiting.wait()
    await lease.acquire()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert (lease.free, lease.waiting) == (0, 0)
    lease.release()
    assert lease.free == 1


async def asking(loan, answered, log, name):
    async with loan.lent():
        await answered.wait()
    log.append(name)


async def test_a_call_that_asks_many_things_at_once_lends_its_one_place_once():
    lease = Lease(1, queue=100)
    running = most = 0

    async def other():
        nonlocal running, most
        async with lease:
            running += 1
            most = max(most, running)
            await turns()
            running -= 1

    async with lease:
        loan, answered, log = Loan(lease), asyncio.Event(), []
        questions = [asyncio.create_task(asking(loan, answered, log, at)) for at in range(8)]
        await turns()
        await asyncio.gather(*(other() for _ in range(8)))
        assert (most, lease.free) == (1, 1)
        answered.set()
        await asyncio.gather(*questions)
        assert lease.free == 0
    assert lease.free == 1


async def test_the_first_answer_takes_the_place_back_and_the_next_question_lends_it_again():
    lease = Lease(1)
    async with lease:
        loan, first, second, third, log = Loan(lease), asyncio.Event(), asyncio.Event(), asyncio.Event(), []
        waiting = [asyncio.create_task(asking(loan, event, log, event)) for event in (first, second)]
        await turns()
        assert lease.free == 1
        first.set()
        await turns()
        assert (log, lease.free) == ([first], 0)
        waiting.append(asyncio.create_task(asking(loan, third, log, third)))
        await turns()
        assert lease.free == 1
        second.set()
        third.set()
        await asyncio.gather(*waiting)
        assert lease.free == 0
    assert lease.free == 1


async def test_answers_that_come_while_the_place_is_taken_wait_for_it_once():
    lease = Lease(1, queue=100)
    busy = asyncio.Event()

    async def other():
        async with lease:
            await busy.wait()

    async with lease:
        loan, answered, log = Loan(lease), asyncio.Event(), []
        questions = [asyncio.create_task(asking(loan, answered, log, at)) for at in range(3)]
        await turns()
        taken = asyncio.create_task(other())
        await turns()
        answered.set()
        await turns()
        assert (log, lease.waiting) == ([], 1)
        busy.set()
        await asyncio.gather(taken, *questions)
        assert (sorted(log), lease.free) == ([0, 1, 2], 0)
    assert lease.free == 1


@pytest.mark.parametrize("cancelled", [0, 1, 2])
async def test_a_question_that_is_cancelled_while_it_waits_for_the_place_loses_none(cancelled):
    lease = Lease(1, queue=100)
    busy = asyncio.Event()

    async def other():
        async with lease:
            await busy.wait()

    async with lease:
        loan, answered, log = Loan(lease), asyncio.Event(), []
        questions = [asyncio.create_task(asking(loan, answered, log, at)) for at in range(2)]
        await turns()
        taken = asyncio.create_task(other())
        await turns()
        answered.set()
        await turns()
        for question in questions[: cancelled + 1] if cancelled != 1 else questions[1:]:
            question.cancel()
        await turns()
        busy.set()
        await asyncio.gather(taken, *questions, return_exceptions=True)
        assert lease.free == 0
    assert lease.free == 1


async def test_what_is_asked_while_the_place_is_waited_for_lends_nothing():
    lease = Lease(1, queue=100)
    busy = asyncio.Event()

    async def other():
        async with lease:
            await busy.wait()

    async with lease:
        loan, answered, never, log = Loan(lease), asyncio.Event(), asyncio.Event(), []
        questions = [asyncio.create_task(asking(loan, answered, log, 0))]
        await turns()
        taken = asyncio.create_task(other())
        await turns()
        answered.set()
        await turns()
        questions.append(asyncio.create_task(asking(loan, never, log, 1)))
        await turns()
        assert (log, lease.free, lease.waiting) == ([], 0, 1)
        busy.set()
        await turns()
        assert (log, lease.free) == ([0], 0)
        never.set()
        await asyncio.gather(taken, *questions)
    assert lease.free == 1
