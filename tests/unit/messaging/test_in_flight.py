"""Cancellations: of one's own call, in one's own session, at any worker; of nothing else (attacks 62 and 64)."""

import asyncio
from typing import Any

import pytest

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Call, Era, Kind
from mcpward.messaging.in_flight import Entry, InFlight
from support.clock import ManualClock
from support.mail import Workers
from support.values import a_principal, an_arrival


def legacy(
    id: int | str | None = 1,
    key: str = "api-key:abc",
    session: str | None = "s1",
    kind: Kind = Kind.TOOL,
    method: str = "tools/call",
    params: dict[str, Any] | None = None,
) -> Call:
    return Call(
        arrival=an_arrival(),
        principal=a_principal(key),
        era=Era.LEGACY,
        version="2025-11-25",
        kind=kind,
        method=method,
        id=id,
        session=session,
        params=params or {},
    )


def cancelled(wanted: Any, **who: Any) -> Call:
    params = {"requestId": wanted, "reason": "canary"}
    return legacy(None, kind=Kind.NOTIFICATION, method="notifications/cancelled", params=params, **who)


class Work:
    """A call that runs until it is cancelled."""

    def __init__(self, running: InFlight, call: Call) -> None:
        self.running = running
        self.call = call
        self.entry: Entry | None = None
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        with self.running.enter(self.call) as self.entry:
            await asyncio.Event().wait()

    async def is_over(self) -> bool:
        for _ in range(5):
            await asyncio.sleep(0)
        return self.task.done()


@pytest.fixture
def running(clock: ManualClock) -> InFlight:
    return InFlight(Workers(clock, "a")["a"])


async def test_a_client_cancels_its_own_call(running: InFlight):
    work, other = Work(running, legacy(1)), Work(running, legacy(2))
    assert not await work.is_over()
    assert len(running) == 2
    running.cancel(cancelled(1))
    assert await work.is_over()
    assert work.task.cancelled()
    assert work.entry is not None
    assert work.entry.was_cancelled
    assert not await other.is_over()
    assert other.entry is not None
    assert not other.entry.was_cancelled
    other.task.cancel()
    await asyncio.gather(other.task, return_exceptions=True)
    assert len(running) == 0
    assert other.entry is not None
    assert not other.entry.was_cancelled  # by another cause: the server stops


@pytest.mark.parametrize("who", [{"key": "api-key:other"}, {"session": "s2"}, {"session": None}])
async def test_attack_64_the_calls_of_others_go_on(running: InFlight, who: dict[str, Any]):
    work = Work(running, legacy(1))
    await work.is_over()
    running.cancel(cancelled(1, **who))
    assert not await work.is_over()
    work.task.cancel()


@pytest.mark.parametrize("id, others", [(1, ("1", True, 1.0, 2, -1)), ("1", (1, "01", "1 ", True)), (0, (False,))])
async def test_a_number_and_its_text_are_two_ids(running: InFlight, id: int | str, others: tuple[Any, ...]):
    """Trap T22."""
    work = Work(running, legacy(id))
    await work.is_over()
    for wanted in others:
        running.cancel(cancelled(wanted))
    assert not await work.is_over()
    running.cancel(cancelled(id))
    assert await work.is_over()


@pytest.mark.parametrize("wanted", [None, [], {}, [1], {"a": 1}, 1.5, float("nan"), "x" * 257, 2**60, "\0"])
async def test_whatever_else_is_asked_to_be_cancelled_is_ignored(running: InFlight, wanted: Any):
    work = Work(running, legacy(1))
    await work.is_over()
    running.cancel(cancelled(wanted))
    running.cancel(legacy(None, kind=Kind.NOTIFICATION, method="notifications/cancelled"))
    assert not await work.is_over()
    work.task.cancel()


async def test_a_call_is_cancelled_once_and_not_after_its_end(running: InFlight):
    stopped = 0

    async def stubborn() -> None:
        nonlocal stopped
        with running.enter(legacy(1)):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                stopped += 1
                await asyncio.sleep(0)
                await asyncio.sleep(0)
        await asyncio.sleep(0)

    task = asyncio.create_task(stubborn())
    for _ in range(8):
        await asyncio.sleep(0)
        running.cancel(cancelled(1))
    await asyncio.wait_for(task, 5)
    assert stopped == 1


async def test_initialize_cannot_be_cancelled_for_it_has_no_session_yet(running: InFlight):
    work = Work(running, legacy(1, session=None, method="initialize", kind=Kind.LIFECYCLE))
    await work.is_over()
    running.cancel(cancelled(1))
    running.cancel(cancelled(1, session=None))
    assert not await work.is_over()
    assert len(running) == 0
    work.task.cancel()


async def test_calls_without_a_session_cost_no_entry_of_their_own(running: InFlight):
    one, two = running.enter(legacy(1, session=None)), running.enter(legacy(2, session=None))
    assert one is two
    with one, two:
        assert len(running) == 0
    assert not one.was_cancelled


async def test_attack_62_an_id_names_one_running_request_of_a_session(running: InFlight):
    """MCP, base protocol: the id must not have been used before in the session. With two, which is cancelled?"""
    work = Work(running, legacy(1))
    others = [Work(running, legacy("1")), Work(running, legacy(1, session="s2")), Work(running, legacy(1, "k2"))]
    await work.is_over()
    with pytest.raises(Refusal) as no, running.enter(legacy(1)):
        pytest.fail("entered")
    assert no.value.reason is Reason.PARAMS_INVALID
    assert len(running) == 4
    running.cancel(cancelled(1))
    assert await work.is_over()
    with running.enter(legacy(1)):  # its time is over: the id may come again
        assert len(running) == 4
    for other in others:
        other.task.cancel()


async def test_an_entry_that_is_never_begun_leaves_nothing_behind(running: InFlight):
    running.enter(legacy(1))
    assert len(running) == 0


# ---- across workers -------------------------------------------------------------------------------------------------


async def test_a_cancellation_finds_the_call_at_another_worker(clock: ManualClock):
    async with Workers(clock, "a", "b", "c") as workers:
        rooms = {name: InFlight(room) for name, room in workers.rooms.items()}
        work, number = Work(rooms["b"], legacy("1")), Work(rooms["c"], legacy(1))
        await work.is_over()
        rooms["a"].cancel(cancelled("1"))
        await workers.deliver()
        assert await work.is_over()
        assert work.entry is not None
        assert work.entry.was_cancelled
        assert not await number.is_over()
        number.task.cancel()


@pytest.mark.parametrize("who", [{"key": "api-key:other"}, {"session": "s2"}])
async def test_attack_64_the_calls_of_others_go_on_at_every_worker(clock: ManualClock, who: dict[str, Any]):
    async with Workers(clock, "a", "b") as workers:
        here, there = InFlight(workers["a"]), InFlight(workers["b"])
        work = Work(there, legacy(1))
        await work.is_over()
        here.cancel(cancelled(1, **who))
        await workers.deliver()
        assert not await work.is_over()
        work.task.cancel()


async def test_what_is_found_here_is_told_nobody(clock: ManualClock):
    async with Workers(clock, "a", "b") as workers:
        here = InFlight(workers["a"])
        work = Work(here, legacy(1))
        await work.is_over()
        here.cancel(cancelled(1))
        here.cancel(cancelled(True))
        here.cancel(cancelled("x" * 257))
        await workers.deliver()
        assert workers.post.seq == 0
        assert await work.is_over()
