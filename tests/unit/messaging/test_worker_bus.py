"""Messages between workers: addressed, sealed, forgotten soon, and never the end of anything."""

import asyncio
import logging

import pytest
from msgspec.structs import replace

from mcpward.crypto.keyring import KeyRing
from mcpward.crypto.sealed import SealedToken
from mcpward.messaging.bus.worker_bus import LONGEST
from support.clock import ManualClock
from support.mail import Seal, Workers


def collect(workers: Workers, kind: str = "word") -> dict[str, list]:
    heard: dict[str, list] = {name: [] for name in workers.rooms}
    for name, room in workers.rooms.items():
        room.on(kind, heard[name].append)
    return heard


async def test_a_letter_is_for_its_addressee_or_for_all_others(clock: ManualClock):
    async with Workers(clock, "a", "b", "c") as workers:
        heard = collect(workers)
        await workers["a"].post("word", {"n": 1}, "b")
        await workers["a"].post("word", {"n": 2}, None)
        await workers["c"].post("word", {"n": 3})
        await workers.deliver()
        await workers.deliver()
        assert heard == {"a": [{"n": 3}], "b": [{"n": 1}, {"n": 2}, {"n": 3}], "c": [{"n": 2}]}


async def test_letters_of_one_worker_arrive_in_their_order(clock: ManualClock):
    async with Workers(clock, "a", "b") as workers:
        heard = collect(workers)
        assert all(workers["a"].send("word", {"n": n}) for n in range(300))
        await workers.deliver()
        assert [letter["n"] for letter in heard["b"]] == list(range(300))


async def test_a_worker_starts_at_the_present_end(clock: ManualClock):
    async with Workers(clock, "a", "b") as workers:
        await workers["a"].post("word", {"n": 1})
        late = workers.rooms["late"] = workers.open("late")
        heard: list = []
        late.on("word", heard.append)
        await late.start()
        await workers["a"].post("word", {"n": 2})
        await workers.deliver()
        assert heard == [{"n": 2}]


async def test_the_running_task_brings_letters_without_being_asked(clock: ManualClock):
    async with Workers(clock, "a", "b", poll_s=0.001) as workers:
        arrived = asyncio.Event()
        workers["b"].on("word", lambda _: arrived.set())
        await workers["a"].post("word", {})
        await asyncio.wait_for(arrived.wait(), 5)


async def test_the_store_never_sees_what_a_letter_says(clock: ManualClock):
    async with Workers(clock, "a", "b") as workers:
        await workers["a"].post("word", {"said": "canary-value"})
        assert "canary" not in str(workers.post.letters)


@pytest.mark.parametrize("field, value", [("addressee", "b"), ("sender", "c"), ("kind", "other")])
async def test_a_letter_that_was_moved_is_not_opened(clock: ManualClock, field: str, value: str):
    """Attack 87: an attacker who can write to the database cannot deliver one worker's message as another's."""
    async with Workers(clock, "a", "b") as workers:
        heard, other = collect(workers), collect(workers, "other")
        await workers["a"].post("word", {"n": 1}, "c" if field == "addressee" else "b")
        letters = workers.post.letters
        letters[1] = replace(letters[1], **{field: value})
        await workers.deliver()
        assert heard["b"] == other["b"] == []


async def test_a_letter_under_another_master_key_is_left_and_logged(clock: ManualClock, caplog):
    async with Workers(clock, "a", "b") as workers:
        heard = collect(workers)
        stranger = workers.rooms["x"] = workers.open("x", seal=Seal(b"x" * 32))
        await stranger.start()
        await stranger.post("word", {"n": 1})
        await workers["a"].post("word", {"n": 2})
        await workers.deliver()
        assert heard["b"] == [{"n": 2}]
        assert "cannot be decrypted" in caplog.text


async def test_a_handler_that_fails_stops_no_other_letter(clock: ManualClock, caplog):
    async with Workers(clock, "a", "b") as workers:
        heard: list = []

        def fragile(letter: dict) -> None:
            if letter["n"] == 1:
                raise KeyError("gone")
            heard.append(letter)

        workers["b"].on("word", fragile)
        for n in range(3):
            await workers["a"].post("word", {"n": n})
        await workers["a"].post("of a newer release", {})
        await workers.deliver()
        assert [letter["n"] for letter in heard] == [0, 2]
        assert "could not be handled" in caplog.text


async def test_a_kind_has_one_handler(clock: ManualClock):
    room = Workers(clock, "a")["a"]
    room.on("word", print)
    with pytest.raises(ValueError, match="handler already"):
        room.on("word", print)


async def test_a_letter_that_is_too_long_is_not_sent(clock: ManualClock):
    async with Workers(clock, "a", "b") as workers:
        heard = collect(workers)
        around = len('{"said":""}')
        assert workers["a"].send("word", {"said": "x" * (LONGEST - around)})
        assert not workers["a"].send("word", {"said": "x" * (LONGEST - around + 1)})
        await workers["a"].post("word", {"said": "x" * LONGEST})
        await workers.deliver()
        assert len(heard["b"]) == 1


def test_a_seal_without_room_for_a_long_letter_is_refused_at_once(clock: ManualClock):
    small = SealedToken(KeyRing([b"n" * 32]), "mail")
    with pytest.raises(ValueError, match="too long"):
        Workers(clock).open("a", seal=small)  # type: ignore[arg-type]  # of another kind: that is the mistake


async def test_a_worker_alone_sends_nothing_is_in_no_hurry_and_clears_what_others_left(clock: ManualClock):
    async with Workers(clock, "a") as workers:
        await workers["a"].post("word", {"n": 1})
        before = workers.post.looks
        alone = workers.open("b", alone=True)
        await alone.start()
        assert workers.post.letters == {}
        assert not alone.send("word", {})
        await alone.post("word", {}, "a")
        with alone.hurry():
            await asyncio.sleep(0)
        assert workers.post.looks == before
        await alone.stop()
        assert workers.post.seq == 1


async def test_a_worker_alone_answers_a_visitor_that_has_written(clock: ManualClock):
    async with Workers(clock, "visitor") as workers:
        alone = workers.rooms["b"] = workers.open("b", alone=True)
        await alone.start()
        heard = collect(workers)
        assert not alone.send("word", {"n": 1}, "visitor")
        stranger = workers.open("stranger", seal=Seal(b"x" * 32))
        await stranger.start()
        await stranger.post("word", {"n": 2}, "b")
        await workers["visitor"].post("word", {"n": 3}, "b")
        await workers.deliver()
        assert heard["b"] == [{"n": 3}]
        assert not alone.send("word", {"n": 4}, "stranger")
        assert not alone.send("word", {"n": 5})
        assert alone.send("word", {"n": 6}, "visitor")
        await workers.deliver()
        assert heard["visitor"] == [{"n": 6}]
        await stranger.stop()


async def test_an_idle_worker_asks_once_each_time_it_looks(clock: ManualClock):
    async with Workers(clock, "a") as workers:
        before = workers.post.looks
        await workers["a"].poll()
        assert workers.post.looks == before + 1


async def test_an_outage_delays_letters_and_is_logged_once(clock: ManualClock, caplog):
    async with Workers(clock, "a", "b") as workers:
        heard = collect(workers)
        workers.post.is_out = True
        posting = asyncio.create_task(workers["a"].post("word", {"n": 1}))
        for _ in range(3):
            workers.post.changed.clear()
            await asyncio.wait_for(workers.post.changed.wait(), 5)
        assert not posting.done()
        assert caplog.text.count("cannot be written") == 1
        workers.post.is_out = False
        await asyncio.wait_for(posting, 5)
        await workers.deliver()
        assert heard["b"] == [{"n": 1}]
        assert caplog.text.count("are written again") == 1


async def test_looking_goes_on_after_an_outage_and_both_are_logged_once(clock: ManualClock, caplog):
    caplog.set_level(logging.WARNING)
    async with Workers(clock, "a", "b", poll_s=0.001) as workers:
        heard = collect(workers)
        workers.post.is_out = True
        looks = workers.post.looks
        async with asyncio.timeout(5):
            while workers.post.looks < looks + 6:
                workers.post.changed.clear()
                await workers.post.changed.wait()
        workers.post.is_out = False
        await workers["a"].post("word", {"n": 1})
        async with asyncio.timeout(5):
            while not heard["b"] or caplog.text.count("are read again") < 2:
                workers.post.changed.clear()
                await workers.post.changed.wait()
        assert caplog.text.count("cannot be read") == 2  # one for each worker


async def test_a_letter_is_given_up_after_a_minute_and_whoever_waits_goes_on(clock: ManualClock):
    async with Workers(clock, "a", "b") as workers:
        heard = collect(workers)
        workers.post.is_out = True
        posting = asyncio.create_task(workers["a"].post("word", {"n": 1}))
        workers.post.changed.clear()
        await asyncio.wait_for(workers.post.changed.wait(), 5)
        clock.advance(60)
        await asyncio.wait_for(posting, 5)
        workers.post.is_out = False
        await workers["a"].post("word", {"n": 2})
        await workers.deliver()
        assert heard["b"] == [{"n": 2}]


async def test_only_so_many_letters_and_bytes_wait_for_a_store_that_is_out(clock: ManualClock):
    async with Workers(clock, "a", "b") as workers:
        workers.post.is_out = True
        assert [workers["a"].send("word", {"n": n}) for n in range(1030)] == [True] * 1024 + [False] * 6
        big = {"said": "x" * 200_000}
        for _ in range(2):
            workers.post.is_out = True
            taken = 0
            while workers["b"].send("word", big):
                taken += 1
                assert taken < 1024
            assert 60 < taken < 1024
            workers.post.is_out = False
            await workers.deliver()
        assert workers["a"].send("word", {})


async def test_letters_are_forgotten_after_a_minute_whatever_the_wall_clock_says(clock: ManualClock):
    """Attack 105: a clock that is set an hour ahead takes no message from workers that have not read it."""
    async with Workers(clock, "a", "b") as workers:
        await workers["a"].post("word", {"n": 1})
        clock.advance(15)
        await workers["b"]._turn()
        clock.shift_wall(3600)
        clock.advance(59.9)
        for _ in range(3):
            await workers["b"]._turn()
        assert len(workers.post.letters) == 1
        clock.advance(0.1)
        await workers["b"]._turn()
        assert workers.post.letters == {}


async def test_a_worker_in_a_hurry_looks_more_often_but_not_for_long(clock: ManualClock):
    room = Workers(clock, "a", poll_s=0.25, hurry_s=0.03)["a"]
    assert room._pause_s() == 0.25
    with room.hurry():
        clock.advance(9.9)
        assert room._pause_s() == 0.03
        clock.advance(0.2)
        assert room._pause_s() == 0.25
        with room.hurry():
            assert room._pause_s() == 0.03
    assert room._pause_s() == 0.25


async def test_hurrying_wakes_a_worker_that_would_sleep_for_long(clock: ManualClock):
    async with Workers(clock, "a") as workers:
        await asyncio.sleep(0)
        looks = workers.post.looks
        with workers["a"].hurry():
            workers.post.changed.clear()
            await asyncio.wait_for(workers.post.changed.wait(), 5)
        assert workers.post.looks == looks + 1


async def test_what_waits_is_still_sent_at_the_end(clock: ManualClock):
    async with Workers(clock, "a", "b") as workers:
        assert workers["a"].send("word", {"n": 1})
        await workers["a"].stop()
        assert workers.post.seq == 1
        assert not workers["a"].send("word", {"n": 2})


async def test_a_store_that_is_out_holds_up_the_end_for_a_short_while_only(clock: ManualClock, monkeypatch):
    monkeypatch.setattr("mcpward.messaging.bus.outbox._PATIENCE_S", 0.05)
    workers = Workers(clock, "a")
    await workers["a"].start()
    workers.post.is_out = True
    posting = asyncio.create_task(workers["a"].post("word", {}))
    await asyncio.sleep(0)
    await asyncio.wait_for(workers["a"].stop(), 5)
    await asyncio.wait_for(posting, 5)


async def test_letters_that_nobody_can_open_are_logged_once(clock: ManualClock, caplog):
    async with Workers(clock, "a", "b") as workers:
        heard = collect(workers)
        stranger = workers.rooms["x"] = workers.open("x", seal=Seal(b"x" * 32))
        await stranger.start()
        for n in range(50):
            await stranger.post("word", {"n": n}, "b")
        await workers.deliver()
        assert caplog.text.count("cannot be decrypted") == 1
        await workers["a"].post("word", {"n": 2}, "b")
        await stranger.post("word", {"n": 3}, "b")
        await workers.deliver()
        assert heard["b"] == [{"n": 2}]
        assert caplog.text.count("cannot be decrypted") == 2  # all was well between them
