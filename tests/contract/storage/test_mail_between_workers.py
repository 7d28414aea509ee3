"""Two workers, each with its own connections to the store that they share."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from msgspec import json
from msgspec.structs import replace

from mcpward.core.client_channel import Question
from mcpward.core.values import Kind
from mcpward.messaging.bus.worker_bus import LONGEST, WorkerBus
from mcpward.messaging.client_requests import ClientRequests
from support.mail import Seal
from support.values import a_call, a_principal


@asynccontextmanager
async def working(opener, clock, *names):
    rooms = []
    for name in names:
        store, seal = await opener(), Seal()
        rooms.append(WorkerBus(store.mail, seal.seal, seal.open, clock, name, poll_s=0.02, hurry_s=0.005))
        await rooms[-1].start()
    yield rooms
    for room in rooms:
        await room.stop()


@pytest.mark.parametrize("size", [1, LONGEST // 2])
async def test_an_answer_reaches_the_worker_that_asked(opener, clock, size: int) -> None:
    asked: asyncio.Queue[str] = asyncio.Queue()
    call = a_call(a_principal(), session="s1")
    result = {"action": "accept", "content": {"name": "x" * size}}
    async with working(opener, clock, "a", "b", "c") as rooms, asyncio.timeout(20):
        here, there, _ = (ClientRequests(room, clock) for room in rooms)
        question = Question(key="k", method="elicitation/create", params={}, capability={})
        asking = asyncio.create_task(
            here.ask(call, lambda text: asked.put_nowait(json.decode(text)), lambda _, id: json.encode(id), [question])
        )
        answer = a_call(a_principal(), kind=Kind.ANSWER, session="s1", params={"result": result})
        there.answer(replace(answer, id=await asked.get()))
        assert await asking == {"k": result}


async def test_everything_said_to_all_is_heard_by_all_others_in_order(opener, clock) -> None:
    async with working(opener, clock, "a", "b", "c") as rooms, asyncio.timeout(30):
        heard: dict[str, list] = {room.worker: [] for room in rooms}
        for room in rooms:
            room.on("word", heard[room.worker].append)
        for n in range(50):
            assert all(room.send("word", {"from": room.worker, "n": n}) for room in rooms)
            await asyncio.sleep(0)
        while any(len(words) < 100 for words in heard.values()):  # noqa: ASYNC110  # they come from the store
            await asyncio.sleep(0.005)
    for worker, words in heard.items():
        for sender in {"a", "b", "c"} - {worker}:
            assert [word["n"] for word in words if word["from"] == sender] == list(range(50))
