"""Nothing of a request stays behind, whichever side leaves, and whatever breaks."""

import asyncio
import gc
import sys
from collections.abc import Iterator

import pytest

from mcpward.core.values import Arrival, Reply, ResponseStream
from support.one import House, request


@pytest.fixture
def _uncollected() -> Iterator[None]:
    """Without the collector of circles, which comes seldom in a server that makes none."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def held_by_nobody(house: House) -> bool:
    """The only references are the two that are needed to ask."""
    body = house.arrivals.pop().body
    return sys.getrefcount(body) == 2


async def turns(count: int = 8) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.usefixtures("_uncollected")
@pytest.mark.parametrize("how", ["answered", "caller gone", "server stopped", "broken"])
async def test_attack_46_a_body_is_gone_with_its_request(how):
    house = House()
    gate = asyncio.Event()
    house.pause = gate.wait

    class Broken(Exception):
        pass

    async def fail() -> None:
        raise Broken

    if how == "broken":
        house.pause = fail
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    house.connection.data_received(request(b'"%b"' % (b"x" * 50_000)))
    await turns()
    match how:
        case "answered":
            gate.set()
        case "caller gone":
            house.connection.connection_lost(None)
            for task in tuple(house.connection._link.tasks):
                task.cancel()
        case "server stopped":
            for task in tuple(house.connection._link.tasks):
                task.cancel()
    await turns()

    assert house.front.held == 0
    assert not house.connection._link.tasks
    if how != "answered":
        assert house.transport.ended or how == "caller gone"
    if how != "broken":  # its traceback is in the log
        del house.connection
        assert held_by_nobody(house)


async def test_what_waits_behind_the_end_of_a_connection_does_not_run():
    house = House()
    gate = asyncio.Event()
    house.pause = gate.wait
    await house.take([request(b"1") + request(b"2") + request(b"3")])
    house.connection.shutdown()

    gate.set()
    await turns()

    assert [one.body for one in house.arrivals] == [b"1"]
    assert house.transport.ended
    assert house.front.held == 0
    house.connection.pause_writing()
    house.connection.resume_writing()
    await turns()
    assert len(house.arrivals) == 1


@pytest.mark.parametrize("endless", [False, True])
async def test_attack_46_a_call_that_runs_does_not_hold_the_packet_that_it_came_in(endless):
    house = House()

    async def serve(arrival: Arrival, wire: ResponseStream) -> Reply:
        del arrival
        wire.begin(cancel_on_disconnect=True, endless=endless)
        await asyncio.Event().wait()
        return Reply(200)

    house.inside.answer = serve
    data = request(b'"%b"' % (b"x" * 10_000))
    house.connection.data_received(data)
    await turns()

    assert sys.getrefcount(data) == 2
    assert len(house.connection._link.tasks) == 1
    for task in tuple(house.connection._link.tasks):
        task.cancel()
    await turns()
