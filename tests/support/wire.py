"""A site of workbench tools in a process of its own, and what its tests ask of it from outside."""

import asyncio
import json
import re
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

import httpx2

from mcpward.config.explain import toml_text
from mcpward.config.load import load
from mcpward.core.clock import SystemClock
from mcpward.core.reasons import WIRE, Reason
from mcpward.identity.keys.api_key import issue
from mcpward.operations.site import open_site
from support import workbench
from support.clock import ManualClock
from support.ports import free_port
from support.ward import ACCEPT, Ward

T = TypeVar("T")
KEY = re.compile(r"^sk-mcpward-\w+$", re.MULTILINE)
SECRET_URL = re.compile(r"^http://\S+/mcp/([0-9A-Za-z]{48})$", re.MULTILINE)
_OFTEN = "100000/minute"
LAVISH_SITE = {"limits.auth_failures": _OFTEN, "limits.requests": "1000000/minute"}
_CLASSES = ("read", "write", "destructive")
LAVISH_SERVER: Mapping[str, Any] = (
    dict.fromkeys((*_CLASSES, "discovery"), _OFTEN)
    | {f"repeat_{name}": "" for name in _CLASSES}
    | {"caller_concurrency": 200}
)
Given = Mapping[str, Any]


def until(leases: Callable[[], T | Literal[False] | None], seconds: float = 5.0, pause_s: float = 0.05) -> T:
    """Ask again until the answer is true, and return it; an answer that stays untrue fails the test.

    Not oftener than a few times while a worker learns of a new key: ten wrong ones would lock the address out.
    """
    end = time.monotonic() + seconds
    while not (answer := leases()):
        assert time.monotonic() < end, f"not so within {seconds} s: the last answer was {answer!r}"
        time.sleep(pause_s)
    return answer


def toml_of(settings: Given) -> str:
    """Write settings by dotted key as TOML, tables too; a value of None is left out."""
    return "".join(
        toml_of({f"{key}.{name}": each for name, each in value.items()})
        if isinstance(value, Mapping)
        else f"{key} = {toml_text(value)}\n"
        for key, value in settings.items()
        if value is not None
    )


def write_site(ward: Ward, settings: Given | None = None, servers: tuple[str, ...] = ("bench",)) -> None:
    """Write ``bench.py`` and ``mcpward.toml``: lavish limits, then what ``settings`` change (by dotted key)."""
    given: dict[str, Any] = {
        "site.listen": f"127.0.0.1:{ward.port}", "site.metrics_listen": f"127.0.0.1:{ward.metrics_port}",
    } | LAVISH_SITE  # fmt: skip
    for name in servers:
        given[f"servers.{name}.source"] = "bench.py"
        given |= {f"servers.{name}.limits.{key}": value for key, value in LAVISH_SERVER.items()}
    (ward.folder / "bench.py").write_text(workbench.TOOLS)
    (ward.folder / "mcpward.toml").write_text(toml_of(given | dict(settings or {})))


@contextmanager
def site(
    folder: Path,
    settings: Given | None = None,
    *,
    servers: tuple[str, ...] = ("bench",),
    env: Mapping[str, str] | None = None,
    start: bool = True,
) -> Iterator[Ward]:
    """Serve the workbench until the end of the block; ``ward.key`` is the key that the first start handed out."""
    folder.mkdir(parents=True, exist_ok=True)
    ward = Ward(folder, free_port(), free_port())
    ward.extra_env = {"TOKEN": "hunter2-canary-0123456789"} | dict(env or {})
    write_site(ward, settings, servers)
    try:
        if start:
            ward.start()
            ward.key = handed_out(ward, KEY)
        yield ward
    finally:
        if ward.process is not None:
            ward.stop()


def handed_out(ward: Ward, pattern: re.Pattern[str] = KEY) -> str:
    """Return the first key (or URL) that the first start left in a file, or an empty text."""
    found = pattern.search(first_credentials(ward))
    return found[0] if found else ""


def secret_in(text: str, pattern: re.Pattern[str] = SECRET_URL) -> str:
    """Return the secret of the first URL in a text."""
    found = pattern.search(text)
    assert found is not None, f"no secret URL is in {text!r}"
    return found[1]


def aged_key(ward: Ward, days: float, server: str = "bench") -> str:
    """Make a key as one that was made so many days ago, and return it."""
    settings = load(ward.folder / "mcpward.toml", {}, {"site.data": ward.folder / ".mcpward"})

    async def work() -> str:
        async with open_site(settings) as opened:
            then = ManualClock(SystemClock().now() - days * 86_400)
            secret, record = issue(opened.pepper_keys, then, name="old", servers=[server])
            await opened.store.keys.add(record)
        return secret.reveal()

    return asyncio.run(work())


def first_credentials(ward: Ward) -> str:
    """Return the lines of all files of first credentials: keys by the name of their server, then URLs."""
    return "".join(file.read_text() for file in sorted((ward.folder / ".mcpward").glob("first-*")))


def reason_of(response: httpx2.Response) -> str:
    """Return the public name of the reason for which a request was refused; empty for an answer."""
    body = response.json()
    error = body.get("error")
    if error is not None:
        return str(error["data"]["reason"])
    content = body.get("result", {}).get("content") or [{}]
    return str(content[0].get("_meta", {}).get("mcpward/reason", ""))


def bare_error(reason: Reason, **data: object) -> dict[str, Any]:
    """Return the body of a refusal by HTTP status: a JSON-RPC error with a null id."""
    row = WIRE[reason]
    told = {"code": row.code, "message": row.sentence, "data": {"reason": reason.value} | data}
    return {"jsonrpc": "2.0", "id": None, "error": told}


def notes(ward: Ward) -> list[str]:
    """Return the lines that tools left."""
    file = ward.folder / "notes.txt"
    return file.read_text().splitlines() if file.exists() else []


def rows(ward: Ward, where: str = "1", *values: object) -> list[dict[str, Any]]:
    """Return traffic records as another process finds them on disk, oldest first."""
    with closing(sqlite3.connect(f"file:{ward.folder}/.mcpward/mcpward.db?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        return [
            dict(row)
            for row in db.execute(f"SELECT * FROM traffic WHERE phase != 'act' AND ({where}) ORDER BY seq", values)
        ]


def acts(ward: Ward, command: str) -> list[dict[str, Any]]:
    """Return the acts of operators by a command, the oldest first."""
    with closing(sqlite3.connect(f"file:{ward.folder}/.mcpward/mcpward.db?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        wanted = "SELECT * FROM traffic WHERE phase = 'act' AND method = ? AND key_id IS NULL ORDER BY seq"
        return [dict(row) for row in db.execute(wanted, (command,))]


def metrics(ward: Ward) -> str:
    """Return the page of metrics."""
    return httpx2.get(f"http://127.0.0.1:{ward.metrics_port}/metrics", timeout=10, verify=False).text


def metric(ward: Ward, name: str, **labels: str) -> float:
    """Add up the samples of a metric that carry these labels."""
    total = 0.0
    for line in metrics(ward).splitlines():
        found = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
        if found and all(f'{label}="{value}"' in (found[1] or "") for label, value in labels.items()):
            total += float(found[2])
    return total


def exchange(ward: Ward, request: bytes, *, seconds: float = 10.0) -> bytes:
    """Send raw bytes and give everything that comes back until the other side closes."""
    with socket.create_connection(("127.0.0.1", ward.port), timeout=seconds) as line:
        line.sendall(request)
        answer = b""
        while piece := line.recv(65536):
            answer += piece
        return answer


def undated(answer: bytes) -> bytes:
    """Take the Date header out: all else must not differ."""
    return re.sub(rb"\r\ndate: [^\r]+", b"", answer, count=1)


class Session:
    """A legacy client that has initialized. ``client`` keeps its connection, as real ones do."""

    def __init__(self, ward: Ward, *, key: str | None = None, path: str = "/mcp", version: str = "2025-11-25") -> None:
        self.ward = ward
        self.path = path
        self.headers = {"content-type": "application/json", "accept": ACCEPT}
        key = ward.key if key is None else key
        if key:
            self.headers["authorization"] = f"Bearer {key}"
        said = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        answer = self.request("initialize", said)
        assert answer.status_code == 200, answer.text
        self.token = answer.headers["mcp-session-id"]
        self.headers |= {"mcp-session-id": self.token, "mcp-protocol-version": version}

    def request(self, method: str, params: Given | None = None, *, key: str | None = None) -> httpx2.Response:
        """Send one request; ``key`` speaks for another caller."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": dict(params or {})}
        headers = self.headers | ({"authorization": f"Bearer {key}"} if key else {})
        with self.ward.client() as client:
            return client.post(self.path, content=json.dumps(body).encode(), headers=headers)

    def call(self, tool: str, arguments: Given | None = None, *, key: str | None = None) -> httpx2.Response:
        """Call a tool."""
        return self.request("tools/call", {"name": tool, "arguments": dict(arguments or {})}, key=key)

    def end(self) -> httpx2.Response:
        """Delete the session."""
        with self.ward.client() as client:
            return client.request("DELETE", self.path, headers=self.headers)
