"""One server under measurement: started on its own core, watched through /proc, always stopped."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
START_S = 30.0
STOP_S = 10.0


class BenchFailed(Exception):
    """Something is not as it must be for the figures to mean anything."""


@cache
def cores() -> tuple[int, int]:
    """Return the server's core and the load's, as they were at the start; the same one where there is no other."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of every server: Python finds this repository, nothing warns or logs for pay."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    return {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore", "FASTMCP_CHECK_FOR_UPDATES": "off", **extra}


@dataclass(frozen=True)
class Running:
    """A server that listens."""

    name: str
    pid: int
    port: int

    def cpu_s(self) -> float:
        """CPU seconds, user and system, of the process and its children."""
        return sum(_cpu_ticks(pid) for pid in self._family()) * TICK_S

    def resident_bytes(self) -> int:
        """Proportional set size where the kernel tells it, else resident set size."""
        return sum(_memory(pid) for pid in self._family())

    def _family(self) -> Iterator[int]:
        waiting = [self.pid]
        while waiting:
            pid = waiting.pop()
            yield pid
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                waiting += map(int, task.read_text().split())


def _cpu_ticks(pid: int) -> int:
    # The name in parentheses may hold blanks: fields are counted from its end. utime and stime are 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _memory(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) * 1024
    except OSError:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def started(name: str, command: Sequence[str], port: int, extra: Mapping[str, str], core: int) -> Iterator[Running]:
    """Start ``command`` on ``core``, wait until it listens, stop it on every way out."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(extra),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509 - no threads in the parent
        )
        try:
            if not _listens(process, port):
                said.seek(0)
                tail = said.read()[-2000:].decode(errors="replace")
                raise BenchFailed(f"{name} does not listen; it said:\n{tail}")
            yield Running(name, process.pid, port)
        finally:
            _stop(process)


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    give_up = time.monotonic() + START_S
    while time.monotonic() < give_up and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]
