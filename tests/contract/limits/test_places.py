"""Slots that all processes of a site share: exact, in order, all or none, and free again if a process died.

Each worker here has a connection, slots and queues of its own; they meet only in the store.
"""

import asyncio
from collections import Counter
from contextlib import suppress

import pytest

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Pool
from mcpward.limits.concurrency.release import Release
from mcpward.limits.redis.shared_slots import RedisSlots
from support.facts import facts_of
from support.places import places_of, tool_of
from support.redis import RedisServer
from support.waiting import soon

DB = Pool(name="db", slots=5, queue=200, queue_timeout_s=20.0)


@pytest.fixture
def worker_at(namespace, join):
    """Makes one worker's places at the store of some URL."""

    async def make(url, slots=1, *, each=1000, pools=(), timeout_s=20.0, store_timeout_s=2.0, **more):
        counters = await join(url, namespace, timeout_s=store_timeout_s)
        shared = RedisSlots(counters.store)
        made = places_of(slots, each=each, pools=pools, timeout_s=timeout_s, shared=shared, **more)
        made.store, made.shared = counters.store, shared  # type: ignore[attr-defined]  # for tests that look behind
        return made

    return make


@pytest.fixture
def worker(worker_at, url):
    """Makes one worker's places: at Redis, at Valkey and at a cluster."""
    return lambda *args, **more: worker_at(url, *args, **more)


@pytest.fixture
def server(tmp_path):
    one = RedisServer(tmp_path)
    one.start()
    yield one
    one.kill()


class Room:
    """Calls run in it, and are counted."""

    def __init__(self):
        self.running = self.most = 0
        self.done: list[str] = []

    async def call(self, slots, caller, tool=None, lasts_s=0.005):
        async with slots.lease("orders", caller, tool):
            self.running += 1
            self.most = max(self.most, self.running)
            await asyncio.sleep(lasts_s)
            self.running -= 1
            self.done.append(caller)


def in_line(worker) -> int:
    """How many calls of a worker the store has told to wait, and that will ask it again."""
    return sum(map(len, worker.shared._asleep.values()))


def waiting_here(worker) -> int:
    """How many calls of a worker wait for one of its own places, before they ask the store."""
    return sum(len(semaphore.line) for semaphore in worker.semaphores)


async def test_no_more_calls_run_at_once_than_the_site_has_places_and_none_is_lost(worker):
    workers = [await worker(100, pools=(DB,)) for _ in range(3)]
    room, tool = Room(), tool_of("query", "db")
    await asyncio.gather(*(room.call(workers[n % 3], f"key:{n % 4}", tool) for n in range(60)))
    assert (room.most, len(room.done)) == (5, 60)
    assert [semaphore.free for one in workers for semaphore in one.semaphores] == [100, 5] * 3


async def test_all_callers_places_are_those_of_the_site(worker):
    workers = [await worker(100, each=3) for _ in range(2)]
    mine, yours = Room(), Room()
    await asyncio.gather(
        *(mine.call(workers[n % 2], "key:mine") for n in range(16)),
        *(yours.call(workers[n % 2], "key:yours") for n in range(16)),
    )
    assert (mine.most, yours.most) == (3, 3)


async def test_a_tools_own_places_are_those_of_the_site(worker):
    workers = [await worker(100) for _ in range(2)]
    room, tool = Room(), tool_of("query", concurrency=2)
    await asyncio.gather(*(room.call(workers[n % 2], f"key:{n}", tool) for n in range(12)))
    assert room.most == 2


async def test_callers_take_turns_across_workers(worker):
    many, few = await worker(1), await worker(1)
    room = Room()
    flood = [asyncio.create_task(room.call(many, "key:many")) for _ in range(30)]
    await soon(lambda: room.running)
    await asyncio.gather(*(room.call(few, "key:few") for _ in range(4)))
    assert Counter(room.done)["key:many"] <= 8
    await asyncio.gather(*flood)


async def test_one_call_goes_before_the_second_of_a_caller_who_waits_with_many(worker):
    busy, many, few = [await worker(4) for _ in range(3)]
    leases = [busy.lease("orders", "key:busy", None) for _ in range(4)]
    for lease in leases:
        await lease.__aenter__()
    room = Room()
    flood = [asyncio.create_task(room.call(many, "key:many")) for _ in range(4)]
    await soon(lambda: in_line(many) == 4)
    late = asyncio.create_task(room.call(few, "key:few"))
    await soon(lambda: in_line(few))
    leases.pop().release()
    await asyncio.gather(late, *flood)  # one after the other
    assert "key:few" in room.done[:2]
    for lease in leases:
        lease.release()


async def test_who_waits_for_one_pool_keeps_nobody_from_another(worker):
    pools = (Pool(name="db", slots=1), Pool(name="gpu", slots=1))
    one, other = [await worker(9, pools=pools) for _ in range(2)]
    room = Room()
    async with one.lease("orders", "key:a", tool_of("db", "db")):
        both = asyncio.create_task(room.call(other, "key:b", tool_of("both", "gpu", "db")))
        await soon(lambda: in_line(other))
        async with asyncio.timeout(1), other.lease("orders", "key:c", tool_of("gpu", "gpu")):
            assert not both.done()
    await both


async def test_who_waits_for_a_pool_holds_nothing_here_or_there(worker):
    small, tool = Pool(name="small", slots=1, queue_timeout_s=20.0), tool_of("query", "small")
    one, other = await worker(2, pools=(small,)), await worker(2, pools=(small,))
    room = Room()
    async with one.lease("orders", "key:a", tool):
        waiting = [asyncio.create_task(room.call(place, "key:b", tool)) for place in (one, other, one, other)]
        await soon(lambda: in_line(other) and (waiting_here(one), waiting_here(other)) == (2, 1))
        for place in (one, other):
            async with asyncio.timeout(1), place.lease("orders", "key:c", None):
                assert not room.done
    await asyncio.gather(*waiting)
    assert room.most == 1


async def test_the_wait_for_a_place_of_the_site_ends_and_says_of_which(worker):
    small = Pool(name="small", slots=1, queue_timeout_s=0.2)
    one, other = await worker(9, pools=(small,)), await worker(9, pools=(small,))
    tool = tool_of("query", "small")
    async with one.lease("orders", "key:a", tool):
        with pytest.raises(Refusal) as busy:
            async with other.lease("orders", "key:b", tool):
                pass
    assert (busy.value.reason, facts_of(busy.value)["policy"]) == (Reason.BUSY, "slots of pool small")
    async with asyncio.timeout(1), other.lease("orders", "key:b", tool):
        pass


async def test_without_a_queue_nobody_waits(worker):
    small = Pool(name="small", slots=1, queue=0)
    one, other = await worker(9, pools=(small,)), await worker(9, pools=(small,))
    async with one.lease("orders", "key:a", tool_of("query", "small")):
        with pytest.raises(Refusal):
            async with asyncio.timeout(1), other.lease("orders", "key:b", tool_of("query", "small")):
                pass


async def test_what_was_asked_and_is_not_wanted_any_more_is_given_back(worker):
    one, other = await worker(1), await worker(1)
    lease = one.lease("orders", "key:a", None)
    assert lease.try_now()
    assert lease.ask_shared() is not None
    lease.release()  # its charge was refused in the same turn
    async with asyncio.timeout(1), other.lease("orders", "key:b", None):
        pass
    assert not one.shared._held


async def test_nobody_enters_without_asking_for_the_places_of_the_site(worker):
    one, other = await worker(1), await worker(1)
    lease = one.lease("orders", "key:a", None)
    assert not lease.enter_now()
    assert not lease.is_held
    await lease.enter()
    assert len(one.shared._held) == 1
    waits = asyncio.ensure_future(other.lease("orders", "key:b", None).enter())
    await soon(lambda: in_line(other))
    assert not waits.done()
    lease.end()
    async with asyncio.timeout(1):
        await waits
    assert (lease.has_ended(), lease.is_held, one.shared._held) == (True, False, {})


async def test_a_place_asked_for_ahead_is_the_one_that_is_entered(worker):
    one, other = await worker(1), await worker(1)
    lease = one.lease("orders", "key:a", None)
    assert lease.try_now()
    assert lease.ask_shared() is not None
    async with asyncio.timeout(1), lease:
        assert len(one.shared._held) == 1
        late = asyncio.create_task(Room().call(other, "key:b"))
        await soon(lambda: in_line(other))
        assert not late.done()
    await asyncio.wait_for(late, 2)
    assert not one.shared._held


@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.05])
async def test_a_call_that_is_cancelled_at_any_moment_leaves_no_place_and_no_waiter_behind(worker, after_s):
    one, other = await worker(1), await worker(1)
    room = Room()
    async with one.lease("orders", "key:a", None):
        waiting = [asyncio.create_task(room.call(other, f"key:{n}")) for n in range(3)]
        await asyncio.sleep(after_s)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    started = asyncio.get_running_loop().time()
    async with asyncio.timeout(2), one.lease("orders", "key:a", None):
        assert asyncio.get_running_loop().time() - started < 0.5  # not waiting for the silence of the dead
    assert [semaphore.free for semaphore in (*one.semaphores, *other.semaphores)] == [1, 1]


async def test_a_lent_place_is_for_other_workers_and_comes_back_before_those_that_have_not_begun(worker):
    one, other, third = [await worker(1) for _ in range(3)]
    room, answered, order = Room(), asyncio.Event(), []

    async def visit(place, name, leave):
        async with place.lease("orders", f"key:{name}", None):
            order.append(name)
            await leave.wait()

    leave, never = asyncio.Event(), asyncio.Event()
    never.set()
    async with one.lease("orders", "key:a", None) as lease:
        loan = Release(lease)

        async def ask():
            async with loan.lent():
                await answered.wait()
            order.append("back")

        asking = asyncio.create_task(ask())
        guest = asyncio.create_task(visit(other, "guest", leave))
        await soon(lambda: order == ["guest"])
        late = asyncio.create_task(visit(third, "late", never))
        await soon(lambda: in_line(third))
        answered.set()
        await soon(lambda: in_line(one))
        leave.set()
        await asking
        assert order == ["guest", "back"]
        assert not late.done()
    await asyncio.gather(guest, late)
    assert room.running == 0


async def test_values_of_a_wrong_type_under_the_keys_are_deleted_and_no_call_fails(worker_at, server):
    one, other = [await worker_at(server.url, 1) for _ in range(2)]
    async with one.lease("orders", "key:a", None):
        keys = [key for key in server.run("KEYS", "*") if b"}p\0" in key]
    assert len(keys) == 2
    for kind in (b"p", b"w", b"a", b"t"):
        for key in keys:
            server.run("SET", key.replace(b"}p\0", b"}" + kind + b"\0"), "nonsense")
    room = Room()
    async with asyncio.timeout(5):
        await asyncio.gather(*(room.call((one, other)[n % 2], f"key:{n % 3}") for n in range(8)))
    assert (room.most, len(room.done), one.store.is_up) == (1, 8, True)
    assert one.store.failures + other.store.failures > 0  # an operator sees it


async def test_who_runs_while_everything_is_deleted_is_counted_again(worker_at, server):
    one, other = await worker_at(server.url, 1), await worker_at(server.url, 1)
    async with one.lease("orders", "key:a", None):
        server.flush()
        await soon(lambda: server.keys("*}p\0*"), 1.3)  # seen by a beat, before a renewal is due
        late = asyncio.create_task(Room().call(other, "key:b"))
        await soon(lambda: in_line(other))
        assert not late.done()
    await asyncio.wait_for(late, 2)


async def test_the_first_in_line_that_died_is_waited_for_no_longer_than_a_second(worker_at, server):
    one, dead, next_one = [await worker_at(server.url, 1) for _ in range(3)]
    room = Room()
    async with one.lease("orders", "key:a", None):
        gone = asyncio.create_task(room.call(dead, "key:dead"))
        await soon(lambda: in_line(dead))
        waiting = asyncio.create_task(room.call(next_one, "key:next"))
        await soon(lambda: in_line(next_one))
        dead.store.tell = lambda _: None  # killed: it closes without a goodbye
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
    await asyncio.wait_for(waiting, 1.6)
    assert room.done == ["key:next"]


@pytest.mark.slow
async def test_a_place_lasts_as_long_as_its_call_and_no_longer_than_its_process(worker_at, server):
    one, other = await worker_at(server.url, 1), await worker_at(server.url, 1)
    room = Room()
    lease = one.lease("orders", "key:a", None)
    await lease.__aenter__()
    late = asyncio.create_task(room.call(other, "key:b"))
    await asyncio.sleep(6.0)  # longer than a place lives without renewal
    assert not late.done()
    await one.store.stop()  # killed: nothing is renewed, nothing given back
    await asyncio.wait_for(late, 6.0)


@pytest.mark.slow
@pytest.mark.parametrize("hours", [1, -1])
async def test_a_clock_that_is_set_neither_frees_places_nor_locks_anybody_out(worker_at, tmp_path, hours):
    server = RedisServer(tmp_path)
    server.start(faked_clock=True)
    try:
        one, other, dead = [await worker_at(server.url, 2, store_timeout_s=0.5) for _ in range(3)]
        await dead.lease("orders", "key:dead", None).__aenter__()
        async with one.lease("orders", "key:a", None):
            server.set_clock(hours * 3600)
            await dead.store.stop()
            room = Room()
            started = asyncio.get_running_loop().time()
            await asyncio.wait_for(room.call(other, "key:b"), 8.0)
            assert asyncio.get_running_loop().time() - started > 2.0  # the dead one's place lasted
            async with other.lease("orders", "key:c", None):
                late = asyncio.create_task(room.call(other, "key:d"))
                await soon(lambda: in_line(other))
                assert not late.done()
            await asyncio.wait_for(late, 2)
    finally:
        server.kill()


class TestWithoutTheStore:
    @pytest.mark.parametrize("how", ["kill", "pause"])
    async def test_each_process_gives_its_share_by_itself(self, worker_at, server, how):
        workers = [await worker_at(server.url, 8, workers=2, share=0.5, store_timeout_s=0.2) for _ in range(2)]
        getattr(server, how)()
        room = Room()
        started = asyncio.get_running_loop().time()
        await asyncio.gather(*(room.call(workers[n % 2], f"key:{n % 3}", None, 0.05) for n in range(12)))
        assert (room.most, len(room.done)) == (4, 12)
        assert asyncio.get_running_loop().time() - started < 1.5

    async def test_where_redis_forbids_what_places_need_each_process_gives_its_share(self, worker_at, server, caplog):
        server.run("ACL", "SETUSER", "half", "on", ">p", "~*", "&*", "+@all", "-zadd")
        url = server.url.replace("redis://", "redis://half:p@")
        workers = [await worker_at(url, 8, workers=2, share=0.5) for _ in range(2)]
        room = Room()
        for _ in range(3):
            await asyncio.gather(*(room.call(workers[n % 2], f"key:{n % 3}", None, 0.05) for n in range(12)))
            await asyncio.sleep(0.5)
        assert (room.most, len(room.done)) == (4, 36)
        assert all(one.store.is_up for one in workers)  # rates are counted there as before
        assert 1 <= len([line for line in caplog.records if "a script" in line.message]) <= 2
        server.run("ACL", "SETUSER", "half", "+zadd")
        await soon(lambda: all(one.shared.is_up for one in workers))
        again = Room()
        await asyncio.gather(*(again.call(workers[n % 2], f"key:{n % 3}", None, 0.05) for n in range(24)))
        await asyncio.gather(*(again.call(workers[n % 2], f"key:{n % 3}", None, 0.05) for n in range(24)))
        assert again.most == 8

    async def test_what_is_closed_lets_nobody_in(self, worker_at, server):
        shut = Pool(name="shut", slots=5, on_store_failure="closed")
        one = await worker_at(server.url, 8, pools=(shut,), store_timeout_s=0.2)
        server.kill()
        for _ in range(2):
            with pytest.raises(Refusal) as busy:
                async with asyncio.timeout(1), one.lease("orders", "key:a", tool_of("query", "shut")):
                    pass
            assert facts_of(busy.value)["policy"] == "slots of pool shut"
        async with asyncio.timeout(1), one.lease("orders", "key:a", None):
            pass

    async def test_who_waits_for_what_is_closed_is_sent_away(self, worker_at, server):
        shut = Pool(name="shut", slots=1, on_store_failure="closed", queue_timeout_s=20)
        one = await worker_at(server.url, 8, pools=(shut,), store_timeout_s=0.2)
        tool = tool_of("query", "shut")
        async with one.lease("orders", "key:a", tool):
            waiting = asyncio.create_task(Room().call(one, "key:b", tool))
            await soon(lambda: waiting_here(one))
            server.kill()
            await soon(lambda: not one.store.is_up)
            one.notice()
            with pytest.raises(Refusal):
                await asyncio.wait_for(waiting, 1)

    async def test_what_is_open_lets_everybody_in(self, worker_at, server):
        one = await worker_at(server.url, 1, each=1, store_timeout_s=0.2, on_store_failure="open")
        server.kill()
        room = Room()
        await asyncio.gather(*(room.call(one, "key:a", None, 0.3) for _ in range(20)))
        assert room.most == 20

    @pytest.mark.parametrize("how", ["kill", "pause"])
    async def test_calls_that_wait_when_it_goes_are_let_in_by_what_is_left(self, worker_at, server, how):
        one, other = [await worker_at(server.url, 1, store_timeout_s=0.2) for _ in range(2)]
        room = Room()
        async with one.lease("orders", "key:a", None):
            waiting = asyncio.create_task(room.call(other, "key:b"))
            await soon(lambda: in_line(other))
            getattr(server, how)()
            await asyncio.wait_for(waiting, 1.0)
        assert [semaphore.free for semaphore in (*one.semaphores, *other.semaphores)] == [1, 1]

    async def test_when_it_is_back_the_places_are_the_sites_again_with_those_that_run_counted(self, worker_at, server):
        one, other = [await worker_at(server.url, 1, store_timeout_s=0.3) for _ in range(2)]
        server.kill()
        with suppress(Refusal):
            await Room().call(other, "key:x")
        async with one.lease("orders", "key:a", None):  # had while it was away
            server.start()
            await soon(lambda: one.store.is_up and other.store.is_up)
            late = asyncio.create_task(Room().call(other, "key:b"))
            await soon(lambda: in_line(other))
            assert not late.done()
        await asyncio.wait_for(late, 2)
