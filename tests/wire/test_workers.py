"""Two worker processes behave as one: keys, sessions and numbers are the site's, not a process's."""

import os
import signal
import threading
import time
from contextlib import contextmanager
from functools import partial

import pytest

from support.ward import Ward, text_of
from support.wire import Session, first_credentials, metric, reason_of, site, until

CLIENTS = 8


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    with site(tmp_path_factory.mktemp("workers"), {"site.workers": 2}) as ward:
        until(lambda: len(pids(ward)) == 2)
        yield ward


def pids(ward: Ward) -> set[str]:
    """The workers that run or have run: each leaves a snapshot of its numbers under its process id."""
    return {path.stem.partition("-")[0] for path in (ward.folder / ".mcpward" / "metrics").glob("[0-9]*.json")}


def is_replaced(ward: Ward, pid: str) -> bool:
    return len(pids(ward)) == 2 and pid not in pids(ward)


class Looping(threading.Thread):
    """A client that calls without end over connections of its own, so that both workers serve it."""

    def __init__(self, ward: Ward, key: str) -> None:
        super().__init__(daemon=True)
        self.ward = ward
        self.key = key
        self.answers: list[tuple[float, int]] = []
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.is_set():
            began = time.monotonic()
            self.answers.append((began, self.ward.call("echo", {"text": "a"}, key=self.key).status_code))


@contextmanager
def looping(ward: Ward, key: str):
    clients = [Looping(ward, key) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        for client in clients:
            client.ended.set()
        for client in clients:
            client.join(20)


def test_a_revoked_key_is_refused_by_every_worker_within_a_second(ward):
    key = ward.create_key("bench", name="leaked")
    until(lambda: [ward.call("echo", {"text": "a"}, key=key).status_code for _ in range(8)] == [200] * 8)
    with looping(ward, key) as clients:
        until(lambda: all(len(client.answers) >= 5 for client in clients))
        ward.cli("key", "revoke", key[11:23])
        revoked = time.monotonic()
        until(lambda: all(client.answers[-1][0] > revoked + 1.2 for client in clients))
    answers = [answer for client in clients for answer in client.answers]
    assert {status for at, status in answers if at < revoked - 2.0} <= {200}
    late = [status for at, status in answers if at > revoked + 1.0]
    assert len(late) > CLIENTS
    assert set(late) == {401}


def test_a_session_made_by_one_worker_is_served_by_both(ward):
    sessions = [Session(ward) for _ in range(4)]
    for session in sessions:
        assert [text_of(session.call("echo", {"text": "a"})) for _ in range(6)] == ["a"] * 6


def test_a_session_that_was_deleted_is_gone_everywhere_within_a_second(ward):
    session = Session(ward)
    assert session.call("echo", {"text": "a"}).status_code == 200
    assert session.end().status_code == 200
    at = time.monotonic()
    until(lambda: {session.call("echo", {"text": "a"}).status_code for _ in range(10)} == {404}, 2.0)
    assert time.monotonic() - at < 1.5  # a second, and the ten calls that show it
    assert reason_of(session.call("echo", {"text": "a"})) == "session-unknown"


def test_the_numbers_of_both_workers_add_up(ward):
    labels = {"mcp_method_name": "tools/call", "gen_ai_tool_name": "whoami"}
    count = "mcp_server_operation_duration_seconds_count"
    assert metric(ward, count, **labels) == 0
    for _ in range(40):
        assert ward.call("whoami").status_code == 200
    until(lambda: metric(ward, count, **labels) == 40)
    for _ in range(5):
        ward.call("no such tool")
    until(lambda: metric(ward, "mcpward_refusals_total", reason="tool-unknown") == 5)
    assert len(pids(ward)) == 2


def test_a_worker_that_was_killed_counts_on_and_nothing_of_it_is_measured(tmp_path):
    labels = {"mcp_method_name": "tools/call", "gen_ai_tool_name": "whoami"}
    count = "mcp_server_operation_duration_seconds_count"
    with site(tmp_path, {"site.workers": 2, "traffic.queue": 700}) as ward:
        until(lambda: metric(ward, "mcpward_traffic_queue_capacity") == 1400)
        for _ in range(20):
            assert ward.call("whoami").status_code == 200
        until(lambda: metric(ward, count, **labels) == 20)
        time.sleep(1.1)  # so each of them has left the numbers that it has now
        for killed in pids(ward):
            os.kill(int(killed), signal.SIGKILL)
            until(partial(is_replaced, ward, killed), 20)
            assert metric(ward, "mcpward_traffic_queue_capacity") == 1400
            assert metric(ward, count, **labels) == 20


def test_what_workers_counted_last_is_not_lost_when_they_end(tmp_path):
    with site(tmp_path, {"site.workers": 2}) as ward:
        first = until(lambda: pids(ward) if len(pids(ward)) == 2 else None)
        for _ in range(20):
            assert ward.call("whoami").status_code == 200
        for pid in first:
            os.kill(int(pid), signal.SIGTERM)
        until(lambda: len(pids(ward)) == 2 and first.isdisjoint(pids(ward)), 20)
        assert metric(ward, "mcp_server_operation_duration_seconds_count", gen_ai_tool_name="whoami") == 20


def test_a_first_start_with_two_workers_makes_one_key(ward):
    assert first_credentials(ward).count("sk-mcpward-") == 1


def test_a_source_that_fails_is_told_once_and_no_worker_starts(tmp_path):
    with site(tmp_path, {"site.workers": 2}, start=False) as ward:
        (tmp_path / "bench.py").write_text("import nothing_of_that_name\n")
        done = ward.cli("serve", "--config", "mcpward.toml", check=False)
        assert done.returncode == 2
        assert done.stderr.count("error: ") == 1
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
