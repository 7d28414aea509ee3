"""The shipped process, started as an operator would start it, and small clients to drive it from outside."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import httpx2

from support import forked
from support.ports import free_port

VERSION = "2026-07-28"
ACCEPT = "application/json, text/event-stream"
_START_S = 60.0

TOOLS = '''
import asyncio
from typing import Annotated
from mcpward import Caller, Context, Limit, Server, ToolError, env


server = Server("demo", version="1.0", instructions="a server for tests")
RAN = []


@server.tool(read_only=True)
async def echo(text: str) -> str:
    """Give the text back."""
    return text


@server.tool(read_only=True)
async def add(a: int, b: int) -> dict[str, int]:
    """Add two numbers."""
    return {"sum": a + b}


@server.tool(read_only=True)
async def whoami(caller: Caller) -> dict[str, str]:
    """Say who is calling."""
    return {"subject": caller.subject, "way": caller.way.value}


@server.tool(read_only=True)
async def wait(seconds: float) -> str:
    """Wait, then answer."""
    await asyncio.sleep(seconds)
    return "waited"


@server.tool(read_only=True)
async def count(steps: int, ctx: Context) -> str:
    """Count, and say how far."""
    for step in range(steps):
        await ctx.report_progress(step + 1, steps, f"step {step + 1}")
        await asyncio.sleep(0.06)
    return "counted"


@server.tool(read_only=True)
async def crash(text: str) -> str:
    """Fail with a private message."""
    raise RuntimeError(f"private detail /etc/passwd {text}")


@server.tool(read_only=True)
async def scold() -> str:
    """Fail with a public message."""
    raise ToolError("that cannot be done")


@server.tool()
async def store(value: str) -> str:
    """Write something."""
    return f"stored {len(value)}"


@server.tool(destructive=True)
async def wipe(what: str) -> str:
    """Destroy something."""
    with open("wiped.txt", "a") as file:
        file.write(what + "\\n")
    return f"wiped {what}"


@server.resource("demo://readme", mime_type="text/plain")
async def readme() -> str:
    """What this is."""
    return "a demo"


@server.prompt()
async def greet(name: str) -> str:
    """Greet somebody."""
    return f"Say hello to {name}."
'''


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a child: ours, without settings of another site."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MCPWARD_")}
    # No load balancer asks these sites whether they stop.
    env |= {"NO_COLOR": "1", "PYTHONUNBUFFERED": "1", "COLUMNS": "200", "MCPWARD_SITE__SHUTDOWN_DELAY_S": "0"}
    return env | dict(extra or {})


def run(
    words: list[str], folder: Path, env: Mapping[str, str], input: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in ``folder`` to its end, of 60 seconds at most."""
    with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
        given.write((input or "").encode())
        given.seek(0)
        process = forked.start(words, folder, env, given, out, err)
        try:
            code = process.wait(60)
        finally:
            process.kill()
        streams = []
        for stream in (out, err):
            stream.seek(0)
            streams.append(stream.read().decode())
    return subprocess.CompletedProcess(["mcpward", *words], code, *streams)


class Ward:
    """One running site. ``key`` is the API key of its first api-key server, where there is one."""

    def __init__(self, folder: Path, port: int, metrics_port: int) -> None:
        self.folder = folder
        self.port = port
        self.metrics_port = metrics_port
        self.base = f"http://127.0.0.1:{port}"
        self.process: forked.Started | subprocess.Popen[bytes] | None = None
        self.key = ""
        #: Further keys and secrets that a fixture makes, by the names that its tests have for them.
        self.credentials: dict[str, str] = {}
        self.extra_env: dict[str, str] = {}
        self.open_files: int | None = None

    # ---- the command line ----

    def cli(self, *words: str, input: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the site's folder."""
        done = run(list(words), self.folder, environment(self.extra_env), input)
        if check and done.returncode != 0:
            raise AssertionError(f"mcpward {' '.join(words)} gave {done.returncode}: {done.stderr}{done.stdout}")
        return done

    def create_key(self, server: str = "demo", **options: str) -> str:
        """Make a key and return it."""
        words = ["key", "create", "--server", server, "--name", options.pop("name", "test")]
        for name, value in options.items():
            words += [f"--{name}", value]
        return self.cli(*words).stdout.strip()

    # ---- the process ----

    @property
    def running(self) -> forked.Started | subprocess.Popen[bytes]:
        """Its process, which a test has started and not yet let go."""
        assert self.process is not None, "the site was not started"
        return self.process

    def start(self) -> "Ward":
        """Start serving and wait until it is ready."""
        self.launch()
        self.wait_ready()
        return self

    def launch(self) -> forked.Started | subprocess.Popen[bytes]:
        """Start serving and wait for nothing."""
        log = (self.folder / "server.log").open("ab")
        words, env = ["serve", "--config", "mcpward.toml"], environment(self.extra_env)
        if self.open_files is None:
            self.process = forked.start(words, self.folder, env, subprocess.DEVNULL, log, log)
        else:
            self.process = subprocess.Popen(
                ["sh", "-c", f'ulimit -n {self.open_files}; exec "$@"', "sh", sys.executable, "-m", "mcpward", *words],
                cwd=self.folder, env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        log.close()
        return self.process

    def wait_ready(self) -> None:
        """Wait until the site takes calls."""
        until = time.monotonic() + _START_S
        while time.monotonic() < until:
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}: {self.log()}")
            try:
                if httpx2.get(f"{self.base}/readyz", timeout=1, verify=False).status_code == 200:
                    return
            except httpx2.HTTPError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"the server was not ready in time: {self.log()}")

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(40)
        self.process = None
        return code

    def kill(self) -> None:
        """End it without a word, as a machine does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)
        self.process = None

    def log(self) -> str:
        """Return what it wrote to stdout and stderr."""
        return (self.folder / "server.log").read_text(errors="replace")

    def records(self, *filters: str) -> list[dict[str, Any]]:
        """Return the traffic record, oldest first."""
        lines = self.cli("log", "--json", "--lines", "10000", *filters, check=False).stdout.splitlines()
        return [json.loads(line) for line in lines if line.strip()]

    # ---- requests ----

    def client(self, **options: Any) -> httpx2.Client:
        """Return an HTTP client of this site."""
        options.setdefault("verify", False)  # no TLS here, and reading all authorities anew takes 20 ms per client
        return httpx2.Client(base_url=self.base, timeout=options.pop("timeout", 10.0), **options)

    def post(self, body: Any, *, path: str = "/mcp", headers: Mapping[str, str] | None = None) -> httpx2.Response:
        """POST a JSON value or raw bytes, with nothing added but the media types."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        media = {"content-type": "application/json", "accept": ACCEPT}
        with self.client() as client:
            return client.post(path, content=content, headers=media | dict(headers or {}))

    def call(self, tool: str, arguments: Any = None, **options: Any) -> httpx2.Response:
        """Call a tool in the modern era."""
        return self.modern("tools/call", {"name": tool, "arguments": arguments or {}}, name=tool, **options)

    def modern(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        key: str | None = None,
        path: str = "/mcp",
        headers: Mapping[str, str] | None = None,
        id: int | str = 1,
    ) -> httpx2.Response:
        """Send one request of the modern era, whole."""
        body, own = modern_request(method, params, name=name, id=id)
        key = self.key if key is None else key
        if key:
            own["authorization"] = f"Bearer {key}"
        return self.post(body, path=path, headers=own | dict(headers or {}))


def modern_request(
    method: str, params: Mapping[str, Any] | None = None, *, name: str | None = None, id: int | str = 1
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return body and headers of one request of the modern era."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    }
    body = {"jsonrpc": "2.0", "id": id, "method": method, "params": dict(params or {}) | {"_meta": meta}}
    headers = {"mcp-protocol-version": VERSION, "mcp-method": method}
    if name is not None:
        headers["mcp-name"] = name
    return body, headers


def text_of(response: httpx2.Response) -> str:
    """Return the first text of a tool's result."""
    return str(response.json()["result"]["content"][0]["text"])


def configure(folder: Path, port: int, metrics_port: int, toml: str = "", servers: str | None = None) -> None:
    """Write a site: mcpward.toml and tools.py. ``toml`` is added at the end, ``servers`` replaces the one server."""
    (folder / "tools.py").write_text(TOOLS)
    head = f'[site]\nlisten = "127.0.0.1:{port}"\nmetrics_listen = "127.0.0.1:{metrics_port}"\n'
    lavish = (
        '[limits]\nauth_failures = "100000/minute"\nrequests = "1000000/minute"\n' if "[limits]" not in toml else ""
    )
    served = _unbounded(servers if servers is not None else SERVER)
    (folder / "mcpward.toml").write_text(f"{head}{lavish}{toml}\n{served}")


def _unbounded(servers: str) -> str:
    """Tools of tests take texts of any length, unless a test is about bounds."""
    return (
        servers if "bounds =" in servers else re.sub(r"(?m)^\[servers\.[^.\]]+\]$", r'\g<0>\nbounds = "off"', servers)
    )


LAVISH = (
    "".join(f'{name} = "100000/minute"\n' for name in ("read", "write", "destructive", "discovery", "lifecycle"))
    + "".join(f'repeat_{name} = ""\n' for name in ("read", "write", "destructive"))
    + "caller_concurrency = 200\n"
)
SERVER = f'[servers.demo]\nsource = "tools.py"\n[servers.demo.limits]\n{LAVISH}'


@contextmanager
def serving(
    folder: Path,
    toml: str = "",
    servers: str | None = None,
    *,
    start: bool = True,
    env: Mapping[str, str] | None = None,
) -> Iterator[Ward]:
    """Serve a site in ``folder`` until the end of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    ward = Ward(folder, free_port(), free_port())
    ward.extra_env = dict(env or {})
    configure(folder, ward.port, ward.metrics_port, toml, servers)
    if servers is None:
        ward.key = ward.create_key()
    try:
        if start:
            ward.start()
        yield ward
    finally:
        if ward.process is not None:
            ward.stop()
