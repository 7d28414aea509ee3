"""A task is its owner's: any other caller gets the answer to a made-up id (attack 60; CVE-2026-52870)."""

import asyncio

import pytest

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Outcome
from support.facts import facts_of

FOREIGN = [{"key": "api-key:other"}, {"server": "billing"}, {"key": "anonymous:192.0.2.7"}]


async def forever(_channel) -> Outcome:
    await asyncio.Event().wait()
    raise AssertionError


async def refusal(asked) -> tuple:
    with pytest.raises(Refusal) as no:
        await asked
    return no.value.reason, facts_of(no.value)


@pytest.mark.parametrize("who", FOREIGN, ids=str)
async def test_somebody_elses_task_is_not_there(house, who) -> None:
    task_id = (await house.start(forever))["taskId"]
    for asked in (house.get, house.cancel, lambda task_id, **who: house.update(task_id, {}, **who)):
        foreign = await refusal(asked(task_id, **who))
        unknown = await refusal(asked("A" * 32, **who))
        assert foreign == unknown == (Reason.TASK_UNKNOWN, {})
    assert (await house.get(task_id))["status"] == "working"


@pytest.mark.parametrize(
    "task_id", ["", "x", "tasks-conformance-nonexistent-12345", "é" * 32, "A" * 33, "' OR 1=1 --".ljust(32), "\0" * 32]
)
async def test_a_made_up_id_is_not_there(house, task_id) -> None:
    assert await refusal(house.get(task_id)) == (Reason.TASK_UNKNOWN, {})


async def test_ids_are_drawn_from_more_than_can_be_guessed(house) -> None:
    drawn = [(await house.start())["taskId"] for _ in range(20)]
    assert len(set(drawn)) == 20
    assert len({task_id[n] for task_id in drawn for n in range(32)}) > 50


async def test_who_may_not_use_the_tool_any_more_sees_no_result_but_may_stop_it(opened) -> None:
    may = [True]
    house = await opened(allowed=lambda call, tool: may[0] and tool == "slow")
    task_id = (await house.start(forever))["taskId"]
    assert (await house.get(task_id))["status"] == "working"
    may[0] = False
    assert await refusal(house.get(task_id)) == (Reason.TASK_UNKNOWN, {})
    assert await refusal(house.update(task_id, {})) == (Reason.TASK_UNKNOWN, {})
    assert await house.cancel(task_id) == b"{}"
    may[0] = True
    assert (await house.end(task_id))["status"] == "cancelled"


async def test_only_the_owner_is_told_of_a_change(house) -> None:
    await house.end((await house.start())["taskId"])
    await house.settle()
    assert {change.owner for change in house.changes} == {"api-key:abc"}
    assert {change.server for change in house.changes} == {"orders"}
