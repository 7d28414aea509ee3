"""Lent places: what one running call lends once, takes back once, and never loses."""

import asyncio

import pytest

from mcpward.limits.concurrency.release import Release
from support.places import places_of

MINE, YOURS = ("orders", "key:mine", None), ("orders", "key:yours", None)


def free(places):
    return places.stocks[0].free


def waiting(places):
    return len(places.stocks[0].line)


async def turns(n=5):
    for _ in range(n):
        await asyncio.sleep(0)


async def asking(loan, answered, log, name):
    async with loan.lent():
        await answered.wait()
    log.append(name)


async def test_a_call_that_asks_many_things_at_once_lends_its_one_place_once():
    places = places_of()
    running = most = 0

    async def other():
        nonlocal running, most
        async with places.hold(*YOURS):
            running += 1
            most = max(most, running)
            await turns()
            running -= 1

    async with places.hold(*MINE) as hold:
        loan, answered, log = Release(hold), asyncio.Event(), []
        questions = [asyncio.create_task(asking(loan, answered, log, at)) for at in range(8)]
        await turns()
        await asyncio.gather(*(other() for _ in range(8)))
        assert (most, free(places)) == (1, 1)
        answered.set()
        await asyncio.gather(*questions)
        assert free(places) == 0
    assert free(places) == 1


async def test_the_first_answer_takes_the_place_back_and_the_next_question_lends_it_again():
    places = places_of()
    async with places.hold(*MINE) as hold:
        loan, first, second, third, log = Release(hold), asyncio.Event(), asyncio.Event(), asyncio.Event(), []
        waiting = [asyncio.create_task(asking(loan, event, log, event)) for event in (first, second)]
        await turns()
        assert free(places) == 1
        first.set()
        await turns()
        assert (log, free(places)) == ([first], 0)
        waiting.append(asyncio.create_task(asking(loan, third, log, third)))
        await turns()
        assert free(places) == 1
        second.set()
        third.set()
        await asyncio.gather(*waiting)
        assert free(places) == 0
    assert free(places) == 1


async def test_answers_that_come_while_the_place_is_taken_wait_for_it_once():
    places = places_of()
    busy = asyncio.Event()

    async def other():
        async with places.hold(*YOURS):
            await busy.wait()

    async with places.hold(*MINE) as hold:
        loan, answered, log = Release(hold), asyncio.Event(), []
        questions = [asyncio.create_task(asking(loan, answered, log, at)) for at in range(3)]
        await turns()
        taken = asyncio.create_task(other())
        await turns()
        answered.set()
        await turns()
        assert (log, waiting(places)) == ([], 1)
        busy.set()
        await asyncio.gather(taken, *questions)
        assert (sorted(log), free(places)) == ([0, 1, 2], 0)
    assert free(places) == 1


@pytest.mark.parametrize("cancelled", [0, 1, 2])
async def test_a_question_that_is_cancelled_while_it_waits_for_the_place_loses_none(cancelled):
    places = places_of()
    busy = asyncio.Event()

    async def other():
        async with places.hold(*YOURS):
            await busy.wait()

    async with places.hold(*MINE) as hold:
        loan, answered, log = Release(hold), asyncio.Event(), []
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
        assert free(places) == 0
    assert free(places) == 1


async def test_what_is_asked_while_the_place_is_waited_for_lends_nothing():
    places = places_of()
    busy = asyncio.Event()

    async def other():
        async with places.hold(*YOURS):
            await busy.wait()

    async with places.hold(*MINE) as hold:
        loan, answered, never, log = Release(hold), asyncio.Event(), asyncio.Event(), []
        questions = [asyncio.create_task(asking(loan, answered, log, 0))]
        await turns()
        taken = asyncio.create_task(other())
        await turns()
        answered.set()
        await turns()
        questions.append(asyncio.create_task(asking(loan, never, log, 1)))
        await turns()
        assert (log, free(places), waiting(places)) == ([], 0, 1)
        busy.set()
        await turns()
        assert (log, free(places)) == ([0], 0)
        never.set()
        await asyncio.gather(taken, *questions)
    assert free(places) == 1


async def test_a_question_that_outlives_its_call_takes_no_place():
    places = places_of()
    answered, log = asyncio.Event(), []
    async with places.hold(*MINE) as hold:
        question = asyncio.create_task(asking(Release(hold), answered, log, "late"))
        await turns()
    answered.set()
    await question
    assert (log, free(places)) == (["late"], 1)


async def test_a_question_that_waits_for_its_place_when_the_call_ends_gives_it_back_at_once():
    places = places_of()
    answered, log, other = asyncio.Event(), [], places.hold(*YOURS)
    async with places.hold(*MINE) as hold:
        question = asyncio.create_task(asking(Release(hold), answered, log, "late"))
        await turns()
        assert other.try_now()
        answered.set()
        await turns()
    other.release()
    await question
    assert free(places) == 1


async def test_a_place_is_kept_beyond_the_calls_end_until_what_goes_on_has_ended():
    places = places_of()
    async with places.hold(*MINE) as hold:
        ended, again = hold.retain(), hold.retain()
    assert free(places) == 0
    ended()
    assert (hold.is_held, free(places)) == (True, 0)
    again()
    assert (hold.is_held, free(places)) == (False, 1)


async def test_a_place_that_is_kept_is_handed_on_at_its_end():
    places = places_of()
    async with places.hold(*MINE) as hold:
        ended = hold.retain()
    other = asyncio.create_task(places.hold(*YOURS).enter())
    await turns()
    assert not other.done()
    ended()
    await other


async def test_what_has_ended_before_its_call_keeps_nothing():
    places = places_of()
    async with places.hold(*MINE) as hold:
        hold.retain()()
        assert free(places) == 0
    assert free(places) == 1
    hold.retain()()
    assert free(places) == 1


async def test_a_call_that_lent_its_place_and_leaves_a_thread_owes_it():
    places = places_of()
    answered, log = asyncio.Event(), []
    async with places.hold(*MINE) as hold:
        loan = Release(hold)
        question = asyncio.create_task(asking(loan, answered, log, "late"))
        await turns()
        async with places.hold(*YOURS):
            ended = loan.retain()
            assert free(places) == -1
        assert free(places) == 0
    answered.set()
    await question
    assert free(places) == 0
    ended()
    assert free(places) == 1


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_a_call_that_waits_for_its_lent_place_does_not_wait_for_itself(is_cancelled):
    places = places_of()
    answered, log, other = asyncio.Event(), [], places.hold(*YOURS)
    async with places.hold(*MINE) as hold:
        loan = Release(hold)
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
        assert (hold.is_held, free(places), waiting(places)) == (True, 0, 0)
    ended()
    assert free(places) == 1


async def test_a_loan_lends_nothing_while_a_thread_of_the_call_goes_on():
    places = places_of()
    answered, log = asyncio.Event(), []
    async with places.hold(*MINE) as hold:
        loan = Release(hold)
        ended = loan.retain()
        question = asyncio.create_task(asking(loan, answered, log, "asked"))
        await turns()
        assert free(places) == 0
        answered.set()
        await question
        ended()
    assert free(places) == 1
