"""Who takes all connections that there are: idle ones, half a head, half a handshake. Others are served as before.

Sources: Slowloris (CVE-2007-6750), CWE-400, CWE-770, CWE-774; accept(2) on EMFILE.
"""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import cycle

import pytest

from support.hostile import CROWD, STRANGER, Siege, assert_unharmed, besieged
from support.raw import connect, request
from support.volley import call_bytes

#: A quarter of what the server may open of files is reserved at least, so this leaves it 128 connections.
FILES = 256
#: More than that, whoever holds them.
WIRES = 300
#: Connections that an attacker opens in a second at the most.
PACE = 200
HALF_A_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"

Opening = Callable[[Siege], bytes]


def nothing(siege: Siege) -> bytes:
    del siege
    return b""


def half_a_head(siege: Siege) -> bytes:
    return f"POST /demo/mcp HTTP/1.1\r\nHost: 127.0.0.1:{siege.ward.port}\r\nX: ".encode()


def a_refused_request(siege: Siege) -> bytes:
    return call_bytes(siege.ward.port, "", path="/demo/mcp")


def a_probe(siege: Siege) -> bytes:
    return request(siege.ward.port, "GET", "/healthz")


def a_call(siege: Siege) -> bytes:
    return call_bytes(siege.ward.port, siege.attacker_key, path="/demo/mcp")


def half_a_handshake(siege: Siege) -> bytes:
    del siege
    return HALF_A_HELLO


class Holder:
    """Holds as many connections as it gets: whatever the server has closed is opened again."""

    def __init__(self, siege: Siege, sources: Sequence[str], *openings: Opening) -> None:
        self._port = siege.ward.port
        self._next = zip(cycle(sources), cycle(opening(siege) for opening in openings), strict=False)
        self.opened = 0
        self.held: list[socket.socket] = []

    def __call__(self, over: threading.Event) -> None:
        try:
            while not over.is_set():
                self.held = [wire for wire in self.held if not is_closed(wire)]
                for _ in range(min(WIRES - len(self.held), PACE // 20)):
                    self._open()
                over.wait(0.05)
        finally:
            for wire in self.held:
                wire.close()

    def _open(self) -> None:
        source, opening = next(self._next)
        with suppress(OSError):
            wire = connect(self._port, 1, source=source)
            wire.sendall(opening)
            wire.setblocking(False)
            self.held.append(wire)
            self.opened += 1


def is_closed(wire: socket.socket) -> bool:
    try:
        while data := wire.recv(65536):
            del data
    except BlockingIOError:
        return False
    except OSError:
        pass
    wire.close()
    return True


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Siege]:
    with besieged(tmp_path_factory.mktemp("plain") / "site", open_files=FILES) as siege:
        yield siege


@pytest.fixture(scope="module")
def safe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Siege]:
    with besieged(tmp_path_factory.mktemp("safe") / "site", open_files=FILES, tls=True) as siege:
        yield siege


STRANGERS = (nothing, half_a_head, a_refused_request, a_probe)


@pytest.mark.parametrize(
    "sources,openings",
    [([STRANGER], STRANGERS), ([STRANGER], [a_call]), (CROWD, STRANGERS), (CROWD, [a_call])],
    ids=["one stranger", "one key", "a crowd", "a key of a crowd"],
)
def test_attack_131_who_holds_all_connections_keeps_nobody_out(plain: Siege, sources, openings, request):
    holder = Holder(plain, sources, *openings)
    assert_unharmed(plain, request.node.callspec.id, holder, seconds=1.5, new_of=2)
    assert holder.opened > WIRES


@pytest.mark.parametrize("sources", [[STRANGER], CROWD], ids=["one stranger", "a crowd"])
def test_attack_132_handshakes_that_do_not_end_keep_nobody_out(safe: Siege, sources, request):
    holder = Holder(safe, sources, nothing, half_a_handshake)
    assert_unharmed(safe, request.node.callspec.id, holder, seconds=1.5, new_of=2)
    assert holder.opened > WIRES
