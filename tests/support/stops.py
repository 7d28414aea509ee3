"""Observations of a stop: calls that run meanwhile, processes that still listen, and the workers."""

import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from support.ward import Ward
from support.wire import notes, until


@dataclass
class InFlight:
    """A call that runs while the process receives its signal to stop."""

    ward: Ward
    name: str
    seconds: float
    answer: httpx2.Response | None = None
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._ask, daemon=True)
        self.thread.start()
        until(lambda: f"began {self.name}" in notes(self.ward))

    def _ask(self) -> None:
        self.answer = self.ward.call("work", {"name": self.name, "seconds": self.seconds})

    def answered(self) -> httpx2.Response:
        """Wait for the answer."""
        self.thread.join(20)
        assert self.answer is not None
        return self.answer


def refuses_connections(ward: Ward) -> bool:
    try:
        socket.create_connection(("127.0.0.1", ward.port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def pids(ward: Ward) -> set[str]:
    """The workers that run or have run: each leaves a snapshot of its numbers under its process id."""
    return {path.stem.partition("-")[0] for path in (ward.folder / ".mcpward" / "metrics").glob("[0-9]*.json")}


def children(pid: int) -> set[int]:
    """The processes that a process has begun and that run now."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found |= {int(child) for child in task.read_text().split()}
    return found


def worker_of(ward: Ward) -> int:
    """The one process that serves, which the supervisor has begun."""
    assert ward.process is not None
    (worker,) = children(ward.process.pid)
    return worker
