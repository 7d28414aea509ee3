"""One call: in its time, with nothing of an exception going out."""

import asyncio
import sys
import threading

import pytest

from mcpward import Caller, Context, Server, ToolError
from mcpward.core.clock import SystemClock
from mcpward.core.errors import Fault, Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import AcceptedCall, RawResult
from mcpward.tools.registry import Defaults, Registry
from mcpward.tools.run import Runner
from support.back import Letterbox
from support.calls import arrival_of, call_of
from support.clock import ManualClock
from support.facts import facts_of


@pytest.fixture
async def runner():
    runner = Runner(2, SystemClock())
    yield runner
    await runner.close()


def registry_of(*functions, deadline_s: float = 5, **options) -> Registry:
    server = Server("shop")
    for function in functions:
        server.tool(**options)(function)
    return Registry("orders", server, Defaults(deadline_s=deadline_s))


async def run(runner: Runner, function, arguments: dict | None = None, channel=None, **options) -> RawResult:
    tool = registry_of(function, **options).tools[0]
    call = call_of(tool.name, progress_token="p")
    return await runner.run(AcceptedCall(call=call, tool=tool, arguments=arguments or {}), channel or Letterbox())


async def refused(runner, function, **options) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        await asyncio.wait_for(run(runner, function, **options), 5)
    return refusal.value


async def test_async_and_sync_functions_give_their_results(runner):
    async def on_the_loop(n: int) -> str:
        return f"{n} {threading.current_thread() is threading.main_thread()}"

    def in_a_thread(n: int) -> str:
        return f"{n} {threading.current_thread() is threading.main_thread()}"

    assert (await run(runner, on_the_loop, {"n": 1})).content == [{"type": "text", "text": "1 True"}]
    assert (await run(runner, in_a_thread, {"n": 2})).content == [{"type": "text", "text": "2 False"}]


async def test_the_caller_is_injected_and_holds_no_credential(runner):
    async def who(caller: Caller, context: Context) -> str:
        assert context.caller == caller
        assert context.request_id == "req-1"
        return (
            f"{caller.subject} {caller.name} {caller.server} {caller.way.value} {sorted(caller.scopes)} {caller.key_id}"
        )

    result = await run(runner, who)
    assert result.content[0]["text"] == "k1 laptop orders api-key ['orders:read'] k1"


async def test_a_tool_error_is_told_and_nothing_else(runner):
    async def told() -> None:
        raise ToolError("no such order") from ValueError("canary")

    result = await run(runner, told)
    assert result.is_error
    assert result.content == [{"type": "text", "text": "no such order"}]


@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize(
    "raised",
    [
        ValueError("canary"),
        SystemExit(3),
        StopIteration(),
        BaseExceptionGroup("g", [SystemExit()]),
        GeneratorExit(),
        KeyboardInterrupt(),
        type("Own", (BaseException,), {})(),
    ],
)
async def test_any_other_exception_is_an_error_id(runner, raised, sync):
    async def fails() -> None:
        raise raised

    def fails_in_thread() -> None:
        raise raised

    refusal = await refused(runner, fails_in_thread if sync else fails)
    assert refusal.reason is Reason.TOOL_FAILED
    assert set(facts_of(refusal)) == {"error_id"}
    assert len(facts_of(refusal)["error_id"]) == 12
    assert "Traceback" in refusal.detail
    assert refusal.__cause__ is None


async def test_a_deadline_ends_an_async_tool(runner):
    ended = []

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    refusal = await refused(runner, waits, deadline_s=0.02)
    assert refusal.reason is Reason.TOOL_TIMEOUT
    assert ended == [True]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_tool_that_catches_its_cancellation_is_too_late_all_the_same(runner):
    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "after all"
        return "never"

    assert (await refused(runner, stubborn, deadline_s=0.02)).reason is Reason.TOOL_TIMEOUT


async def test_a_tool_that_turns_its_cancellation_into_an_error_is_too_late(runner):
    async def turns() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ToolError("canary") from None
        return "never"

    assert (await refused(runner, turns, deadline_s=0.02)).reason is Reason.TOOL_TIMEOUT


async def test_a_deadline_answers_for_a_sync_tool_while_its_thread_goes_on(runner):
    gate = threading.Event()
    done = threading.Event()

    def waits() -> None:
        gate.wait(5)
        done.set()

    assert (await refused(runner, waits, deadline_s=0.05)).reason is Reason.TOOL_TIMEOUT
    assert runner._stage.pools.of("orders").busy == 1
    gate.set()
    assert done.wait(5)


async def test_a_tools_own_timeout_inside_is_its_own(runner):
    async def inner() -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            return "inner"
        return "never"

    assert (await run(runner, inner)).content[0]["text"] == "inner"


async def test_a_cancellation_from_outside_passes_through(runner):
    started = asyncio.Event()

    async def waits() -> None:
        started.set()
        await asyncio.Event().wait()

    async def call() -> int:
        with pytest.raises(asyncio.CancelledError):
            await run(runner, waits)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    task = asyncio.create_task(call())
    await started.wait()
    task.cancel()
    assert await task == 1  # and who waits further out sees whose it is


async def test_a_cancelled_task_inside_the_tool_is_a_failure_and_no_cancellation(runner):
    async def waits_for_a_cancelled_task() -> None:
        inner = asyncio.create_task(asyncio.Event().wait())
        inner.cancel()
        await inner

    assert (await refused(runner, waits_for_a_cancelled_task)).reason is Reason.TOOL_FAILED


async def test_a_result_that_is_not_what_was_declared_is_withheld(runner):
    async def lies() -> int:
        return "canary"  # type: ignore[return-value]  # that is the mistake

    refusal = await refused(runner, lies)
    assert refusal.reason is Reason.OUTPUT_REFUSED
    assert "canary" not in refusal.detail


async def test_nothing_is_reported_after_the_deadline(runner):
    gate, done, channel = threading.Event(), threading.Event(), Letterbox()

    def reports(context: Context) -> None:
        gate.wait(5)
        context.report_progress(1)
        done.set()

    tool = registry_of(reports, deadline_s=0.02).tools[0]
    with pytest.raises(Refusal):
        await runner.run(AcceptedCall(call=call_of("reports", progress_token=1), tool=tool, arguments={}), channel)
    gate.set()
    assert done.wait(5)
    await asyncio.sleep(0)
    assert channel.sent == []


async def test_values_of_format_strings_and_templates_stay_literal(runner):
    """Attack 82."""

    async def echo(text: str) -> str:
        return text

    for text in ("{self.__class__}", "{{7*7}}", "%s%n", "${jndi:ldap://x}"):
        assert (await run(runner, echo, {"text": text})).content[0]["text"] == text


async def test_resources_and_prompts_are_read_and_made(runner):
    server = Server("shop")
    server.resource("shop://text")(lambda: "hello")
    server.resource("shop://bytes", mime_type="image/png")(lambda: b"\x00")
    server.resource("shop://data")(lambda: {"a": 1})

    @server.prompt
    async def review(week: int, caller: Caller) -> list[str]:
        """Review a week."""
        return [f"week {week}", caller.subject]

    registry = Registry("orders", server)
    contents = [(await runner.read(call_of(r.uri), r, Letterbox()))["contents"][0] for r in registry.resources]
    assert contents == [
        {"uri": "shop://text", "mimeType": "text/plain", "text": "hello"},
        {"uri": "shop://bytes", "mimeType": "image/png", "blob": "AA=="},
        {"uri": "shop://data", "mimeType": "application/json", "text": '{"a":1}'},
    ]
    prompt = registry.find_prompt("review")
    assert prompt is not None
    assert prompt.listing["arguments"] == [{"name": "week", "required": True}]
    made = await runner.render(call_of("review"), prompt, prompt.bind(b'{"week": "7"}'), Letterbox())
    assert made["messages"][0] == {"role": "user", "content": {"type": "text", "text": "week 7"}}


async def test_a_resource_that_fails_is_a_fault_with_an_id(runner):
    server = Server("shop")

    @server.resource("shop://text")
    def fails() -> str:
        raise ValueError("canary")

    resource = Registry("orders", server).resources[0]
    with pytest.raises(Fault) as fault:
        await runner.read(call_of(resource.uri), resource, Letterbox())
    assert "canary" in fault.value.detail
    assert fault.value.error_id != ""


async def test_close_closes_the_authors_databases(tmp_path):
    import sqlite3

    from mcpward import Database

    sqlite3.connect(tmp_path / "a.db").close()
    db = Database(f"sqlite:///{tmp_path}/a.db")
    await db.query("SELECT 1")
    await Runner(1, ManualClock()).close()
    assert db._engine is None
    assert "mcpward.sdk.database.database" in sys.modules


@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize("raised", [SystemExit(3), GeneratorExit(), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_a_resource_or_prompt_that_exits_is_a_fault_and_ends_nothing(runner, raised, sync):
    server = Server("shop")

    async def fails() -> str:
        raise raised

    def fails_in_thread() -> str:
        raise raised

    server.resource("shop://text")(fails_in_thread if sync else fails)
    server.prompt("review")(fails_in_thread if sync else fails)
    registry = Registry("orders", server)
    with pytest.raises(Fault):
        await asyncio.wait_for(runner.read(call_of("shop://text"), registry.resources[0], Letterbox()), 5)
    with pytest.raises(Fault):
        await asyncio.wait_for(runner.render(call_of("review"), registry.prompts[0], {}, Letterbox()), 5)


async def test_abandoned_threads_of_one_server_delay_no_other():
    runner, gate = Runner(1, SystemClock()), threading.Event()
    slow, quick = Server("slow"), Server("quick")
    slow.tool(deadline_s=0.02)(_named("waits", lambda: gate.wait(5)))
    slow.tool(deadline_s=5)(_named("waits_long", lambda: gate.wait(5)))
    slow.resource("slow://text")(_named("text", lambda: "text"))
    quick.tool(deadline_s=5)(_named("answers", lambda: "here"))
    at_slow, at_quick = Registry("slow", slow), Registry("quick", quick)

    def call(registry: Registry, name: str) -> AcceptedCall:
        tool = registry.find(name)
        assert tool is not None
        return AcceptedCall(call=call_of(name, arrival=arrival_of(registry.server)), tool=tool, arguments={})

    channel = Letterbox()
    for _ in range(5):  # one takes the thread; the others wait for it, and leave the queue with their time
        with pytest.raises(Refusal) as no:
            await runner.run(call(at_slow, "waits"), channel)
        assert no.value.reason is Reason.TOOL_TIMEOUT
    assert channel.retained == 1  # the place of the one that runs
    patient = [asyncio.create_task(runner.run(call(at_slow, "waits_long"), Letterbox())) for _ in range(2)]
    await asyncio.sleep(0)
    for attempt in (
        runner.run(call(at_slow, "waits"), Letterbox()),
        runner.read(call_of("slow://text", arrival=arrival_of("slow")), at_slow.resources[0], Letterbox()),
    ):
        with pytest.raises(Refusal) as no:
            await attempt
        assert (no.value.reason, facts_of(no.value)) == (Reason.BUSY, {"retry_after_s": 1})
    result = await asyncio.wait_for(runner.run(call(at_quick, "answers"), Letterbox()), 5)
    assert result.content[0]["text"] == "here"
    gate.set()
    await asyncio.gather(*patient)
    await runner.close()


def _named(name, function):
    function.__name__ = name
    return function
