"""The site's metrics as one page, whichever worker is asked: each worker leaves a snapshot for the others."""

import os
from pathlib import Path

from mcpward.traffic.metrics import Metrics
from mcpward.traffic.prometheus import render


class Numbers:
    """``folder`` is None where there is one worker. Snapshots of workers that ended go on counting."""

    def __init__(self, metrics: Metrics, folder: Path | None) -> None:
        self._metrics = metrics
        self._folder = folder

    def leave(self) -> None:
        """Write this worker's snapshot."""
        if self._folder is not None:
            self._metrics.dump(self._folder / f"{os.getpid()}.json")

    def page(self) -> bytes:
        """Give all workers' numbers in Prometheus' text format."""
        if self._folder is None:
            return render(self._metrics)[0]
        self.leave()
        return render(Metrics.merge(sorted(self._folder.glob("*.json"))))[0]


def folder_of(data: Path) -> Path:
    """Give the folder of the snapshots."""
    return data / "metrics"


def clear(folder: Path) -> None:
    """Forget the snapshots of an earlier run."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in folder.glob("*.json"):
        left.unlink(missing_ok=True)
