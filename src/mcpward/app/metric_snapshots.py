"""The site's metrics as one page, from any worker: each worker leaves a snapshot for the others.

A worker that has ended still counts, since a counter must never go down, but its gauges do not: nothing of it is in
flight. A lock on a file distinguishes the two, because the system releases it however a process ends. A process id
would not do, for it is used again.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from mcpward.core.ids import base62
from mcpward.traffic.metrics import LAST_RELOAD, RELOADS, RELOADS_FAILED, RESTARTS, Metrics
from mcpward.traffic.prometheus import render

#: The sum of workers that have ended, and their names, so that none counts twice while its own snapshot is removed.
_ENDED: Final = "ended.sum"
_REMEMBERED: Final = 64


class MetricSnapshots:
    """``folder`` is None if there is one worker. Closed at the worker's end, after its last record.

    ``owner`` names who is no worker.
    """

    def __init__(self, metrics: Metrics, folder: Path | None, owner: str = "") -> None:
        self._metrics = metrics
        self._folder = folder
        for name in (RESTARTS, RELOADS, RELOADS_FAILED):
            metrics.counters.setdefault(name, lambda: 0)
        metrics.gauges.setdefault(LAST_RELOAD, lambda: 0)
        if folder is not None:
            self._name = f"{owner or os.getpid()}-{base62(6)}"
            self._life = os.open(_life_of(folder, self._name), os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(self._life, fcntl.LOCK_EX)
            self.leave()
            with suppress(OSError):  # a full disk: the next worker that starts will do it
                _fold(folder)

    def leave(self) -> None:
        """Write this worker's snapshot. On a full disk the last one stays; :meth:`page` has its own numbers."""
        if self._folder is not None:
            with suppress(OSError):
                _write(self._folder / f"{self._name}.json", self._metrics.snapshot())

    def page(self) -> bytes:
        """Return all workers' numbers in Prometheus' text format."""
        if self._folder is None:
            return render(self._metrics)[0]
        total = _total(self._folder, but=self._name)
        total.add(self._metrics.snapshot(), gauges=True)
        return render(total)[0]

    def close(self) -> None:
        """Leave the last numbers; from now on this worker has ended."""
        self.leave()
        if self._folder is not None:
            os.close(self._life)


def clear(folder: Path) -> None:
    """Forget the snapshots of an earlier run."""
    if folder.is_symlink():
        folder.unlink()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in folder.iterdir():
        if left.name == _ENDED or left.name.endswith((".json", ".life", ".new")):
            left.unlink(missing_ok=True)


def _total(folder: Path, but: str) -> Metrics:
    # The sum is read last: a worker that is folded meanwhile is found in one of the two at least, and counted once.
    snapshots = dict(_snapshots(folder, lambda name: name != but))
    names, ended = _read_ended(folder)
    total = Metrics()
    for name, snapshot in snapshots.items():
        if name not in names:
            total.add(snapshot, gauges=_is_alive(folder, name))
    total.add(ended)
    return total


def _fold(folder: Path) -> None:
    """Add up the workers that have ended, and remove their files: a worker that dies at every call fills no disk."""
    with _alone_in(folder) as is_alone:
        if not is_alone:  # the next worker that starts will do it
            return
        names, ended = _read_ended(folder)
        total = Metrics()
        total.add(ended)
        gone = dict(_snapshots(folder, lambda name: not _is_alive(folder, name)))
        for name, snapshot in gone.items():
            if name not in names:
                total.add(snapshot, gauges=False)
        known = list(dict.fromkeys((*names, *gone)))[-max(_REMEMBERED, len(gone)) :]
        _write(folder / _ENDED, {"of": known, "numbers": total.snapshot()})
        for name in gone:
            (folder / f"{name}.json").unlink(missing_ok=True)
            _life_of(folder, name).unlink(missing_ok=True)


def _snapshots(folder: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the workers' snapshots by name. One that cannot be read counts nothing."""
    for path in sorted(folder.glob("*.json")):
        if wanted(path.stem):
            with suppress(OSError, ValueError):
                yield path.stem, json.loads(path.read_text(encoding="utf-8"))


def _read_ended(folder: Path) -> tuple[list[str], dict[str, Any]]:
    try:
        ended = json.loads((folder / _ENDED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return [], Metrics().snapshot()
    return ended["of"], ended["numbers"]


def _write(path: Path, value: dict[str, Any]) -> None:
    """Whole or not at all."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(json.dumps(value, separators=(",", ":")), encoding="utf-8")
    new.replace(path)


def _life_of(folder: Path, name: str) -> Path:
    return folder / f"{name}.life"


def _is_alive(folder: Path, name: str) -> bool:
    try:
        life = os.open(_life_of(folder, name), os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(life, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(life)
    return False


@contextmanager
def _alone_in(folder: Path) -> Iterator[bool]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(handle)
