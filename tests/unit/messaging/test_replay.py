"""A stream can be resumed only by the caller that began it, at any worker, within bounds; for all others it never
existed.
"""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Call
from mcpward.messaging.bus.worker_bus import WorkerBus
from mcpward.messaging.resumption import event_id
from mcpward.messaging.resumption.buffer import OVERHEAD
from mcpward.messaging.resumption.replay import Bounds, Buffer, RemoteTimeouts, Replays, Resumed
from support.clock import ManualClock
from support.facts import facts_of
from support.mail import Workers
from support.values import a_call, a_principal
from support.waiting import soon

QUICK = RemoteTimeouts(answer_s=0.05, renew_s=0.01, silence_s=5.0)


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
        return nullcontext()


def within(session: str | None = "s1", key: str = "api-key:ann", last_event: str | None = None) -> Call:
    return a_call(a_principal(key), session=session, last_event=last_event)


def after(event: str, session: str | None = "s1", key: str = "api-key:ann") -> Call:
    return within(session, key, event)


def alone(clock: ManualClock, **changes) -> Replays:
    return Replays(NoMail(), clock, "w1", **changes)


def filled(replays: Replays, count: int = 3, call: Call | None = None) -> tuple[Buffer, list[str]]:
    replay = replays.begin(call or within())
    return replay, [replay.append(b"%d" % number) for number in range(1, count + 1)]


async def everything(rest: Resumed) -> list[tuple[bytes, str]]:
    async with asyncio.timeout(5), rest:
        return [event async for event in rest]


async def unknown(replays: Replays, call: Call) -> str:
    """Resuming is refused as for an event that never was; returns the private detail."""
    with pytest.raises(Refusal) as refused:
        await replays.resume(call)
    assert refused.value.reason is Reason.EVENT_UNKNOWN
    assert facts_of(refused.value) == {}
    return refused.value.detail


async def test_what_came_after_the_event_is_given_once_and_in_order(clock: ManualClock):
    replays = alone(clock)
    replay, ids = filled(replays)
    replay.finish()
    assert await everything(await replays.resume(after(ids[0]))) == [(b"2", ids[1]), (b"3", ids[2])]
    assert await everything(await replays.resume(after(ids[2]))) == []


async def test_a_resumed_stream_goes_on_live_until_it_has_finished(clock: ManualClock):
    replays = alone(clock)
    replay, ids = filled(replays, 1)
    rest = await replays.resume(after(ids[0]))
    reader = asyncio.create_task(everything(rest))
    await asyncio.sleep(0)
    ids += [replay.append(b"2"), replay.append(b"3")]
    await asyncio.sleep(0)
    ids.append(replay.append(b"4"))
    assert not reader.done()
    replay.finish()
    assert await reader == [(b"2", ids[1]), (b"3", ids[2]), (b"4", ids[3])]


async def test_two_readers_of_one_stream_both_get_all(clock: ManualClock):
    replays = alone(clock)
    replay, ids = filled(replays, 1)
    readers = [asyncio.create_task(everything(await replays.resume(after(ids[0])))) for _ in range(2)]
    await asyncio.sleep(0)
    last = replay.append(b"2")
    replay.finish()
    assert await asyncio.gather(*readers) == [[(b"2", last)]] * 2


async def test_leaving_the_block_finishes_the_stream(clock: ManualClock):
    replays = alone(clock)
    with replays.begin(within()) as replay:
        first = replay.append(b"")  # the priming event: a place to resume from
        last = replay.append(b"1")
    assert await everything(await replays.resume(after(first))) == [(b"1", last)]


async def test_event_ids_are_visible_ascii_and_nobody_guesses_one(clock: ManualClock):
    replays = alone(clock)
    names = set()
    for _ in range(30):
        replay, ids = filled(replays, 2)
        assert all(text.isascii() and text.isprintable() and " " not in text and len(text) < 128 for text in ids)
        assert ids[0] != ids[1]
        assert len(replay.name) == 22  # base 62: 131 bits
        names.add(replay.name)
    assert len(names) == 30


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "w1..1",
        "w1.{name}",
        "w1.{name}.",
        "w1.{name}.01",
        "w1.{name}.+1",
        "w1.{name}.1 ",
        "w1.{name}.1\n",
        "w1.{name}.-1",
        "w1.{name}.٣",
        "w1.{name}.4",
        "w1.{name}.99999999999",
        "w1.{lower}.1",
        "w2.{name}.1",
        ".{name}.1",
        "w1.{name}.1" + "0" * 200,
        "w" * 5000,
    ],
)
async def test_an_event_that_never_was_is_unknown(clock: ManualClock, text: str):
    replays = alone(clock)
    replay, _ = filled(replays)
    await unknown(replays, after(text.format(name=replay.name, lower=replay.name.swapcase())))


async def test_no_event_is_unknown(clock: ManualClock):
    await unknown(alone(clock), within())


@pytest.mark.parametrize("session, key", [("s2", "api-key:ann"), ("s1", "api-key:bob"), (None, "api-key:ann")])
async def test_another_session_or_another_caller_gets_nothing(clock: ManualClock, session: str | None, key: str):
    """Attack 63: the same answer as for an event that never was, so that nothing is learnt by trying."""
    replays = alone(clock)
    replay, ids = filled(replays)
    detail = await unknown(replays, after(ids[0], session, key))
    forged = ids[0].replace(replay.name, "0" * 22)
    assert detail == await unknown(replays, after(forged, session, key))


async def test_a_stream_belongs_to_a_session(clock: ManualClock):
    with pytest.raises(Refusal) as refused:
        alone(clock).begin(within(None))
    assert refused.value.reason is Reason.SESSION_MISSING


async def test_a_finished_stream_is_kept_for_a_minute(clock: ManualClock):
    replays = alone(clock)
    replay, ids = filled(replays)
    clock.advance(3600.0)  # a running one is kept
    replay.finish()
    clock.advance(30.0)
    replay.finish()  # a second time keeps it no longer
    clock.advance(29.9)
    assert len(await everything(await replays.resume(after(ids[0])))) == 2
    clock.advance(0.1)
    await unknown(replays, after(ids[0]))


async def test_what_has_run_out_is_let_go_without_being_asked_for(clock: ManualClock):
    replays = alone(clock)
    for number in range(20):
        filled(replays, call=within(key=f"api-key:{number}"))[0].finish()
    running, _ = filled(replays)
    clock.advance(61.0)
    replays.prune()
    assert len(replays._buffers) == 1
    assert replays._buffers.size == running.size
    assert list(replays._buffers._callers) == ["api-key:ann"]


async def test_no_set_clock_keeps_a_stream_longer(clock: ManualClock):
    replays = alone(clock)
    replay, ids = filled(replays)
    replay.finish()
    clock.shift_wall(-3600.0)
    clock.advance(60.0)
    await unknown(replays, after(ids[0]))


async def test_a_stream_that_lost_events_is_not_resumed_from_before_the_loss(clock: ManualClock):
    replays = alone(clock, bounds=Bounds(events=3))
    replay, ids = filled(replays, 5)
    await unknown(replays, after(ids[0]))
    replay.finish()
    assert [message for message, _ in await everything(await replays.resume(after(ids[1])))] == [b"3", b"4", b"5"]


async def test_a_stream_keeps_bounded_bytes(clock: ManualClock):
    size = 10 + OVERHEAD
    replays = alone(clock, bounds=Bounds(stream_size=3 * size))
    replay = replays.begin(within())
    ids = [replay.append(b"%010d" % number) for number in range(5)]
    assert replay.size == replays._buffers.size == 3 * size
    await unknown(replays, after(ids[0]))
    whale = replay.append(b"x" * 4 * size)  # larger than all that may be kept
    assert replay.size == replays._buffers.size == 0
    await unknown(replays, after(ids[-1]))
    replay.finish()
    assert await everything(await replays.resume(after(whale))) == []


async def test_a_reader_that_fell_behind_reaches_the_end(clock: ManualClock):
    replays = alone(clock, bounds=Bounds(events=2))
    replay, ids = filled(replays, 2)
    async with await replays.resume(after(ids[0])) as rest:
        assert await anext(rest) == (b"2", ids[1])
        for _ in range(3):
            replay.append(b"more")
        assert [event async for event in rest] == []  # a gap is never passed over in silence


async def test_a_callers_oldest_finished_stream_goes_first(clock: ManualClock):
    replays = alone(clock, bounds=Bounds(caller_streams=3))
    running, first = filled(replays)
    done, second = filled(replays)
    done.finish()
    other, third = filled(replays, call=within(key="api-key:bob"))
    filled(replays)
    filled(replays)
    await unknown(replays, after(second[0]))
    filled(replays)
    await unknown(replays, after(first[0]))  # none had finished: the oldest
    assert running.append(b"goes on").endswith(".4")
    running.finish()
    other.finish()
    assert len(await everything(await replays.resume(after(third[0], key="api-key:bob")))) == 2


async def test_a_caller_keeps_bounded_bytes_over_all_streams(clock: ManualClock):
    size = 10 + OVERHEAD
    replays = alone(clock, bounds=Bounds(caller_size=3 * size))
    one, two = replays.begin(within()), replays.begin(within("s2"))
    bob = replays.begin(within(key="api-key:bob"))
    ids = [replay.append(b"x" * 10) for replay in (one, two, two, bob)]
    assert len(replays._buffers) == 3
    two.append(b"x" * 10)
    assert (one.size, two.size, bob.size) == (0, 3 * size, size)
    await unknown(replays, after(ids[0]))
    two.append(b"x" * 10)  # alone it is too much: nothing of the caller is left
    assert replays._buffers.size == bob.size


async def test_all_callers_together_keep_bounded_bytes_and_streams(clock: ManualClock):
    size = 10 + OVERHEAD
    replays = alone(clock, bounds=Bounds(total_size=3 * size, total_streams=10))
    made = [replays.begin(within(key=f"api-key:{number}")) for number in range(4)]
    for replay in made[:3]:
        replay.append(b"x" * 10)
    made[2].finish()
    made[1].finish()
    made[3].append(b"x" * 10)
    assert [replay.size for replay in made] == [size, size, 0, size]  # the one that finished first
    for number in range(20):
        replays.begin(within(key=f"api-key:late-{number}"))
    assert len(replays._buffers) == 10
    assert len(replays._buffers._callers) == 10
    assert replays._buffers.size == 0


async def test_one_caller_cannot_take_all_readers_places(clock: ManualClock):
    """Attack 48."""
    replays = alone(clock, per_caller=2, total=3)
    ids = filled(replays)[1]
    bobs = filled(replays, call=within(key="api-key:bob"))[1]
    rests = [await replays.resume(after(ids[0])) for _ in range(2)]
    with pytest.raises(Refusal) as refused:
        await replays.resume(after(ids[0]))
    assert refused.value.reason is Reason.RATE_EXCEEDED
    assert facts_of(refused.value)["policy"] == "streams"
    for _ in range(3):  # what is refused takes no place
        await unknown(replays, after("w1.0000000000000000000000.1", key="api-key:bob"))
    rests.append(await replays.resume(after(bobs[0], key="api-key:bob")))
    for rest in rests:
        rest.close()
        rest.close()
    assert len(replays._places) == 0


async def test_a_reader_that_is_cancelled_gives_its_place_back(clock: ManualClock):
    replays = alone(clock)
    ids = filled(replays, 1)[1]
    rest = await replays.resume(after(ids[0]))
    reader = asyncio.create_task(anext(rest))
    await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert len(replays._places) == 0


async def test_stopping_ends_whoever_reads(clock: ManualClock):
    replays = alone(clock)
    replay, ids = filled(replays, 1)
    reader = asyncio.create_task(everything(await replays.resume(after(ids[0]))))
    await asyncio.sleep(0)
    await replays.stop()
    assert await reader == []
    replay.append(b"late")
    replay.finish()
    assert len(replays._buffers) == replays._buffers.size == 0


@pytest.mark.parametrize("name", ["", "a b", "ä", "w" * 65, "w\n"])
def test_a_worker_whose_name_fits_in_no_header_is_refused(clock: ManualClock, name: str):
    with pytest.raises(ValueError):
        Replays(NoMail(), clock, name)


def test_a_name_is_read_as_it_was_written():
    event = event_id.EventId("a.b.c", "0" * 22, 7)
    assert event_id.read(str(event)) == event
    assert event_id.read(None) is None


class Site:
    """Replays of several workers, whose messages are carried all the time."""

    def __init__(self, clock: ManualClock, *names: str, patience: RemoteTimeouts = QUICK) -> None:
        self.workers = Workers(clock, *names, poll_s=0.001, hurry_s=0.001)
        self.at = {name: Replays(room, clock, name, patience=patience) for name, room in self.workers.rooms.items()}

    async def __aenter__(self) -> "Site":
        await self.workers.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for replays in self.at.values():
            await replays.stop()
        await self.workers.__aexit__()

    async def until_quiet(self) -> None:
        """Wait until no worker reads at another."""
        await soon(lambda: not any(len(each._reader) or len(each._sender) for each in self.at.values()))


#: The first answer may take its time on a busy machine; where none is to come, QUICK is used.
PATIENT = RemoteTimeouts(answer_s=5.0, renew_s=0.01, silence_s=5.0)


async def test_a_client_may_come_back_to_another_worker(clock: ManualClock):
    async with Site(clock, "a", "b", "c", patience=PATIENT) as site:
        replay, ids = filled(site.at["b"])
        rest = await site.at["a"].resume(after(ids[0]))
        assert [await anext(rest), await anext(rest)] == [(b"2", ids[1]), (b"3", ids[2])]
        waiting = asyncio.create_task(anext(rest))
        await asyncio.sleep(0)
        ids.append(replay.append(b"4"))
        assert await asyncio.wait_for(waiting, 5) == (b"4", ids[3])
        ids.append(replay.append("ünïcode".encode()))
        replay.finish()
        assert await everything(rest) == [("ünïcode".encode(), ids[4])]
        await site.until_quiet()
        assert len(site.at["a"]._places) == 0


async def test_a_finished_stream_at_another_worker_comes_whole(clock: ManualClock):
    async with Site(clock, "a", "b", patience=PATIENT) as site:
        replay = site.at["b"].begin(within())
        sent = [bytes([number % 256]) * size for number, size in enumerate([0, 1, 300_000, 32_768, 7, 65_536, 5] * 2)]
        start = replay.append(b"")
        for message in sent:
            replay.append(message)
        replay.finish()
        got = await everything(await site.at["a"].resume(after(start)))
        assert [message for message, _ in got] == sent
        await site.until_quiet()


@pytest.mark.parametrize("session, key", [("s2", "api-key:ann"), ("s1", "api-key:bob")])
async def test_nobody_gets_anothers_stream_by_way_of_another_worker(clock: ManualClock, session: str, key: str):
    """Attack 63."""
    async with Site(clock, "a", "b", patience=PATIENT) as site:
        ids = filled(site.at["b"])[1]
        detail = await unknown(site.at["a"], after(ids[0], session, key))
        assert detail == await unknown(site.at["a"], after("b." + "0" * 22 + ".1", session, key))
        await site.until_quiet()
        assert len(site.at["a"]._places) == 0


async def test_a_loss_is_a_loss_at_another_worker_too(clock: ManualClock):
    async with Site(clock, "a", "b", patience=PATIENT) as site:
        ids = filled(site.at["b"], 300)[1]
        await unknown(site.at["a"], after(ids[0]))


async def test_a_worker_that_is_gone_is_waited_for_with_patience(clock: ManualClock):
    async with Site(clock, "a") as site:
        await unknown(site.at["a"], after("gone." + "0" * 22 + ".1"))
        assert len(site.at["a"]._places) == 0
        await site.until_quiet()


async def test_a_reader_that_leaves_is_told_nothing_more(clock: ManualClock):
    async with Site(clock, "a", "b", patience=PATIENT) as site:
        ids = filled(site.at["b"], 1)[1]
        async with await site.at["a"].resume(after(ids[0])):
            assert len(site.at["b"]._sender) == 1
        await site.until_quiet()  # the stream still runs


async def test_a_reader_whose_worker_died_is_told_nothing_more(clock: ManualClock):
    async with Site(clock, "a", "b", patience=PATIENT) as site:
        ids = filled(site.at["b"], 1)[1]
        rest = await site.at["a"].resume(after(ids[0]))
        silent: Any = site.workers["a"]
        silent.on = silent.send = lambda *_: False  # says nothing any more
        clock.advance(PATIENT.silence_s + 1)
        await soon(lambda: not len(site.at["b"]._sender))
        rest.close()


@pytest.mark.slow
async def test_a_reader_that_is_still_there_is_told_for_as_long_as_it_takes(clock: ManualClock):
    async with Site(clock, "a", "b", patience=PATIENT) as site:
        replay, ids = filled(site.at["b"], 1)
        reader = asyncio.create_task(everything(await site.at["a"].resume(after(ids[0]))))
        for _ in range(30):
            clock.advance(1.0)  # six times the patience in all
            seen = site.workers.post.seq
            await site.workers.post.until(seen + 4)  # each has said twice that it is there
        replay.append(b"2")
        replay.finish()
        assert [message for message, _ in await reader] == [b"2"]


async def test_a_stream_whose_worker_died_ends(clock: ManualClock):
    async with Site(clock, "a", "b", patience=PATIENT) as site:
        ids = filled(site.at["b"], 1)[1]
        rest = await site.at["a"].resume(after(ids[0]))
        reader = asyncio.create_task(everything(rest))
        await asyncio.sleep(0)
        for reading in site.at["b"]._sender._readings.values():
            assert reading.task is not None
            reading.task.cancel()  # as kill -9 would
        for _ in range(3):
            clock.advance(2 * PATIENT.renew_s)
            await site.workers.post.until(site.workers.post.seq + 1)  # it reads on: it has said that it is there
        assert not reader.done()
        clock.advance(PATIENT.silence_s + 1)
        assert await asyncio.wait_for(reader, 5) == []


async def test_a_letter_that_is_lost_ends_the_stream_instead_of_leaving_a_gap(clock: ManualClock):
    async with Site(clock, "a", "b", patience=PATIENT) as site:
        replay, ids = filled(site.at["b"], 1)
        rest = await site.at["a"].resume(after(ids[0]))
        source = next(iter(site.at["a"]._reader._sources.values()))
        source._expected -= 1  # as though a message had not come
        replay.append(b"2")
        replay.finish()
        assert await everything(rest) == []


def twice(handler: Callable[[dict[str, Any]], None], letter: dict[str, Any]) -> None:
    handler(letter)
    handler(letter)


async def test_letters_that_come_twice_are_told_once(clock: ManualClock):
    async with Site(clock, "a", "b", patience=PATIENT) as site:
        for room in site.workers.rooms.values():
            for kind, handler in list(room._handlers.items()):
                room._handlers[kind] = partial(twice, handler)
        replay, ids = filled(site.at["b"], 1)
        sent = [b"%d" % number * 40_000 for number in range(1, 6)]  # a message each
        for message in sent:
            replay.append(message)
        replay.finish()
        got = await everything(await site.at["a"].resume(after(ids[0])))
        assert [message for message, _ in got] == sent
