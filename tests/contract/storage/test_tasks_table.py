"""Tasks as any database keeps them: one owner, one end, first answers, and bounds that concurrent workers keep."""

import asyncio

import pytest

from mcpward.tasks.record import Caps, Record, Status

NOW = 1_800_000_000.0


def record(id="t1", **changes) -> Record:
    fields = {
        "id": id, "owner": "api-key:abc", "server": "orders", "tool": "slow", "worker": "one",
        "status": Status.WORKING, "created_at": NOW, "updated_at": NOW, "expires_at": NOW + 3600, "beat_at": NOW,
    }  # fmt: skip
    return Record(**fields | changes)


async def find(store, id="t1") -> Record | None:
    return await store.tasks.find(id, "api-key:abc", "orders")


async def test_a_task_is_found_by_its_owner_at_its_server_at_any_worker(opener) -> None:
    one, two = await opener(), await opener()
    assert await one.tasks.add(record(), Caps())
    assert await two.tasks.find("t1", "api-key:abc", "orders") == record()
    assert await two.tasks.find("t1", "api-key:xyz", "orders") is None
    assert await two.tasks.find("t1", "api-key:abc", "billing") is None
    assert await two.tasks.find("t2", "api-key:abc", "orders") is None
    await one.tasks.remove("t1")
    assert await find(two) is None


async def test_a_task_ends_once(opener) -> None:
    one, two = await opener(), await opener()
    await one.tasks.add(record(), Caps())
    ended = await asyncio.gather(
        one.tasks.finish("t1", Status.COMPLETED, "result", "done", NOW + 1),
        two.tasks.finish("t1", Status.FAILED, "error", None, NOW + 1),
    )
    assert sorted(ended) == [False, True]
    ending = await find(one)
    assert ending is not None
    assert (ending.status is Status.COMPLETED) == ended[0]
    assert not await one.tasks.finish("t1", Status.CANCELLED, None, None, NOW + 2)
    await one.tasks.show("t1", Status.INPUT_REQUIRED, "requests", NOW + 2)
    await one.tasks.say("t1", "message", NOW + 2)
    await one.tasks.ask_cancel("t1")
    await one.tasks.answer("t1", {"a": "x"}, NOW + 2)
    assert await find(two) == ending
    assert await one.tasks.answers("t1") == {}


async def test_only_the_first_answer_to_a_question_is_kept(opener) -> None:
    one, two = await opener(), await opener()
    await one.tasks.add(record(), Caps())
    await one.tasks.show("t1", Status.INPUT_REQUIRED, "requests", NOW + 1)
    await asyncio.gather(*(store.tasks.answer("t1", {"a": f"{n}"}, NOW + 2) for n, store in enumerate((one, two) * 4)))
    first = await one.tasks.answers("t1")
    assert first.keys() == {"a"}
    await two.tasks.answer("t1", {"a": "late", "b": "new"}, NOW + 3)
    assert await one.tasks.answers("t1") == first | {"b": "new"}
    answered = await find(two)
    assert answered is not None
    assert answered.answered == {"a", "b"}
    await one.tasks.show("t1", Status.WORKING, None, NOW + 4, ["a", "b"])
    assert await two.tasks.answers("t1") == {}
    assert await find(two) == record(updated_at=NOW + 4)


async def test_a_task_that_ended_forgets_its_questions_and_answers(store) -> None:
    await store.tasks.add(record(), Caps())
    await store.tasks.show("t1", Status.INPUT_REQUIRED, "requests", NOW + 1)
    await store.tasks.answer("t1", {"a": "x"}, NOW + 2)
    await store.tasks.finish("t1", Status.CANCELLED, None, "message", NOW + 3)
    ended = record(status=Status.CANCELLED, updated_at=NOW + 3, message="message")
    assert await find(store) == ended
    assert await store.tasks.answers("t1") == {}


async def test_a_beat_says_which_tasks_go_on_and_which_are_to_end(opener) -> None:
    one, two = await opener(), await opener()
    for id in ("t1", "t2", "t3"):
        await one.tasks.add(record(id), Caps())
    await two.tasks.ask_cancel("t2")
    await two.tasks.finish("t3", Status.FAILED, "error", None, NOW + 1)
    assert await one.tasks.beat(["t1", "t2", "t3", "t4"], NOW + 5) == {"t1": False, "t2": True}
    alive = await find(two)
    assert alive is not None
    assert alive.beat_at == NOW + 5
    assert await two.tasks.stale(NOW + 5) == []
    assert {each.id for each in await two.tasks.stale(NOW + 6)} == {"t1", "t2"}


async def test_a_task_that_beats_again_is_not_dead(store) -> None:
    await store.tasks.add(record(), Caps())
    await store.tasks.beat(["t1"], NOW + 5)
    assert not await store.tasks.finish("t1", Status.FAILED, "error", None, NOW + 30, beat_at=NOW)
    assert await store.tasks.finish("t1", Status.FAILED, "error", None, NOW + 30, beat_at=NOW + 5)


async def test_tasks_are_forgotten_with_their_answers_when_their_time_is_over(opener) -> None:
    one, two = await opener(), await opener()
    await one.tasks.add(record("t1", expires_at=NOW + 10), Caps())
    await one.tasks.add(record("t2", expires_at=NOW + 20), Caps())
    await one.tasks.answer("t1", {"a": "x"}, NOW + 1)
    await two.tasks.prune(NOW + 9)
    assert await find(one, "t1") is not None
    await two.tasks.prune(NOW + 10)
    assert await find(one, "t1") is None
    assert await one.tasks.answers("t1") == {}
    assert await find(one, "t2") is not None


@pytest.mark.parametrize(
    "caps, other",
    [
        (Caps(unfinished=1), True),
        (Caps(kept=1), True),
        (Caps(kept_bytes=6), True),
        (Caps(all_kept=1), False),
        (Caps(all_bytes=6), False),
    ],
    ids=str,
)
async def test_there_is_room_within_the_caps_alone(store, caps, other) -> None:
    assert await store.tasks.add(record("t1"), caps)
    if caps.unfinished > 1:
        await store.tasks.finish("t1", Status.COMPLETED, "result", None, NOW + 1)
    assert not await store.tasks.add(record("t2"), caps)
    assert await store.tasks.add(record("t3", owner="api-key:xyz"), caps) == other


async def test_starts_at_several_workers_at_once_are_counted_one_by_one(opener) -> None:
    stores = [await opener() for _ in range(3)]
    caps = Caps(unfinished=4)
    added = await asyncio.gather(*(stores[n % 3].tasks.add(record(f"t{n}"), caps) for n in range(12)))
    assert sum(added) == 4


async def test_text_of_any_size_comes_back_as_it_was(store) -> None:
    await store.tasks.add(record(), Caps())
    ending = "x" * 3_000_000
    await store.tasks.finish("t1", Status.COMPLETED, ending, "é\u2028", NOW + 1)
    ended = await find(store)
    assert ended is not None
    assert (ended.ending, ended.message) == (ending, "é\u2028")
