"""A site whose data folder is a small disk of its own: a tmpfs in a private mount namespace, so no other process sees
it.

Everything that touches the data runs inside of the namespace. Root may make one, and so may any user if the system
allows user namespaces.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.ports import free_port
from support.ward import Ward, configure, environment

DATA = ".mcpward"
_HOLD = 'mkdir -m 700 "$1" && mount -t tmpfs -o size="$2",mode=700 tmpfs "$1" && echo mounted && exec cat'


class SmallDisk(Ward):
    """A site on a disk of ``size`` (as mount writes it)."""

    def __init__(self, folder: Path, size: str) -> None:
        super().__init__(folder, free_port(), free_port())
        as_root = os.geteuid() == 0
        own = ["--mount", "--propagation", "private"] + ([] if as_root else ["--user", "--map-root-user"])
        self._holder = subprocess.Popen(
            ["unshare", *own, "sh", "-c", _HOLD, "sh", str(folder / DATA), size],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "mounted\n", "no disk of our own can be mounted here"
        user = [] if as_root else ["--user", "--preserve-credentials"]
        self._inside = ["nsenter", "--target", str(self._holder.pid), "--mount", *user]

    def inside(self, *words: str) -> list[str]:
        """Return the command that runs these words in the site's folder, where the disk is mounted."""
        return [*self._inside, "sh", "-c", 'cd "$0" && exec "$@"', str(self.folder), *words]

    def sh(self, script: str) -> str:
        """Run a script in the data folder and return what it printed."""
        words = self.inside("sh", "-c", f"cd {shlex.quote(DATA)}; {script}")
        return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout

    def free(self) -> int:
        """Return how many bytes are free."""
        return 1024 * int(self.sh("df -k --output=avail . | tail -1"))

    def fill(self) -> None:
        """Have another program fill the disk to its last block."""
        self.sh("head -c 64m /dev/zero > ballast 2>/dev/null; true")

    def make_room(self) -> None:
        """Take away what the other program has left."""
        self.sh("rm -f ballast")

    def cli(self, *words: str, input: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.inside(sys.executable, "-m", "mcpward", *words),
            env=environment(self.extra_env), input=input, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise AssertionError(f"mcpward {' '.join(words)} gave {done.returncode}: {done.stderr}{done.stdout}")
        return done

    def launch(self) -> subprocess.Popen[bytes]:
        log = (self.folder / "server.log").open("ab")
        self.process = subprocess.Popen(
            self.inside(sys.executable, "-m", "mcpward", "serve", "--config", "mcpward.toml"),
            env=environment(self.extra_env), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        log.close()
        return self.process

    def close(self) -> None:
        """End the server and let the disk go."""
        try:
            if self.process is not None:
                self.stop()
        finally:
            self._holder.communicate(timeout=10)


@contextmanager
def small_disk(folder: Path, size: str = "20m", toml: str = "", servers: str | None = None) -> Iterator[SmallDisk]:
    """Make a site in ``folder`` with its data on a disk of that size. It is not started."""
    folder.mkdir(parents=True, exist_ok=True)
    ward = SmallDisk(folder, size)
    try:
        configure(folder, ward.port, ward.metrics_port, toml, servers)
        yield ward
    finally:
        ward.close()
