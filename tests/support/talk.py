"""Clients that hold a conversation: streams, questions, changes and tasks, on connections that stay with one worker."""

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx2

from support.ward import ACCEPT, VERSION, Ward

#: A server that asks, reports, changes and takes its time; its tools leave notes in ``notes.txt``.
TOOLS = '''
import asyncio
import os
from typing import Annotated
from pydantic import BaseModel
from mcpward import Caller, Context, Header, Roots, Sample, Server

server = Server("talk", version="1.0")


class Name(BaseModel):
    """Who."""

    name: str


def note(text):
    with open("notes.txt", "a") as file:
        file.write(text + "\\n")


@server.tool(read_only=True)
async def worker() -> str:
    """Say which process serves this connection."""
    return str(os.getpid())


@server.tool(read_only=True)
async def ask(ctx: Context, caller: Caller, about: str = "you") -> str:
    """Ask the person."""
    answer = await ctx.elicit(f"Who is {about}?", Name, key="who")
    return f"{answer.action} {answer.data.name if answer.data else '-'}"


@server.tool(read_only=True)
async def ask_twice(ctx: Context) -> str:
    """Ask the person one thing after the other."""
    first = await ctx.elicit("First?", Name)
    second = await ctx.elicit("Second?", Name)
    return f"{first.data.name if first.data else '-'} {second.data.name if second.data else '-'}"


@server.tool()
async def order(what: str, ctx: Context) -> str:
    """Change something with the person's answer."""
    answer = await ctx.elicit("Who is it for?", Name, key="who")
    note(f"ordered {what}")
    return f"{what} for {answer.data.name if answer.data else '-'}"


@server.tool()
async def order_twice(what: str, ctx: Context) -> str:
    """Change something after two rounds of questions."""
    first = await ctx.elicit("First?", Name, key="first")
    note(f"asked on {what}")
    second = await ctx.elicit("Second?", Name, key="second")
    note(f"ordered {what}")
    return f"{first.data.name} {second.data.name}"


@server.tool()
async def order_sampled(what: str, ctx: Context) -> str:
    """Change something with what the client's model and its folders say."""
    await ctx.ask(text=Sample("Which?", max_tokens=10), folders=Roots())
    note(f"ordered {what}")
    return what


@server.tool(confirm=True)
async def order_agreed(what: str, ctx: Context) -> str:
    """Change something when a person says yes, and then who it is for."""
    answer = await ctx.elicit("Who is it for?", Name, key="who")
    note(f"ordered {what}")
    return f"{what} for {answer.data.name if answer.data else '-'}"


@server.tool(read_only=True)
async def work(name: str, seconds: float) -> str:
    """Work for a while, and leave notes of it."""
    note(f"began {name}")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        note(f"cancelled {name}")
        raise
    note(f"ended {name}")
    return f"worked {name}"


@server.tool(read_only=True)
async def say(text: str, ctx: Context) -> str:
    """Say something on the way."""
    await ctx.info(text)
    return "said"


@server.tool(read_only=True)
async def leave(secret: str, seconds: float, ctx: Context) -> str:
    """Let go of the stream, and answer later."""
    ctx.release_stream()
    await asyncio.sleep(seconds)
    return f"left {secret}"


@server.tool(read_only=True)
async def update(uri: str) -> str:
    """Say that a resource has changed."""
    server.resource_updated(uri)
    return "updated"


@server.tool(read_only=True)
async def switch() -> str:
    """Change the list of tools."""
    server.disable(tool="say")
    server.enable(tool="say")
    return "switched"


@server.tool(read_only=True)
async def place(region: Annotated[str, Header("Region")]) -> str:
    """Mirror an argument in a header."""
    return region


@server.tool(read_only=True, task="optional", deadline_s=120)
async def job(name: str, seconds: float) -> str:
    """Work as a task."""
    note(f"began {name}")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        note(f"cancelled {name}")
        raise
    return f"done {name}"


@server.tool(read_only=True, task="optional")
async def asking_job(secret: str, ctx: Context) -> str:
    """Ask within a task."""
    answer = await ctx.elicit(f"Who knows {secret}?", Name)
    return f"{answer.data.name if answer.data else '-'} knows {secret}"


@server.tool(read_only=True, scopes=["secrets:read"])
async def hidden() -> str:
    """For holders of a scope."""
    return "hidden"


@server.tool(destructive=True, confirm="question")
async def wipe(what: str) -> str:
    """Destroy something, when a person says yes."""
    note(f"wiped {what}")
    return f"wiped {what}"


@server.resource("talk://news", mime_type="text/plain")
async def news() -> str:
    """What changes."""
    return "news"


@server.resource("talk://vault", mime_type="text/plain", scopes=["secrets:read"])
async def vault() -> str:
    """For holders of a scope."""
    return "canary-in-the-vault"


@server.resource("talk://shelf/{name}", mime_type="text/plain")
async def shelf(name: str) -> str:
    """One of many."""
    return f"shelf [{name}]"


@server.resource("talk://tree/{path*}", mime_type="text/plain")
async def tree(path: str) -> str:
    """A path of several segments."""
    return f"tree [{path}]"


@server.resource("talk://safe/{name}", mime_type="text/plain", scopes=["secrets:read"])
async def safe(name: str) -> str:
    """For holders of a scope."""
    return f"canary-in-the-safe {name}"


@server.prompt()
async def greet(name: str) -> str:
    """Greet somebody."""
    return f"Say hello to {name}."


@server.prompt(scopes=["secrets:read"])
async def whisper(name: str) -> str:
    """For holders of a scope."""
    return f"canary-in-the-prompt {name}"


@server.completion(prompt="greet", argument="name")
async def names(value: str) -> list[str]:
    """Give names that begin so."""
    return [name for name in ("Ada", "Alan", "Grace") if name.startswith(value)]


@server.completion(prompt="whisper", argument="name")
async def secret_names(value: str) -> list[str]:
    """Give names that not everybody may know."""
    return ["canary-in-the-completion"]
'''

LAVISH = '[servers.{0}]\nsource = "talk.py"\n[servers.{0}.limits]\n' + (
    "".join(f'{name} = "100000/minute"\n' for name in ("read", "write", "destructive", "discovery", "lifecycle"))
    + 'repeat_read = ""\nrepeat_write = ""\nrepeat_destructive = ""\nconcurrency = 200\ncaller_concurrency = 200\n'
)
ASKABLE: dict[str, Any] = {"elicitation": {"form": {}}, "sampling": {}, "roots": {}}
TASKS: dict[str, Any] = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
NOTES = "notes.txt"


@dataclass(frozen=True)
class Event:
    """One event of a stream; ``data`` is None where it had none (a priming event, or only ``retry``)."""

    id: str | None
    data: dict[str, Any] | None
    retry: int | None = None


def events_of(lines: Iterator[str]) -> Generator[Event, None, None]:
    """Read server-sent events, as in the HTML standard §9.2; comments are left out."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            if name:
                fields[name] = value.removeprefix(" ")
        elif fields:
            data = fields.get("data")
            retry = int(fields["retry"]) if "retry" in fields else None
            yield Event(fields.get("id"), json.loads(data) if data else None, retry)
            fields = {}


def lines_of(pieces: Iterator[bytes]) -> Iterator[str]:
    """Split a stream only at its own line ends: libraries also split at U+2028 and U+0085, which may stand in JSON."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line.removesuffix(b"\r").decode() for line in whole)


def prepare(ward: Ward, *servers: str, toml: str = "") -> None:
    """Write the talking server beside the site, under one or more names; to be called before the start."""
    (ward.folder / "talk.py").write_text(TOOLS)
    config = ward.folder / "mcpward.toml"
    config.write_text(config.read_text() + toml + "".join(LAVISH.format(name) for name in servers))


def notes(ward: Ward) -> list[str]:
    """Return the lines that tools left."""
    file = ward.folder / NOTES
    return file.read_text().splitlines() if file.exists() else []


class Line:
    """One kept-alive connection: everything on it is served by one worker."""

    def __init__(self, ward: Ward, key: str, *, path: str = "/mcp") -> None:
        self.path = path
        self.http = httpx2.Client(
            base_url=ward.base, timeout=15, verify=False, limits=httpx2.Limits(max_connections=1),
            headers={"accept": ACCEPT, "content-type": "application/json", "authorization": f"Bearer {key}"},
        )  # fmt: skip

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def post(self, message: Any, headers: Mapping[str, str] | None = None) -> httpx2.Response:
        """Post one message."""
        return self.http.post(self.path, content=json.dumps(message).encode(), headers=dict(headers or {}))

    @contextmanager
    def stream(
        self, message: Any = None, headers: Mapping[str, str] | None = None, *, verb: str = "POST"
    ) -> Iterator[tuple[httpx2.Response, Iterator[Event]]]:
        """Open a stream by a POST of a message or a GET, and return the response with its events."""
        content = None if message is None else json.dumps(message).encode()
        with self.http.stream(verb, self.path, content=content, headers=dict(headers or {})) as response:
            yield response, events_of(lines_of(response.iter_bytes()))

    def worker(self) -> str:
        """Return the process that serves this line."""
        return str(result_of(self.modern("tools/call", {"name": "worker", "arguments": {}}))["content"][0]["text"])

    def modern(
        self, method: str, params: Mapping[str, Any] | None = None, *, capabilities: Any = None, **headers: str
    ) -> httpx2.Response:
        """Send one request of the modern era."""
        return self.post(*modern(method, params, capabilities=capabilities, **headers))


_ids = count(1000)


def modern(
    method: str, params: Mapping[str, Any] | None = None, *, capabilities: Any = None, id: Any = None, **headers: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return body and headers of a modern request; each has an id of its own."""
    given = dict(params or {})
    meta = {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientCapabilities": ASKABLE | TASKS if capabilities is None else capabilities,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    } | given.get("_meta", {})
    own = {"mcp-protocol-version": VERSION, "mcp-method": method}
    field = {"resources/read": "uri"}.get(method, "taskId" if method.startswith("tasks/") else "name")
    if method in {"tools/call", "prompts/get", "resources/read"} or method.startswith("tasks/"):
        own["mcp-name"] = str(given.get(field, ""))
    body = {
        "jsonrpc": "2.0",
        "id": next(_ids) if id is None else id,
        "method": method,
        "params": given | {"_meta": meta},
    }
    return body, own | {name.replace("_", "-"): value for name, value in headers.items()}


def result_of(response: httpx2.Response) -> dict[str, Any]:
    """Return the result of an answer that is one."""
    assert response.status_code == 200, response.text
    return dict(response.json()["result"])


class Talker:
    """A legacy client in a session; what it sends may go over any line."""

    def __init__(
        self, ward: Ward, key: str, *, path: str = "/mcp", version: str = "2025-11-25", capabilities: Any = None
    ) -> None:
        self.ward = ward
        self.key = key
        self.path = path
        said = {
            "protocolVersion": version, "capabilities": ASKABLE if capabilities is None else capabilities,
            "clientInfo": {"name": "test", "version": "1"},
        }  # fmt: skip
        with self.line() as line:
            answer = line.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": said})
        assert answer.status_code == 200, answer.text
        self.headers = {"mcp-session-id": answer.headers["mcp-session-id"], "mcp-protocol-version": version}

    def line(self) -> Line:
        """Open another connection."""
        return Line(self.ward, self.key, path=self.path)

    def send(self, line: Line, method: str, params: Any = None, *, id: Any = None) -> httpx2.Response:
        """Send a request in the session."""
        return line.post(request(method, params, id=id), self.headers)

    def tell(self, line: Line, method: str, params: Any = None) -> httpx2.Response:
        """Send a notification in the session."""
        return line.post({"jsonrpc": "2.0", "method": method, "params": params or {}}, self.headers)

    def answer(self, line: Line, question: Mapping[str, Any], **answer: Any) -> httpx2.Response:
        """Answer a question of the server with ``result=`` or ``error=``."""
        return line.post({"jsonrpc": "2.0", "id": question["id"], **answer}, self.headers)

    def call(self, line: Line, tool: str, arguments: Any = None, *, id: Any = None) -> Any:
        """Call a tool, and return its answer as a stream."""
        message = request("tools/call", {"name": tool, "arguments": arguments or {}}, id=id)
        return line.stream(message, self.headers)

    def listen(self, line: Line, last_event: str | None = None) -> Any:
        """Open the session's own stream, or come back to another."""
        headers = self.headers | {"accept": "text/event-stream"}
        return line.stream(None, headers | ({"last-event-id": last_event} if last_event else {}), verb="GET")


def request(method: str, params: Any = None, *, id: Any = None) -> dict[str, Any]:
    """Return a JSON-RPC request with an id of its own."""
    return {"jsonrpc": "2.0", "id": next(_ids) if id is None else id, "method": method, "params": params or {}}


def accepted(name: str) -> dict[str, Any]:
    """Return a person's answer to an elicitation."""
    return {"action": "accept", "content": {"name": name}}
