"""Questions to legacy clients: answered only by the client that was asked, once, in time (attack 60)."""

import asyncio
from typing import Any

import pytest
from msgspec import json
from msgspec.structs import replace

from mcpward.core.client_channel import Question
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Call, Era, Kind
from mcpward.messaging.bus.worker_bus import LONGEST
from mcpward.messaging.client_requests import ClientRequests
from support.clock import ManualClock
from support.facts import facts_of
from support.mail import Workers
from support.values import a_call, a_principal

ACCEPTED = {"action": "accept", "content": {"name": "Ann"}}


def question(key: str = "user_name") -> Question:
    return Question(key=key, method="elicitation/create", params={"message": "who?"}, capability={"elicitation": {}})


def encode(question: Question, rpc_id: str) -> bytes:
    return json.encode({"jsonrpc": "2.0", "id": rpc_id, "method": question.method, "params": question.params})


def asking(key: str = "api-key:abc", session: str | None = "s1") -> Call:
    return replace(a_call(a_principal(key)), era=Era.LEGACY, version="2025-11-25", session=session)


def answering(rpc_id: Any, key: str = "api-key:abc", session: str | None = "s1", server: str = "orders", **says: Any):
    return Call(
        arrival=asking().arrival,
        principal=a_principal(key, server=server),
        era=Era.LEGACY,
        version="2025-11-25",
        kind=Kind.ANSWER,
        method="",
        id=rpc_id,
        params=says or {"result": ACCEPTED},
        session=session,
    )


class Client:
    """The messages that one call's client has been sent."""

    def __init__(self, call: Call | None = None) -> None:
        self.call = call or asking()
        self.sent: list[dict[str, Any]] = []

    def send(self, message: bytes) -> None:
        self.sent.append(json.decode(message))

    @property
    def ids(self) -> list[str]:
        return [message["id"] for message in self.sent if "id" in message]

    @property
    def taken_back(self) -> list[str]:
        return [each["params"]["requestId"] for each in self.sent if each["method"] == "notifications/cancelled"]

    def ask(self, questions: ClientRequests, *keys: str) -> "asyncio.Task[dict]":
        asked = [question(key) for key in keys or ("user_name",)]
        return asyncio.create_task(questions.ask(self.call, self.send, encode, asked))


async def turns(n: int = 5) -> None:
    for _ in range(n):
        await asyncio.sleep(0)


@pytest.fixture
def questions(clock: ManualClock) -> ClientRequests:
    return ClientRequests(Workers(clock, "a")["a"], clock)


@pytest.fixture
def client() -> Client:
    return Client()


async def refused(asking: "asyncio.Task[dict]") -> Refusal:
    with pytest.raises(Refusal) as no:
        await asyncio.wait_for(asking, 5)
    return no.value


async def test_a_call_goes_on_with_the_results_of_all_its_questions(questions: ClientRequests, client: Client):
    task = client.ask(questions, "one", "two", "three")
    await turns()
    assert [message["method"] for message in client.sent] == ["elicitation/create"] * 3
    for at in (2, 0):
        questions.answer(answering(client.ids[at], result={"n": at}))
        await turns()
        assert not task.done()
    questions.answer(answering(client.ids[1], result={"n": 1}))
    assert list((await task).items()) == [("one", {"n": 0}), ("two", {"n": 1}), ("three", {"n": 2})]
    assert len(client.sent) == 3
    assert len(questions) == 0


async def test_no_question_is_answered_at_once(questions: ClientRequests, client: Client):
    assert await questions.ask(client.call, client.send, encode, []) == {}


async def test_ids_are_never_the_same_nor_tell_anything(questions: ClientRequests, client: Client):
    task = client.ask(questions, *(f"k{n}" for n in range(32)))
    await turns()
    assert len(set(client.ids)) == 32
    assert all(len(each) <= 256 and '"a"' not in each and "abc" not in each for each in client.ids)
    task.cancel()


@pytest.mark.parametrize(
    "stranger", [{"key": "api-key:other"}, {"session": "s2"}, {"session": None}, {"server": "another"}]
)
async def test_attack_60_only_the_caller_and_the_session_that_were_asked_can_answer(
    questions: ClientRequests, client: Client, stranger: dict[str, Any]
):
    task = client.ask(questions)
    await turns()
    questions.answer(answering(client.ids[0], **stranger))
    await turns()
    assert not task.done()
    questions.answer(answering(client.ids[0]))
    assert await task == {"user_name": ACCEPTED}


@pytest.mark.parametrize("made_up", [1, 0, None, "", "x", "a.1", "\u00e9", "\ud800", "A" * 100, "A" * 1_000_000])
async def test_an_unknown_id_is_ignored(questions: ClientRequests, client: Client, made_up: Any):
    task = client.ask(questions)
    await turns()
    questions.answer(answering(made_up))
    await turns()
    assert not task.done()
    task.cancel()


async def test_an_id_that_is_too_long_is_not_even_opened(clock: ManualClock):
    room = Workers(clock, "a")["a"]
    looked_at: list[str] = []
    room.open = lambda text, _: looked_at.append(text)
    questions = ClientRequests(room, clock)
    questions.answer(answering("A" * 257))
    assert looked_at == []
    questions.answer(answering("A" * 256))
    assert len(looked_at) == 1


async def test_two_errors_at_once_end_the_call_as_one_does(questions: ClientRequests, client: Client):
    task = client.ask(questions, "one", "two")
    await turns()
    for rpc_id in client.ids:
        questions.answer(answering(rpc_id, error={"code": -1, "message": "no"}))
    assert (await refused(task)).reason is Reason.CONSENT_MISSING


async def test_a_second_and_a_late_answer_are_ignored(questions: ClientRequests, client: Client):
    task = client.ask(questions, "one", "two")
    await turns()
    one, two = client.ids
    questions.answer(answering(one, result={"n": 1}))
    questions.answer(answering(one, result={"n": 2}))
    questions.answer(answering(one, error={"code": -1, "message": "no"}))
    questions.answer(answering(two, result={}))
    questions.answer(answering(two, error={"code": -1, "message": "no"}))
    assert await task == {"one": {"n": 1}, "two": {}}
    questions.answer(answering(two))


@pytest.mark.parametrize(
    "says",
    [{"error": {"code": -1, "message": "canary"}}, {"result": None}, {"result": []}, {"result": "accept"}, {"x": 1}],
)
async def test_an_error_or_a_result_that_is_no_object_ends_the_call(
    questions: ClientRequests, client: Client, says: dict[str, Any]
):
    task = client.ask(questions, "one", "two")
    await turns()
    one, two = client.ids
    questions.answer(answering(one, **says))
    no = await refused(task)
    assert no.reason is Reason.CONSENT_MISSING
    assert "canary" not in str(no)
    assert client.taken_back == [two]
    assert len(questions) == 0


async def test_what_is_not_answered_in_time_is_taken_back(clock: ManualClock, client: Client):
    questions = ClientRequests(Workers(clock, "a")["a"], clock, timeout_s=0.01)
    task = client.ask(questions, "one", "two")
    await turns()
    questions.answer(answering(client.ids[0]))
    assert (await refused(task)).reason is Reason.CONSENT_MISSING
    assert client.taken_back == [client.ids[1]]
    questions.answer(answering(client.ids[1]))
    assert len(questions) == 0


async def test_a_cancelled_call_takes_its_questions_back(questions: ClientRequests, client: Client):
    task = client.ask(questions, "one", "two")
    await turns()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert client.taken_back == client.ids
    assert len(questions) == 0


async def test_a_question_that_cannot_leave_ends_the_call_and_takes_the_others_back(questions: ClientRequests):
    client = Client()

    def send(message: bytes) -> None:
        if b"cancelled" not in message and client.sent:
            raise Refusal(Reason.OUTPUT_REFUSED)
        client.send(message)

    with pytest.raises(Refusal) as no:
        await questions.ask(client.call, send, encode, [question("one"), question("two")])
    assert no.value.reason is Reason.OUTPUT_REFUSED
    assert client.taken_back == client.ids
    assert len(questions) == 0


async def test_a_client_that_cannot_be_told_changes_nothing(questions: ClientRequests, client: Client):
    def send(message: bytes) -> None:
        if b"cancelled" in message:
            raise Refusal(Reason.OUTPUT_REFUSED)
        client.send(message)

    task = asyncio.create_task(questions.ask(client.call, send, encode, [question("one"), question("two")]))
    await turns()
    questions.answer(answering(client.ids[0], error={}))
    assert (await refused(task)).reason is Reason.CONSENT_MISSING
    assert len(questions) == 0


async def test_a_caller_has_so_many_open_questions_and_takes_none_from_others(clock: ManualClock):
    questions = ClientRequests(Workers(clock, "a")["a"], clock, per_caller=3)
    tasks = [Client().ask(questions, "one"), Client(asking(session="s2")).ask(questions, "one", "two")]
    await turns()
    client = Client()
    no = await refused(client.ask(questions))
    assert (no.reason, client.sent) == (Reason.BUSY, [])
    assert facts_of(no)["retry_after_s"] >= 1
    tasks.append(Client(asking("api-key:other")).ask(questions, "one", "two", "three"))
    await turns()
    assert len(questions) == 6
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    again = client.ask(questions, "one", "two", "three")
    await turns()
    assert len(questions) == 3
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)
    assert (len(questions), questions._of_caller, questions._reserved) == (0, {}, 0)


async def test_a_worker_has_so_many_open_questions_in_all(clock: ManualClock, monkeypatch):
    monkeypatch.setattr("mcpward.messaging.client_requests._IN_ALL", 4)
    questions = ClientRequests(Workers(clock, "a")["a"], clock)
    tasks = [Client(asking(f"api-key:{n}")).ask(questions, "one", "two") for n in range(2)]
    await turns()
    assert (await refused(Client(asking("api-key:9")).ask(questions))).reason is Reason.BUSY
    for task in tasks:
        task.cancel()


# ---- across workers -------------------------------------------------------------------------------------------------


async def two(workers: Workers, clock: ManualClock) -> tuple[ClientRequests, ClientRequests]:
    return ClientRequests(workers["a"], clock), ClientRequests(workers["b"], clock)


async def test_an_answer_that_comes_to_another_worker_is_carried_to_the_one_that_asked(
    clock: ManualClock, client: Client
):
    async with Workers(clock, "a", "b", "c") as workers:
        here, there = await two(workers, clock)
        task = client.ask(here)
        await turns()
        there.answer(answering(client.ids[0]))
        await workers.deliver()
        assert await task == {"user_name": ACCEPTED}
        assert [letter.addressee for letter in workers.post.letters.values()] == ["a"]
        assert "Ann" not in str(workers.post.letters)


async def test_attack_62_one_answer_to_a_question_is_carried_and_no_other(clock: ManualClock, client: Client):
    """Answers may be long, and are kept for a minute: a hundred of one caller would displace those of all others."""
    async with Workers(clock, "a", "b") as workers:
        here, there = await two(workers, clock)
        task = client.ask(here, "one", "two")
        await turns()
        for _ in range(100):
            there.answer(answering(client.ids[0], result={"said": "x" * 100_000}))
        there.answer(answering(client.ids[1]))
        await workers.deliver()
        assert workers.post.seq == 2
        assert (await task)["two"] == ACCEPTED


async def test_an_answer_for_which_there_was_no_room_may_come_again(clock: ManualClock, client: Client):
    async with Workers(clock, "a", "b") as workers:
        here, there = await two(workers, clock)
        task = client.ask(here)
        await turns()
        workers.post.is_out = True
        while workers["b"].send("other", {"said": "x" * 100}):
            pass
        there.answer(answering(client.ids[0]))
        workers.post.is_out = False
        await workers.deliver()
        assert not task.done()
        there.answer(answering(client.ids[0]))
        await workers.deliver()
        assert await task == {"user_name": ACCEPTED}


async def test_an_error_that_comes_to_another_worker_ends_the_call(clock: ManualClock, client: Client):
    async with Workers(clock, "a", "b") as workers:
        here, there = await two(workers, clock)
        task = client.ask(here)
        await turns()
        there.answer(answering(client.ids[0], error={"code": -1, "message": "no"}))
        await workers.deliver()
        assert (await refused(task)).reason is Reason.CONSENT_MISSING


async def test_an_answer_too_long_to_carry_ends_the_call_at_once(clock: ManualClock, client: Client):
    async with Workers(clock, "a", "b") as workers:
        here, there = await two(workers, clock)
        task = client.ask(here)
        await turns()
        there.answer(answering(client.ids[0], result={"said": "x" * LONGEST}))
        await workers.deliver()
        assert (await refused(task)).reason is Reason.CONSENT_MISSING


@pytest.mark.parametrize("stranger", [{"key": "api-key:other"}, {"session": "s2"}, {"server": "another"}])
async def test_attack_60_what_a_stranger_answers_is_carried_nowhere(
    clock: ManualClock, client: Client, stranger: dict[str, Any]
):
    async with Workers(clock, "a", "b") as workers:
        here, there = await two(workers, clock)
        task = client.ask(here)
        await turns()
        there.answer(answering(client.ids[0], **stranger))
        there.answer(answering("a.made-up"))
        await workers.deliver()
        assert workers.post.seq == 0
        assert not task.done()
        task.cancel()


async def test_an_answer_that_is_late_everywhere_is_carried_nowhere(clock: ManualClock, client: Client):
    async with Workers(clock, "a", "b") as workers:
        here, there = await two(workers, clock)
        task = client.ask(here)
        await turns()
        clock.advance(301)
        there.answer(answering(client.ids[0]))
        await workers.deliver()
        assert workers.post.seq == 0
        task.cancel()


async def test_whoever_waits_for_an_answer_is_in_a_hurry(clock: ManualClock, client: Client):
    workers = Workers(clock, "a", poll_s=0.25, hurry_s=0.03)
    questions = ClientRequests(workers["a"], clock)
    task = client.ask(questions)
    await turns()
    assert workers["a"]._pause_s() == 0.03
    questions.answer(answering(client.ids[0]))
    await task
    assert workers["a"]._pause_s() == 0.25


async def test_a_stop_ends_the_calls_that_wait_and_takes_their_questions_back(
    questions: ClientRequests, client: Client
):
    asking = asyncio.ensure_future(questions.ask(client.call, client.send, encode, [question()]))
    await turns()
    questions.close()
    assert (await refused(asking)).reason is Reason.CONSENT_MISSING
    assert client.sent[-1]["method"] == "notifications/cancelled"
    assert len(questions) == 0
