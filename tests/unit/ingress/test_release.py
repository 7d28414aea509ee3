"""A call whose stream is released goes on by itself (2025-11-25); so does one whose legacy caller has left."""

import asyncio

import pytest

from mcpward.core.values import Arrival, Reply, ResponseStream
from mcpward.ingress import render
from support.edge import Edge, Peer
from support.waiting import soon, turns

RETRY = b"c\r\nretry: 500\n\n\r\n"


class Working:
    """Serves calls that notify once, then work until ``finish`` is set. A body of ``quick`` is answered at once."""

    def __init__(self) -> None:
        self.finish = asyncio.Event()
        self.wires: list[ResponseStream] = []
        self.cancelled: list[bool] = []
        self.cancels = False

    async def serve(self, arrival: Arrival, wire: ResponseStream) -> Reply:
        if arrival.body == b"quick":
            return Reply(status=200, body=b'{"quick":true}')
        wire.begin(cancel_on_disconnect=self.cancels)
        if arrival.body != b"silent":
            wire.notify(b"{}", "e1")
        self.wires.append(wire)
        try:
            await self.finish.wait()
        except asyncio.CancelledError:
            self.cancelled.append(wire.is_gone)
            if wire.is_gone:
                raise
        return Reply(status=200, body=b'{"done":true}')


async def streaming(edge: Edge, inside: Working, **more: str) -> Peer:
    peer = await edge.peer()
    peer.ask(body=b"x" * 100, **more)
    assert (await peer.until(b"\n\n\r\n")).endswith(render.event(b"{}", "e1"))
    await soon(lambda: len(inside.wires) == 1)
    return peer


async def test_the_answer_ends_with_the_time_to_come_back_and_the_work_goes_on(edge):
    inside = Working()
    house = await edge(inside.serve)
    peer = await streaming(house, inside)
    (wire,) = inside.wires
    wire.release(500)
    assert await peer.until(b"0\r\n\r\n") == RETRY + b"0\r\n\r\n"
    assert wire.is_gone
    assert len(house.state.tasks) == 1  # a server that stops waits for it
    inside.finish.set()
    await soon(lambda: not house.state.tasks)
    assert inside.cancelled == []


async def test_the_connection_takes_its_next_request_and_hears_nothing_of_the_released_one(edge):
    inside = Working()
    peer = await streaming(await edge(inside.serve), inside)
    (wire,) = inside.wires
    wire.release(500)
    await peer.until(b"0\r\n\r\n")
    for _ in range(2):
        wire.notify(b'{"late":true}', "e2")
        wire.release(500)
        inside.finish.set()
        peer.ask(body=b"quick")
        answer = await peer.answer()
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b'{"quick":true}')


async def test_a_request_that_waited_behind_the_stream_is_answered_next(edge):
    inside = Working()
    house = await edge(inside.serve)
    peer = await streaming(house, inside)
    (connection,) = house.state.connections
    peer.ask(body=b"quick")
    await soon(lambda: connection._queue._waiting)
    inside.wires[0].release(500)
    await peer.until(b"0\r\n\r\n")
    assert (await peer.answer()).endswith(b'{"quick":true}')


async def test_neither_the_caller_who_leaves_nor_a_server_that_stops_cancels_it(edge):
    inside = Working()
    inside.cancels = True
    house = await edge(inside.serve)
    peer = await streaming(house, inside)
    inside.wires[0].release(500)
    await peer.until(b"0\r\n\r\n")
    house.shut_down()
    assert await peer.rest() == b""
    await soon(lambda: not house.state.connections)
    assert len(house.state.tasks) == 1
    inside.finish.set()
    await soon(lambda: not house.state.tasks)
    assert inside.cancelled == []


async def test_a_stream_with_an_end_may_reach_it_when_the_server_stops(edge):
    inside = Working()
    house = await edge(inside.serve)
    peer = await streaming(house, inside)
    house.shut_down()
    await turns()  # a cancellation would have arrived
    assert inside.cancelled == []
    inside.finish.set()
    assert await peer.rest() == render.event(b'{"done":true}') + b"0\r\n\r\n"
    assert inside.cancelled == []


@pytest.mark.parametrize("cancels", [False, True])
async def test_work_does_not_begin_for_a_modern_caller_who_has_left_before(edge, cancels):
    left, begun, over = asyncio.Event(), [], asyncio.Event()

    async def serve(arrival: Arrival, wire: ResponseStream) -> Reply:
        del arrival
        try:
            await left.wait()
            wire.begin(cancel_on_disconnect=cancels)
            begun.append(wire)
        finally:
            over.set()
        return Reply(status=200, body=b"{}")

    house = await edge(serve)
    peer = await house.peer()
    peer.ask(body=b"{}")
    await soon(lambda: bool(house.state.tasks))
    peer.leave()
    await soon(lambda: not house.state.connections)
    left.set()
    await over.wait()
    assert bool(begun) is not cancels


async def test_its_body_stays_counted_until_the_work_is_over(edge):
    inside = Working()
    house = await edge(inside.serve)
    await streaming(house, inside)
    inside.wires[0].release(500)
    assert house.front.held == 100
    inside.finish.set()
    await soon(lambda: house.front.held == 0)


async def test_one_that_is_cancelled_lets_go_of_its_body_and_of_nobody_elses_connection(edge):
    inside = Working()
    house = await edge(inside.serve)
    peer = await streaming(house, inside)
    inside.wires[0].release(500)
    await peer.until(b"0\r\n\r\n")
    for task in list(house.state.tasks):
        task.cancel()
    await soon(lambda: inside.cancelled == [True])
    assert house.front.held == 0
    peer.ask(body=b"quick")
    assert (await peer.answer()).endswith(b'{"quick":true}')


async def test_a_client_that_asked_for_an_end_of_the_connection_gets_one(edge):
    inside = Working()
    peer = await streaming(await edge(inside.serve), inside, connection="close")
    inside.wires[0].release(500)
    assert await peer.rest() == RETRY + b"0\r\n\r\n"


async def test_an_answer_that_is_no_stream_yet_is_not_released(edge):
    inside = Working()
    peer = await (await edge(inside.serve)).peer()
    peer.ask(body=b"silent")
    await soon(lambda: len(inside.wires) == 1)
    inside.wires[0].release(500)
    assert not inside.wires[0].is_gone
    inside.finish.set()
    answer = await peer.answer()
    assert b"content-type: application/json\r\n" in answer
    assert answer.endswith(b'{"done":true}')


@pytest.mark.parametrize("cancels", [False, True])
async def test_a_legacy_call_goes_on_without_its_caller_and_is_waited_for(edge, cancels):
    inside = Working()
    inside.cancels = cancels
    house = await edge(inside.serve)
    (await streaming(house, inside)).leave()
    await soon(lambda: not house.state.connections)
    assert inside.wires[0].is_gone
    if not cancels:
        house.shut_down()
        assert len(house.state.tasks) == 1
        assert house.front.held == 100  # what it holds is counted, as its place is
    inside.finish.set()
    await soon(lambda: not house.state.tasks)
    assert inside.cancelled == [True] * cancels
    assert house.front.held == 0
