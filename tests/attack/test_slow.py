"""Callers that never finish: in their headers, their body, their reading. Each is ended, the others notice nothing.

Sources: Slowloris (CVE-2007-6750), R.U.D.Y., slow read (CVE-2012-5568), CWE-400.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from support.raw import connect, listen, request
from support.stops import worker_of
from support.ward import ACCEPT, Ward, modern_request, serving

HEAD_S, BODY_S, IDLE_S = 1.0, 1.5, 2.0
#: The watch looks twice a second, a refused connection lingers for two, and the machine has other work.
SLACK_S = 4.0
TOML = f"[http]\nheader_timeout_s = {HEAD_S}\nbody_timeout_s = {BODY_S}\nidle_timeout_s = {IDLE_S}\n"
SLOW = 300

GREAT = '''
from mcpward import Server

server = Server("demo")


@server.tool(read_only=True)
async def echo(text: str) -> str:
    """Give the text back."""
    return text


@server.tool(read_only=True)
async def great(count: int) -> str:
    """Give a great deal."""
    return "x" * count
'''


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """A site with little patience."""
    folder = tmp_path_factory.mktemp("slow") / "site"
    with serving(folder, TOML, start=False) as site:
        (folder / "tools.py").write_text(GREAT)
        yield site.start()


def seconds_until_closed(wire: socket.socket, drip: Callable[[], bytes] | None, every_s: float = 0.1) -> float:
    """Send a drop now and then until the server has ended the connection; give how long that took."""
    started = time.monotonic()
    wire.settimeout(every_s)
    while time.monotonic() - started < 12:
        try:
            if not wire.recv(65536):
                return time.monotonic() - started
        except TimeoutError:
            pass
        except OSError:
            return time.monotonic() - started
        if drip is not None:
            try:
                wire.send(drip())
            except OSError:
                return time.monotonic() - started
    return float("inf")


def body_of(ward: Ward, tool: str, **arguments: object) -> bytes:
    body, headers = modern_request("tools/call", {"name": tool, "arguments": arguments}, name=tool)
    headers |= {"content-type": "application/json", "accept": ACCEPT, "authorization": f"Bearer {ward.key}"}
    return request(ward.port, "POST", "/mcp", list(headers.items()), json.dumps(body).encode())


def openings(ward: Ward) -> dict[str, tuple[bytes, Callable[[], bytes] | None, float]]:
    """The first bytes, the bytes that drip after them, and the seconds that this may take."""
    line = f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{ward.port}\r\n".encode()
    media = b"Content-Type: application/json\r\nAccept: application/json\r\n"
    whole = line + media + b"Authorization: Bearer " + ward.key.encode() + b"\r\n"
    idle = request(ward.port, "GET", "/healthz")
    return {
        "nothing at all": (b"", None, HEAD_S),
        "empty lines": (b"", lambda: b"\r\n", HEAD_S),
        "half a request line": (b"POST /mc", None, HEAD_S),
        "headers one by one": (line, lambda: b"X: y\r\n", HEAD_S),
        "a header letter by letter": (line + b"X: ", lambda: b"y", HEAD_S),
        "no body": (whole + b"Content-Length: 1000\r\n\r\n", None, BODY_S),
        "a body byte by byte": (whole + b"Content-Length: 1000\r\n\r\n", lambda: b" ", BODY_S),
        "chunk by chunk": (whole + b"Transfer-Encoding: chunked\r\n\r\n", lambda: b"1\r\n \r\n", BODY_S),
        "an endless chunk size": (whole + b"Transfer-Encoding: chunked\r\n\r\n", lambda: b"0", BODY_S),
        "a refused body": (line + b"Content-Length: 1000\r\n\r\n", lambda: b" ", BODY_S),
        "idle after an answer": (idle, None, IDLE_S),
        "empty lines after an answer": (idle, lambda: b"\r\n", IDLE_S),
        "half a request after an answer": (idle + b"GET /heal", None, IDLE_S),
    }


@pytest.mark.parametrize(
    "kind",
    [
        "nothing at all",
        "empty lines",
        "half a request line",
        "headers one by one",
        "a header letter by letter",
        "no body",
        "a body byte by byte",
        "chunk by chunk",
        "an endless chunk size",
        "a refused body",
        "idle after an answer",
        "empty lines after an answer",
        "half a request after an answer",
    ],
)
def test_attack_46_who_sends_too_slowly_is_ended_in_time(hurried: Ward, kind: str):
    first, drip, limit_s = openings(hurried)[kind]
    with connect(hurried.port) as wire:
        wire.sendall(first)
        assert seconds_until_closed(wire, drip) < limit_s + SLACK_S


def test_attack_46_who_is_too_slow_is_told_so(hurried: Ward):
    """Source: RFC 9110 §15.5.9."""
    for kind in ("headers one by one", "a body byte by byte"):
        with connect(hurried.port) as wire:
            wire.sendall(openings(hurried)[kind][0])
            heard = listen(wire, wait_s=6, quiet_s=3)
        assert heard.statuses == [408]
        assert heard.closed


def test_attack_46_who_does_not_read_is_ended_in_time_and_costs_little(hurried: Ward):
    """Slow read: answers of 800 KB are asked for, none is taken."""
    with connect(hurried.port) as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        before = resident_kib(hurried)
        most = before
        asked = 0
        pending = call = body_of(hurried, "great", count=400_000)
        wire.setblocking(False)
        until = time.monotonic() + BODY_S + SLACK_S
        ended = False
        while time.monotonic() < until and not ended:
            try:
                pending = pending[wire.send(pending) :] or call
                asked += pending is call
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:
                ended = True
            most = max(most, resident_kib(hurried))
        assert ended, f"{asked} calls, {most - before} KiB"
        assert most - before < 64 << 10, f"{asked} calls, {most - before} KiB"


def resident_kib(ward: Ward) -> int:
    from pathlib import Path

    assert ward.process is not None
    return int(Path(f"/proc/{worker_of(ward)}/status").read_text().split("VmRSS:")[1].split()[0])


def latencies(ward: Ward, count: int) -> list[float]:
    call = body_of(ward, "echo", text="quick")
    taken = []
    with connect(ward.port) as wire:
        for _ in range(count):
            started = time.perf_counter()
            wire.sendall(call)
            assert wire.recv(65536).startswith(b"HTTP/1.1 200")
            taken.append(time.perf_counter() - started)
    return sorted(taken)


def test_attack_46_hundreds_of_slow_callers_do_not_slow_the_others(hurried: Ward):
    """The bound is loose, for a busy machine: what it must catch is waiting for the slow ones, which takes seconds."""
    alone = latencies(hurried, 300)
    kinds = [kind for kind in openings(hurried).values() if kind[1] is not None]
    stop = threading.Event()
    with ExitStack() as stack:
        wires = [(stack.enter_context(connect(hurried.port)), kinds[at % len(kinds)]) for at in range(SLOW)]
        for wire, (first, _, _) in wires:
            wire.sendall(first)
            wire.setblocking(False)

        def drip() -> None:
            while not stop.wait(0.2):
                for wire, (_, drop, _) in wires:
                    try:
                        assert drop is not None
                        wire.send(drop())
                    except OSError:
                        continue

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            beside = latencies(hurried, 600)
            until = time.monotonic() + BODY_S + SLACK_S + 4
            left = [wire for wire, _ in wires]
            while left and time.monotonic() < until:
                left = [wire for wire in left if not ended(wire)]
                time.sleep(0.05)
        finally:
            stop.set()
            dripping.join()
    p99 = (alone[int(len(alone) * 0.99)], beside[int(len(beside) * 0.99)])
    assert p99[1] < max(2 * p99[0], 0.1), p99
    assert not left, f"{len(left)} of {SLOW} slow connections are still open"


def ended(wire: socket.socket) -> bool:
    try:
        while data := wire.recv(65536):
            del data
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_attack_46_more_connections_than_allowed_are_closed_at_once(tmp_path):
    with serving(tmp_path / "site", "[http]\nmax_connections = 20\n") as ward, ExitStack() as stack:
        wires = [stack.enter_context(connect(ward.port)) for _ in range(60)]
        time.sleep(0.3)
        for wire in wires:
            wire.setblocking(False)
        assert sum(not ended(wire) for wire in wires) <= 20
        stack.close()
        time.sleep(0.1)
        assert ward.call("echo", {"text": "x"}).status_code == 200
