"""A task asks its caller: what is open is shown, what is answered counts once, and nothing foreign is taken."""

import asyncio
from typing import Any

import pytest

from mcpward.core.client_channel import Question
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Outcome

YES = {"action": "accept", "content": {"confirm": True}}
NO = {"action": "decline"}


def question(key="sure", message="Sure?", *, capability=None, method="elicitation/create"):
    params = {"mode": "form", "message": message, "requestedSchema": {"type": "object", "properties": {}}}
    return Question(key=key, method=method, params=params, capability=capability or {"elicitation": {"form": {}}})


def asking(*questions, got=None):
    async def work(channel) -> Outcome:
        answers = await channel.ask(questions)
        if got is not None:
            got.append(answers)
        return Outcome(body=b'{"content":[],"isError":false}')

    return work


async def test_an_open_question_is_shown_until_it_is_answered(house) -> None:
    got: list[Any] = []
    task_id = (await house.start(asking(question(), got=got)))["taskId"]
    task = await house.until(task_id, "input_required")
    assert task["inputRequests"] == {
        "sure": {
            "method": "elicitation/create",
            "params": {
                "mode": "form",
                "message": "Sure?",
                "requestedSchema": {"type": "object", "properties": {}},
            },
        }
    }
    assert await house.update(task_id, {"sure": YES}) == b"{}"
    task = await house.end(task_id)
    assert task["status"] == "completed"
    assert "inputRequests" not in task
    assert got == [{"sure": YES}]


async def test_answers_may_come_one_by_one(house) -> None:
    got: list[Any] = []
    task_id = (await house.start(asking(question("a"), question("b"), got=got)))["taskId"]
    await house.until(task_id, "input_required")
    await house.update(task_id, {"a": YES})
    task = await house.get(task_id)
    assert task["status"] == "input_required"
    assert task["inputRequests"].keys() == {"b"}
    await house.update(task_id, {"b": NO})
    await house.end(task_id)
    assert got == [{"a": YES, "b": NO}]


async def test_two_questions_may_be_open_side_by_side(house) -> None:
    async def work(channel) -> Outcome:
        await asyncio.gather(channel.ask([question("a")]), channel.ask([question("b")]))
        return Outcome(body=b'{"content":[],"isError":false}')

    task_id = (await house.start(work))["taskId"]
    task = await house.until(task_id, "input_required")
    while len(task["inputRequests"]) < 2:
        task = await house.get(task_id)
    await house.update(task_id, {"b": YES})
    assert (await house.get(task_id))["inputRequests"].keys() == {"a"}
    await house.update(task_id, {"a": YES})
    assert (await house.end(task_id))["status"] == "completed"


async def test_a_task_that_is_fully_answered_is_not_shown_without_questions(opened, post) -> None:
    one, two = await opened("one", poll_s=60.0), await opened("two")
    post.is_lost = True
    task_id = (await one.start(asking(question())))["taskId"]
    await one.until(task_id, "input_required")
    await two.update(task_id, {"sure": YES})
    task = await two.get(task_id)
    assert task["status"] == "working"
    assert "inputRequests" not in task


async def test_the_first_answer_counts(house) -> None:
    got: list[Any] = []
    task_id = (await house.start(asking(question("a"), question("b"), got=got)))["taskId"]
    await house.until(task_id, "input_required")
    await house.update(task_id, {"a": YES})
    await house.update(task_id, {"a": NO})
    await house.update(task_id, {"b": YES, "a": NO})
    await house.end(task_id)
    assert got == [{"a": YES, "b": YES}]


async def test_answers_to_what_was_not_asked_are_ignored(house) -> None:
    task_id = (await house.start(asking(question())))["taskId"]
    await house.until(task_id, "input_required")
    assert await house.update(task_id, {"unknown-key": {"ignored": True}, "other": 3}) == b"{}"
    assert (await house.get(task_id))["inputRequests"].keys() == {"sure"}
    await house.update(task_id, {"sure": YES})
    await house.end(task_id)
    assert await house.update(task_id, {"sure": YES}) == b"{}"


@pytest.mark.parametrize("answers", [None, [], "x", {"sure": "yes"}, {"sure": None}, {"sure": {"x": "y" * 200_000}}])
async def test_what_is_no_answer_is_refused(house, answers) -> None:
    task_id = (await house.start(asking(question())))["taskId"]
    await house.until(task_id, "input_required")
    with pytest.raises(Refusal) as no:
        await house.update(task_id, answers)
    assert no.value.reason is Reason.PARAMS_INVALID
    assert (await house.get(task_id))["status"] == "input_required"


async def test_an_answer_that_came_at_another_worker_arrives(opened) -> None:
    got: list[Any] = []
    one, two = await opened("one", poll_s=60.0), await opened("two")
    task_id = (await one.start(asking(question(), got=got)))["taskId"]
    await two.until(task_id, "input_required")
    await two.update(task_id, {"sure": YES})
    await two.end(task_id)
    assert got == [{"sure": YES}]


async def test_an_answer_arrives_without_the_mail_too(opened, post) -> None:
    got: list[Any] = []
    one, two = await opened("one"), await opened("two")
    post.is_lost = True
    task_id = (await one.start(asking(question(), got=got)))["taskId"]
    await two.until(task_id, "input_required")
    await two.update(task_id, {"sure": YES})
    await two.end(task_id)
    assert got == [{"sure": YES}]


@pytest.mark.parametrize(
    "needed, missing",
    [
        ({"roots": {}}, {"roots": {}}),
        ({"elicitation": {"form": {}, "url": {}}}, {"elicitation": {"url": {}}}),
    ],
)
async def test_a_client_is_asked_for_nothing_that_it_did_not_declare(house, needed, missing) -> None:
    task = await house.end((await house.start(asking(question(capability=needed))))["taskId"])
    assert task["status"] == "failed"
    assert task["error"]["code"] == -32021
    assert task["error"]["data"]["requiredCapabilities"] == missing


async def test_a_question_is_redacted_before_it_is_kept(house) -> None:
    task_id = (await house.start(asking(question(message="is it hunter2-hunter2?"))))["taskId"]
    task = await house.until(task_id, "input_required")
    assert task["inputRequests"]["sure"]["params"]["message"] == "is it [redacted]?"


@pytest.mark.parametrize(
    "bad",
    [question("hunter2-hunter2"), question("k" * 257), question(message="x" * 70_000)],
    ids=["secret key", "long key", "long"],
)
async def test_a_question_that_may_not_leave_is_not_asked(house, bad) -> None:
    task = await house.end((await house.start(asking(bad)))["taskId"])
    assert task["status"] == "failed"
    assert task["error"]["data"]["reason"] == "output-refused"


async def test_the_same_question_asked_again_has_the_same_answer(house) -> None:
    got = []

    async def work(channel) -> Outcome:
        got.append(await channel.ask([question()]))
        got.append(await channel.ask([question()]))
        return Outcome(body=b'{"content":[],"isError":false}')

    task_id = (await house.start(work))["taskId"]
    await house.until(task_id, "input_required")
    await house.update(task_id, {"sure": YES})
    await house.end(task_id)
    assert got == [{"sure": YES}] * 2


async def test_a_key_is_never_used_for_two_questions(house) -> None:
    async def work(channel) -> Outcome:
        await channel.ask([question()])
        with pytest.raises(ValueError, match="two questions"):
            await channel.ask([question(message="Really?")])
        return Outcome(body=b'{"content":[],"isError":false}')

    task_id = (await house.start(work))["taskId"]
    await house.until(task_id, "input_required")
    await house.update(task_id, {"sure": YES})
    assert (await house.end(task_id))["status"] == "completed"


async def test_a_question_is_not_open_twice(house) -> None:
    async def work(channel) -> Outcome:
        first = asyncio.ensure_future(channel.ask([question()]))
        await asyncio.sleep(0)
        with pytest.raises(ValueError, match="two questions"):
            await channel.ask([question()])
        await first
        return Outcome(body=b'{"content":[],"isError":false}')

    task_id = (await house.start(work))["taskId"]
    await house.until(task_id, "input_required")
    await house.update(task_id, {"sure": YES})
    assert (await house.end(task_id))["status"] == "completed"


async def test_answers_from_before_the_task_are_known_to_it(house) -> None:
    got: list[Any] = []
    work = asking(question("user_name"), got=got)
    task_id = (await house.start(work, answers={"user_name": YES}))["taskId"]
    assert (await house.end(task_id))["status"] == "completed"
    assert got == [{"user_name": YES}]


async def test_a_task_that_asks_without_end_ends(house) -> None:
    asked = []

    async def curious(channel) -> Outcome:
        for n in range(1000):
            asked.append(n)
            await channel.ask([question(f"q{n}")])
        raise AssertionError

    answers = {f"q{n}": YES for n in range(1000)}
    task_id = (await house.start(curious, answers=answers))["taskId"]
    assert (await house.end(task_id))["status"] == "failed"
    assert len(asked) == 33


async def test_nobody_is_waited_for_longer_than_the_task_lives(house, clock) -> None:
    told = []

    async def work(channel) -> Outcome:
        try:
            await channel.ask([question()])
        except Refusal as no:
            told.append(no.reason)
            raise
        raise AssertionError

    task_id = (await house.start(work))["taskId"]
    await house.until(task_id, "input_required")
    clock.advance(3600.0)
    await house.settle()
    assert told == [Reason.CONSENT_MISSING]


async def test_a_waiting_task_can_be_cancelled(house) -> None:
    task_id = (await house.start(asking(question())))["taskId"]
    await house.until(task_id, "input_required")
    await house.cancel(task_id)
    task = await house.end(task_id)
    assert task["status"] == "cancelled"
    assert "inputRequests" not in task


async def test_an_answer_that_was_changed_in_the_store_ends_the_task(house) -> None:
    task_id = (await house.start(asking(question("a"), question("b"))))["taskId"]
    await house.until(task_id, "input_required")
    await house.tasks._store.answer(task_id, {"a": "00" * 64}, 1.0)
    task = await house.end(task_id)
    assert task["status"] == "failed"
    assert task["error"]["code"] == -32603


async def test_an_answer_is_sealed_to_its_question(house) -> None:
    """An attacker who can write the store cannot turn consent to one question into consent to another (attack 87)."""
    task_id = (await house.start(asking(question("a"), question("b"), question("c"))))["taskId"]
    await house.until(task_id, "input_required")
    store, board = house.tasks._store, house.tasks._board
    record = await store.find(task_id, "api-key:abc", "orders")
    await store.answer(task_id, {"b": board._sealed(record, "answer:a", b'{"action":"accept"}')}, 1.0)
    assert (await house.end(task_id))["status"] == "failed"
