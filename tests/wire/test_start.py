"""A start: what it listens on, and that nothing listens before it has succeeded."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import closing
from functools import partial

import httpx2
import pytest

from support.ports import free_port
from support.stops import pids, refuses_connections
from support.ward import environment
from support.wire import metric, notes, site, until, write_site

WAITS = """
import os, time
print("loading", os.getpid(), file=open("notes.txt", "a"))
while not os.path.exists("go"):
    time.sleep(0.02)
"""
FAILS = WAITS + "raise RuntimeError('no database')\n"
UNSET = {"site.metrics_listen": None}


def refused_everywhere(ward):
    with closing(socket.socket()) as line:
        is_metrics_shut = line.connect_ex(("127.0.0.1", ward.metrics_port)) != 0
    return refuses_connections(ward) and is_metrics_shut


@pytest.mark.parametrize("workers", [1, 2])
def test_a_start_that_fails_never_accepts_a_connection(tmp_path, workers):
    with site(tmp_path, {"site.workers": workers}, start=False) as ward:
        (tmp_path / "bench.py").write_text(FAILS)
        process = ward.launch()
        until((tmp_path / "notes.txt").exists, 45)
        assert refused_everywhere(ward)
        (tmp_path / "go").touch()
        asked = 0
        while process.poll() is None:
            assert refused_everywhere(ward)
            asked += 1
        assert asked
        assert process.returncode == 2
        assert ward.log().count("error: ") == 1


def test_an_address_is_held_from_the_first_moment_though_nothing_listens_there_yet(tmp_path):
    with site(tmp_path, {"site.metrics_listen": ""}, start=False) as ward:
        (tmp_path / "bench.py").write_text(WAITS + (tmp_path / "bench.py").read_text())
        ward.launch()
        until((tmp_path / "notes.txt").exists, 45)
        second = ward.cli("serve", "--config", "mcpward.toml", "--data", "elsewhere", check=False)
        assert second.returncode == 3
        assert re.search(r"error: 127\.0\.0\.1:\d+ cannot be bound: Address already in use\n", second.stderr)
        assert re.search(r"hint: is it being served already\? choose another port \(\d+ is free\)\n", second.stderr)
        assert not (tmp_path / "elsewhere").exists()
        (tmp_path / "go").touch()
        ward.wait_ready()


def test_when_a_start_says_where_the_site_is_it_answers_there(tmp_path):
    with site(tmp_path, {"site.workers": 2}, start=False) as ward:
        command = [sys.executable, "-m", "mcpward", "serve", "--json"]
        with subprocess.Popen(
            command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            assert httpx2.get(f"{ward.base}/healthz", timeout=30).status_code == 200
            assert told["servers"][0]["url"].startswith(ward.base)
            process.terminate()


def test_a_second_site_needs_no_metrics_address_of_its_own(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    with site(first, UNSET) as one, site(second, UNSET) as two:
        pages = {}
        for ward in (one, two):
            (port,) = re.findall(r"http://127\.0\.0\.1:(\d+)/metrics", ward.log())
            ward.metrics_port = int(port)
            assert ward.call("echo", {"text": "a"}).status_code == 200
            pages[port] = until(partial(metric, ward, "mcp_server_operation_duration_seconds_count"))
        assert len(pages) == 2
        moved = max(map(int, pages))
        assert moved > 9464
        said = f"127.0.0.1:9464 is taken, so /metrics is at 127.0.0.1:{moved}; set [site] metrics_listen to fix the"
        assert said in one.log() + two.log()


def test_a_metrics_address_that_was_set_is_not_moved(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other, site(tmp_path, start=False) as ward:
        write_site(ward, {"site.metrics_listen": f"127.0.0.1:{other.getsockname()[1]}"})
        refused = ward.cli("serve", check=False)
        assert refused.returncode == 3
        assert "cannot be bound: Address already in use" in refused.stderr


def test_a_site_may_listen_on_the_default_port_of_metrics(tmp_path):
    port = free_port()
    with site(tmp_path, UNSET | {"site.listen": f"127.0.0.1:{port}"}, start=False) as ward:
        assert ward.cli("config", "check", "--config", "mcpward.toml").returncode == 0
        write_site(ward, {"site.listen": "127.0.0.1:9464"} | UNSET)
        assert ward.cli("config", "check").returncode == 0
        write_site(ward, {"site.listen": "127.0.0.1:9464", "site.metrics_listen": "127.0.0.1:9464"})
        assert "is the address that the servers listen on" in ward.cli("config", "check", check=False).stderr


def test_a_worker_that_died_is_replaced_told_and_counted(tmp_path):
    with site(tmp_path, {"site.workers": 2}) as ward:
        workers = until(lambda: pids(ward) if len(pids(ward)) == 2 else None, 40)
        assert metric(ward, "mcpward_worker_restarts_total") == 0
        killed = min(workers)
        os.kill(int(killed), signal.SIGKILL)
        until(lambda: len(pids(ward) - workers) == 1, 40)
        assert metric(ward, "mcpward_worker_restarts_total") == 1
        told = [json.loads(line) for line in ward.log().splitlines() if "a worker died" in line]
        assert [(one["level"], one["pid"], one["died_of"]) for one in told] == [
            ("warning", int(killed), "SIGKILL (out of memory?)")
        ]
        assert {str(one["replaced_by"]) for one in told} == pids(ward) - workers


def test_debug_is_what_mcpward_and_the_author_say_and_nothing_of_libraries(tmp_path):
    chatty = 'import asyncio, logging\nlogging.getLogger("shop").debug("the author says %s", "so")\n'
    with site(tmp_path, {"log.level": "debug"}, start=False) as ward:
        source = (tmp_path / "bench.py").read_text()
        (tmp_path / "bench.py").write_text(f"{chatty}{source}")
        ward.start()
        ward.post({}, path="/nothing")
        until(lambda: "refused at the gate" in ward.log())
        ward.stop()
        events = [json.loads(line)["event"] for line in ward.log().splitlines() if line.startswith("{")]
        assert {event.partition(":")[0] for event in events} == {
            "the author says so", "a worker is ready", "refused at the gate", "server bench"
        }  # fmt: skip


HELD = """
import os, signal
print("loading", os.getpid(), file=open("notes.txt", "a"))
if len(open("notes.txt").readlines()) > 1:
    os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_a_worker_whose_imports_take_long_is_waited_for_and_not_replaced_again_and_again(tmp_path):
    """A worker that serves has 5 seconds to answer; one whose import keeps the interpreter cannot."""
    with site(tmp_path, {"site.workers": 2}, start=False) as ward:
        source = (tmp_path / "bench.py").read_text()
        (tmp_path / "bench.py").write_text(f"{HELD}{source}")
        ward.launch()
        until(lambda: len(notes(ward)) == 3, 50)  # the first was to try the source
        with pytest.raises(subprocess.TimeoutExpired):
            ward.running.wait(7)  # longer than those 5 seconds: a worker to be replaced is replaced by now
        assert "a worker died" not in ward.log()
        for note in notes(ward)[1:]:
            os.kill(int(note.removeprefix("loading ")), signal.SIGCONT)
        ward.wait_ready()
        assert len(notes(ward)) == 3
