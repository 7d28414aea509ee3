"""The stand-in answers while no version of a server can be loaded: no caller holds it for longer than a moment."""

import socket
from contextlib import suppress
from threading import Event, Thread

import pytest

from mcpward.app.stand_in import StandIn

END_S = 20  # of a wait for what comes within a second or two


@pytest.fixture
def stand_in():
    """A stand-in, and its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = StandIn(listener, "a mistake")
        yield one, listener.getsockname()[1]
        one.stop()


@pytest.fixture
def trickle(stand_in):
    """A client that sends ``head`` and then a byte now and then, for as long as its connection lives."""
    over, threads = Event(), []

    def start(head):
        client = socket.create_connection(("127.0.0.1", stand_in[1]), END_S)
        client.sendall(head)

        def send():
            with client, suppress(OSError):
                while not over.wait(0.05):
                    client.sendall(b"x")

        threads.append(Thread(target=send, daemon=True))
        threads[-1].start()

    yield start
    over.set()
    for thread in threads:
        thread.join(END_S)


def whole(port):
    return b"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n\r\n" % port


@pytest.mark.parametrize("is_whole", [False, True])
@pytest.mark.slow
def test_a_client_that_trickles_holds_neither_another_one_nor_the_stop(stand_in, trickle, is_whole):
    one, port = stand_in
    head = whole(port) if is_whole else b"POST /mcp HTTP/1.1\r\nx: "
    trickle(head)
    with socket.create_connection(("127.0.0.1", port), END_S) as other:
        other.sendall(whole(port))
        assert other.recv(4096).startswith(b"HTTP/1.1 503")
    trickle(head)
    stopping = Thread(target=one.stop, daemon=True)
    stopping.start()
    stopping.join(END_S)
    assert not stopping.is_alive()
