"""``mcpward reload`` and SIGHUP: new workers with new files take over, and no call notices."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
from cryptography import x509

from support.certificate import certificate
from support.stops import InFlight, children, refuses_connections
from support.talk import TASKS, Line, accepted, modern, prepare, result_of
from support.volley import call_bytes
from support.ward import environment, serving, text_of
from support.wire import Session, acts, metric, notes, reason_of, site, until, write_site

VERSION = '''

@server.tool(read_only=True)
async def version() -> str:
    """Say which version answers, and of which process."""
    import os
    return "{version} " + str(os.getpid())
'''


def edit(ward, version):
    """Write the tools anew, as this version."""
    file = ward.folder / "bench.py"
    if not (ward.folder / "bench.before").exists():
        (ward.folder / "bench.before").write_text(file.read_text())
    file.write_text((ward.folder / "bench.before").read_text() + VERSION.format(version=version))


def versions(ward, calls=12):
    """Ask over as many new connections, and give the versions that answered."""
    return {text_of(ward.call("version")).partition(" ")[0] for _ in range(calls)}


def settings(workers=1, **more):
    return {"site.workers": workers, "site.drain_s": 5.0} | more


def workers_of(ward):
    return children(ward.running.pid)


def reload(ward, *words):
    return ward.cli("reload", *words, check=False)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_call_in_flight_survives_and_new_files_hold_in_every_worker(tmp_path, workers):
    short = settings(workers) | {"site.drain_s": 0.5}
    with site(tmp_path, short, start=False) as ward:
        edit(ward, "one")
        ward.start()
        ward.key = ward.create_key("bench")
        assert versions(ward) == {"one"}
        before = workers_of(ward)
        call = InFlight(ward, "long", 9.0)  # longer than the drain of a stop
        write_site(ward, short | {"servers.bench.tools.echo.rate": "1/hour"})
        edit(ward, "two")
        done = reload(ward)
        assert done.returncode == 0, done.stderr
        assert "servers.bench.tools.echo.rate: default → 1/hour" in done.stderr
        assert "the tools of bench were edited" in done.stderr
        assert versions(ward) == {"two"}
        assert call.answer is None
        answers = [ward.call("echo", {"text": "a"}) for _ in range(12)]
        assert sum(reason_of(answer) == "rate-exceeded" for answer in answers) >= 12 - workers
        assert text_of(call.answered()) == "done"
        until(lambda: workers_of(ward).isdisjoint(before), 20)
        assert len(workers_of(ward)) == workers
        (act,) = acts(ward, "reload")
        assert "site reloaded: servers.bench.tools.echo.rate" in act["detail"] + act["arguments"] + str(act)
        assert metric(ward, "mcpward_reloads_total") == 1
        assert metric(ward, "mcpward_last_reload_timestamp_seconds") > time.time() - 300
        assert metric(ward, "mcpward_worker_restarts_total") == 0
        assert ward.log().count("mcpward 0.1.0") == 1  # announced once
        assert "Traceback" not in ward.log()


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_wrong_changes_nothing_and_is_told(tmp_path, workers):
    with site(tmp_path, settings(workers), start=False) as ward:
        edit(ward, "one")
        ward.start()
        ward.key = ward.create_key("bench")
        before = workers_of(ward)
        right = (ward.folder / "mcpward.toml").read_text()
        source = (ward.folder / "bench.py").read_text()
        (ward.folder / "bench.py").write_text(source + "\nraise RuntimeError('no database')\n")
        said = reload(ward)
        assert (said.returncode, said.stdout) == (1, "")
        line = len((source + "\nraise").splitlines())
        assert f"bench.py:{line}: RuntimeError: no database" in said.stderr
        assert "was not reloaded: it goes on with what it had" in said.stderr
        (ward.folder / "bench.py").write_text(source)

        (ward.folder / "mcpward.toml").write_text(f"site.listen_to = 1\n{right}")
        said = reload(ward, "--json")
        assert said.returncode == 1
        (told,) = json.loads(said.stdout)
        assert told["reloaded"] is False
        assert "listen_to" in told["errors"][0]["what"]
        assert told["errors"][0]["where"].startswith("mcpward.toml:")

        write_site(ward, settings(workers) | {"site.listen": "127.0.0.1:1"})
        edit(ward, "one")
        said = reload(ward)
        assert said.returncode == 1
        assert "site.listen is now 127.0.0.1:1" in said.stderr
        assert "restart the site" in said.stderr

        assert workers_of(ward) == before
        assert versions(ward) == {"one"}
        assert metric(ward, "mcpward_reloads_failed_total") == 3
        assert metric(ward, "mcpward_reloads_total") == 0
        assert ward.log().count("not reloaded: what served before goes on") == 3
        assert "Traceback" not in ward.log()


class Caller(threading.Thread):
    """Calls without a pause, over a connection that it keeps as long as the site does."""

    def __init__(self, ward):
        super().__init__(daemon=True)
        self.ward = ward
        self.ended = threading.Event()
        self.seen = []

    def run(self):
        with self.ward.client(timeout=60.0) as client:
            headers = {"authorization": f"Bearer {self.ward.key}", "accept": "application/json, text/event-stream"}
            asked = call_bytes(self.ward.port, self.ward.key, tool="version", arguments={})
            body = asked.partition(b"\r\n\r\n")[2]
            own = dict(line.split(": ", 1) for line in asked.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:])
            while not self.ended.is_set():
                try:
                    answer = client.post("/mcp", content=body, headers=own | headers)
                    self.seen.append(text_of(answer).partition(" ")[0] if answer.status_code == 200 else answer.text)
                except (httpx2.HTTPError, KeyError) as error:
                    self.seen.append(repr(error))


@pytest.mark.parametrize("workers", [1, 2])
def test_no_request_of_twenty_clients_is_refused_or_reset_while_it_reloads(tmp_path, workers):
    with site(tmp_path, settings(workers), start=False) as ward:
        edit(ward, "one")
        ward.start()
        ward.key = ward.create_key("bench")
        callers = [Caller(ward) for _ in range(20)]
        for caller in callers:
            caller.start()
        until(lambda: all(len(caller.seen) >= 3 for caller in callers), 60)
        old = workers_of(ward)
        edit(ward, "two")
        assert reload(ward).returncode == 0
        until(lambda: workers_of(ward).isdisjoint(old), 60)
        until(lambda: all(caller.seen[-1] == "two" for caller in callers), 60)
        for caller in callers:
            caller.ended.set()
        for caller in callers:
            caller.join(60)
        assert {said for caller in callers for said in caller.seen} == {"one", "two"}


def test_streams_end_with_a_retry_hint_and_the_site_is_ready_all_the_while(tmp_path):
    with site(tmp_path, settings()) as ward:
        session, seen = Session(ward), []
        stopped = threading.Event()

        def ask():
            while not stopped.is_set():
                seen.append(httpx2.get(f"{ward.base}/readyz", timeout=30).status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        fields = session.headers | {"accept": "text/event-stream"}
        kept = socket.create_connection(("127.0.0.1", ward.port), timeout=30)
        kept.sendall(f"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:{ward.port}\r\n".encode())
        with ward.client(timeout=60.0) as client, client.stream("GET", "/mcp", headers=fields) as stream:
            assert stream.status_code == 200
            assert reload(ward).returncode == 0
            for _ in stream.iter_raw():
                pass  # until the site ends it
        stopped.set()
        asking.join()
        assert set(seen) == {200}
        with kept:  # it is the old worker's
            kept.sendall(b"\r\n")
            answer = kept.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in answer
        assert text_of(session.call("echo", {"text": "a"})) == "a"  # sessions go on


def test_what_the_client_of_an_old_call_says_reaches_it_through_the_new_worker(tmp_path):
    with site(tmp_path, settings()) as ward:
        session = Session(ward)
        calling = threading.Thread(target=session.call, args=("work", {"name": "legacy", "seconds": 25.0}), daemon=True)
        calling.start()
        until(lambda: "began legacy" in notes(ward))
        old = workers_of(ward)
        assert reload(ward).returncode == 0
        body = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        with ward.client() as client:
            assert client.post("/mcp", content=json.dumps(body).encode(), headers=session.headers).status_code == 202
        until(lambda: "cancelled legacy" in notes(ward), 10)
        until(lambda: workers_of(ward).isdisjoint(old), 20)


def test_a_task_asks_and_is_answered_over_a_reload(tmp_path):
    with serving(tmp_path, servers="", start=False) as ward:
        prepare(ward, "talk")
        ward.key = ward.create_key("talk", **{"class": "destructive"})
        ward.start()
        old = workers_of(ward)
        with Line(ward, ward.key) as line:
            started = result_of(line.modern("tools/call", {"name": "asking_job", "arguments": {"secret": "plum"}}))
        assert reload(ward).returncode == 0
        task = {"taskId": started["taskId"]}
        with Line(ward, ward.key) as line:
            state = until(lambda: (seen := result_of(line.modern("tasks/get", task)))["status"] != "working" and seen)
            (key,) = state["inputRequests"]
            assert result_of(line.modern("tasks/update", task | {"inputResponses": {key: accepted("Ada")}}))
            done = until(lambda: (seen := result_of(line.modern("tasks/get", task)))["status"] == "completed" and seen)
        assert done["result"]["content"][0]["text"] == "Ada knows plum"
        until(lambda: workers_of(ward).isdisjoint(old), 20)


def test_who_listens_at_the_new_worker_hears_of_a_task_of_the_old_one(tmp_path):
    with serving(tmp_path, servers="", start=False) as ward:
        prepare(ward, "talk")
        ward.key = ward.create_key("talk", **{"class": "destructive"})
        ward.start()
        with Line(ward, ward.key) as line:
            arguments = {"name": "old", "seconds": 12.0}
            started = result_of(line.modern("tools/call", {"name": "job", "arguments": arguments}))
        assert reload(ward).returncode == 0
        wanted = {"notifications": {"taskIds": [started["taskId"]]}}
        message, headers = modern("subscriptions/listen", wanted, capabilities=TASKS, id=7)
        with Line(ward, ward.key) as line, line.stream(message, headers) as (_, events):
            told = (json.dumps(event.data) for event in events)
            assert "working" in next(one for one in told if "status" in one)
            assert "completed" in next(one for one in told if "status" in one)


SWITCH = """

@server.tool()
async def hide() -> str:
    \"\"\"Switch a tool off.\"\"\"
    server.disable(tool="echo")
    return "hidden"
"""


def test_a_tool_that_was_switched_off_stays_off(tmp_path):
    with site(tmp_path, settings(), start=False) as ward:
        (ward.folder / "bench.py").write_text((ward.folder / "bench.py").read_text() + SWITCH)
        ward.start()
        ward.key = ward.create_key("bench")
        until(lambda: ward.call("echo", {"text": "a"}).status_code == 200)
        assert text_of(ward.call("hide")) == "hidden"
        assert reload(ward).returncode == 0
        until(lambda: reason_of(ward.call("echo", {"text": "a"})) == "tool-unknown")
        assert text_of(ward.call("whoami"))


def test_a_worker_that_dies_after_a_wrong_reload_is_replaced_with_the_settings_that_were_accepted(tmp_path):
    with site(tmp_path, settings()) as ward:
        right = (ward.folder / "mcpward.toml").read_text()
        (ward.folder / "mcpward.toml").write_text(f"site.nothing = 1\n{right}")
        assert reload(ward).returncode == 1
        (worker,) = workers_of(ward)
        os.kill(worker, signal.SIGKILL)
        until(lambda: workers_of(ward) and worker not in workers_of(ward), 30)
        until(lambda: not refuses_connections(ward), 30)
        assert text_of(ward.call("echo", {"text": "a"})) == "a"


def test_guards_of_the_file_hold_after_a_reload_and_a_wrong_one_changes_nothing(tmp_path):
    brief = {"guard": "length", "parameter": "text", "max": 3}
    with site(tmp_path, settings(1)) as ward:
        assert reason_of(ward.call("echo", {"text": "abcd"})) == ""
        write_site(ward, settings(1) | {"servers.bench.tools.echo.guards": [brief]})
        assert reload(ward).returncode == 0
        assert reason_of(ward.call("echo", {"text": "abcd"})) == "argument-dangerous"
        write_site(ward, settings(1) | {"servers.bench.tools.echo.guards": [brief | {"parameter": "txt"}]})
        refused = reload(ward)
        assert refused.returncode != 0
        assert "did you mean text?" in refused.stderr
        assert reason_of(ward.call("echo", {"text": "abcd"})) == "argument-dangerous"


def test_another_number_of_workers_is_taken(tmp_path):
    with site(tmp_path, settings(1)) as ward:
        write_site(ward, settings(2))
        assert reload(ward).returncode == 0
        until(lambda: len(workers_of(ward)) == 2, 30)
        write_site(ward, settings(1))
        assert reload(ward).returncode == 0
        until(lambda: len(workers_of(ward)) == 1, 30)
        assert text_of(ward.call("echo", {"text": "a"})) == "a"


def test_sighup_reloads_a_service_and_requests_that_come_meanwhile_are_one_more_reload(tmp_path):
    with site(tmp_path, settings(), start=False) as ward:
        with (ward.folder / "server.log").open("ab") as log:  # as a service: no terminal
            command = [sys.executable, "-m", "mcpward", "serve"]
            ward.process = subprocess.Popen(
                command, cwd=ward.folder, env=environment(ward.extra_env), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        ward.wait_ready()
        (ward.folder / "bench.py").write_text(SLOW + (ward.folder / "bench.py").read_text())
        ward.running.send_signal(signal.SIGHUP)
        until((ward.folder / "loading").exists, 30)
        for _ in range(5):
            ward.running.send_signal(signal.SIGHUP)
        (ward.folder / "go").touch()
        until(lambda: metric(ward, "mcpward_reloads_total") == 2, 60)
        assert reload(ward).returncode == 0
        assert metric(ward, "mcpward_reloads_total") == 3


SLOW = """
import os, time
open("loading", "a").close()
while not os.path.exists("go"):
    time.sleep(0.02)
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_during_a_reload_ends_all_processes(tmp_path, workers):
    with site(tmp_path, settings(workers)) as ward:
        call = InFlight(ward, "last", 2.0)
        (ward.folder / "bench.py").write_text(SLOW + (ward.folder / "bench.py").read_text())
        ward.running.send_signal(signal.SIGUSR1)
        until((ward.folder / "loading").exists, 30)
        everyone = workers_of(ward)
        assert len(everyone) == workers + 1
        ward.running.terminate()
        assert text_of(call.answered()) == "done"
        (ward.folder / "go").touch()
        assert ward.running.wait(30) == 0
        assert not [pid for pid in everyone if Path(f"/proc/{pid}").exists()]
        assert refuses_connections(ward)
        assert "Traceback" not in ward.log()


def test_a_stop_after_a_reload_cuts_the_calls_of_the_generation_before_as_its_own(tmp_path):
    with site(tmp_path, settings() | {"site.drain_s": 1.0}) as ward:
        call = InFlight(ward, "endless", 25.0)
        assert reload(ward).returncode == 0
        began = time.monotonic()
        ward.running.terminate()
        assert ward.running.wait(20) == 0
        assert time.monotonic() - began < 15.0
        assert (call.answered().status_code, reason_of(call.answered())) == (503, "busy")


STUCK = '''

@server.tool(read_only=True)
def stuck() -> str:
    """Never return."""
    import time
    note("stuck")
    time.sleep(300)
    return "slept"
'''


def test_a_generation_that_never_ends_is_ended(tmp_path):
    limits = {"servers.bench.limits.deadline_s": 1.0, "site.drain_s": 1.0}
    with site(tmp_path, settings() | limits, start=False) as ward:
        (ward.folder / "bench.py").write_text((ward.folder / "bench.py").read_text() + STUCK)
        ward.start()
        ward.key = ward.create_key("bench")
        until(lambda: ward.call("echo", {"text": "a"}).status_code == 200)
        answer = ward.call("stuck")
        assert reason_of(answer) == "tool-timeout"
        old = workers_of(ward)
        assert reload(ward).returncode == 0
        until(lambda: workers_of(ward).isdisjoint(old), 30)


def test_the_only_worker_ends_with_a_supervisor_that_is_killed(tmp_path):
    with site(tmp_path, settings()) as ward:
        (worker,) = workers_of(ward)

        def ask():
            with suppress(httpx2.HTTPError):
                ward.call("work", {"name": "last", "seconds": 25.0})  # a stop would give it some seconds

        asking = threading.Thread(target=ask)
        asking.start()
        until(lambda: "began last" in notes(ward))
        ward.kill()
        until(lambda: not Path(f"/proc/{worker}").exists(), 3)
        asking.join()
        ward.start()  # and its address is free
        assert text_of(ward.call("echo", {"text": "a"})) == "a"


def test_the_file_of_a_site_that_ended_leads_to_no_process(tmp_path):
    with site(tmp_path, settings()) as ward:
        ward.kill()
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
            (ward.folder / ".mcpward" / "mcpward.pid").write_text(f"{other.pid}\n")  # the id was given out again
            said = reload(ward)
            assert said.returncode == 3
            assert "no site serves the data of" in said.stderr
            assert other.poll() is None
            other.communicate(b"\n")
            assert other.returncode == 0


def test_a_certificate_of_another_name_is_taken(tmp_path):
    def number_of(ward):
        shown = ssl.get_server_certificate(("127.0.0.1", ward.port), timeout=20)
        return x509.load_pem_x509_certificate(shown.encode()).serial_number

    with site(tmp_path, start=False) as ward:
        tls = {"site.tls_cert": "cert.pem", "site.tls_key": "key.pem"}
        write_site(ward, settings(2) | tls)
        ward.base = ward.base.replace("http:", "https:")
        certificate(ward.folder, number=7)
        ward.start()
        assert number_of(ward) == 7
        (ward.folder / "next").mkdir()
        certificate(ward.folder / "next", number=8)
        write_site(ward, settings(2) | {"site.tls_cert": "next/cert.pem", "site.tls_key": "next/key.pem"})
        assert reload(ward).returncode == 0
        assert {number_of(ward) for _ in range(8)} == {8}
        write_site(ward, settings(2) | {"site.tls_cert": "next/cert.pem", "site.tls_key": "key.pem"})
        said = reload(ward)
        assert (said.returncode, "does not belong to the certificate" in said.stderr) == (1, True)
        assert {number_of(ward) for _ in range(4)} == {8}


def test_a_worker_that_cannot_be_started_again_does_not_stop_the_others(tmp_path):
    """It died while a tool file was half edited."""
    with site(tmp_path, settings(2)) as ward:
        file = ward.folder / "bench.py"
        right = file.read_text()
        until(lambda: len(workers_of(ward)) == 2)
        file.write_text(right + "\n this is half an edit")
        os.kill(min(workers_of(ward)), signal.SIGKILL)
        until(lambda: "a worker cannot start" in ward.log(), 20)
        assert ward.running.poll() is None
        assert [ward.call("echo", {"text": "x"}).status_code for _ in range(6)] == [200] * 6
        file.write_text(right)
        until(lambda: len(workers_of(ward)) == 2, 30, 0.2)
        assert ward.stop() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_ends_a_start_that_hangs_at_an_import(tmp_path, workers):
    with site(tmp_path, settings(workers), start=False) as ward:
        with (ward.folder / "bench.py").open("a") as file:
            file.write("\nimport pathlib, time\npathlib.Path('hangs').touch()\ntime.sleep(1000)\n")
        ward.launch()
        until((ward.folder / "hangs").exists, 20)
        ward.running.send_signal(signal.SIGTERM)
        assert ward.running.wait(20) is not None
        assert not workers_of(ward)
