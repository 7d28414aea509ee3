"""Workers stop, die and lose their store: a caller that waits for a task learns how it ended."""

import asyncio

import pytest

from mcpward.core.client_channel import Question
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Outcome
from mcpward.tasks.record import Caps, Status
from support.waiting import soon, turns

STOPPED = "the server stopped before the task had ended"


async def forever(_channel) -> Outcome:
    await asyncio.Event().wait()
    raise AssertionError


class Outage:
    """A store whose named methods fail while ``is_out``, and whose ``add`` can be held up."""

    def __init__(self, table, *names: str) -> None:
        self.table, self.names, self.is_out = table, names, True
        self.failures = 0
        self.lease: asyncio.Event | None = None

    def __getattr__(self, name: str):
        async def out(*args, **kwargs):
            if self.is_out and name in self.names:
                self.failures += 1
                raise OSError("the disk has gone")
            result = await getattr(self.table, name)(*args, **kwargs)
            if name == "add" and self.lease is not None:
                await self.lease.wait()
            return result

        return out


async def test_a_cancellation_reaches_the_worker_that_runs_the_task(opened) -> None:
    one, two = await opened("one"), await opened("two")
    task_id = (await one.start(forever))["taskId"]
    await two.cancel(task_id)
    assert (await two.end(task_id))["status"] == "cancelled"
    await one.settle()  # its end is on the board a moment before its worker lets go of it


async def test_a_cancellation_arrives_with_the_next_beat_where_the_mail_is_lost(opened, post, clock) -> None:
    one, two = await opened("one"), await opened("two")
    post.is_lost = True
    task_id = (await one.start(forever))["taskId"]
    await two.cancel(task_id)
    assert (await two.get(task_id))["status"] == "working"
    clock.advance(5.0)
    await one.tasks.keeper.turn()
    assert (await two.end(task_id))["status"] == "cancelled"


async def test_a_task_without_a_beat_has_failed_for_whoever_asks(opened, clock) -> None:
    one, two = await opened("one"), await opened("two")
    task_id = (await one.start(forever))["taskId"]
    clock.advance(20.0)
    assert (await two.get(task_id))["status"] == "working"
    clock.advance(0.5)
    task = await two.get(task_id)
    assert task["status"] == "failed"
    assert task["error"]["code"] == 50300
    assert task["statusMessage"] == STOPPED


async def test_a_worker_does_not_take_its_own_tasks_for_dead_when_its_beat_is_late(opened, clock) -> None:
    one = await opened("one")
    task_id = (await one.start(forever))["taskId"]
    clock.advance(30.0)
    assert (await one.get(task_id))["status"] == "working"


async def test_a_beat_between_the_look_and_the_burial_saves_the_task(opened, store, clock) -> None:
    class Late(Outage):
        async def find(self, *args):
            found = await self.table.find(*args)
            await self.table.beat([found.id], clock.now())
            return found

    one, two = await opened("one"), await opened("two", table=Late(store.tasks))
    task_id = (await one.start(forever))["taskId"]
    clock.advance(30.0)
    assert (await two.get(task_id))["status"] == "working"


async def test_a_task_that_has_ended_is_cancelled_without_a_write(opened, store) -> None:
    one = await opened("one", table=Outage(store.tasks, "ask_cancel"))
    task_id = (await one.start())["taskId"]
    await one.end(task_id)
    assert await one.cancel(task_id) == b"{}"


async def test_beats_keep_a_task_alive(opened, clock) -> None:
    one, two = await opened("one"), await opened("two")
    task_id = (await one.start(forever))["taskId"]
    for _ in range(20):
        clock.advance(5.0)
        await one.tasks.keeper.turn()
    assert (await two.get(task_id))["status"] == "working"


async def test_the_dead_are_written_down_by_any_worker_and_told_to_who_listens(opened, clock) -> None:
    one, two = await opened("one"), await opened("two")
    task_id = (await one.start(forever))["taskId"]
    clock.advance(20.5)
    await two.tasks.keeper.turn()
    assert [change.subject for change in two.changes] == [task_id]
    assert b'"status":"failed"' in two.changes[0].params


async def test_a_task_that_was_given_up_is_not_worked_on(opened, clock) -> None:
    one, two = await opened("one"), await opened("two")
    task_id = (await one.start(forever))["taskId"]
    clock.advance(20.5)
    await two.tasks.keeper.turn()
    await one.tasks.keeper.turn()
    await one.settle()
    assert (await one.get(task_id))["status"] == "failed"


async def test_the_last_beat_decides_between_the_worker_and_the_undertaker(store, opened, clock) -> None:
    one = await opened("one")
    task_id = (await one.start(forever))["taskId"]
    seen = await store.tasks.find(task_id, "api-key:abc", "orders")
    clock.advance(20.5)
    await store.tasks.beat([task_id], clock.now())
    assert not await store.tasks.finish(task_id, Status.FAILED, None, None, 1.0, beat_at=seen.beat_at)
    assert (await one.get(task_id))["status"] == "working"


async def test_a_worker_that_is_alone_buries_its_predecessors_tasks_at_once(opened) -> None:
    one = await opened("one")
    task_id = (await one.start(forever))["taskId"]
    alone = await opened("alone", alone=True)
    await alone.tasks.start_keeping()
    assert (await alone.get(task_id))["statusMessage"] == STOPPED


async def test_a_worker_among_others_leaves_the_living_alone_at_its_start(opened) -> None:
    one, two = await opened("one"), await opened("two")
    task_id = (await one.start(forever))["taskId"]
    await two.tasks.start_keeping()
    assert (await two.get(task_id))["status"] == "working"


async def test_a_stopping_worker_takes_no_tasks_and_ends_those_it_has(opened) -> None:
    one, two = await opened("one"), await opened("two")
    done = asyncio.Event()

    async def soon(_channel) -> Outcome:
        await done.wait()
        return Outcome(body=b'{"content":[],"isError":false}')

    short, long = (await one.start(soon))["taskId"], (await one.start(forever))["taskId"]
    stopping = asyncio.ensure_future(one.tasks.stop(0.2))
    await asyncio.sleep(0)
    with pytest.raises(Refusal) as no:
        await one.start()
    assert no.value.reason is Reason.BUSY
    done.set()
    await stopping
    assert (await two.get(short))["status"] == "completed"
    task = await two.get(long)
    assert (task["status"], task["statusMessage"]) == ("failed", STOPPED)
    assert task["error"]["code"] == 50300


async def test_a_worker_that_stops_waits_for_nobodys_answer(opened) -> None:
    one, two = await opened("one"), await opened("two")

    async def work(channel) -> Outcome:
        await channel.ask([Question(key="a", method="roots/list", params={}, capability={})])
        raise AssertionError

    task_id = (await one.start(work))["taskId"]
    await one.until(task_id, "input_required")
    async with asyncio.timeout(10):
        await one.tasks.stop(3600.0)
    assert (await two.get(task_id))["statusMessage"] == STOPPED


async def test_work_that_is_deaf_to_its_cancellation_is_written_down_all_the_same(opened, monkeypatch) -> None:
    monkeypatch.setattr("mcpward.tasks.tasks._LAST_S", 0.01)
    one, two = await opened("one"), await opened("two")
    heard = asyncio.Event()

    async def deaf(_channel) -> Outcome:
        while not heard.is_set():
            try:
                await heard.wait()
            except asyncio.CancelledError:
                continue
        return Outcome(body=b'{"content":[],"isError":false}')

    task_id = (await one.start(deaf))["taskId"]
    await asyncio.sleep(0)
    await one.tasks.stop(0)
    assert (await two.get(task_id))["status"] == "failed"
    heard.set()
    await one.settle()
    assert (await two.get(task_id))["status"] == "failed"  # what is final stays


async def test_the_end_of_a_task_is_written_down_when_the_store_is_back(opened, store) -> None:
    outage = Outage(store.tasks, "finish")
    house = await opened("one", table=outage)
    task_id = (await house.start())["taskId"]
    await soon(lambda: outage.failures)
    assert (await house.get(task_id))["status"] == "working"
    outage.is_out = False
    assert (await house.end(task_id))["status"] == "completed"


async def test_a_task_waits_for_its_answer_while_the_store_is_out(opened, store, caplog) -> None:
    outage = Outage(store.tasks, "answers")
    house = await opened("one", table=outage)

    async def work(channel) -> Outcome:
        await channel.ask([Question(key="a", method="roots/list", params={}, capability={})])
        return Outcome(body=b'{"content":[],"isError":false}')

    task_id = (await house.start(work))["taskId"]
    await house.until(task_id, "input_required")
    await house.update(task_id, {"a": {}})
    await soon(lambda: outage.failures >= 3)
    outage.is_out = False
    assert (await house.end(task_id))["status"] == "completed"
    assert caplog.text.count("cannot be read") == 1


async def test_questions_that_are_written_down_slowly_are_all_shown(opened, store) -> None:
    class Slow(Outage):
        def __init__(self, table) -> None:
            super().__init__(table)
            self.begun = self.shown = 0
            self.goes_on = asyncio.Event()

        async def show(self, *args):
            self.begun += 1
            if self.begun == 1:
                await self.goes_on.wait()
            await self.table.show(*args)
            self.shown += 1

    def question(key):
        return [Question(key=key, method="roots/list", params={}, capability={})]

    async def work(channel) -> Outcome:
        await asyncio.gather(channel.ask(question("a")), channel.ask(question("b")))
        raise AssertionError

    table = Slow(store.tasks)
    house = await opened("one", table=table)
    task_id = (await house.start(work))["taskId"]
    await soon(lambda: table.begun)
    await turns()  # the second question is asked meanwhile
    table.goes_on.set()
    await soon(lambda: table.shown == 2)
    assert (await house.until(task_id, "input_required"))["inputRequests"].keys() == {"a", "b"}


async def test_nothing_begins_when_it_cannot_be_kept(opened, store) -> None:
    begun = []

    async def work(_channel) -> Outcome:
        begun.append(1)
        raise AssertionError

    house = await opened("one", table=Outage(store.tasks, "add"))
    with pytest.raises(OSError, match="disk"):
        await house.start(work)
    assert not begun
    assert len(house.tasks) == 0


async def test_a_caller_that_leaves_before_the_answer_leaves_no_task(opened, store) -> None:
    outage = Outage(store.tasks)
    outage.lease = asyncio.Event()
    house = await opened("one", table=outage)
    starting = asyncio.ensure_future(house.start(forever))
    async with asyncio.timeout(10):
        while not await rows(store):  # noqa: ASYNC110  # what is waited for happens in a file
            await asyncio.sleep(0.002)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    assert starting.cancelled()
    assert len(house.tasks) == 0
    await house.tasks.stop(1.0)
    assert await rows(store) == 0


async def test_a_worker_whose_store_is_out_goes_on_trying(opened, store, clock, caplog, monkeypatch) -> None:
    monkeypatch.setattr("mcpward.tasks.heartbeat._TURN_EVERY_S", 0.005)
    outage = Outage(store.tasks, "stale")
    outage.is_out = False
    house = await opened("one", table=outage)
    await house.tasks.start_keeping()
    outage.is_out = True
    clock.advance(60.0)
    await soon(lambda: outage.failures >= 3)
    assert caplog.text.count("cannot be stored") == 1
    outage.is_out = False
    task_id = (await (await opened("two")).start(forever))["taskId"]
    clock.advance(30.0)
    await soon(lambda: house.changes)
    assert house.changes[0].subject == task_id


async def test_a_worker_that_stops_while_a_task_is_written_down_takes_it_back(opened, store) -> None:
    outage = Outage(store.tasks)
    outage.lease = asyncio.Event()
    house = await opened("one", table=outage)
    starting = asyncio.ensure_future(house.start(forever))
    async with asyncio.timeout(10):
        while not await rows(store):  # noqa: ASYNC110  # what is waited for happens in a file
            await asyncio.sleep(0.002)
    stopping = asyncio.ensure_future(house.tasks.stop(1.0))
    await asyncio.sleep(0)
    outage.lease.set()
    with pytest.raises(Refusal) as no:
        await starting
    assert no.value.reason is Reason.BUSY
    await stopping
    assert len(house.tasks) == 0
    async with asyncio.timeout(10):
        while await rows(store):  # noqa: ASYNC110  # what is waited for happens in a file
            await asyncio.sleep(0.002)


async def test_what_can_be_refused_without_the_store_costs_no_look_into_it(opened, store) -> None:
    outage = Outage(store.tasks, "add", "find")
    house = await opened("one", table=outage, caps=Caps(unfinished=1))
    outage.is_out = False
    task_id = (await house.start(forever))["taskId"]
    outage.is_out = True
    for unknown in ("", "A" * 31, task_id + "A", task_id[:-1] + "\0", "é" * 32):
        with pytest.raises(Refusal) as no:
            await house.get(unknown)
        assert no.value.reason is Reason.TASK_UNKNOWN
    with pytest.raises(Refusal) as no:
        await house.start(forever)
    assert no.value.reason is Reason.BUSY
    await house.tasks.stop(0)
    with pytest.raises(Refusal) as no:
        await house.start(forever)
    assert no.value.reason is Reason.BUSY


async def rows(store) -> int:
    async with store._connections.read() as connection:
        return (await connection.exec_driver_sql("SELECT count(*) FROM tasks")).scalar_one()
