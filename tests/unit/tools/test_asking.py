"""Questions of a running call: they pass every way out of a function, come back checked, and take none of its time."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from mcpward import Context, Elicit, Roots, Sample, Server, ToolError
from mcpward.core.client_channel import InputRequired, Question
from mcpward.core.clock import SystemClock
from mcpward.core.errors import Fault, Refusal
from mcpward.core.facts import Lacking
from mcpward.core.reasons import Reason
from mcpward.core.values import AcceptedCall, Call, Era, RawResult
from mcpward.tools import consent
from mcpward.tools.asking import Asking
from mcpward.tools.pool import Pool
from mcpward.tools.registry import Registry
from mcpward.tools.run import Runner
from support.back import Letterbox
from support.calls import call_of
from support.facts import facts_of

NAME = {"action": "accept", "content": {"name": "Ann"}}
SAID = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "hi"}}


class Name(BaseModel):
    name: str


class Slow(Letterbox):
    """A person who thinks for a while."""

    def __init__(self, seconds: float, **answers: Any) -> None:
        super().__init__(**answers)
        self.seconds = seconds

    async def ask(self, questions: Sequence[Question]) -> Mapping[str, Any]:
        await asyncio.sleep(self.seconds)
        return await super().ask(questions)


class Silent(Letterbox):
    """A client that never answers; says when it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.was_asked = asyncio.Event()
        self.ended = asyncio.Event()

    async def ask(self, questions: Sequence[Question]) -> Mapping[str, Any]:
        self.was_asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()
        return {}


class Unable(Letterbox):
    """A client that cannot be asked."""

    def __init__(self, reason: Reason) -> None:
        super().__init__()
        self.refusal = Refusal(reason, "not able", Lacking({"sampling": {}}))

    async def ask(self, questions: Sequence[Question]) -> Mapping[str, Any]:
        raise self.refusal


@pytest.fixture
async def runner():
    runner = Runner(1, SystemClock())
    yield runner
    await runner.close()


def accepted(function: Callable[..., Any], call: Call | None = None, **options: Any) -> AcceptedCall:
    server = Server("shop")
    server.tool(**{"deadline_s": 5, **options})(function)
    tool = Registry("orders", server).tools[0]
    return AcceptedCall(call=call or call_of(tool.name), tool=tool, arguments={})


async def run(runner: Runner, function: Callable[..., Any], channel: Any, **options: Any) -> RawResult:
    async with asyncio.timeout(5):  # in this very task, as a request's
        return await runner.run(accepted(function, **options), channel)


def text(result: RawResult) -> str:
    return result.content[0]["text"]


async def greets(context: Context) -> str:
    answer = await context.elicit("Who?", Name, key="who")
    return f"Hello, {answer.data.name if answer.data else answer.action}!"


def greets_in_a_thread(context: Context) -> str:
    answer = context.run(context.elicit("Who?", Name, key="who"))
    return f"Hello, {answer.data.name if answer.data else answer.action}!"


async def greets_in_a_group(context: Context) -> str:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(greets(context))
    return task.result()


async def greets_among_others(context: Context) -> str:
    return (await asyncio.gather(greets(context), asyncio.sleep(0)))[0]


async def greets_within_a_time(context: Context) -> str:
    return await asyncio.wait_for(greets(context), 5)


def greets_in_a_group_from_a_thread(context: Context) -> str:
    return context.run(greets_in_a_group(context))


WAYS = [
    greets,
    greets_in_a_thread,
    greets_in_a_group,
    greets_among_others,
    greets_within_a_time,
    greets_in_a_group_from_a_thread,
]


@pytest.mark.parametrize("function", WAYS)
async def test_a_question_without_its_answer_ends_the_call_and_is_no_failure(runner, function):
    with pytest.raises(InputRequired) as required:
        await run(runner, function, Letterbox())
    (question,) = required.value.questions
    assert (question.key, question.method) == ("who", "elicitation/create")
    assert question.params == {
        "message": "Who?",
        "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    }
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@pytest.mark.parametrize("function", WAYS)
async def test_the_answer_reaches_the_function_on_every_way(runner, function):
    assert text(await run(runner, function, Letterbox(who=NAME))) == "Hello, Ann!"
    assert text(await run(runner, function, Letterbox(who={"action": "decline"}))) == "Hello, decline!"


@pytest.mark.parametrize("function", WAYS)
@pytest.mark.parametrize("reason", [Reason.CAPABILITY_MISSING, Reason.CONSENT_MISSING])
async def test_a_client_that_cannot_be_asked_is_no_failure_of_the_tool(runner, function, reason):
    with pytest.raises(Refusal) as no:
        await run(runner, function, Unable(reason))
    assert no.value.reason is reason
    assert facts_of(no.value)["required_capabilities"] == {"sampling": {}}


async def test_questions_of_a_group_are_asked_together(runner):
    async def asks_twice(context: Context) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(context.elicit("A?", Name, key="a"))
            group.create_task(context.elicit("B?", Name, key="b"))

    with pytest.raises(InputRequired) as required:
        await run(runner, asks_twice, Letterbox())
    assert [question.key for question in required.value.questions] == ["a", "b"]


async def test_a_failure_beside_a_question_is_a_failure(runner):
    async def fails() -> None:
        raise ValueError("canary")

    async def asks_and_fails(context: Context) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(context.elicit("A?", Name, key="a"))
            group.create_task(fails())

    with pytest.raises(Refusal) as no:
        await run(runner, asks_and_fails, Letterbox())
    assert no.value.reason is Reason.TOOL_FAILED


async def test_several_things_are_asked_in_one_round(runner):
    async def asks(context: Context) -> str:
        answers = await context.ask(who=Elicit("Who?", Name), words=Sample("Hi", max_tokens=9), places=Roots())
        return f"{answers['who'].data.name} {answers['words'].text} {answers['places'][0].uri}"

    with pytest.raises(InputRequired) as required:
        await run(runner, asks, Letterbox(who=NAME))
    assert [question.key for question in required.value.questions] == ["words", "places"]
    channel = Letterbox(who=NAME, words=SAID, places={"roots": [{"uri": "file:///a"}]})
    assert text(await run(runner, asks, channel)) == "Ann hi file:///a"
    assert [question.capability for question in channel.asked] == [
        {"elicitation": {"form": {}}},
        {"sampling": {}},
        {"roots": {}},
    ]


async def test_keys_are_counted_where_none_is_given(runner):
    async def asks(context: Context) -> str:
        first = await context.sample("1", max_tokens=1)
        second = await context.roots()
        third = await context.elicit_url("Open", "https://example.com/")
        return f"{first.text} {second} {third.action}"

    channel = Letterbox(**{"input-1": SAID, "input-2": {"roots": []}, "input-3": {"action": "accept"}})
    assert text(await run(runner, asks, channel)) == "hi [] accept"


async def test_nothing_asked_is_nothing_answered(runner):
    async def asks(context: Context) -> str:
        return str(await context.ask())

    channel = Letterbox()
    assert text(await run(runner, asks, channel)) == "{}"
    assert channel.asked == []


@pytest.mark.parametrize("key", ["", "a b", "x" * 65, "a/b", "ä", "a\n"])
async def test_a_key_that_is_none_is_the_authors_error(runner, key):
    async def asks(context: Context) -> None:
        await context.roots(key=key)

    with pytest.raises(Refusal) as no:
        await run(runner, asks, Letterbox())
    assert no.value.reason is Reason.TOOL_FAILED
    assert "the key" in no.value.detail


@pytest.mark.parametrize(
    "sample", [Sample("\ud800", max_tokens=1), Sample("x", max_tokens=1, tools=[{"name": object()}])]
)
async def test_a_question_that_is_no_json_is_the_authors_error(runner, sample):
    async def asks(context: Context) -> None:
        await context.ask(a=sample)

    channel = Letterbox()
    with pytest.raises(Refusal) as no:
        await run(runner, asks, channel)
    assert no.value.reason is Reason.TOOL_FAILED
    assert channel.asked == []


async def test_one_answer_does_not_answer_two_questions(runner):
    async def asks(context: Context) -> None:
        await context.elicit("Delete the draft?", key="yes")
        await context.elicit("Delete everything?", key="yes")

    with pytest.raises(Refusal) as no:
        await run(runner, asks, Letterbox(yes={"action": "accept"}))
    assert "asked in this call already" in no.value.detail


async def test_a_yes_to_the_house_answers_no_authors_question(runner):
    """A person who agreed that the tool may run has not agreed to whatever it asks."""

    async def asks(context: Context) -> None:
        await context.elicit("Delete everything?", key=consent.KEY)

    channel = Letterbox(**{consent.KEY: {"action": "accept", "content": {}}})
    with pytest.raises(Refusal) as no:
        await run(runner, asks, channel)
    assert no.value.reason is Reason.TOOL_FAILED
    assert channel.asked == []


async def test_a_call_asks_a_bounded_number_of_questions(runner):
    async def asks_on(context: Context) -> None:
        while True:
            await context.roots()

    channel = Letterbox(**{f"input-{n}": {"roots": []} for n in range(1, 100)})
    with pytest.raises(Refusal) as no:
        await run(runner, asks_on, channel)
    assert no.value.reason is Reason.TOOL_FAILED
    assert len(channel.asked) == 64


@pytest.mark.parametrize("era,reason", [(Era.MODERN, Reason.PARAMS_INVALID), (Era.LEGACY, Reason.CONSENT_MISSING)])
@pytest.mark.parametrize("answer", [None, 12345, {"action": "accept", "content": {"name": "x", "canary": 1}}])
@pytest.mark.parametrize("function", [greets, greets_in_a_thread, greets_in_a_group])
async def test_an_answer_to_something_else_is_refused_before_the_author_sees_it(runner, era, reason, answer, function):
    call = call_of(function.__name__, era=era)
    with pytest.raises(Refusal) as no:
        await runner.run(accepted(function, call), Letterbox(who=answer))
    assert no.value.reason is reason
    assert "canary" not in no.value.detail + str(facts_of(no.value))
    assert "Traceback" not in no.value.detail


async def test_a_page_has_a_name_of_its_own_in_the_legacy_era_alone(runner):
    async def opens(context: Context) -> None:
        await context.elicit_url("Open", "https://example.com/", key="a")

    asked: dict[Era, Mapping[str, Any]] = {}
    for era in Era:
        channel = Letterbox(a={"action": "accept"})
        await runner.run(accepted(opens, call_of("opens", era=era)), channel)
        asked[era] = channel.asked[0].params
    assert "elicitationId" not in asked[Era.MODERN]
    assert len(asked[Era.LEGACY]["elicitationId"]) == 22


async def test_the_time_of_a_question_is_not_the_tools(runner):
    async def asks(context: Context) -> str:
        await asyncio.gather(context.roots(key="a"), context.roots(key="b"))
        await asyncio.sleep(0.01)
        return "in time"

    channel = Slow(0.3, a={"roots": []}, b={"roots": []})
    assert text(await run(runner, asks, channel, deadline_s=0.15)) == "in time"


async def test_after_a_question_the_clock_goes_on(runner):
    async def asks_and_hangs(context: Context) -> None:
        await context.roots(key="a")
        await asyncio.Event().wait()

    with pytest.raises(Refusal) as no:
        await run(runner, asks_and_hangs, Letterbox(a={"roots": []}), deadline_s=0.1)
    assert no.value.reason is Reason.TOOL_TIMEOUT


@pytest.mark.slow
async def test_a_question_after_the_deadline_stops_no_clock(runner):
    async def catches_and_asks(context: Context) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await context.roots(key="a")

    with pytest.raises(Refusal) as no:
        await run(runner, catches_and_asks, Silent(), deadline_s=0.05)
    assert no.value.reason is Reason.TOOL_TIMEOUT


async def test_a_thread_that_waits_is_let_go_with_its_call(runner):
    left = threading.Event()
    swallowed = []

    def asks(context: Context) -> None:
        try:
            context.run(context.roots(key="a"))
        except Exception as error:  # noqa: BLE001  what an author may write, and no cancellation
            swallowed.append(error)
        finally:
            left.set()

    channel = Silent()
    task = asyncio.create_task(runner.run(accepted(asks), channel))
    await asyncio.wait_for(channel.was_asked.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(channel.ended.wait(), 5)
    assert await asyncio.to_thread(left.wait, 5)
    assert swallowed == []


async def test_threads_that_wait_for_clients_keep_no_other_call_out(runner):
    """A pool of one: clients that do not answer must not stop the server's other functions."""
    channels = [Silent() for _ in range(2)]
    tasks = [asyncio.create_task(runner.run(accepted(greets_in_a_thread), channel)) for channel in channels]
    for channel in channels:
        await asyncio.wait_for(channel.was_asked.wait(), 5)
    assert text(await run(runner, is_here, Letterbox())) == "here"
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert text(await run(runner, is_here, Letterbox())) == "here"
    pool = runner._stage.pools.of("orders")
    async with asyncio.timeout(5):
        while pool._threads > 1:  # noqa: ASYNC110  # a thread ends without a notification
            await asyncio.sleep(0.005)


def is_here() -> str:
    return "here"


async def test_a_thread_may_wait_for_anything(runner):
    def waits(context: Context) -> str:
        context.run(context.info("x"))
        return context.run(asyncio.sleep(0, "slept"))

    assert text(await run(runner, waits, Letterbox())) == "slept"


@pytest.mark.filterwarnings("error")
async def test_the_loop_never_waits_for_itself(runner):
    async def waits_wrongly(context: Context) -> None:
        context.run(context.roots(key="a"))

    with pytest.raises(Refusal) as no:
        await run(runner, waits_wrongly, Letterbox())
    assert "await it instead" in no.value.detail


async def test_a_loop_of_its_own_asks_nobody(runner):
    def asks_elsewhere(context: Context) -> None:
        asyncio.run(context.roots(key="a"))

    with pytest.raises(Refusal) as no:
        await run(runner, asks_elsewhere, Letterbox(a={"roots": []}))
    assert "context.run" in no.value.detail


async def test_nothing_is_asked_after_the_call():
    channel = Letterbox(a={"roots": []})
    asking = Asking(call_of("t"), channel, Pool(1))
    asking.close()
    with pytest.raises(RuntimeError):
        await asking.ask({"a": Roots()})
    asking.release()
    assert (channel.asked, channel.released) == ([], 0)


async def test_a_tool_may_word_that_it_cannot_ask(runner):
    async def asks_if_it_can(context: Context) -> None:
        if "elicitation" not in context.client_capabilities:
            raise ToolError("this needs a client that can ask you")

    assert (await run(runner, asks_if_it_can, Letterbox())).is_error


@pytest.mark.parametrize("sync", [False, True])
async def test_the_stream_is_released_on_the_loop(runner, sync):
    threads = []

    class Box(Letterbox):
        def release(self) -> None:
            threads.append(threading.get_ident())

    async def lets_go(context: Context) -> None:
        context.release_stream()

    def lets_go_in_a_thread(context: Context) -> None:
        context.release_stream()

    await run(runner, lets_go_in_a_thread if sync else lets_go, Box())
    assert threads == [threading.get_ident()]


async def test_what_the_client_said_can_be_read_and_not_changed(runner):
    call = call_of("looks", meta={"a": 1}, trace={"traceparent": "00-1"}, capabilities={"roots": {}})

    async def looks(context: Context) -> str:
        for mapping in (context.meta, context.trace, context.client_capabilities):
            with pytest.raises(TypeError):
                mapping["x"] = 1  # type: ignore[index]  # it is frozen: that is what is tested
        return f"{dict(context.meta)} {dict(context.trace)} {dict(context.client_capabilities)}"

    result = await runner.run(accepted(looks, call), Letterbox())
    assert text(result) == "{'a': 1} {'traceparent': '00-1'} {'roots': {}}"


def offered(function: Callable[..., Any]) -> Registry:
    server = Server("shop")
    server.resource("shop://text")(function)
    server.prompt("review")(function)
    return Registry("orders", server)


@pytest.mark.parametrize("function", WAYS)
async def test_resources_and_prompts_ask_as_tools_do(runner, function):
    registry = offered(function)
    resource, prompt = registry.resources[0], registry.prompts[0]
    for channel in (Letterbox(), Unable(Reason.CAPABILITY_MISSING), Unable(Reason.CONSENT_MISSING)):
        for attempt in (
            runner.read(call_of(resource.uri), resource, channel),
            runner.render(call_of("review"), prompt, {}, channel),
        ):
            with pytest.raises((InputRequired, Refusal)) as ended:
                await attempt
            if isinstance(channel, Unable):
                assert isinstance(ended.value, Refusal)
                assert ended.value.reason is channel.refusal.reason
            else:
                assert isinstance(ended.value, InputRequired)
    read = await runner.read(call_of(resource.uri), resource, Letterbox(who=NAME))
    assert read["contents"][0]["text"] == "Hello, Ann!"
    with pytest.raises(Refusal) as no:
        await runner.read(call_of(resource.uri), resource, Letterbox(who=5))
    assert no.value.reason is Reason.PARAMS_INVALID


def completing(function: Callable[..., Any]) -> tuple[Call, Any]:
    server = Server("shop")

    @server.prompt
    def greet(name: str) -> str:
        """Greet."""
        return name

    server.completion(prompt="greet", argument="name")(function)
    call = call_of(
        "greet",
        method="completion/complete",
        params={"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "name", "value": "A"}},
    )
    return call, Registry("orders", server).complete(call)


async def test_an_argument_is_completed(runner):
    async def names(value: str) -> list[str]:
        return [value + "nn"]

    call, completion = completing(names)
    assert (await runner.complete(call, completion, Letterbox()))["completion"]["values"] == ["Ann"]


async def test_a_completion_asks_nobody_and_its_failure_is_a_fault(runner):
    """The specification gives questions no place in completion/complete."""

    async def asks(value: str, context_: Context) -> list[str]:
        await context_.roots(key="a")
        return []

    async def fails(value: str) -> list[str]:
        raise ValueError("canary")

    for function in (asks, fails):
        call, completion = completing(function)
        channel = Letterbox(a={"roots": []})
        with pytest.raises(Fault):
            await runner.complete(call, completion, channel)
        assert channel.asked == []
