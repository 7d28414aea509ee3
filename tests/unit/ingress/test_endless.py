"""Streams that last until one side leaves: the client, mcpward or a reader that does not read (attacks 46, 113)."""

import asyncio
import ssl
import time

import pytest

from mcpward.core.errors import Refusal
from mcpward.core.values import Arrival, Reply, ResponseStream
from mcpward.ingress import render
from support.certificate import certificate
from support.edge import Edge, Peer, patience
from support.waiting import soon, turns

LAST = Reply(status=200, body=b'{"last":true}', event_id="e-last")
NOTHING = Reply(status=200)


class Listening:
    """Serves streams that end with ``last``, and remembers how each of them ended."""

    def __init__(self, last: Reply = LAST) -> None:
        self.last = last
        self.wires: list[ResponseStream] = []
        self.ends: list[bool] = []

    async def serve(self, arrival: Arrival, wire: ResponseStream) -> Reply:
        """Listen until cancelled; ``ends`` says whether the caller was gone then."""
        del arrival
        try:
            wire.begin(cancel_on_disconnect=False, endless=True)
            self.wires.append(wire)
            await asyncio.Event().wait()
        except Refusal as no:
            return render.refusal(no)
        except asyncio.CancelledError:
            self.ends.append(wire.is_gone)
            if wire.is_gone:
                raise
        return self.last


async def listener(edge: Edge, inside: Listening, trust: ssl.SSLContext | None = None) -> Peer:
    count = len(inside.wires)
    peer = await edge.peer(trust=trust)
    peer.ask("GET")
    head = await peer.until(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-type: text/event-stream\r\n" in head
    await soon(lambda: len(inside.wires) == count + 1)
    return peer


async def test_the_head_is_written_before_there_is_anything_to_say(edge):
    inside = Listening()
    peer = await listener(await edge(inside.serve), inside)
    inside.wires[0].notify(b'{"n":1}')
    assert await peer.until(b"\n\n\r\n") == render.event(b'{"n":1}')


async def test_it_is_kept_alive_with_comments_and_no_limit_of_idleness_ends_it(edge):
    inside = Listening()
    house = await edge(inside.serve)
    peer = await listener(house, inside)
    for _ in range(20):
        house.watch(house.patience.keep_alive_s)
        assert await peer.until(b"\n\n\r\n") == b"e\r\n: keep-alive\n\n\r\n"
    house.watch(house.patience.keep_alive_s - 1)
    inside.wires[0].notify(b"{}")
    assert await peer.until(b"\n\n\r\n") == render.event(b"{}")
    assert inside.ends == []


async def test_a_caller_who_leaves_ends_it_in_any_era(edge):
    inside = Listening()
    house = await edge(inside.serve)
    (await listener(house, inside)).leave()
    await soon(lambda: inside.ends == [True])
    await soon(lambda: not house.state.tasks)
    assert not house.front.connections
    inside.wires[0].notify(b"{}")  # dropped, without an error


async def test_a_caller_who_says_no_more_has_left(edge):
    inside = Listening()
    peer = await listener(await edge(inside.serve), inside)
    peer.writer.write_eof()
    await soon(lambda: inside.ends == [True])


@pytest.mark.parametrize(
    "last, end", [(LAST, render.event(LAST.body, "e-last") + b"0\r\n\r\n"), (NOTHING, b"0\r\n\r\n")]
)
async def test_a_server_that_stops_ends_it_at_once_with_its_last_event(edge, last, end):
    inside = Listening(last)
    house = await edge(inside.serve)
    peer = await listener(house, inside)
    house.shut_down()
    assert await peer.rest() == end
    assert inside.ends == [False]
    await soon(lambda: not house.state.tasks and not house.state.connections)


async def test_a_stream_that_begins_while_the_server_stops_ends_as_all_others(edge):
    inside = Listening()
    house = await edge(inside.serve)
    peer = await house.peer()
    peer.ask("GET")
    await soon(lambda: bool(house.state.connections))
    house.front.draining = True
    assert (await peer.rest()).endswith(b"\r\n\r\n" + render.event(LAST.body, "e-last") + b"0\r\n\r\n")
    assert inside.ends == [False]


async def test_it_ends_over_tls_as_it_does_without(edge, tmp_path):
    certificate(tmp_path)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    trust = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    trust.check_hostname = False
    inside = Listening()
    house = await edge(inside.serve, tls=own)
    gone = await listener(house, inside, trust)
    gone.leave()
    await soon(lambda: inside.ends == [True])
    peer = await listener(house, inside, trust)
    house.shut_down()
    assert await peer.rest() == render.event(LAST.body, "e-last") + b"0\r\n\r\n"
    assert inside.ends == [True, False]
    await soon(lambda: not house.state.tasks and not house.state.connections)


async def test_attack_113_a_thousand_streams_do_not_keep_a_server_from_stopping(edge):
    """Their peers neither read nor close; a second is what all of them together may take."""
    inside = Listening()
    house = await edge(inside.serve)
    peers = [await listener(house, inside) for _ in range(1000)]
    began = time.monotonic()
    house.shut_down()
    await soon(lambda: not house.state.connections and not house.state.tasks)
    assert time.monotonic() - began < 1.0
    assert inside.ends == [False] * 1000
    assert await peers[-1].rest() == render.event(LAST.body, "e-last") + b"0\r\n\r\n"


async def test_attack_46_a_reader_that_does_not_read_is_cut_off(edge):
    inside = Listening()
    house = await edge(inside.serve)
    peer = await listener(house, inside)
    peer.hold()
    (connection,) = house.state.connections
    sent = 0
    while not inside.ends and sent < 64 << 20:
        inside.wires[0].notify(b'{"n":"%b"}' % (b"x" * 100_000))
        sent += 100_000
        assert connection._link.unread() < 2 << 20
        await asyncio.sleep(0)
    assert inside.ends == [True]
    await soon(lambda: not house.state.connections and not house.state.tasks)


async def test_attack_46_a_reader_that_left_less_unread_is_ended_as_any_other(edge):
    inside = Listening()
    house = await edge(inside.serve, patience=patience(write_s=30))
    peer = await listener(house, inside)
    peer.hold()
    (connection,) = house.state.connections
    while connection._link.unread() < 1 << 19:
        inside.wires[0].notify(b'{"n":"%b"}' % (b"x" * 100_000))
        await asyncio.sleep(0.001)  # for the kernel to take what it will take
    house.watch(31)
    await soon(lambda: inside.ends == [True])


async def test_nothing_else_is_taken_on_its_connection(edge):
    """A request behind a stream without end would wait, and hold its body, indefinitely."""
    inside = Listening()
    house = await edge(inside.serve)
    peer = await listener(house, inside)
    for _ in range(40):
        peer.ask("POST", body=b"x" * 1000)
    await peer.writer.drain()
    await turns()  # they have arrived
    assert len(inside.wires) == 1
    assert house.front.held == 0
    house.shut_down()
    assert await peer.rest() == render.event(LAST.body, "e-last") + b"0\r\n\r\n"


async def test_what_waited_behind_it_is_let_go(edge):
    inside = Listening()
    house = await edge(inside.serve)
    peer = await house.peer()
    peer.ask("GET")
    for _ in range(40):
        peer.ask("POST", body=b"x" * 1000)
    head = await peer.until(b"\r\n\r\n")
    assert b"connection: close\r\n" in head
    await soon(lambda: house.front.held == 0)
    peer.leave()  # reading was paused for the queue: the leaving is seen all the same
    await soon(lambda: inside.ends == [True])


async def test_a_request_that_is_half_there_is_let_go(edge):
    inside = Listening()
    house = await edge(inside.serve)
    peer = await house.peer()
    peer.ask("GET")
    peer.writer.write(f"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:{house.port}\r\naccept: */*\r\n".encode())
    peer.writer.write(b"content-type: application/json\r\ncontent-length: 5000\r\n\r\n" + b"x" * 1000)
    await soon(lambda: bool(inside.wires))
    assert house.front.held == 0


async def test_it_is_not_released(edge):
    inside = Listening()
    peer = await listener(await edge(inside.serve), inside)
    inside.wires[0].release(500)
    inside.wires[0].notify(b"{}")
    assert await peer.until(b"\n\n\r\n") == render.event(b"{}")


async def test_a_caller_who_reads_no_streams_gets_none(edge):
    inside = Listening()
    peer = await (await edge(inside.serve)).peer()
    peer.ask("POST", body=b"{}", accept="application/json")
    assert (await peer.answer()).startswith(b"HTTP/1.1 406 ")


async def test_the_body_of_its_request_stays_counted_while_it_lasts(edge):
    inside = Listening()
    house = await edge(inside.serve)
    peer = await house.peer()
    peer.ask("POST", body=b"x" * 1000)
    await soon(lambda: bool(inside.wires))
    assert house.front.held == 1000
    peer.leave()
    await soon(lambda: house.front.held == 0)


async def test_46_a_long_body_is_not_held_for_as_long_as_a_stream_lasts(edge):
    """Eight addresses could hold all that may be held, and no other would be served, for as long as they like."""
    inside = Listening()
    house = await edge(inside.serve)
    longest = await house.peer()
    longest.ask("POST", body=b"x" * 32 * 1024)
    assert (await longest.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    for verb in ("POST", "GET"):
        peer = await house.peer()
        peer.ask(verb, body=b"x" * (32 * 1024 + 1), content_length=str(32 * 1024 + 1))
        assert (await peer.answer()).startswith(b"HTTP/1.1 413 ")
        await soon(lambda: house.front.held == 32 * 1024)
