"""Lent places: what one running call lends once, takes back once, and never loses."""

import asyncio

import pytest

from mcpward.limits.concurrency.release import Release
from support.places import places_of

MINE, YOURS = ("orders", "key:mine", None), ("orders", "key:yours", None)


def free(slots):
    return slots.semaphores[0].free


def waiting(slots):
    return len(slots.semaphores[0].line)


async def turns(n=5):
    for _ in range(n):
        await asyncio.sleep(0)


async def asking(loan, answered, log, name):
    async with loan.lent():
        await answered.wait()
    log.append(name)


async def test_a_call_that_asks_many_things_at_once_lends_its_one_place_once():
    slots = places_of()
    running = most = 0

    async def other():
        nonlocal running, most
        async with slots.lease(*YOURS):
            running += 1
            most = max(most, running)
            await turns()
            running -= 1

    async with slots.lease(*MINE) as lease:
        loan, answered = Release(lease), asyncio.Event()
        log: list[str] = []
        questions = [asyncio.create_task(asking(loan, answered, log, at)) for at in range(8)]
        await turns()
        await asyncio.gather(*(other() for _ in range(8)))
        assert (most, free(slots)) == (1, 1)
        answered.set()
        await asyncio.gather(*questions)
        assert free(slots) == 0
    assert free(slots) == 1


async def test_the_first_answer_takes_the_place_back_and_the_next_question_lends_it_again():
    slots = places_of()
    async with slots.lease(*MINE) as lease:
        loan, first, second, third = Release(lease), asyncio.Event(), asyncio.Event(), asyncio.Event()
        log: list[str] = []
        waiting = [asyncio.create_task(asking(loan, event, log, event)) for event in (first, second)]
        await turns()
        assert free(slots) == 1
        first.set()
        await turns()
        assert (log, free(slots)) == ([first], 0)
        waiting.append(asyncio.create_task(asking(loan, third, log, third)))
        await turns()
        assert free(slots) == 1
        second.set()
        third.set()
        await asyncio.gather(*waiting)
        assert free(slots) == 0
    assert free(slots) == 1


async def test_answers_that_come_while_the_place_is_taken_wait_for_it_once():
    slots = places_of()
    busy = asyncio.Event()

    async def other():
        async with slots.lease(*YOURS):
            await busy.wait()

    async with slots.lease(*MINE) as lease:
        loan, answered = Release(lease), asyncio.Event()
        log: list[str] = []
        questions = [asyncio.create_task(asking(loan, answered, log, at)) for at in range(3)]
        await turns()
        taken = asyncio.create_task(other())
        await turns()
        answered.set()
        await turns()
        assert (log, waiting(slots)) == ([], 1)
        busy.set()
        await asyncio.gather(taken, *questions)
        assert (sorted(log), free(slots)) == ([0, 1, 2], 0)
    assert free(slots) == 1


@pytest.mark.parametrize("cancelled", [0, 1, 2])
async def test_a_question_that_is_cancelled_while_it_waits_for_the_place_loses_none(cancelled):
    slots = places_of()
    busy = asyncio.Event()

    async def other():
        async with slots.lease(*YOURS):
            await busy.wait()

    async with slots.lease(*MINE) as lease:
        loan, answered = Release(lease), asyncio.Event()
        log: list[str] = []
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
        assert free(slots) == 0
    assert free(slots) == 1


async def test_what_is_asked_while_the_place_is_waited_for_lends_nothing():
    slots = places_of()
    busy = asyncio.Event()

    async def other():
        async with slots.lease(*YOURS):
            await busy.wait()

    async with slots.lease(*MINE) as lease:
        loan, answered, never = Release(lease), asyncio.Event(), asyncio.Event()
        log: list[str] = []
        questions = [asyncio.create_task(asking(loan, answered, log, 0))]
        await turns()
        taken = asyncio.create_task(other())
        await turns()
        answered.set()
        await turns()
        questions.append(asyncio.create_task(asking(loan, never, log, 1)))
        await turns()
        assert (log, free(slots), waiting(slots)) == ([], 0, 1)
        busy.set()
        await turns()
        assert (log, free(slots)) == ([0], 0)
        never.set()
        await asyncio.gather(taken, *questions)
    assert free(slots) == 1


async def test_a_question_that_outlives_its_call_takes_no_place():
    slots = places_of()
    answered = asyncio.Event()
    log: list[str] = []
    async with slots.lease(*MINE) as lease:
        question = asyncio.create_task(asking(Release(lease), answered, log, "late"))
        await turns()
    answered.set()
    await question
    assert (log, free(slots)) == (["late"], 1)


async def test_a_question_that_waits_for_its_place_when_the_call_ends_gives_it_back_at_once():
    slots = places_of()
    answered, other = asyncio.Event(), slots.lease(*YOURS)
    log: list[str] = []
    async with slots.lease(*MINE) as lease:
        question = asyncio.create_task(asking(Release(lease), answered, log, "late"))
        await turns()
        assert other.try_now()
        answered.set()
        await turns()
    other.release()
    await question
    assert free(slots) == 1


async def test_a_place_is_kept_beyond_the_calls_end_until_what_goes_on_has_ended():
    slots = places_of()
    async with slots.lease(*MINE) as lease:
        ended, again = lease.retain(), lease.retain()
    assert free(slots) == 0
    ended()
    assert (lease.is_held, free(slots)) == (True, 0)
    again()
    assert (lease.is_held, free(slots)) == (False, 1)


async def test_a_place_that_is_kept_is_handed_on_at_its_end():
    slots = places_of()
    async with slots.lease(*MINE) as lease:
        ended = lease.retain()
    other = asyncio.create_task(slots.lease(*YOURS).enter())
    await turns()
    assert not other.done()
    ended()
    await other


async def test_what_has_ended_before_its_call_keeps_nothing():
    slots = places_of()
    async with slots.lease(*MINE) as lease:
        lease.retain()()
        assert free(slots) == 0
    assert free(slots) == 1
    lease.retain()()
    assert free(slots) == 1


async def test_a_call_that_lent_its_place_and_leaves_a_thread_owes_it():
    slots = places_of()
    answered = asyncio.Event()
    log: list[str] = []
    async with slots.lease(*MINE) as lease:
        loan = Release(lease)
        question = asyncio.create_task(asking(loan, answered, log, "late"))
        await turns()
        async with slots.lease(*YOURS):
            ended = loan.retain()
            assert free(slots) == -1
        assert free(slots) == 0
    answered.set()
    await question
    assert free(slots) == 0
    ended()
    assert free(slots) == 1


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_a_call_that_waits_for_its_lent_place_does_not_wait_for_itself(is_cancelled):
    slots = places_of()
    answered, other = asyncio.Event(), slots.lease(*YOURS)
    log: list[str] = []
    async with slots.lease(*MINE) as lease:
        loan = Release(lease)
        question = asyncio.create_task(asking(loan, answered, log, "asked"))
        await turns()
        assert other.try_now()
        answered.set()
        await turns()
        ended = loan.retain()
        if is_cancelled:
            question.cancel()
        other.release()
        await asyncio.gather(question, return_exceptions=True)
        assert (lease.is_held, free(slots), waiting(slots)) == (True, 0, 0)
    ended()
    assert free(slots) == 1


async def test_a_loan_lends_nothing_while_a_thread_of_the_call_goes_on():
    slots = places_of()
    answered = asyncio.Event()
    log: list[str] = []
    async with slots.lease(*MINE) as lease:
        loan = Release(lease)
        ended = loan.retain()
        question = asyncio.create_task(asking(loan, answered, log, "asked"))
        await turns()
        assert free(slots) == 0
        answered.set()
        await question
        ended()
    assert free(slots) == 1
