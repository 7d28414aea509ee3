"""Outgoing events: ids to resume from, the priming event, the last one; nothing breaks out of a field."""

import asyncio
from collections.abc import Callable

import pytest

from mcpward.core.values import Arrival, Reply, ResponseStream
from support.edge import Peer

END = b"0\r\n\r\n"


def chunk(text: str) -> bytes:
    return f"{len(text):x}\r\n{text}\r\n".encode()


def saying(*messages: tuple[bytes, str | None], last: Reply | None = None) -> Callable:
    async def serve(arrival: Arrival, wire: ResponseStream) -> Reply:
        del arrival
        wire.begin(cancel_on_disconnect=False)
        for message, event_id in messages:
            wire.notify(message, event_id)
        return last or Reply(status=200, body=b'{"last":true}')

    return serve


async def stream(peer: Peer) -> bytes:
    """Return the body of a stream as its chunks came."""
    peer.ask(body=b"{}", connection="close")
    head, _, body = (await peer.rest()).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    return body


async def test_an_event_carries_its_id(edge):
    house = await edge(saying((b'{"n":1}', "a~1"), (b'{"n":2}', None)))
    body = await stream(await house.peer())
    assert body == (
        chunk('id: a~1\nevent: message\ndata: {"n":1}\n\n')
        + chunk('event: message\ndata: {"n":2}\n\n')
        + chunk('event: message\ndata: {"last":true}\n\n')
        + END
    )


async def test_the_priming_event_has_an_id_and_no_message(edge):
    house = await edge(saying((b"", "p0")))
    assert (await stream(await house.peer())).startswith(chunk("id: p0\ndata: \n\n"))


async def test_the_last_event_carries_its_id(edge):
    house = await edge(saying((b"", "p0"), last=Reply(status=200, body=b"{}", event_id="e9")))
    assert (await stream(await house.peer())).endswith(chunk("id: e9\nevent: message\ndata: {}\n\n") + END)


async def test_an_empty_answer_ends_a_stream_without_an_event(edge):
    house = await edge(saying((b"{}", "e1"), last=Reply(status=200)))
    assert await stream(await house.peer()) == chunk("id: e1\nevent: message\ndata: {}\n\n") + END


async def test_an_answer_that_is_no_stream_has_no_event_and_no_id(edge):
    house = await edge(saying(last=Reply(status=200, body=b"{}", event_id="e9")))
    peer = await house.peer()
    peer.ask(body=b"{}")
    answer = await peer.answer()
    assert b"e9" not in answer
    assert answer.endswith(b"\r\n\r\n{}")


@pytest.mark.parametrize("bad", ["a\nb", "a\r\ndata: x", "a\0b", "a b", "é", "\x7f", "\u2028", ""])
async def test_attack_65_an_id_that_would_break_out_of_its_line_is_left_out(edge, bad):
    house = await edge(saying((b"{}", bad), last=Reply(status=200, body=b"{}", event_id=bad)))
    assert await stream(await house.peer()) == chunk("event: message\ndata: {}\n\n") * 2 + END


@pytest.mark.parametrize("line_break", [b"\n", b"\r", b"\r\n"])
async def test_attack_65_a_line_break_in_a_message_makes_no_field(edge, line_break):
    house = await edge(saying((b'{"a":1,%bdata: "forged"}' % line_break, None)))
    body = await stream(await house.peer())
    assert body.count(b"\ndata: ") == 2
    assert b'{"a":1,' + b" " * len(line_break) + b'data: "forged"}\n\n' in body


async def test_who_speaks_http_1_0_gets_no_chunks(edge):
    """Source: RFC 9112 §7.1: a server must not send chunks to a client that knows none."""
    able = []

    async def serve(arrival: Arrival, wire: ResponseStream) -> Reply:
        able.append(wire.can_stream)
        return await saying((b"{}", "e1"))(arrival, wire)

    house = await edge(serve)
    for version in ("1.0", "1.1"):
        peer = await house.peer()
        peer.ask(body=b"{}", http=version, connection="close")
        answer = await peer.rest()
        assert (b"chunked" in answer) is (version == "1.1")
        assert answer.count(b'{"last":true}') == 1
    assert able == [False, True]


async def test_a_silent_call_over_http_1_0_stays_silent(edge, clock):
    begun, watched = asyncio.Event(), asyncio.Event()

    async def serve(arrival: Arrival, wire: ResponseStream) -> Reply:
        del arrival
        wire.begin(cancel_on_disconnect=False)
        begun.set()
        await watched.wait()
        return Reply(status=200, body=b"{}")

    house = await edge(serve)
    peer = await house.peer()
    peer.ask(body=b"{}", http="1.0")
    await begun.wait()
    house.watch(house.patience.quiet_s + 1)
    watched.set()
    assert b"\r\ncontent-length: 2\r\n" in await peer.rest()


@pytest.mark.parametrize(
    "accept, able",
    [
        ("text/event-stream", True), ("application/json, text/event-stream", True), ("application/json", False),
        ("*/*", False), ("text/event-stream;q=0, application/json", False),
    ],
)  # fmt: skip
async def test_it_is_known_before_the_work_who_reads_streams(edge, accept, able):
    told = []

    async def serve(arrival: Arrival, wire: ResponseStream) -> Reply:
        del arrival
        told.append(wire.can_stream)
        return Reply(status=200, body=b"{}")

    peer = await (await edge(serve)).peer()
    peer.ask(body=b"{}", accept=accept)
    await peer.answer()
    assert told == [able]
