"""SIGTERM: calls in flight finish, no new call comes in, every record is written, exit code 0 (attack 113)."""

import json
import os
import socket
import time
from contextlib import ExitStack

import httpx2
import pytest

from support import workbench
from support.raw import request
from support.stops import InFlight, refuses_connections
from support.volley import call_bytes
from support.ward import ACCEPT, Ward, modern_request, text_of
from support.wire import Session, notes, reason_of, rows, site, until

SLOW = """
import os, time
with open("notes.txt", "a") as notes:
    print(f"loading {os.getpid()}", file=notes)
time.sleep(1.0)
"""


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("workers,loads", [(1, 1), (2, 1), (2, 2), (2, 3)])
def test_a_stop_while_it_starts_is_a_clean_one_and_leaves_nobody(tmp_path, workers, loads):
    """With two workers the source is loaded once to try it, before they are, and then by each of them."""
    with site(tmp_path, {"site.workers": workers}, start=False) as ward:
        (tmp_path / "bench.py").write_text(SLOW + workbench.TOOLS)
        process = ward.launch()
        until(lambda: len(notes(ward)) >= loads, 20)
        process.terminate()
        assert process.wait(20) == 0
        loaded = [int(note.removeprefix("loading ")) for note in notes(ward)]
        assert not any(is_alive(pid) for pid in loaded)
        if (workers, loads) == (2, 1):
            assert len(loaded) == 1  # no worker was begun
            assert ward.log() == ""
        assert refuses_connections(ward)
        assert "Traceback" not in ward.log()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_call_in_flight_finishes_and_nobody_new_comes_in(tmp_path, workers):
    with site(tmp_path, {"site.workers": workers}) as ward:
        calls = [InFlight(ward, f"call {at}", 2.0) for at in range(4)]
        ward.running.terminate()
        until(lambda: refuses_connections(ward), 1.5)
        assert "ended call 0" not in notes(ward)
        assert [text_of(call.answered()) for call in calls] == ["done"] * 4
        assert {call.answered().headers["connection"] for call in calls} == {"close"}
        assert ward.running.wait(10) == 0
        assert refuses_connections(ward)
        written = rows(ward, "tool = 'work'")
        assert [(row["outcome"], row["status"]) for row in written] == [("ok", 200)] * 4
        assert "Traceback" not in ward.log()


def test_a_connection_that_stayed_open_gets_no_second_answer(tmp_path):
    with site(tmp_path) as ward, ward.client() as client:
        assert client.get("/healthz").status_code == 200
        call = InFlight(ward, "last", 1.5)
        ward.running.terminate()
        until(lambda: refuses_connections(ward), 1.0)
        with pytest.raises(httpx2.HTTPError):
            client.get("/healthz")
        assert text_of(call.answered()) == "done"
        assert ward.running.wait(10) == 0


def test_a_call_that_takes_longer_than_the_drain_is_cancelled_and_told_so(tmp_path):
    with site(tmp_path, {"site.drain_s": 1.0}) as ward:
        call = InFlight(ward, "endless", 25.0)
        began = time.monotonic()
        ward.running.terminate()
        assert ward.running.wait(20) == 0
        assert time.monotonic() - began < 15.0  # and not the tool's 25
        answer = call.answered()
        assert (answer.status_code, reason_of(answer)) == (503, "busy")
        assert notes(ward) == ["began endless", "cancelled endless"]
        (row,) = rows(ward, "tool = 'work'")
        assert row["outcome"] == "cancelled"


def opened(stack: ExitStack, ward: Ward, wanted: dict[str, object] | None = None) -> socket.socket:
    """Open a stream of a session, or of the modern era where something is ``wanted``; give it past its head."""
    if wanted is None:
        fields = Session(ward).headers | {"accept": "text/event-stream"}
        asked = request(ward.port, "GET", "/mcp", list(fields.items()))
    else:
        body, fields = modern_request("subscriptions/listen", {"notifications": wanted})
        fields |= {"authorization": f"Bearer {ward.key}", "content-type": "application/json", "accept": ACCEPT}
        asked = request(ward.port, "POST", "/mcp", list(fields.items()), json.dumps(body).encode())
    line = stack.enter_context(socket.create_connection(("127.0.0.1", ward.port), timeout=10))
    line.sendall(asked)
    head = b""
    while not head.endswith(b"\r\n\r\n" if wanted is None else b"\n\n\r\n"):
        head += line.recv(1)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"text/event-stream" in head
    return line


@pytest.mark.parametrize("workers", [1, 2])
def test_open_streams_end_at_once_while_a_call_in_flight_finishes(tmp_path, workers):
    with site(tmp_path, {"site.workers": workers}) as ward, ExitStack() as stack:
        legacy = [opened(stack, ward) for _ in range(5)]
        modern = [opened(stack, ward, {"toolsListChanged": True}) for _ in range(5)]
        call = InFlight(ward, "call", 3.0)
        ward.running.terminate()
        ends = [exhausted(line) for line in (*legacy, *modern)]
        assert "ended call" not in notes(ward)
        assert ends[:5] == [b"0\r\n\r\n"] * 5
        assert all(b'"resultType":"complete"' in end and end.endswith(b"\n\n\r\n0\r\n\r\n") for end in ends[5:])
        assert text_of(call.answered()) == "done"
        assert ward.running.wait(10) == 0
        assert "Traceback" not in ward.log()


def exhausted(line: socket.socket) -> bytes:
    """Read until the other side has closed."""
    heard = b""
    while piece := line.recv(65536):
        heard += piece
    return heard


def test_every_record_of_a_burst_is_written_before_the_end(tmp_path):
    with site(tmp_path) as ward:
        for _ in range(150):
            assert ward.post(b"{}", headers={"authorization": f"Bearer {ward.key}"}).status_code == 400
        assert ward.stop() == 0
        # The first five of a minute are written whole, the others as one row with their number.
        written = rows(ward, "reason = 'message-malformed'")
        assert sum(row["count"] or 1 for row in written) == 150


def test_ready_turns_to_unready_while_it_drains(tmp_path):
    """An orchestrator that asks over an open connection gets the answer that no more calls are taken."""
    with site(tmp_path) as ward:
        call = InFlight(ward, "slow", 1.5)
        with socket.create_connection(("127.0.0.1", ward.port)) as line:
            line.sendall(f"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:{ward.port}\r\n".encode())
            until(lambda: ward.post(b"{}").status_code == 401)  # so the half of a request above has been read
            ward.running.terminate()
            until(lambda: refuses_connections(ward), 1.0)
            line.sendall(b"\r\n")
            answer = line.recv(65536)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b'{"status":"unready","waiting_for":"stopping"}' in answer
        assert b"connection: close" in answer
        call.answered()


STUCK = """
import asyncio, time
from mcpward import Server
server = Server("stuck")
def note(text):
    with open("notes.txt", "a") as notes:
        print(text, file=notes)
def sleep(name):
    note(f"began {name}")
    time.sleep(300)
@server.tool(read_only=True)
def in_thread(name: str) -> str:
    sleep(name)
    return "slept"
@server.tool(read_only=True)
async def to_thread(name: str) -> str:
    await asyncio.to_thread(sleep, name)
    return "slept"
"""


def test_threads_that_never_return_keep_no_process_from_its_end(tmp_path):
    """The threads of a server, and of the event loop, which Python waits for by itself."""
    with site(tmp_path, {"site.drain_s": 1.0}, start=False) as ward, ExitStack() as stack:
        (tmp_path / "bench.py").write_text(STUCK)
        ward.key = ward.create_key("bench")
        ward.start()
        for tool in ("in_thread", "to_thread"):
            for number in range(3):
                line = stack.enter_context(socket.create_connection(("127.0.0.1", ward.port), timeout=10))
                line.sendall(call_bytes(ward.port, ward.key, tool=tool, arguments={"name": f"{tool} {number}"}))
        until(lambda: len(notes(ward)) == 6)
        stack.close()  # they hang up
        until(lambda: "mcpward_tool_threads_abandoned 6.0" in metrics_of(ward))
        assert "mcpward_tool_threads_busy 6.0" in metrics_of(ward)
        ward.running.terminate()
        assert ward.running.wait(20) == 0
        assert "Traceback" not in ward.log()


def metrics_of(ward: Ward) -> str:
    return httpx2.get(f"http://127.0.0.1:{ward.metrics_port}/metrics").text
