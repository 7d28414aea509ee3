"""Attackers take all connections that there are: idle ones, half a head, half a handshake. Others are served as before.

Sources: Slowloris (CVE-2007-6750), CWE-400, CWE-770, CWE-774; accept(2) on EMFILE.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from itertools import cycle
from pathlib import Path

import pytest

from support.honest import trusting
from support.hostile import CROWD, HONEST, STRANGER, Siege, assert_unharmed, besieged
from support.load import cpu_s
from support.raw import connect, request
from support.stops import worker_of
from support.volley import answer_of, call_bytes
from support.ward import Ward, serving
from support.wire import metric

#: Half of the files that the server may open is kept for everything else.
FILES = 256
ROOM = 128
#: More than that, from any caller.
WIRES = 300
HANDSHAKES = 250
#: Connections that an attacker opens in a second at the most.
PACE = 200
HALF_A_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"

STRANGER_TOO = "127.0.0.67"

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
    assert holder.opened > ROOM
    assert metric(plain.ward, "mcpward_connections_evicted_total", listener="callers") > 0
    assert metric(plain.ward, "mcpward_connections_max") == ROOM
    assert metric(plain.ward, "mcpward_connections") <= ROOM
    assert "connections are scarce: 0 refused" in plain.ward.log()


@pytest.mark.parametrize("sources", [[STRANGER], CROWD], ids=["one stranger", "a crowd"])
def test_attack_132_handshakes_that_do_not_end_keep_nobody_out(safe: Siege, sources, request):
    holder = Holder(safe, sources, nothing, half_a_handshake)
    assert_unharmed(safe, request.node.callspec.id, holder, seconds=1.5, new_of=2)
    assert holder.opened > ROOM
    assert metric(safe.ward, "mcpward_connections_evicted_total", listener="callers", reason="handshake") > 0


def test_attack_132_handshakes_for_nothing_are_refused_where_they_come_from(safe: Siege):
    """A handshake takes a millisecond of the event loop: of these, an address has a hundred at once."""
    trust = trusting(safe.tls)
    done = [is_greeted(safe, trust, STRANGER_TOO) for _ in range(HANDSHAKES)]
    assert all(done[:100])
    assert not all(done)
    assert metric(safe.ward, "mcpward_connections_refused_total", reason="address-rate") >= 1
    assert is_greeted(safe, trust, HONEST)


def is_greeted(siege: Siege, trust: ssl.SSLContext, source: str) -> bool:
    with connect(siege.ward.port, source=source) as wire:
        try:
            trust.wrap_socket(wire).close()
        except OSError:
            return False
    return True


def test_attack_131_the_numbers_have_few_connections_of_their_own(plain: Siege):
    """Else a stranger inside would take the descriptors of callers by that way."""
    assert plain.ward.process is not None
    files = Path(f"/proc/{worker_of(plain.ward)}/fd")
    before = len(list(files.iterdir()))
    with ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(connect(plain.ward.metrics_port, source=STRANGER))
        assert metric(plain.ward, "mcpward_connections_evicted_total", listener="metrics") >= 150
        assert len(list(files.iterdir())) <= before + 40


HOARD = """
from mcpward import Server

server = Server("demo")
FILES = []


@server.tool(read_only=True)
async def hoard(count: int) -> str:
    \"\"\"Open files until there are no more descriptors; with a count, close so many of them.\"\"\"
    if count:
        for file in FILES[:count]:
            file.close()
        del FILES[:count]
        return "closed"
    try:
        while True:
            FILES.append(open("/dev/null"))
    except OSError as error:
        return str(error.errno)
"""


def test_attack_131_without_a_descriptor_the_listener_waits_and_goes_on(tmp_path: Path):
    """Source: accept(2), EMFILE. It neither closes what comes unseen, nor turns round and round, nor stops."""
    with serving(tmp_path / "site", start=False) as ward:
        (ward.folder / "tools.py").write_text(HOARD)
        ward.open_files = FILES
        ward.start()
        with connect(ward.port) as kept:
            assert b"24" in hoard(ward, kept, 0)
            with connect(ward.port, 10) as new:
                new.sendall(request(ward.port, "GET", "/healthz"))
                before = cpu_s(ward)
                new.settimeout(1)
                with pytest.raises(TimeoutError):
                    new.recv(1)
                assert cpu_s(ward) - before < 0.5
                assert b"closed" in hoard(ward, kept, 5)
                new.settimeout(10)
                assert new.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        assert 1 <= metric(ward, "mcpward_connections_refused_total", reason="descriptors") < 10


def hoard(ward: Ward, wire: socket.socket, count: int) -> bytes:
    return answer_of(wire, call_bytes(ward.port, ward.key, count, tool="hoard", arguments={"count": count})).body
