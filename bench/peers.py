"""Who is measured: how each server is started, which key it takes, what its answers must hold."""

import base64
import hmac
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.issuer import METADATA, issuing
from bench.process import ROOT, BenchFailed, Running, cores, environment, free_port, python, started
from bench.wire import LEGACY, MODERN, requests

SERVERS = Path(__file__).parent / "servers"
NODE = Path(__file__).parent / "node"
SECRET_COUNT = 20
#: More than are kept once they are verified, so that each is new again when its turn comes.
MANY_TOKENS = 12_000


@dataclass(frozen=True)
class Listening:
    """A peer ready to be called."""

    running: Running
    key: str | Sequence[str] | None
    version: str = MODERN

    def calls(self) -> Iterator[bytes]:
        """Return whole HTTP requests indefinitely, each with other arguments."""
        return requests(self.running.port, self.key, self.version)


@dataclass(frozen=True)
class Peer:
    """One server of the comparison. ``start`` gives it listening on the server's core and stops it at the end."""

    name: str
    title: str
    start: Callable[["Peer"], Iterator[Listening]] = field(repr=False)
    echoes: bool = False
    target: Sequence[str] = ()

    @contextmanager
    def listening(self) -> Iterator[Listening]:
        yield from self.start(self)


def _with_one_key(peer: Peer) -> Iterator[Listening]:
    port, key = free_port(), f"bench-{secrets.token_urlsafe(32)}"
    with started(peer.name, [*peer.target, str(port)], port, {"BENCH_KEY": key}, cores()[0]) as running:
        yield Listening(running, None if peer.echoes else key)


def _express_server(peer: Peer) -> Iterator[Listening]:
    """Its first major version speaks the legacy protocol alone; its token is a signed one (HS256)."""
    port, key = free_port(), secrets.token_urlsafe(32)
    with started(peer.name, [*peer.target, str(port)], port, {"BENCH_KEY": key}, cores()[0]) as running:
        yield Listening(running, _signed_token(key), LEGACY)


def _signed_token(key: str) -> str:
    claims = {"iss": "bench", "aud": "bench", "sub": "bench", "exp": int(time.time()) + 3600}  # noqa: TID251
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signed = b".".join(map(_base64, parts))
    return (signed + b"." + _base64(hmac.digest(key.encode(), signed, "sha256"))).decode()


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _node() -> str:
    """The one that came with the requirements of the tests, else the machine's own."""
    beside = Path(sys.executable).with_name("node")
    return str(beside) if beside.exists() else "node"


def _mcpward(peer: Peer) -> Iterator[Listening]:
    """As an operator would: a configuration file, a key from the command line, ``serve``; and perhaps settings more."""
    config, mode, *settings = peer.target
    port = free_port()
    with TemporaryDirectory(prefix="mcpward-bench-") as data:
        extra = {
            "MCPWARD_SITE__DATA": data,
            "MCPWARD_SITE__LISTEN": f"127.0.0.1:{port}",
            "MCPWARD_SITE__METRICS_LISTEN": f"127.0.0.1:{free_port()}",
            **(
                {f"BENCH_SECRET_{at}": secrets.token_urlsafe(32) for at in range(SECRET_COUNT)}
                if mode == "api-key"
                else {}
            ),
            **dict(each.split("=", 1) for each in settings),
        }
        key = _created_key(config, extra) if mode == "api-key" else None
        command = python("-m", "mcpward", "serve", "--config", config)
        with started(peer.name, command, port, extra, cores()[0]) as running:
            yield Listening(running, key)


def _with_tokens(peer: Peer) -> Iterator[Listening]:
    """The same in OAuth mode, with one token for all calls, or with more of them than are kept once verified."""
    config, tokens = peer.target
    port = free_port()
    with TemporaryDirectory(prefix="mcpward-bench-") as data, issuing() as issuer:
        extra = {
            "MCPWARD_SITE__DATA": data,
            "MCPWARD_SITE__LISTEN": f"127.0.0.1:{port}",
            "MCPWARD_SITE__METRICS_LISTEN": f"127.0.0.1:{free_port()}",
            "MCPWARD_SERVERS__BENCH__OAUTH__METADATA": issuer.url + METADATA,
            **{f"BENCH_SECRET_{at}": secrets.token_urlsafe(32) for at in range(SECRET_COUNT)},
        }
        shown = [issuer.token(f"http://127.0.0.1:{port}/mcp") for _ in range(int(tokens))]
        command = python("-m", "mcpward", "serve", "--config", config)
        with started(peer.name, command, port, extra, cores()[0]) as running:
            yield Listening(running, shown)


def _created_key(config: str, extra: dict[str, str]) -> str:
    command = python(
        "-m", "mcpward", "key", "create", "--server", "bench", "--name", "bench", "--json", "--config", config
    )
    done = subprocess.run(command, cwd=ROOT, env=environment(extra), capture_output=True, timeout=60, check=False)
    if done.returncode:
        raise BenchFailed(f"mcpward key create: {done.stderr.decode(errors='replace')[-1000:]}")
    return str(json.loads(done.stdout)["key"])


def _all() -> tuple[Peer, ...]:
    closed, opened = str(SERVERS / "mcpward.toml"), str(SERVERS / "mcpward-open.toml")
    guarded = str(SERVERS / "mcpward-oauth.toml")
    return (
        Peer("mcpward", "mcpward, all controls", _mcpward, target=(closed, "api-key")),
        Peer("mcpward-oauth", "mcpward, known token", _with_tokens, target=(guarded, "1")),
        Peer("mcpward-oauth-new", "mcpward, new RS256 tokens", _with_tokens, target=(guarded, str(MANY_TOKENS))),
        Peer("mcpward-open", "mcpward, controls off", _mcpward, target=(opened, "public")),
        Peer("sdk", "official SDK, key", _with_one_key, target=python(str(SERVERS / "sdk.py"))),
        Peer("fastmcp", "FastMCP, its controls", _with_one_key, target=python(str(SERVERS / "fast.py"))),
        Peer("echo", "uvicorn, bare echo", _with_one_key, echoes=True, target=python(str(SERVERS / "echo.py"))),
        *_express(),
    )


def _express() -> Iterator[Peer]:
    if (NODE / "node_modules").is_dir():
        yield Peer("express", "TypeScript SDK, Express", _express_server, target=(_node(), str(NODE / "server.mjs")))


PEERS = _all()


def limited(redis: str) -> tuple[Peer, ...]:
    """Who is measured for what limits cost: ours and those of the package ``limits``, in memory and on one Redis."""
    closed, windows = str(SERVERS / "mcpward.toml"), str(SERVERS / "windows.py")
    counters = f"MCPWARD_LIMITS__COUNTERS={redis}"
    return (
        Peer("mcpward", "mcpward, memory", _mcpward, target=(closed, "api-key")),
        Peer("mcpward-redis", "mcpward, Redis", _mcpward, target=(closed, "api-key", counters)),
        Peer("echo", "bare echo", _with_one_key, echoes=True, target=python(str(SERVERS / "echo.py"))),
        Peer("windows", "echo + limits, memory", _with_one_key, echoes=True, target=python(windows)),
        Peer("windows-redis", "echo + limits, Redis", _with_one_key, echoes=True, target=python(windows, redis)),
    )


def chosen(names: str | None) -> tuple[Peer, ...]:
    """Return the peers of a comma-separated list, in the list's own order; all of them for None."""
    if names is None:
        return PEERS
    known = {peer.name: peer for peer in PEERS}
    try:
        return tuple(known[name.strip()] for name in names.split(","))
    except KeyError as unknown:
        raise BenchFailed(f"no peer is called {unknown}: {', '.join(known)}") from None


def machine() -> dict[str, object]:
    """What the figures were measured on and with."""
    from importlib.metadata import version
    from platform import platform, python_version

    packages = ("mcp", "fastmcp", "uvicorn", "uvloop", "httptools", "pydantic", "msgspec")
    return {
        "platform": platform(),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "python": python_version(),
        "packages": {name: version(name) for name in packages},
    }


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
