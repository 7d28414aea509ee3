"""Large bodies are read in turns: one of each caller at a time, and none keeps the loop from what else is ready."""

import asyncio

import pytest

from mcpward.core.errors import Refusal
from mcpward.core.jsonio import DEFAULT_BOUNDS
from mcpward.core.reasons import Reason
from mcpward.protocol import bodies as bodies_module
from mcpward.protocol.bodies import Bodies
from support.bombs import BOMBS, message

BODY = message(BOMBS["fractions"](256 * 1024))
SMALL = message(BOMBS["fractions"](16 * 1024))


async def test_a_body_is_read_with_its_arguments_as_they_stand_in_it() -> None:
    opened = await Bodies(DEFAULT_BOUNDS).open("a", BODY)
    assert opened.value["method"] == "tools/call"
    assert opened.arguments == BODY[BODY.index(b'{"value"') : -2]


async def test_what_is_no_json_is_unparsable_and_the_next_is_read() -> None:
    bodies = Bodies(DEFAULT_BOUNDS)
    wrong, right = await asyncio.gather(bodies.open("a", BODY[:-1]), bodies.open("a", BODY), return_exceptions=True)
    assert isinstance(wrong, Refusal)
    assert wrong.reason is Reason.MESSAGE_UNPARSABLE
    assert not isinstance(right, BaseException)
    assert len(bodies) == 0


async def test_attack_120_one_callers_bodies_wait_for_each_other_and_nobody_else_for_them() -> None:
    bodies, ended = Bodies(DEFAULT_BOUNDS), []

    async def read(caller: str, body: bytes) -> None:
        await bodies.open(caller, body)
        ended.append(caller)

    await asyncio.gather(*(read("flood", BODY) for _ in range(5)), read("honest", SMALL))
    assert ended == ["honest", *["flood"] * 5]


async def test_attack_120_the_loop_goes_on_between_steps(monkeypatch) -> None:
    monkeypatch.setattr(bodies_module, "_STEP_S", 0.0)  # one step of a body in a turn, however fast the machine is
    bodies = Bodies(DEFAULT_BOUNDS)
    reading = [asyncio.ensure_future(bodies.open(f"caller {number}", BODY)) for number in range(4)]
    turns = 0
    while not all(one.done() for one in reading):
        turns += 1
        await asyncio.sleep(0)
    assert turns > 4 * 30  # as many as its chunks, and no two bodies share a turn


async def test_attack_120_too_many_of_a_caller_are_refused_at_once() -> None:
    bodies = Bodies(DEFAULT_BOUNDS)
    said = await asyncio.gather(*(bodies.open("a", SMALL) for _ in range(40)), return_exceptions=True)
    refused = [one for one in said if isinstance(one, Refusal)]
    assert (len(refused), {one.reason for one in refused}) == (7, {Reason.BUSY})


async def test_a_request_that_was_cancelled_makes_way() -> None:
    bodies = Bodies(DEFAULT_BOUNDS)
    first, second = (asyncio.ensure_future(bodies.open("a", BODY)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).arguments is not None
    with pytest.raises(asyncio.CancelledError):
        await first
    assert len(bodies) == 0
