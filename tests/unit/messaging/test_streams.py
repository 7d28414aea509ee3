"""Streams of changes: each caller receives what it asked for and may know, once, and no caller takes all the slots."""

import asyncio
import threading
from typing import cast

import pytest
from msgspec import Struct
from msgspec.structs import replace

from mcpward.core.change import Change, Topic
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Call
from mcpward.messaging.bus.worker_bus import WorkerBus
from mcpward.messaging.subscriptions.coalescing_queue import CAPACITY, CoalescingQueue
from mcpward.messaging.subscriptions.stream import Stream
from mcpward.messaging.subscriptions.streams import Streams
from support.clock import ManualClock
from support.facts import facts_of
from support.mail import Workers
from support.values import a_call, a_principal

TOOLS = Change("orders", Topic.TOOLS)


class Wish(Struct, frozen=True):
    topics: frozenset[Topic] = frozenset({Topic.TOOLS})
    uris: frozenset[str] = frozenset()
    tasks: frozenset[str] = frozenset()


class NoMail(WorkerBus):
    """The bus of a single worker."""

    def __init__(self) -> None:
        """Without a store."""

    def on(self, kind, handler) -> None:
        """No worker sends."""

    def send(self, kind, payload, to=None) -> bool:
        return False

    async def post(self, kind, payload, to=None) -> None:
        """No worker receives."""

    def hurry(self):
        raise AssertionError("nobody waits for mail here")


def caller(key: str = "api-key:ann", server: str = "orders") -> Call:
    return a_call(a_principal(key, server=server))


def updated(uri: str, **changes) -> Change:
    return Change("orders", Topic.RESOURCE, uri, **changes)


async def told(stream: Stream) -> list[Change]:
    """Everything that waits."""
    changes = []
    while True:
        try:
            async with asyncio.timeout(0):
                changes.append(await anext(stream))
        except TimeoutError:
            return changes


async def drained(stream: Stream) -> list[Change]:
    """Everything until the end."""
    async with asyncio.timeout(5):
        return [change async for change in stream]


async def test_a_stream_tells_what_was_asked_for_and_nothing_else():
    streams = Streams(NoMail())
    with streams.open(caller(), Wish(uris=frozenset({"orders://a"}))) as stream:
        for change in (TOOLS, updated("orders://a"), updated("orders://b"), Change("orders", Topic.PROMPTS)):
            streams.publish(change)
        assert await told(stream) == [TOOLS, updated("orders://a")]


async def test_a_waiting_reader_is_woken():
    streams = Streams(NoMail())
    with streams.open(caller(), Wish()) as stream:
        reader = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        streams.publish(TOOLS)
        assert await asyncio.wait_for(reader, 5) == TOOLS


async def test_another_servers_changes_are_not_told():
    streams = Streams(NoMail())
    with streams.open(caller(server="billing"), Wish()) as stream:
        streams.publish(TOOLS)
        assert await told(stream) == []


@pytest.mark.parametrize("owner, is_told", [("api-key:ann", True), ("api-key:bob", False), (None, False)])
async def test_a_task_is_told_to_its_owner_alone(owner: str | None, is_told: bool):
    """Attack 60: a caller that subscribes to another's task receives nothing of it."""
    streams = Streams(NoMail())
    change = Change("orders", Topic.TASK, "t1", owner)
    with streams.open(caller(), Wish(tasks=frozenset({"t1"}))) as stream:
        streams.publish(change)
        assert await told(stream) == ([change] if is_told else [])


async def test_an_owned_change_of_any_kind_is_its_owners():
    streams = Streams(NoMail())
    with streams.open(caller(), Wish(uris=frozenset({"orders://a"}))) as stream:
        streams.publish(updated("orders://a", owner="api-key:bob"))
        assert await told(stream) == []


async def test_a_task_that_was_not_asked_for_is_not_told():
    streams = Streams(NoMail())
    with streams.open(caller(), Wish(tasks=frozenset({"t2"}))) as stream:
        streams.publish(Change("orders", Topic.TASK, "t1", "api-key:ann"))
        assert await told(stream) == []


async def test_equal_changes_are_told_once():
    streams = Streams(NoMail())
    with streams.open(caller(), Wish()) as stream:
        for _ in range(1000):
            streams.publish(TOOLS)
        assert await told(stream) == [TOOLS]
        streams.publish(TOOLS)
        assert await told(stream) == [TOOLS]


async def test_a_reader_that_does_not_read_costs_a_bounded_queue():
    streams = Streams(NoMail())
    uris = [f"orders://{number}" for number in range(CAPACITY + 50)]
    with streams.open(caller(), Wish(uris=frozenset(uris))) as stream:
        for uri in uris:
            streams.publish(updated(uri))
        assert await told(stream) == [updated(uri) for uri in uris[50:]]


def test_a_full_queue_lets_nothing_go_for_what_waits_already():
    queue = CoalescingQueue(2)
    for change in (updated("a"), updated("b"), updated("a")):
        queue.add(change)
    assert [queue.take(), queue.take()] == [updated("a"), updated("b")]


@pytest.mark.parametrize(
    "waiting, coming, kept",
    [
        (
            [updated("a", params=b"1"), TOOLS, Change("orders", Topic.TOOLS, params=b"2")],
            updated("a", params=b"3"),
            [updated("a", params=b"1"), Change("orders", Topic.TOOLS, params=b"2"), updated("a", params=b"3")],
        ),
        (
            [TOOLS, updated("a", params=b"1"), updated("b")],
            updated("a", params=b"2"),
            [TOOLS, updated("b"), updated("a", params=b"2")],
        ),
        ([TOOLS, updated("a"), updated("b")], updated("c"), [updated("a"), updated("b"), updated("c")]),
    ],
    ids=["a list that changed again", "a resource that changed again", "the oldest"],
)
def test_a_full_queue_lets_go_of_what_is_missed_least(waiting, coming, kept):
    queue = CoalescingQueue(3)
    for change in (*waiting, coming):
        queue.add(change)
    assert [queue.take() for _ in range(len(queue))] == kept
    with pytest.raises(LookupError):
        queue.take()


async def test_one_caller_cannot_take_all_places():
    """Attack 48."""
    streams = Streams(NoMail(), per_caller=2, total=3)
    opened = [streams.open(caller(), Wish()) for _ in range(2)]
    with pytest.raises(Refusal) as refused:
        streams.open(caller(), Wish())
    assert refused.value.reason is Reason.RATE_EXCEEDED
    assert facts_of(refused.value)["retry_after_s"] > 0
    assert facts_of(refused.value)["policy"] == "streams"
    opened.append(streams.open(caller("api-key:bob"), Wish()))
    with pytest.raises(Refusal):
        streams.open(caller("api-key:eve"), Wish())  # the worker is full
    for stream in opened:
        stream.end("left")
        stream.end("left")  # gives its place back once
    assert len(streams) == 0
    opened = [streams.open(caller(), Wish()) for _ in range(2)]
    with pytest.raises(Refusal):
        streams.open(caller(), Wish())


async def test_leaving_the_block_gives_the_place_back_whatever_happened():
    streams = Streams(NoMail(), per_caller=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), streams.open(caller(), Wish()):
            raise ZeroDivisionError
    assert len(streams) == 0


async def test_a_stream_that_is_ended_tells_nothing_more():
    """A revoked key receives nothing, not even pending changes."""
    streams = Streams(NoMail())
    stream = streams.open(caller(), Wish())
    streams.publish(TOOLS)
    stream.end("revoked")
    streams.publish(TOOLS)
    assert await drained(stream) == []
    assert stream.ended == "revoked"


async def test_ending_wakes_the_reader():
    streams = Streams(NoMail())
    stream = streams.open(caller(), Wish())
    reader = asyncio.create_task(drained(stream))
    await asyncio.sleep(0)
    stream.end("revoked")
    assert await asyncio.wait_for(reader, 5) == []


async def test_closing_ends_all_and_opens_none():
    streams = Streams(NoMail())
    await streams.start()
    opened = [streams.open(caller(), Wish()) for _ in range(3)]
    streams.close()
    assert [await drained(stream) for stream in opened] == [[]] * 3
    with pytest.raises(Refusal) as refused:
        streams.open(caller(), Wish())
    assert refused.value.reason is Reason.BUSY
    await streams.stop()


async def test_a_change_reaches_the_other_workers(clock: ManualClock):
    async with Workers(clock, "a", "b", "c") as workers:
        sites = {name: Streams(room) for name, room in workers.rooms.items()}
        opened = {name: site.open(caller(), Wish(tasks=frozenset({"t1"}))) for name, site in sites.items()}
        for site in sites.values():
            await site.start()
        change = Change("orders", Topic.TASK, "t1", "api-key:ann", b'{"status":"working"}')
        sites["a"].publish(change)
        sites["a"].publish(TOOLS, local_only=True)
        assert await told(opened["a"]) == [change, TOOLS]
        await workers.post.until(1)
        await workers.deliver()
        assert len(workers.post.letters) == 1  # none of the local one
        assert await told(opened["b"]) == await told(opened["c"]) == [change]
        await workers.deliver()
        assert await told(opened["a"]) == []  # a change that came over the bus is not sent on
        for site in sites.values():
            await site.stop()


async def test_a_thousand_equal_changes_are_few_letters(clock: ManualClock):
    async with Workers(clock, "a", "b") as workers:
        one = Streams(workers["a"])
        await one.start()
        for _ in range(1000):
            one.publish(TOOLS)
        await one.stop()
        await workers.deliver()
        assert len(workers.post.letters) == 1


async def test_a_letter_that_is_no_change_is_let_go(clock: ManualClock):
    async with Workers(clock, "a", "b") as workers:
        streams = Streams(workers["b"])
        with streams.open(caller(), Wish()) as stream:
            await workers["a"].post("change", {"server": "orders", "topic": "notifications/of/a/later/release"})
            await workers["a"].post("change", {"server": "orders", "topic": Topic.TOOLS.value})
            await workers.deliver()
            assert await told(stream) == [TOOLS]


class BrokenMail(NoMail):
    async def post(self, kind, payload, to=None) -> None:
        raise OSError("the disk is gone")


async def test_streams_here_go_on_without_mail(caplog: pytest.LogCaptureFixture):
    streams = Streams(BrokenMail())
    await streams.start()
    with streams.open(caller(), Wish()) as stream:
        for _ in range(3):
            streams.publish(TOOLS)
            assert await told(stream) == [TOOLS]
    await asyncio.wait_for(streams.stop(), 5)
    assert len([record for record in caplog.records if "other workers" in record.message]) == 1


async def test_any_thread_may_publish():
    streams = Streams(NoMail())
    streams.publish_soon(TOOLS)  # before there is a loop
    stream = streams.open(caller(), Wish(uris=frozenset({"orders://a"})))
    await streams.start()
    assert await told(stream) == [TOOLS]

    def publish() -> None:
        for _ in range(10_000):
            streams.publish_soon(updated("orders://a"))

    author = threading.Thread(target=publish)
    author.start()
    assert await asyncio.wait_for(anext(stream), 5) == updated("orders://a")
    await asyncio.to_thread(author.join)
    await streams.stop()
    streams.publish_soon(TOOLS)  # after it


class CountingLoop:
    """An event loop that has no turn until the test gives it one."""

    def __init__(self) -> None:
        self.calls: list = []

    def call_soon_threadsafe(self, callback) -> None:
        self.calls.append(callback)


@pytest.mark.slow
async def test_a_thread_that_publishes_a_flood_fills_no_queue():
    streams = Streams(NoMail())
    loop = CountingLoop()
    streams._loop = cast("asyncio.AbstractEventLoop", loop)
    uris = frozenset(f"orders://{number}" for number in range(5000))
    stream = streams.open(caller(), Wish(uris=uris))
    for number in range(5000):
        streams.publish_soon(updated(f"orders://{number}"))
    assert len(loop.calls) == 1
    assert len(streams._soon) == 1024
    loop.calls.pop()()
    assert len(await told(stream)) == CAPACITY
    streams.publish_soon(updated("orders://1"))
    loop.calls.pop()()
    assert await told(stream) == [updated("orders://1")]


async def test_a_session_hears_each_change_on_the_stream_that_it_opened_last():
    streams = Streams(NoMail())
    call = replace(caller(), session="s1")
    first, second = streams.open(call, Wish()), streams.open(call, Wish())
    other = streams.open(replace(caller(), session="s2"), Wish())
    assert (first.ended, second.ended, other.ended) == ("replaced", None, None)
    assert len(streams) == 2
    second.end("left")
    assert streams.open(call, Wish()).ended is None
