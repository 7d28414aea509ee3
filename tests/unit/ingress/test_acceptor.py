"""New connections: counted before they say anything, and ended when they stay for nothing."""

import asyncio
import socket
import ssl

import pytest

from mcpward.core.values import Arrival, Reply, ResponseStream
from support.certificate import certificate
from support.edge import Edge, Peer, patience
from support.waiting import soon

CREDENTIAL = {"x_api_key": "one"}


async def serve(arrival: Arrival, wire: ResponseStream) -> Reply:
    if b"x-api-key" not in arrival.headers:
        return Reply(status=401, body=b"{}")
    wire.let_in(is_known=arrival.headers[b"x-api-key"] != b"nobody")
    return Reply(status=200, body=b"{}")


async def test_attack_131_strangers_may_not_be_idle_for_long(edge):
    house: Edge = await edge(serve)
    stranger, known, anonymous = [await house.peer() for _ in range(3)]
    stranger.ask()
    known.ask(x_api_key="one")
    anonymous.ask(x_api_key="nobody")
    for peer in (stranger, known, anonymous):
        await peer.answer()
    house.watch(8.5)
    assert await stranger.rest() == b""
    house.watch(11)
    known.ask(x_api_key="one")
    assert (await known.answer()).startswith(b"HTTP/1.1 200")
    house.watch(1)
    assert await anonymous.rest() == b""


async def test_attack_131_a_newcomer_takes_the_place_of_a_stranger(edge):
    house: Edge = await edge(serve, patience(max_connections=3))
    first = await house.peer("127.0.0.2")
    known = await house.peer("127.0.0.3")
    known.ask(x_api_key="one")
    await known.answer()
    await house.peer("127.0.0.2")
    new = await house.peer("127.0.0.4")
    new.ask(x_api_key="one")
    assert (await new.answer()).startswith(b"HTTP/1.1 200")
    assert await first.rest() == b""
    known.ask(x_api_key="one")
    assert (await known.answer()).startswith(b"HTTP/1.1 200")
    assert house.front.table.size == 3


@pytest.fixture
def tls(tmp_path) -> ssl.SSLContext:
    certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context


async def test_attack_132_a_handshake_is_counted_and_gives_way(edge, tls: ssl.SSLContext, tmp_path):
    house: Edge = await edge(serve, patience(max_connections=2), tls=tls)
    silent = [await house.peer("127.0.0.2") for _ in range(2)]
    await soon(lambda: house.front.table.size == 2)
    assert not house.front.connections
    trust = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    trust.check_hostname = False
    new = await house.peer("127.0.0.3", trust)
    new.ask(x_api_key="one")
    assert (await new.answer()).startswith(b"HTTP/1.1 200")
    assert await silent[0].rest() == b""
    assert house.front.table.size == 2


async def test_attack_132_a_handshake_that_fails_leaves_nothing(edge, tls: ssl.SSLContext):
    house: Edge = await edge(serve, tls=tls)
    peer = await house.peer()
    await soon(lambda: house.front.table.size == 1)
    peer.writer.write(b"GET / HTTP/1.1\r\n\r\n")
    await soon(lambda: house.front.table.size == 0)
    gone = await house.peer()
    gone.leave()
    await soon(lambda: house.front.table.size == 0)


async def test_who_leaves_at_once_leaves_nothing(edge):
    house: Edge = await edge(serve)
    for _ in range(50):
        (await house.peer()).leave()
    await soon(lambda: house.front.table.size == 0)
    await asyncio.sleep(0)
    assert not house.front.connections


@pytest.mark.parametrize("is_safe", [False, True], ids=["plain", "tls"])
async def test_attack_131_who_has_to_leave_before_it_is_made_leaves_nothing(edge, tls: ssl.SSLContext, is_safe: bool):
    """Many clients come in one turn of the loop: most of them leave before the loop has made its transports."""
    house: Edge = await edge(serve, patience(max_connections=4), tls=tls if is_safe else None)
    peers = await asyncio.gather(*(house.peer(f"127.0.0.{number}") for number in range(2, 60)))
    await soon(lambda: house.front.table.size == 4)
    assert sum([await is_ended(peer) for peer in peers]) == 54
    assert len(house.state.connections) == (0 if is_safe else 4)
    for peer in peers:
        peer.leave()
    await soon(lambda: house.front.table.size == 0 and not house.state.connections)


async def test_a_connection_that_was_accepted_before_the_close_has_its_request_answered(edge):
    """A reload closes the listener in the turn in which it accepts: the client has sent its call already."""
    house: Edge = await edge(serve)
    clients = [socket.create_connection(("127.0.0.1", house.port)) for _ in range(5)]
    house.server._accept()
    house.server.close()
    asked = b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX-API-Key: one\r\nContent-Type: application/json\r\n"
    asked += b"Accept: application/json, text/event-stream\r\nContent-Length: 2\r\n\r\n{}"
    for client in clients:
        with client:
            client.setblocking(False)
            await asyncio.get_running_loop().sock_sendall(client, asked % house.port)
            answer = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 4096), 5)
            assert answer.startswith(b"HTTP/1.1 200")


async def is_ended(peer: Peer) -> bool:
    try:
        return await asyncio.wait_for(peer.reader.read(1), 0.1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True
