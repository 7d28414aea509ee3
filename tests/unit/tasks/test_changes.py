"""A listener receives what ``tasks/get`` would have returned at that moment."""

from msgspec import json

from mcpward.core.change import Topic
from mcpward.core.client_channel import Question
from mcpward.core.values import Outcome
from support.values import a_call, a_principal

PROGRESS = b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1,"message":"half"}}'


async def test_every_change_is_told_as_the_whole_task(house) -> None:
    async def work(channel) -> Outcome:
        channel.notify(PROGRESS)
        await house.tasks.keeper.turn()
        await channel.ask([Question(key="a", method="roots/list", params={}, capability={})])
        return Outcome(body=b'{"content":[],"isError":false}')

    task_id = (await house.start(work))["taskId"]
    asked = await house.until(task_id, "input_required")
    await house.update(task_id, {"a": {}})
    done = await house.end(task_id)
    await house.settle()
    assert [json.decode(change.params)["status"] for change in house.changes] == [
        "working",
        "input_required",
        "working",
        "completed",
    ]
    assert json.decode(house.changes[0].params)["statusMessage"] == "half"
    assert json.decode(house.changes[1].params) == asked
    assert json.decode(house.changes[-1].params) == done
    assert {(change.topic, change.subject) for change in house.changes} == {(Topic.TASK, task_id)}


async def test_a_large_result_is_fetched_by_whoever_listens(house) -> None:
    async def large(_channel) -> Outcome:
        return Outcome(body=b'{"content":[{"type":"text","text":"' + b"x" * 70_000 + b'"}],"isError":false}')

    task_id = (await house.start(large))["taskId"]
    task = await house.end(task_id)
    await house.settle()
    assert house.changes[-1].params == b""
    call = a_call(capabilities={})
    assert json.decode(await house.tasks.describe(call, task_id)) == task


async def test_nobody_else_is_told_by_asking(house) -> None:
    task_id = (await house.start())["taskId"]
    await house.end(task_id)
    assert await house.tasks.describe(a_call(a_principal("api-key:other")), task_id) is None
    assert await house.tasks.describe(a_call(), "A" * 32) is None
