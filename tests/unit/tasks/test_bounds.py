"""How many tasks there may be, of one caller and in all, and how much they may hold (attack 48)."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Outcome
from mcpward.tasks.record import Caps
from support.facts import facts_of
from support.values import a_call, a_principal, an_arrival

DECLARED: dict[str, Any] = {"extensions": {"io.modelcontextprotocol/tasks": {}}}


def call_of(key: str = "api-key:abc", server: str = "orders"):
    return a_call(a_principal(key, server=server), capabilities=DECLARED)


async def forever(_channel) -> Outcome:
    await asyncio.Event().wait()
    raise AssertionError


async def busy(starting) -> None:
    with pytest.raises(Refusal) as no:
        await starting
    assert no.value.reason is Reason.BUSY
    assert facts_of(no.value)["retry_after_s"] > 0


async def test_a_caller_has_32_tasks_at_once_and_no_more(house) -> None:
    first = [(await house.start(forever))["taskId"] for _ in range(32)]
    await busy(house.start(forever))
    await house.start(forever, call_of("api-key:other"))
    await house.cancel(first[0])
    await house.end(first[0])
    await house.start(forever)


async def test_a_caller_is_counted_at_all_workers_together(opened) -> None:
    one, two = await opened("one", caps=Caps(unfinished=2)), await opened("two", caps=Caps(unfinished=2))
    await one.start(forever)
    await two.start(forever)
    await busy(one.start(forever))
    await busy(two.start(forever))


async def test_starts_that_come_together_are_counted_one_by_one(opened) -> None:
    house = await opened(caps=Caps(unfinished=3))
    started = await asyncio.gather(*(house.start(forever) for _ in range(9)), return_exceptions=True)
    assert sum(isinstance(each, dict) for each in started) == 3
    assert len(house.tasks) == 3


async def test_a_worker_runs_so_many_tasks_and_no_more(opened) -> None:
    house = await opened(caps=Caps(running=2))
    await house.start(forever)
    await house.start(forever, call_of("api-key:other"))
    await busy(house.start(forever, call_of("api-key:third")))


@pytest.mark.parametrize("caps", [Caps(kept=2), Caps(kept_bytes=300), Caps(all_kept=2), Caps(all_bytes=300)], ids=str)
async def test_what_is_kept_of_finished_tasks_is_bounded_until_it_is_forgotten(opened, clock, caps) -> None:
    house = await opened(caps=caps)
    for _ in range(2):
        await house.end((await house.start())["taskId"])
    await busy(house.start())
    clock.advance(3600.0)
    await house.tasks.keeper.turn()
    await house.start()


@pytest.mark.parametrize("caps", [Caps(kept=1), Caps(kept_bytes=150)], ids=str)
async def test_what_one_caller_keeps_is_no_other_callers_loss(opened, caps) -> None:
    house = await opened(caps=caps)
    await house.end((await house.start())["taskId"])
    await busy(house.start())
    await house.start(call=call_of("api-key:other"))


@pytest.mark.parametrize("caps, other", [(Caps(held=200), True), (Caps(all_held=200), False)], ids=str)
async def test_what_running_tasks_hold_of_their_requests_is_bounded(opened, caps, other) -> None:
    house = await opened(caps=caps)
    heavy = replace(call_of(), arrival=an_arrival(body=b"x" * 100))
    first = (await house.start(forever, heavy))["taskId"]
    await house.start(forever, heavy)
    await busy(house.start(forever, heavy))
    theirs = house.start(forever, replace(heavy, principal=a_principal("api-key:other")))
    await (theirs if other else busy(theirs))
    await house.cancel(first)
    await house.end(first)
    await house.start(forever, heavy)


class Unheard:
    """A table that writes an ending down and never says so."""

    def __init__(self, table) -> None:
        self.table, self.heard = table, asyncio.Event()

    async def finish(self, *args, **more):
        result = await self.table.finish(*args, **more)
        await self.heard.wait()
        return result

    def __getattr__(self, name: str):
        return getattr(self.table, name)


@pytest.mark.parametrize("caps", [Caps(unfinished=1), Caps(running=1), Caps(held=100), Caps(all_held=100)], ids=str)
async def test_whoever_reads_that_a_task_has_ended_can_start_the_next(opened, store, caps) -> None:
    table = Unheard(store.tasks)
    house = await opened(caps=caps, table=table)
    heavy = replace(call_of(), arrival=an_arrival(body=b"x" * 100))
    first = (await house.start(forever, heavy))["taskId"]
    await house.cancel(first)
    await house.end(first)
    try:
        await house.start(forever, heavy)
    finally:
        table.heard.set()


@pytest.mark.parametrize("caps", [Caps(unfinished=1), Caps(running=1), Caps(held=100), Caps(all_held=100)], ids=str)
async def test_a_thread_that_a_task_leaves_behind_keeps_its_place_until_it_returns(opened, caps) -> None:
    house, left = await opened(caps=caps), []
    heavy = replace(call_of(), arrival=an_arrival(body=b"x" * 100))

    async def leaves_a_thread(channel) -> Outcome:
        try:
            return await forever(channel)
        except asyncio.CancelledError:
            left.append(channel.retain())
            raise

    first = (await house.start(leaves_a_thread, heavy))["taskId"]
    await asyncio.sleep(0)
    await house.cancel(first)
    assert (await house.end(first))["status"] == "cancelled"
    await house.settle()
    await busy(house.start(forever, heavy))
    left.pop()()
    await house.start(forever, heavy)


async def test_a_running_task_keeps_neither_the_credential_nor_the_body(house) -> None:
    arrival = an_arrival(headers={b"authorization": b"Bearer secret"}, body=b"x" * 100)
    await house.start(forever, replace(call_of(), arrival=arrival, params={"arguments": {"big": 1}}))
    (job,) = house.tasks._jobs.values()
    assert (job.call.arrival.headers, job.call.arrival.body) == ({}, b"")
    assert (job.call.params, job.call.arguments) == ({}, None)
    assert (job.call.arrival.id, job.call.capabilities) == (arrival.id, DECLARED)


async def test_a_refused_task_leaves_nothing_behind(opened, store) -> None:
    house = await opened(caps=Caps(kept=0))
    await busy(house.start(forever))
    assert len(house.tasks) == 0
    async with store._connections.read() as connection:
        assert (await connection.exec_driver_sql("SELECT count(*) FROM tasks")).scalar_one() == 0
