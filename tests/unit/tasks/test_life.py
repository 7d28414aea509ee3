"""A task from its creation to its end: the shapes of the extension's specification, and what becomes of the work."""

import asyncio
import re
from typing import Any

import pytest
from msgspec import json
from msgspec.structs import replace

from mcpward.core.errors import Fault, Refusal
from mcpward.core.facts import ErrorId, Lacking
from mcpward.core.reasons import Reason
from mcpward.core.values import Era, Outcome
from mcpward.tasks.results import Cut
from support.facts import facts_of
from support.values import a_call


async def test_a_new_task_is_a_flat_task_that_works(house) -> None:
    task = await house.start(forever)
    assert task == {
        "taskId": task["taskId"],
        "status": "working",
        "createdAt": "2027-01-15T08:00:00.000Z",
        "lastUpdatedAt": "2027-01-15T08:00:00.000Z",
        "ttlMs": 3_600_000,
        "pollIntervalMs": 1000,
    }
    assert re.fullmatch(r"[0-9A-Za-z]{32}", task["taskId"])
    assert await house.get(task["taskId"]) == task


async def test_a_task_is_kept_before_anybody_is_told_of_it(opened) -> None:
    one, two = await opened("one"), await opened("two")
    task = await one.start(forever)
    assert (await two.get(task["taskId"]))["status"] == "working"


async def test_a_finished_task_has_the_result_that_its_call_would_have_had(house) -> None:
    task = await house.end((await house.start())["taskId"])
    assert task["status"] == "completed"
    assert task["result"] == {
        "resultType": "complete",
        "content": [{"type": "text", "text": "hello"}],
        "isError": False,
    }
    assert "error" not in task
    assert "inputRequests" not in task


async def test_a_tool_that_failed_has_completed_with_an_error_result(house) -> None:
    async def failing(_channel) -> Outcome:
        return Outcome(body=b'{"content":[],"isError":true}', is_error=True)

    task = await house.end((await house.start(failing))["taskId"])
    assert task["status"] == "completed"
    assert task["result"]["isError"] is True


@pytest.mark.parametrize("reason", [Reason.CONSENT_MISSING, Reason.ARGUMENT_DANGEROUS])
async def test_a_refusal_that_the_model_can_mend_is_a_result_too(house, reason) -> None:
    async def refused(_channel) -> Outcome:
        raise Refusal(reason, "private")

    task = await house.end((await house.start(refused))["taskId"])
    assert task["status"] == "completed"
    assert task["result"]["isError"] is True
    assert task["result"]["content"][0]["_meta"]["mcpward/reason"] == reason.value
    assert "private" not in str(task)


@pytest.mark.parametrize("reason", [Reason.TOOL_FAILED, Reason.TOOL_TIMEOUT, Reason.OUTPUT_REFUSED])
async def test_a_tool_that_broke_down_has_failed(house, reason) -> None:
    async def broken(_channel) -> Outcome:
        raise Refusal(reason, "private", ErrorId("abcdef012345"))

    task = await house.end((await house.start(broken))["taskId"])
    assert task["status"] == "failed"
    assert task["error"]["code"] == -32603
    assert task["error"]["data"] == {"reason": reason.value, "errorId": "abcdef012345"}
    assert "result" not in task
    assert "private" not in str(task)


async def test_what_would_have_been_a_protocol_error_is_a_failure(house) -> None:
    async def unable(_channel) -> Outcome:
        raise Refusal(Reason.CAPABILITY_MISSING, "private", Lacking({"roots": {}}))

    task = await house.end((await house.start(unable))["taskId"])
    assert task["status"] == "failed"
    assert task["error"]["code"] == -32021
    assert task["error"]["data"]["requiredCapabilities"] == {"roots": {}}
    assert task["statusMessage"] == task["error"]["message"]
    assert "result" not in task
    assert "private" not in str(task)


@pytest.mark.parametrize("error", [RuntimeError("hush"), Fault("abcdef012345", "hush")], ids=["bug", "fault"])
async def test_nothing_of_an_exception_reaches_the_caller(house, error) -> None:
    async def broken(_channel) -> Outcome:
        raise error

    task = await house.end((await house.start(broken))["taskId"])
    assert task["status"] == "failed"
    assert task["error"]["code"] == -32603
    assert "hush" not in str(task)
    ((known, detail),) = house.log
    assert task["error"]["data"]["errorId"] == known
    assert "hush" in detail


async def test_the_detail_of_a_refusal_goes_to_the_log_under_its_id(house) -> None:
    async def broken(_channel) -> Outcome:
        raise Refusal(Reason.FAULT, "hush", ErrorId("abcdef012345"))

    await house.end((await house.start(broken))["taskId"])
    assert house.log == [("abcdef012345", "hush")]


async def test_a_cancelled_task_has_ended_and_stays_so(house) -> None:
    task_id = (await house.start(forever))["taskId"]
    assert await house.cancel(task_id) == b"{}"
    task = await house.end(task_id)
    assert task["status"] == "cancelled"
    assert not {"result", "error"} & task.keys()
    assert await house.cancel(task_id) == b"{}"
    assert await house.get(task_id) == task


async def test_a_cancellation_reaches_work_that_has_not_begun(house) -> None:
    task_id = (await house.start(forever))["taskId"]
    (job,) = house.tasks._jobs.values()
    await house.cancel(task_id)
    assert job.work.cancelling() or job.work.done()
    assert (await house.end(task_id))["status"] == "cancelled"
    assert len(house.tasks) == 0


async def test_the_first_reason_to_end_is_the_one_that_counts(house) -> None:
    task_id = (await house.start(forever))["taskId"]
    (job,) = house.tasks._jobs.values()
    await house.cancel(task_id)
    job.end(Cut.STOPPED)
    assert (await house.end(task_id))["status"] == "cancelled"


async def test_a_finished_task_cannot_be_cancelled(house) -> None:
    task_id = (await house.start())["taskId"]
    task = await house.end(task_id)
    assert await house.cancel(task_id) == b"{}"
    assert await house.get(task_id) == task


async def test_work_that_finishes_in_spite_of_its_cancellation_has_completed(house) -> None:
    async def stubborn(_channel) -> Outcome:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return Outcome(body=b'{"content":[],"isError":false}')
        raise AssertionError

    task_id = (await house.start(stubborn))["taskId"]
    await asyncio.sleep(0)
    await house.cancel(task_id)
    assert (await house.end(task_id))["status"] == "completed"


async def test_a_task_is_forgotten_when_its_time_is_over_and_not_before(house, clock) -> None:
    task_id = (await house.start())["taskId"]
    await house.end(task_id)
    clock.advance(3599.0)
    await house.tasks.keeper.turn()
    assert (await house.get(task_id))["status"] == "completed"
    clock.advance(1.0)
    with pytest.raises(Refusal) as no:
        await house.get(task_id)
    assert no.value.reason is Reason.TASK_UNKNOWN
    clock.advance(60.0)
    await house.tasks.keeper.turn()
    assert await rows(house.tasks) == 0


async def test_work_ends_with_its_tasks_time(house, clock) -> None:
    await house.start(forever)
    clock.advance(3600.0)
    await house.tasks.keeper.turn()
    await house.settle()


@pytest.mark.parametrize("ttl_s", [0.0, -1.0, 86_400.5])
async def test_a_tasks_life_has_bounds(opened, ttl_s) -> None:
    with pytest.raises(ValueError, match="at most a day"):
        await opened(ttl_s=ttl_s)


async def test_a_task_lives_as_long_as_is_said(opened) -> None:
    assert (await (await opened(ttl_s=60.0)).start())["ttlMs"] == 60_000


@pytest.mark.parametrize("method", ["get", "cancel"])
@pytest.mark.parametrize("capabilities", [{}, {"extensions": {}}, {"extensions": []}, {"extensions": {"x/y": {}}}])
async def test_a_client_that_does_not_declare_tasks_learns_what_it_lacks(house, method, capabilities) -> None:
    with pytest.raises(Refusal) as no:
        await getattr(house, method)("gate-test", capabilities=capabilities)
    assert no.value.reason is Reason.CAPABILITY_MISSING
    assert facts_of(no.value)["required_capabilities"] == {"extensions": {"io.modelcontextprotocol/tasks": {}}}


async def test_an_update_is_for_clients_that_declare_tasks(house) -> None:
    with pytest.raises(Refusal) as no:
        await house.update("gate-test", {}, capabilities={})
    assert no.value.reason is Reason.CAPABILITY_MISSING


@pytest.mark.parametrize("changes", [{"capabilities": {}}, {"era": Era.LEGACY}])
async def test_no_task_begins_for_a_client_that_does_not_take_one(house, changes) -> None:
    declared: dict[str, Any] = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
    call = replace(a_call(target="slow", capabilities=declared), **changes)
    with pytest.raises(Refusal) as no:
        await house.start(call=call)
    assert no.value.reason is Reason.CAPABILITY_MISSING
    assert len(house.tasks) == 0


async def test_progress_becomes_the_tasks_message(house) -> None:
    async def telling(channel) -> Outcome:
        channel.notify(progress(1, 4, "one\nof \u202efour"))
        await asyncio.Event().wait()
        raise AssertionError

    task_id = (await house.start(telling))["taskId"]
    await asyncio.sleep(0)
    await house.tasks.keeper.turn()
    assert (await house.get(task_id))["statusMessage"] == "one of four"


@pytest.mark.parametrize(
    "message, said",
    [
        (b"not json", None),
        (b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}', None),
        (b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":3,"total":4}}', "3 of 4"),
        (b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":3}}', "3"),
        (b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":"3"}}', None),
    ],
)
async def test_only_progress_is_a_message(house, message, said) -> None:
    async def telling(channel) -> Outcome:
        channel.notify(message)
        channel.release()
        await asyncio.Event().wait()
        raise AssertionError

    task_id = (await house.start(telling))["taskId"]
    await asyncio.sleep(0)
    await house.tasks.keeper.turn()
    assert (await house.get(task_id)).get("statusMessage") == said


async def test_a_message_is_short_and_without_secrets(house) -> None:
    async def telling(channel) -> Outcome:
        channel.notify(progress(1, 4, "hunter2-hunter2 " + "x" * 10_000))
        await asyncio.Event().wait()
        raise AssertionError

    task_id = (await house.start(telling))["taskId"]
    await asyncio.sleep(0)
    await house.tasks.keeper.turn()
    message = (await house.get(task_id))["statusMessage"]
    assert len(message) == 256
    assert message.startswith("[redacted]")


def progress(done, total, message) -> bytes:
    params = {"progressToken": 1, "progress": done, "total": total, "message": message}
    return json.encode({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})


async def forever(_channel) -> Outcome:
    await asyncio.Event().wait()
    raise AssertionError


async def rows(tasks: Any) -> int:
    async with tasks._store._connections.read() as connection:
        return (await connection.exec_driver_sql("SELECT count(*) FROM tasks")).scalar_one()
