"""Many callers, bounded in number and pace, and the answers of each; and the work of the process meanwhile."""

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from support.raw import connect, parse
from support.stops import worker_of
from support.ward import Ward


@dataclass(frozen=True)
class Seen:
    """One answer: when it was asked for, how long it took, and its status (0: the connection broke)."""

    at: float
    seconds: float
    status: int


class Crowd:
    """Callers who each say ``message(n)`` again and again, ``per_s`` times a second in all, on kept connections."""

    def __init__(self, port: int, message: Callable[[int], bytes], *, callers: int = 4, per_s: float = 80.0) -> None:
        self._port = port
        self._message = message
        self._pause_s = callers / per_s
        self._seen: list[Seen] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(at,), daemon=True) for at in range(callers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def seen(self, since: float = 0.0, until: float = float("inf")) -> list[Seen]:
        """Return what was asked for in a span of ``time.monotonic``."""
        return [one for one in list(self._seen) if since <= one.at < until]

    def _call(self, caller: int) -> None:
        number, wire = caller, None
        while not self._over.is_set():
            at = time.monotonic()
            status = 0
            try:
                wire = wire or connect(self._port, 30)
                wire.sendall(self._message(number))
                received = b""
                while not (answers := parse(received)[0]):
                    piece = wire.recv(1 << 16)
                    if not piece:
                        raise ConnectionError
                    received += piece
                status = answers[0].status
                if answers[0].headers.get("connection") == "close":
                    wire.close()
                    wire = None
            except OSError:
                if wire is not None:
                    wire.close()
                    wire = None
            self._seen.append(Seen(at, time.monotonic() - at, status))
            number += len(self._threads)
            self._over.wait(max(0.0, self._pause_s - (time.monotonic() - at)))
        if wire is not None:
            wire.close()


def statuses(seen: Iterable[Seen]) -> dict[int, int]:
    """Count the statuses."""
    return dict(sorted(Counter(one.status for one in seen).items()))


def percentile(seen: Iterable[Seen], share: float) -> float:
    """Return the time, in seconds, that a share of the answers did not exceed."""
    times = sorted(one.seconds for one in seen)
    return times[min(len(times) - 1, int(len(times) * share))]


def figures(what: str, seen: Iterable[Seen]) -> str:
    """Return in one line what callers saw."""
    rows = list(seen)
    if not rows:
        return f"{what}: nobody asked"
    times = [percentile(rows, share) * 1000 for share in (0.5, 0.99, 1.0)]
    return f"{what}: {len(rows)} calls, {statuses(rows)}, p50 {times[0]:.1f} p99 {times[1]:.1f} max {times[2]:.1f} ms"


def show(*lines: str) -> None:
    """Print what was measured; `pytest -rP` shows it."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def cpu_s(ward: Ward) -> float:
    """Return the CPU time of the process, all threads, to the nanosecond, as far as it is not the kernel's own."""
    assert ward.process is not None
    threads = Path(f"/proc/{worker_of(ward)}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def memory_bytes(ward: Ward) -> int:
    """Return the resident memory of the process."""
    assert ward.process is not None
    return int(Path(f"/proc/{worker_of(ward)}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
