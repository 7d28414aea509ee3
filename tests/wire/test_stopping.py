"""A stop that load balancers can see: /readyz says so first while calls still pass, then the listener closes."""

import os
import pty
import signal
import subprocess
import sys
from subprocess import TimeoutExpired

import httpx2
import pytest

from support.stops import InFlight, children, pids, refuses_connections
from support.ward import environment
from support.wire import reason_of, rows, site, until

#: Longer than any test waits: what ends sooner was ended by what the test does.
LONG_S = 300.0
STOPPING = {"status": "unready", "waiting_for": "stopping"}
IN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "mcpward", "serve", "--config", "mcpward.toml"])
"""
DELAY = "MCPWARD_SITE__SHUTDOWN_DELAY_S"


def settings(workers=1, **more):
    return {"site.workers": workers, "site.drain_s": LONG_S} | more


def is_stopping(ward):
    with ward.client() as client:
        answer = client.get("/readyz")
    return answer.status_code == 503 and answer.json() == STOPPING


def assert_serves(ward):
    """Several times, so that both workers are asked."""
    assert [ward.call("echo", {"text": "a"}).status_code for _ in range(6)] == [200] * 6


@pytest.mark.parametrize("workers", [1, 2])
def test_after_sigterm_readyz_says_stopping_while_calls_pass_until_a_second_signal_ends_it_at_once(tmp_path, workers):
    with site(tmp_path, settings(workers), env={DELAY: str(LONG_S)}) as ward:
        until(lambda: workers == 1 or len(pids(ward)) == 2, 40)
        ward.running.send_signal(signal.SIGTERM)
        until(lambda: all(is_stopping(ward) for _ in range(6)), 20)
        assert_serves(ward)
        call = InFlight(ward, "last", LONG_S)
        assert ward.running.poll() is None
        ward.running.send_signal(signal.SIGTERM)
        assert ward.running.wait(30) == 0
        answer = call.answered()
        assert (answer.status_code, reason_of(answer)) == (503, "busy")
        (row,) = rows(ward, "tool = 'work'")
        assert row["outcome"] == "cancelled"
        assert "Traceback" not in ward.log()


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_waits_for_calls_but_for_no_load_balancer_and_a_second_one_for_nothing(tmp_path, workers):
    """A terminal sends it to every process of the group, so that workers receive it twice."""
    with site(tmp_path, settings(workers), env={DELAY: str(LONG_S)}) as ward:
        until(lambda: workers == 1 or len(pids(ward)) == 2, 40)
        call = InFlight(ward, "last", LONG_S)
        everyone = [ward.running.pid, *children(ward.running.pid)]
        for pid in everyone:
            os.kill(pid, signal.SIGINT)
        until(lambda: refuses_connections(ward), 20)
        assert call.answer is None
        for pid in everyone:
            os.kill(pid, signal.SIGINT)
        assert ward.running.wait(30) == 0
        assert call.answered().status_code == 503
        assert "Traceback" not in ward.log()


def test_a_service_manager_that_signals_every_process_ends_no_call(tmp_path):
    with site(tmp_path, settings(2), env={DELAY: "0.5"}) as ward:
        until(lambda: len(pids(ward)) == 2, 40)
        call = InFlight(ward, "slow", 4.0)
        for pid in (*map(int, pids(ward)), ward.running.pid):
            os.kill(pid, signal.SIGTERM)
        assert call.answered().json()["result"]["content"][0]["text"] == "done"
        assert ward.running.wait(30) == 0


def test_the_listener_closes_when_the_delay_is_over(tmp_path):
    with site(tmp_path, settings(), env={DELAY: "1.5"}) as ward:
        ward.running.send_signal(signal.SIGTERM)
        until(lambda: is_stopping(ward), 1.4, pause_s=0.01)
        until(lambda: refuses_connections(ward), 20)
        assert ward.running.wait(30) == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_lost_terminal_stops_it_unless_that_is_to_be_ignored(tmp_path, workers):
    with site(tmp_path, settings(workers), env={DELAY: str(LONG_S)}, start=False) as ward:
        ours, process = in_terminal(ward)
        ward.wait_ready()
        os.close(ours)  # the terminal is closed, and the system sends SIGHUP
        assert process.wait(30) == 0
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does; children inherit it
        try:
            ours, process = in_terminal(ward)
        finally:
            signal.signal(signal.SIGHUP, before)
        ward.wait_ready()
        os.close(ours)
        with pytest.raises(TimeoutExpired):
            process.wait(1)
        assert httpx2.get(f"{ward.base}/readyz").status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def in_terminal(ward):
    """Start the site with a controlling terminal; give the other end of that."""
    ours, theirs = pty.openpty()
    env = environment(ward.extra_env)
    with (ward.folder / "server.log").open("ab") as log:
        ward.process = subprocess.Popen(
            [sys.executable, "-c", IN_TERMINAL], cwd=ward.folder, env=env, stdin=theirs, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    os.close(theirs)
    return ours, ward.process
