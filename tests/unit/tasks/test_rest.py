"""At rest nothing of a result, a question, an answer or a message can be read, or moved to another place."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import update

from mcpward.core.client_channel import Question
from mcpward.core.errors import Fault
from mcpward.core.values import Outcome
from mcpward.storage.tables import TASKS

CANARY = "Kanarienvogel"
PROGRESS = b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1,"message":"Kanarienvogel"}}'


async def telling(channel) -> Outcome:
    channel.notify(PROGRESS)
    question = Question(
        key="a", method="elicitation/create", params={"message": CANARY}, capability={"elicitation": {}}
    )
    other = replace(question, key="b")
    await channel.ask([question, other])
    return Outcome(body=b'{"content":[{"type":"text","text":"Kanarienvogel"}],"isError":false}')


async def put(store, task_id, **values) -> None:
    async with store._connections.bulk() as connection:
        await connection.execute(update(TASKS).where(TASKS.c.id == task_id).values(values))


async def test_the_files_of_the_store_hold_nothing_that_was_said(house, tmp_path: Path) -> None:
    task_id = (await house.start(telling))["taskId"]
    await house.until(task_id, "input_required")
    await house.update(task_id, {"a": {"action": "accept", "content": {"name": CANARY}}})
    await house.tasks.keeper.turn()
    assert (await house.get(task_id))["statusMessage"] == CANARY
    await house.update(task_id, {"b": {"action": "accept", "content": {"name": CANARY}}})
    task = await house.end(task_id)
    assert task["result"]["content"][0]["text"] == CANARY
    kept = b"".join(path.read_bytes() for path in (tmp_path / "site").iterdir())
    assert task_id.encode() in kept
    assert CANARY.encode() not in kept


async def test_a_result_opens_only_as_its_own_tasks_result(house, store) -> None:
    """Attack 87: an attacker who can write the store gives a caller the result of another, without effect."""
    one, two = [(await house.start())["taskId"] for _ in range(2)]
    await house.end(one)
    await house.end(two)
    foreign = await store.tasks.find(one, "api-key:abc", "orders")
    for values in ({"ending": foreign.ending}, {"ending": "ff"}, {"message": foreign.ending}):
        await put(store, two, **values)
        with pytest.raises(Fault) as fault:
            await house.get(two)
        assert "cannot be opened" in fault.value.detail


@pytest.mark.parametrize(
    "place, who",
    [({"owner": "api-key:thief"}, {"key": "api-key:thief"}), ({"server": "billing"}, {"server": "billing"})],
)
async def test_a_task_that_was_given_to_another_owner_or_server_does_not_open(house, store, place, who) -> None:
    task_id = (await house.start())["taskId"]
    await house.end(task_id)
    await put(store, task_id, **place)
    with pytest.raises(Fault):
        await house.get(task_id, **who)


async def test_questions_open_only_in_their_own_task(house, store) -> None:
    one, two = [(await house.start(telling))["taskId"] for _ in range(2)]
    await house.until(one, "input_required")
    await house.until(two, "input_required")
    await put(store, two, requests=(await store.tasks.find(one, "api-key:abc", "orders")).requests)
    with pytest.raises(Fault):
        await house.get(two)
    with pytest.raises(Fault):
        await house.update(two, {"a": {}})
