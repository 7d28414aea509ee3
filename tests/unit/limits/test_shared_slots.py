"""Places: never more than there are, all a call needs or none, handed on in turns, and never lost."""

import asyncio
import gc
from collections import Counter
from typing import Any

import pytest

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Pool
from support.facts import facts_of
from support.places import places_of, tool_of

DB, GPU = Pool(name="db", slots=1), Pool(name="gpu", slots=1)


def named(slots, label):
    return next(semaphore for semaphore in slots.semaphores if semaphore.label == f"slots of {label}")


def free(slots, label="server orders"):
    return named(slots, label).free


def waiting(slots, label="server orders"):
    return len(named(slots, label).line)


def held_by(slots):
    return dict(slots._by_server["orders"].counts)


async def turns(n=5):
    for _ in range(n):
        await asyncio.sleep(0)


class Calls:
    """Calls that run until the test ends them, in the order in which they began."""

    def __init__(self, slots):
        self.slots = slots
        self.began = []
        self.busy = []
        self._ends = {}
        self._tasks = {}

    async def begin(self, name, caller="key:a", tool=None):
        self._ends[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._run(name, caller, tool))
        await turns()

    async def _run(self, name, caller, tool):
        try:
            lease = self.slots.lease("orders", caller, tool)
            if not lease.enter_now():
                await lease.enter()
            try:
                self.began.append(name)
                await self._ends[name].wait()
            finally:
                lease.end()
        except Refusal as no:
            self.busy.append((name, facts_of(no)["policy"]))

    async def end(self, *names):
        for name in names:
            self._ends[name].set()
            await self._tasks[name]
        await turns()

    async def cancel(self, *names):
        for name in names:
            self._tasks[name].cancel()
        await asyncio.gather(*(self._tasks[name] for name in names), return_exceptions=True)
        await turns()

    async def end_all(self):
        for event in self._ends.values():
            event.set()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


async def test_a_free_place_is_had_without_a_turn_of_the_loop():
    slots = places_of()
    turned: list[Any] = []
    asyncio.get_running_loop().call_soon(turned.append, True)
    async with slots.lease("orders", "key:a", None):
        assert not turned
        assert (free(slots), held_by(slots)) == (0, {"key:a": 1})
    assert (free(slots), held_by(slots)) == (1, {})


async def test_places_taken_ahead_are_those_that_are_entered():
    slots = places_of(2)
    lease = slots.lease("orders", "key:a", None)
    assert lease.try_now()
    assert lease.ask_shared() is None  # no other worker to ask
    async with lease:
        assert free(slots) == 1
    assert free(slots) == 2
    lease.release()
    assert free(slots) == 2


async def test_who_enters_without_waiting_holds_and_ends_as_a_block_does():
    slots = places_of(2, each=1)
    lease, other = slots.lease("orders", "key:a", None), slots.lease("orders", "key:a", None)
    assert lease.enter_now()
    assert lease.enter_now()  # it holds its places already, and takes no others
    assert not other.enter_now()
    assert (free(slots), held_by(slots), other.is_held) == (1, {"key:a": 1}, False)
    lease.end()
    lease.end()
    other.end()  # never entered
    assert (free(slots), held_by(slots), lease.has_ended(), lease.is_held) == (2, {}, True, False)
    await lease.take_back()  # nothing: it has ended
    assert (free(slots), lease.is_held) == (2, False)


async def test_a_place_that_was_lent_is_not_given_back_twice_at_the_end():
    slots = places_of(1)
    lease, other = slots.lease("orders", "key:a", None), slots.lease("orders", "key:b", None)
    assert lease.enter_now()
    lease.release()
    assert other.enter_now()
    lease.end()
    assert (free(slots), held_by(slots)) == (0, {"key:b": 1})
    other.end()
    assert (free(slots), held_by(slots)) == (1, {})


class TestAlongsideACharge:
    async def test_the_places_are_taken_in_the_turn_in_which_the_charge_begins_to_wait(self):
        slots, answer = places_of(), asyncio.get_running_loop().create_future()
        lease = slots.lease("orders", "key:a", None)
        charged = asyncio.ensure_future(lease.alongside(answer))
        await turns()
        assert free(slots) == 0
        answer.set_result("paid")
        assert await charged == "paid"
        async with lease:
            assert free(slots) == 0
        assert free(slots) == 1

    async def test_a_charge_that_is_refused_gives_them_back(self):
        slots, answer = places_of(), asyncio.get_running_loop().create_future()
        charged = asyncio.ensure_future(slots.lease("orders", "key:a", None).alongside(answer))
        await turns()
        answer.set_exception(Refusal(Reason.RATE_EXCEEDED))
        with pytest.raises(Refusal):
            await charged
        assert free(slots) == 1

    async def test_so_does_one_that_is_cancelled(self):
        slots, answer = places_of(), asyncio.get_running_loop().create_future()
        charged = asyncio.ensure_future(slots.lease("orders", "key:a", None).alongside(answer))
        await turns()
        charged.cancel()
        await asyncio.gather(charged, return_exceptions=True)
        assert (answer.cancelled(), free(slots)) == (True, 1)

    async def test_one_that_is_answered_at_once_asks_for_none(self):
        slots = places_of()
        lease = slots.lease("orders", "key:a", None)

        async def refused():
            raise Refusal(Reason.RATE_EXCEEDED)

        async def paid():
            return "paid"

        with pytest.raises(Refusal):
            await lease.alongside(refused())
        assert await lease.alongside(paid()) == "paid"
        assert (lease.is_held, free(slots)) == (False, 1)

    async def test_one_that_waits_more_than_once_is_awaited_to_its_end(self):
        async def slow():
            for _ in range(3):
                await asyncio.sleep(0)
            try:
                await asyncio.wait_for(asyncio.Event().wait(), 0.01)
            except TimeoutError:
                return "paid"

        async with (lease := places_of().lease("orders", "key:a", None)):
            pass
        assert await lease.alongside(slow()) == "paid"
        lease.release()


async def test_no_more_calls_run_at_once_than_there_are_places():
    slots, running, most = places_of(4), 0, 0

    async def call(n):
        nonlocal running, most
        async with slots.lease("orders", f"key:{n % 7}", None):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1

    await asyncio.gather(*[call(n) for n in range(60)])
    assert (most, free(slots), waiting(slots), held_by(slots)) == (4, 4, 0, {})


async def test_the_calls_of_one_caller_begin_in_their_order():
    calls = Calls(places_of())
    for n in range(8):
        await calls.begin(n)
    for n in range(8):
        await calls.end(n)
    assert calls.began == list(range(8))


async def test_who_comes_from_another_line_stands_where_it_would_have_stood():
    slots = places_of(1, pools=(DB,), servers=("orders", "files"))
    calls, db = Calls(slots), tool_of("query", "db")
    elsewhere = slots.lease("files", "key:z", db)
    assert elsewhere.try_now()
    await calls.begin("plain")
    await calls.begin("first", tool=db)  # in the pool's line
    await calls.begin("second")  # in the server's
    elsewhere.release()  # the pool's slot is for no call whose server is full
    assert (free(slots, "pool db"), waiting(slots)) == (1, 2)
    await calls.end("plain", "first", "second")
    assert calls.began == ["plain", "first", "second"]


async def test_callers_take_turns():
    calls = Calls(places_of())
    for name in ("a0", "a1", "a2", "a3", "b0", "b1", "c0"):
        await calls.begin(name, f"key:{name[0]}")
    for name in ("a0", "a1", "b0", "c0", "a2", "b1", "a3"):
        await calls.end(name)
    assert calls.began == ["a0", "a1", "b0", "c0", "a2", "b1", "a3"]


async def test_nobody_slips_in_before_those_who_wait():
    slots = places_of()
    calls = Calls(slots)
    await calls.begin("first")
    await calls.begin("second")
    calls._ends["first"].set()
    await calls._tasks["first"]  # its place is the second's now
    assert not slots.lease("orders", "key:z", None).try_now()
    await calls.end_all()


class TestAFullQueue:
    async def test_is_busy_at_once_and_says_for_what(self):
        slots = places_of(queue=1)
        calls = Calls(slots)
        for name in ("runs", "waits", "comes"):
            await calls.begin(name)
        assert calls.busy == [("comes", "slots of server orders")]
        with pytest.raises(Refusal) as busy:
            async with slots.lease("orders", "key:a", None):
                pass
        assert busy.value.reason is Reason.BUSY
        assert facts_of(busy.value)["retry_after_s"] >= 1
        await calls.end_all()
        assert free(slots) == 1

    async def test_sends_away_the_last_of_the_caller_with_most_for_one_who_has_fewer(self):
        calls = Calls(places_of(queue=4))
        for n in range(5):
            await calls.begin(f"a{n}", "key:a")
        await calls.begin("b0", "key:b")
        assert calls.busy == [("a4", "slots of server orders")]
        await calls.begin("b1", "key:b")
        assert [name for name, _ in calls.busy] == ["a4", "a3"]
        await calls.begin("b2", "key:b")  # as many as the other has: no call has to release its slot for it
        assert [name for name, _ in calls.busy] == ["a4", "a3", "b2"]
        await calls.end("a0", "a1", "b0", "a2", "b1")
        assert calls.began == ["a0", "a1", "b0", "a2", "b1"]

    async def test_of_no_length_lets_nobody_wait_and_forgets_who_came(self):
        slots = places_of(5, queue=0, each=1)
        calls = Calls(slots)
        await calls.begin("runs")
        await calls.begin("comes")
        assert calls.busy == [("comes", "slots of this caller")]
        assert slots._by_server["orders"].callers_held == 0
        await calls.end_all()


async def test_who_waits_too_long_is_told_busy_and_leaves_the_queue():
    slots = places_of(timeout_s=0.0)
    lease = slots.lease("orders", "key:a", None)
    assert lease.try_now()
    with pytest.raises(Refusal) as busy:
        async with slots.lease("orders", "key:b", None):
            pass
    assert (busy.value.reason, facts_of(busy.value)["policy"]) == (Reason.BUSY, "slots of server orders")
    assert waiting(slots) == 0
    lease.release()
    assert free(slots) == 1


async def test_each_queue_has_a_patience_of_its_own():
    hasty = Pool(name="hasty", slots=1, queue_timeout_s=0.0)
    calls, tool = Calls(places_of(9, timeout_s=60, pools=(hasty,))), tool_of("query", "hasty")
    await calls.begin("one", tool=tool)
    await calls.begin("two", tool=tool)
    await calls._tasks["two"]
    assert calls.busy == [("two", "slots of pool hasty")]
    await calls.end_all()


async def test_a_waiter_who_is_cancelled_leaves_the_queue():
    slots = places_of()
    calls = Calls(slots)
    for name in ("one", "two", "three"):
        await calls.begin(name)
    await calls.cancel("two")
    assert waiting(slots) == 1
    await calls.end("one", "three")
    assert (calls.began, free(slots), held_by(slots)) == (["one", "three"], 1, {})


async def test_a_place_handed_to_a_waiter_who_is_cancelled_in_the_same_turn_is_not_lost():
    slots = places_of()
    lease = slots.lease("orders", "key:a", None)
    assert lease.try_now()
    calls = Calls(slots)
    await calls.begin("two", "key:b")
    lease.release()  # the place is the waiter's now
    assert held_by(slots) == {"key:b": 1}
    await calls.cancel("two")
    assert (free(slots), held_by(slots)) == (1, {})


async def test_a_place_that_becomes_free_in_the_turn_in_which_the_first_is_cancelled_goes_to_the_next():
    slots = places_of()
    calls = Calls(slots)
    lease = slots.lease("orders", "key:a", None)
    assert lease.try_now()
    await calls.begin("two")
    await calls.begin("three")
    calls._tasks["two"].cancel()
    await asyncio.sleep(0)
    lease.release()
    await turns()
    assert calls.began == ["three"]
    await calls.end_all()
    assert free(slots) == 1


async def test_a_place_is_given_back_when_the_call_fails():
    slots = places_of()
    with pytest.raises(RuntimeError):
        async with slots.lease("orders", "key:a", None):
            raise RuntimeError
    assert free(slots) == 1


class TestAllOrNothing:
    async def test_who_waits_for_a_pool_holds_nothing_and_other_tools_do_not_feel_it(self):
        slots = places_of(2, pools=(DB,), each=2)
        calls, tool = Calls(slots), tool_of("query", "db")
        for name in ("one", "two", "three"):
            await calls.begin(name, tool=tool)
        assert (free(slots), free(slots, "pool db"), waiting(slots, "pool db")) == (1, 0, 2)
        await calls.begin("plain")
        assert calls.began == ["one", "plain"]
        await calls.end("plain", "one", "two", "three")
        assert calls.began == ["one", "plain", "two", "three"]

    async def test_a_pool_that_becomes_free_is_not_taken_by_one_who_lacks_the_servers_place(self):
        slots = places_of(2, pools=(DB,))
        calls, tool = Calls(slots), tool_of("query", "db")
        await calls.begin("db", tool=tool)
        await calls.begin("plain")
        await calls.begin("both", tool=tool)
        await calls.begin("late")  # the server is full, too
        await calls.end("db")  # the server's slot goes to one, the pool's to none, or both to the other
        assert len(calls.began) == 3
        await calls.end("plain")
        assert sorted(calls.began) == ["both", "db", "late", "plain"]
        await calls.end_all()
        assert (free(slots), free(slots, "pool db")) == (2, 1)

    async def test_a_tool_has_places_of_its_own(self):
        calls, tool = Calls(places_of(9)), tool_of("slow", concurrency=1)
        for name in ("one", "two"):
            await calls.begin(name, tool=tool)
        await calls.begin("other", tool=tool_of("quick", concurrency=1))
        assert calls.began == ["one", "other"]
        await calls.end("one", "two", "other")

    async def test_a_tool_that_is_declared_anew_goes_on_with_the_places_that_its_calls_hold(self):
        calls = Calls(places_of(9))
        await calls.begin("one", tool=tool_of("slow", concurrency=1))
        for name in ("two", "three", "four"):
            await calls.begin(name, tool=tool_of("slow", concurrency=1))
        assert calls.began == ["one"]
        await calls.begin("five", tool=tool_of("slow", concurrency=3))
        assert calls.began == ["one", "two", "three"]
        await calls.end("one", "two", "three", "four", "five")

    async def test_a_caller_has_no_more_than_its_own_places_and_leaves_the_rest_to_others(self):
        slots = places_of(4, each=2)
        calls = Calls(slots)
        for n in range(5):
            await calls.begin(f"a{n}", "key:a")
        await calls.begin("b0", "key:b")
        assert calls.began == ["a0", "a1", "b0"]
        assert free(slots) == 1
        await calls.end("a0", "a1", "b0", "a2", "a3", "a4")
        assert calls.began == ["a0", "a1", "b0", "a2", "a3", "a4"]
        assert (held_by(slots), slots._by_server["orders"].callers_held) == ({}, 0)

    async def test_pools_are_those_of_the_site_whatever_the_server(self):
        slots = places_of(9, pools=(DB,))
        lease = slots.lease("orders", "key:a", tool_of("query", "db"))
        assert lease.try_now()
        assert not slots.lease("orders", "key:b", tool_of("other", "db", "db")).try_now()
        lease.release()
        assert slots.lease("orders", "key:b", tool_of("other", "db", "db")).try_now()

    async def test_who_needs_two_scarce_things_has_both_in_the_end(self):
        slots = places_of(99, pools=(DB, GPU))
        done: Counter[Any] = Counter()
        stop = asyncio.Event()

        async def loop(name, tool):
            while not stop.is_set():
                async with slots.lease("orders", f"key:{name}", tool):
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                    if name == "ones":
                        await asyncio.sleep(0)
                done[name] += 1

        async def both():
            for _ in range(5):
                async with slots.lease("orders", "key:both", tool_of("both", "db", "gpu")):
                    await asyncio.sleep(0)
            stop.set()

        only = [loop(name, tool_of(name, pool)) for pool in ("db", "gpu") for name in (f"{pool}1", f"{pool}2", "ones")]
        async with asyncio.timeout(5):
            await asyncio.gather(both(), *only)
        assert done.total() < 1000
        assert (free(slots, "pool db"), free(slots, "pool gpu"), free(slots)) == (1, 1, 99)


class TestPatience:
    """One that missed the one thing for want of the other keeps what it finds, and gives it back if it leaves."""

    async def frustrate(self, calls):
        db, gpu = tool_of("db", "db"), tool_of("gpu", "gpu")
        await calls.begin("db0", "key:d", db)
        await calls.begin("gpu0", "key:g", gpu)
        await calls.begin("both", "key:b", tool_of("both", "db", "gpu"))
        await calls.end("db0")  # the pool db is free, and gpu is not
        await calls.begin("db1", "key:d", db)
        await calls.end("gpu0")
        await calls.begin("gpu1", "key:g", gpu)
        await calls.end("db1")  # for the third time
        await calls.begin("db2", "key:d", db)
        assert calls.began == ["db0", "gpu0", "db1", "gpu1"]

    async def test_it_keeps_what_it_finds(self):
        slots = places_of(99, pools=(DB, GPU))
        calls = Calls(slots)
        await self.frustrate(calls)
        await calls.end("gpu1")
        assert calls.began[-1] == "both"
        await calls.end("both")
        assert calls.began[-1] == "db2"
        await calls.end("db2")
        assert [semaphore.free for semaphore in slots.semaphores] == [99, 1, 1]
        assert slots._by_server["orders"].senior.waiter is None

    async def test_it_gives_back_what_it_kept_if_it_is_cancelled(self):
        slots = places_of(99, pools=(DB, GPU))
        calls = Calls(slots)
        await self.frustrate(calls)
        await calls.cancel("both")
        assert calls.began[-1] == "db2"
        assert slots._by_server["orders"].senior.waiter is None
        await calls.end_all()
        assert [semaphore.free for semaphore in slots.semaphores] == [99, 1, 1]


class TestWorkers:
    async def test_in_memory_each_has_its_part_of_what_all_callers_share(self):
        slots = places_of(9, pools=(Pool(name="db", slots=5),), workers=4)
        assert (free(slots), free(slots, "pool db")) == (2, 1)
        assert slots.lease("orders", "key:a", tool_of("query", concurrency=2)).try_now()

    async def test_each_has_one_place_at_the_least(self):
        assert free(places_of(1, workers=8)) == 1


@pytest.mark.slow
async def test_a_million_callers_leave_nothing_behind():
    slots = places_of(2)
    gc.collect()
    for n in range(20_000):
        async with slots.lease("orders", f"key:{n}", None):
            pass
    assert (held_by(slots), slots._by_server["orders"].callers_held) == ({}, 0)
    assert len(named(slots, "server orders").line._callers) == 0
