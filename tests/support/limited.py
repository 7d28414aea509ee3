"""A site whose limits are met on purpose: tools of every class, tools with pools and budgets, callers by the dozen."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.ports import free_port
from support.raw import Answer, connect
from support.structured import Item, read_list
from support.volley import answer_of, call_bytes
from support.ward import Ward
from support.wire import LAVISH_SERVER, LAVISH_SITE, toml_of

TOOLS = '''
import asyncio
import os
import time
from mcpward import Caller, Database, Limit, Server
from typing import Annotated

server = Server("limited")
db = Database("sqlite:///orders.db", name="orders", max_concurrency=5)
running = 0


@server.tool(read_only=True)
async def echo(text: str) -> str:
    """Give the text back."""
    return text


@server.tool(read_only=True)
async def other(text: str) -> str:
    """Give the text back, too."""
    return text


@server.tool(read_only=True)
async def fail(text: str) -> str:
    """Fail."""
    raise RuntimeError(text)


@server.tool(read_only=True, rate="2/hour")
async def rare(text: str) -> str:
    """Give the text back, seldom."""
    return text


@server.tool(read_only=True)
async def where() -> int:
    """Say which process this is."""
    return os.getpid()


@server.tool()
async def store(text: str) -> str:
    """Write something."""
    return text


@server.tool(destructive=True)
async def wipe(text: str) -> str:
    """Destroy something."""
    return text


def note(text: str) -> None:
    with open("notes.txt", "a") as file:
        file.write(text + "\\n")


@server.tool(read_only=True, pools=[db])
async def query(seconds: float, caller: Caller) -> int:
    """Ask the database, slowly."""
    global running
    running += 1
    note(f"{running} {caller.subject} {time.monotonic()}")
    try:
        rows = await db.query("SELECT count(*) AS many FROM orders")
        await asyncio.sleep(seconds)
        return rows[0]["many"]
    finally:
        running -= 1
'''
#: Tools whose authors say what they cost: added where the budgets are defined.
PRICED = '''

@server.tool(read_only=True, budgets={"tokens": "max_tokens"})
async def generate(max_tokens: Annotated[int, Limit(max=1000)]) -> int:
    """Cost as much as is asked for."""
    return max_tokens


@server.tool(read_only=True, budgets={"words": lambda given: len(given["text"].split())})
async def translate(text: str) -> str:
    """Cost a word each."""
    return text
'''
PRICES: Mapping[str, Any] = {"budgets.tokens.rate": "100/hour", "budgets.words.quota": "1000/month"}
#: The setting by which a public server takes a request's address from a header, so that one test may be many callers.
PROXIED: dict[str, Any] = {"site.trusted_proxies": ["127.0.0.0/8"]}


def write_limited(ward: Ward, settings: Mapping[str, Any], servers: Mapping[str, str]) -> None:
    """Write ``limited.py`` and ``mcpward.toml``: ``servers`` in their modes, lavish but for what ``settings`` say."""
    given: dict[str, Any] = {
        "site.listen": f"127.0.0.1:{ward.port}", "site.metrics_listen": f"127.0.0.1:{ward.metrics_port}",
    } | LAVISH_SITE  # fmt: skip
    for name, mode in servers.items():
        given |= {f"servers.{name}.source": "limited.py", f"servers.{name}.mode": mode}
        given |= {f"servers.{name}.limits.{key}": value for key, value in LAVISH_SERVER.items()}
        given |= {f"servers.{name}.limits.lifecycle": "100000/minute"}
    given |= settings
    priced = PRICED if any(name.startswith("budgets.tokens") for name in given) else ""
    (ward.folder / "limited.py").write_text(TOOLS + priced)
    (ward.folder / "mcpward.toml").write_text(toml_of(given))
    with closing(sqlite3.connect(ward.folder / "orders.db")) as db:
        db.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY)")
        db.commit()


@contextmanager
def limited(
    folder: Path,
    settings: Mapping[str, Any] | None = None,
    servers: Mapping[str, str] | None = None,
    *,
    start: bool = True,
    env: Mapping[str, str] | None = None,
) -> Iterator[Ward]:
    """Serve limited tools until the end of the block, at servers of the given names in the given modes."""
    folder.mkdir(parents=True, exist_ok=True)
    ward = Ward(folder, free_port(), free_port())
    ward.extra_env = dict(env or {})
    write_limited(ward, settings or {}, {"demo": "api-key"} if servers is None else servers)
    try:
        if start:
            ward.start()
        yield ward
    finally:
        if ward.process is not None:
            ward.stop()


@dataclass(frozen=True)
class Said:
    """The answer to one call: its status, the reason of a refusal, the limits that it met, and its text."""

    status: int
    reason: str
    text: str
    remaining: Mapping[str, int] = field(default_factory=dict)
    policies: Mapping[str, Item] = field(default_factory=dict)
    standings: Mapping[str, Item] = field(default_factory=dict)
    retry_after_s: int | None = None
    body: Any = None

    @property
    def passed(self) -> bool:
        """Whether the tool ran."""
        return self.status == 200 and not self.reason


def read(answer: Answer) -> Said:
    """Read an answer to a call of a tool, its fields as strictly as RFC 9651 has it."""
    body = answer.json()
    error, result = body.get("error"), body.get("result", {})
    content = (result.get("content") or [{}])[0]
    reason = str(content.get("_meta", {}).get("mcpward/reason", ""))
    text = str(content.get("text", ""))
    if error is not None:
        reason, text = str(error["data"]["reason"]), str(error["message"])
    policies, standings = (_named(answer.headers.get(name, "")) for name in ("ratelimit-policy", "ratelimit"))
    wait = answer.headers.get("retry-after")
    return Said(
        answer.status, reason, text, {name: number(item, "r") for name, item in standings.items()}, policies,
        standings, None if wait is None else int(wait), body,
    )  # fmt: skip


def _named(text: str) -> dict[str, Item]:
    items = read_list(text)
    assert all(type(item.value) is str for item in items), text
    assert len({item.value for item in items}) == len(items), text
    return {str(item.value): item for item in items}


def number(item: Item, key: str) -> int:
    """Return a parameter that is an integer."""
    value = item.parameters[key]
    assert type(value) is int
    return value


class Voice:
    """One caller at one server, on a kept connection: ``voice("echo", text="a")``."""

    def __init__(self, ward: Ward, key: str = "", path: str = "/mcp", address: str = "") -> None:
        self._ward = ward
        self._key = key
        self._path = path
        self._headers = (("X-Forwarded-For", address),) if address else ()
        self._wire = connect(ward.port, 10)
        self._number = 0

    def __enter__(self) -> "Voice":
        return self

    def __exit__(self, *_: object) -> None:
        self._wire.close()

    def __call__(self, tool: str = "echo", **arguments: Any) -> Said:
        """Call a tool, each time with another text where none is given."""
        self._number += 1
        arguments = arguments or {"text": f"{self._number}"}
        data = call_bytes(
            self._ward.port, self._key, self._number, self._headers, tool=tool, arguments=arguments, path=self._path
        )
        return read(answer_of(self._wire, data))
