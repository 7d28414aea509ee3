"""An operator asks all workers about limits by sealed messages; the answers are bounded, added up, and only theirs."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from mcpward.app.usage import Usage
from mcpward.limits.rates.bucket_usage import BucketFilter, BucketUsage
from mcpward.operations.usage_question import ASKING, MOST_USES, TELLING
from mcpward.operations.worker_query import WorkerAnswers, WorkerQuery, add_up
from support.clock import ManualClock
from support.mail import Seal, Workers


def use(caller="api-key:a", used=1, most=10, limit="read", scope="orders", reset_s=3):
    return BucketUsage(limit=limit, scope=scope, caller=caller, remaining=most - used, most=most, reset_s=reset_s)


class Counters:
    """Limits whose buckets a test has written down."""

    def __init__(self, *uses):
        self.held = list(uses)
        self.resets = 0
        self.is_down = False

    def _meant(self, match):
        if self.is_down:
            raise ConnectionError("the store is away")
        return [use for use in self.held if match.fits(use.limit, use.scope, use.caller)]

    async def uses(self, match):
        await asyncio.sleep(0)
        return self._meant(match)

    async def reset(self, match):
        meant = self._meant(match)
        self.held = [use for use in self.held if use not in meant]
        self.resets += 1
        return len(meant)


@asynccontextmanager
async def site(*counters, alone=False, patience_s=5.0):
    """Workers with these counters, and an operator's command that may ask them."""
    clock = ManualClock()
    mail = Workers(clock, poll_s=0.005, hurry_s=0.005)
    names = [f"w{number}" for number in range(len(counters))]
    mail.rooms = {name: mail.open(name, alone=alone) for name in (*names, "cli")}
    mail.rooms["cli"] = mail.open("cli")
    async with mail:
        desks = [Usage(mail[name], one, clock, name, len(counters)) for name, one in zip(names, counters, strict=True)]
        yield WorkerQuery(mail["cli"], clock, patience_s), mail
        for desk in desks:
            await desk.close()


async def test_shares_of_several_workers_are_added_up():
    async with site(Counters(use(used=3), use("b", 10)), Counters(use(used=4, reset_s=9))) as (inquiry, _):
        answer = await inquiry.uses(BucketFilter())
    assert answer == WorkerAnswers(
        uses=(use("b", 10, 20), use(used=7, most=20, reset_s=9)), found=3, answered=2, workers=2
    )


async def test_a_match_narrows_at_the_worker():
    held = [use("a"), use("b"), use("b", limit="write"), use("b", scope="notes\0find")]
    async with site(Counters(*held)) as (inquiry, _):
        assert {one.caller for one in (await inquiry.uses(BucketFilter(caller="b"))).uses} == {"b"}
        assert (await inquiry.uses(BucketFilter(limit="write"))).uses == (held[2],)
        assert (await inquiry.uses(BucketFilter(server="notes"))).uses == (held[3],)
        assert (await inquiry.uses(BucketFilter(server="find"))) == WorkerAnswers(answered=1, workers=1)


async def test_a_worker_that_is_alone_answers_too():
    async with site(Counters(use()), alone=True) as (inquiry, _):
        assert (await inquiry.uses(BucketFilter())).uses == (use(),)


async def test_an_answer_holds_the_most_used_in_several_letters():
    """Names of OAuth callers are long: a thousand of them do not fit into one message."""
    held = [use(f"{number:05}" + "x" * 900, number, 10_000) for number in range(1, MOST_USES + 501)]
    async with site(Counters(*held)) as (inquiry, mail):
        answer = await inquiry.uses(BucketFilter())
        told = [letter for letter in mail.post.letters.values() if letter.kind == TELLING]
        assert len(answer.uses) == MOST_USES
        assert (answer.found, answer.left_out) == (MOST_USES + 500, 500)
        assert answer.uses[0].most - answer.uses[0].remaining == MOST_USES + 500
        assert min(use.most - use.remaining for use in answer.uses) == 501
        assert len(told) > 5
        found = await inquiry.uses(BucketFilter(caller=held[0].caller))  # the least used of all
        assert found.uses == (held[0],)


async def test_a_reset_reaches_every_worker():
    counters = [Counters(use("a"), use("b")), Counters(use("b"))]
    async with site(*counters) as (inquiry, _):
        answer = await inquiry.reset(BucketFilter(caller="b"))
        assert (answer.found, answer.answered, answer.left_out) == (2, 2, 0)
        assert [one.held for one in counters] == [[use("a")], []]


async def test_nobody_serves():
    async with site(patience_s=0.05) as (inquiry, _):
        assert await inquiry.uses(BucketFilter()) == WorkerAnswers()


async def test_who_is_silent_is_missed_and_who_cannot_say_is_told_apart():
    broken = Counters(use())
    broken.is_down = True
    async with site(broken, Counters(use())) as (inquiry, mail):
        answer = await inquiry.uses(BucketFilter())
        assert (answer.answered, answer.workers, answer.failed, answer.uses) == (2, 2, 1, (use(),))
        await mail["w0"].stop()
        inquiry._patience_s = 0.1
        answer = await inquiry.uses(BucketFilter())
        assert (answer.answered, answer.workers, answer.failed) == (1, 2, 0)


async def test_a_stranger_neither_asks_nor_answers():
    counters = Counters(use())
    async with site(counters, patience_s=0.3) as (inquiry, mail):
        stranger = mail.open("stranger", seal=Seal(b"x" * 32))
        await stranger.start()
        question = {"name": "n", "by": "stranger", "at": mail.clock.now(), "match": {}, "is_reset": True}
        await stranger.post(ASKING, question)
        asking = asyncio.create_task(inquiry.uses(BucketFilter()))
        await asyncio.sleep(0)
        await stranger.post(TELLING, {"name": inquiry._name, "worker": "w", "workers": 1, "found": 7}, "cli")
        answer = await asking
        assert (counters.resets, answer.uses, answer.answered) == (0, (use(),), 1)
        await stranger.stop()


async def test_a_copied_letter_resets_nothing_a_second_time():
    counters = Counters(use())
    async with site(counters) as (inquiry, mail):
        await inquiry.reset(BucketFilter())
        (asked,) = [letter for letter in mail.post.letters.values() if letter.kind == ASKING]
        counters.held = [use()]
        await mail.post.put([asked])
        await inquiry.uses(BucketFilter())
        assert counters.resets == 1
        mail.clock.advance(600)  # forgotten by name, and too old
        await mail.post.put([asked])
        await inquiry.uses(BucketFilter())
        assert (counters.resets, counters.held) == (1, [use()])


async def test_answers_to_an_earlier_question_are_not_taken_for_this_one():
    async with site(Counters(use())) as (inquiry, mail):
        await inquiry.uses(BucketFilter())
        (told,) = [letter for letter in mail.post.letters.values() if letter.kind == TELLING]
        await mail["w0"].stop()
        inquiry._patience_s = 0.1
        asking = asyncio.create_task(inquiry.uses(BucketFilter()))
        await asyncio.sleep(0)
        await mail.post.put([told])
        assert (await asking).answered == 0


async def test_questions_are_bounded():
    counters = Counters(use())
    held = asyncio.Event()
    counters.uses = lambda match: held.wait()  # type: ignore[method-assign]  # a count that takes long
    async with site(counters) as (_, mail):
        for number in range(5000):
            letter = {"name": f"{number}", "by": "cli", "at": mail.clock.now(), "match": {}}
            mail["w0"]._handlers[ASKING](letter)
        desk = mail["w0"]._handlers[ASKING].__self__
        assert len(desk._waiting) <= 16
        assert len(desk._letters_heard._known) <= 1024


@pytest.mark.parametrize("answers", [[], [[]], [[], []]])
def test_nothing_adds_up_to_nothing(answers):
    assert add_up(answers) == ()


def test_a_worker_that_names_no_bucket_still_has_its_share_to_give():
    assert add_up([[use(used=10)], [], []]) == (use(used=10, most=30),)
