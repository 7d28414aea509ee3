"""One tour that every client takes through the server of tests/interop: what it could do, in its own words.

A tour gives what each step saw; a step that failed gives its error as text, so that one step never hides the next.
"""

import asyncio
import json
import subprocess
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx2
from fastmcp import Client as FastClient
from fastmcp.client.transports import StreamableHttpTransport
from mcp import Client, StdioServerParameters
from mcp.client.context import ClientRequestContext
from mcp.client.session import IncomingMessage, MessageHandlerFnT
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitRequestParams, ElicitResult, PromptReference, TextContent, TextResourceContents

from support.clients import environment, inspector, mcp_remote, node_binary

INTEROP = Path(__file__).resolve().parent.parent / "interop"
STEP_S = 20.0
LOG_LEVEL = "io.modelcontextprotocol/logLevel"
REFERENCE = PromptReference(type="ref/prompt", name="test_prompt_with_arguments")
ARGUMENTS = {"arg1": "one", "arg2": "two"}
PROMPT = "test_prompt_with_arguments"
ASKING = "test_input_required_result_elicitation"

Seen = dict[str, Any]
Progress = list[float]


def wrong(key: str) -> str:
    """Return a key that is not this one, by its last character."""
    return key[:-1] + ("1" if key.endswith("0") else "0")


class Guide(Protocol):
    """A connected client, whatever its package calls things."""

    heard: list[str]
    changes: list[str]

    async def names(self) -> list[str]: ...
    async def call(self, tool: str, arguments: dict[str, Any], noted: Progress | None = None) -> str: ...
    async def read(self, uri: str) -> str: ...
    async def prompt(self) -> str: ...
    async def complete(self) -> list[str]: ...
    async def hear(self) -> None: ...
    async def change(self) -> str: ...


Connect = Callable[[str, str], AbstractAsyncContextManager[Guide]]


class Official:
    """The official Python client."""

    def __init__(self, client: Client, heard: list[str], changes: list[str]) -> None:
        self.client = client
        self.heard = heard
        self.changes = changes

    async def names(self) -> list[str]:
        tools = [tool.name for tool in (await self.client.list_tools()).tools]
        prompts = [prompt.name for prompt in (await self.client.list_prompts()).prompts]
        resources = [str(resource.uri) for resource in (await self.client.list_resources()).resources]
        templates = (await self.client.list_resource_templates()).resource_templates
        return [*tools, *prompts, *resources, *(template.uri_template for template in templates)]

    async def call(self, tool: str, arguments: dict[str, Any], noted: Progress | None = None) -> str:
        async def note(progress: float, total: float | None, message: str | None) -> None:
            if noted is not None:
                noted.append(progress)

        result = await self.client.call_tool(tool, arguments, progress_callback=note if noted is not None else None)
        return text_of(*result.content)

    async def read(self, uri: str) -> str:
        return text_of((await self.client.read_resource(uri)).contents[0])

    async def prompt(self) -> str:
        return text_of((await self.client.get_prompt(PROMPT, ARGUMENTS)).messages[0].content)

    async def complete(self) -> list[str]:
        return (await self.client.complete(REFERENCE, {"name": "arg1", "value": "par"})).completion.values

    async def hear(self) -> None:
        """Ask for log messages, once per session, where there is one."""
        if (self.client.protocol_version or "") < "2026":
            await self.client.set_logging_level("info")  # type: ignore[deprecated]  # until that era is over
        await self.call("test_tool_with_logging", {})

    async def change(self) -> str:
        """Change the list of tools, and return the first notification of it."""
        if (self.client.protocol_version or "") < "2026":
            return await _told_of(self)
        async with self.client.listen(tools_list_changed=True) as changes:
            await self.call("test_trigger_tool_change", {})
            return type(await anext(aiter(changes))).__name__


class Fast:
    """FastMCP's client."""

    def __init__(self, client: FastClient, heard: list[str], changes: list[str]) -> None:
        self.client = client
        self.heard = heard
        self.changes = changes

    async def names(self) -> list[str]:
        tools, prompts = await self.client.list_tools(), await self.client.list_prompts()
        resources, templates = await self.client.list_resources(), await self.client.list_resource_templates()
        named = [one.name for one in (*tools, *prompts)]
        return [*named, *(str(one.uri) for one in resources), *(one.uri_template for one in templates)]

    async def call(self, tool: str, arguments: dict[str, Any], noted: Progress | None = None, meta: Any = None) -> str:
        async def note(progress: float, total: float | None, message: str | None) -> None:
            if noted is not None:
                noted.append(progress)

        result = await self.client.call_tool(tool, arguments, progress_handler=note, meta=meta)
        return text_of(*result.content)

    async def read(self, uri: str) -> str:
        return text_of((await self.client.read_resource(uri))[0])

    async def prompt(self) -> str:
        return text_of((await self.client.get_prompt(PROMPT, ARGUMENTS)).messages[0].content)

    async def complete(self) -> list[str]:
        return (await self.client.complete(REFERENCE, {"name": "arg1", "value": "par"})).values

    async def hear(self) -> None:
        """Ask for log messages: once per session, or with the call where there is no session."""
        if (self.client.protocol_version or "") < "2026":
            await self.client.set_logging_level("info")
            await self.call("test_tool_with_logging", {})
        else:
            await self.call("test_tool_with_logging", {}, meta={LOG_LEVEL: "info"})

    async def change(self) -> str:
        """Change the list of tools, and return the first notification of it."""
        return await _told_of(self)


async def _told_of(guide: Guide) -> str:
    """Change the list until a notification comes: a session's own stream opens some time after the session."""
    async with asyncio.timeout(STEP_S / 4):
        while not guide.changes:
            await guide.call("test_trigger_tool_change", {})
            await asyncio.sleep(0.1)
    return guide.changes[0]


def text_of(*parts: object) -> str:
    """Return the text of what is text, as all of it should be."""
    texts = [part.text for part in parts if isinstance(part, TextContent | TextResourceContents)]
    assert len(texts) == len(parts), parts
    return "\n".join(texts)


def _noting(changes: list[str]) -> MessageHandlerFnT:
    async def note(message: IncomingMessage) -> None:
        root = getattr(message, "root", message)
        if type(root).__name__ == "ToolListChangedNotification":
            changes.append("ToolsListChanged")

    return note


async def _accept(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    return await _accept_all()


async def _accept_all(*_: object) -> ElicitResult:
    """FastMCP's handler, which gets four arguments."""
    return ElicitResult(action="accept", content={"name": "Ada"})


def official(mode: str) -> Connect:
    """The official Python client over HTTP, in an era of one's choice."""

    @asynccontextmanager
    async def connect(url: str, key: str) -> AsyncIterator[Guide]:
        headers = {"Authorization": f"Bearer {key}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=STEP_S) as http,
            _client(streamable_http_client(url, http_client=http), mode) as guide,
        ):
            yield guide

    return connect


def bridged(home: Path, *words: str) -> Connect:
    """mcp-remote, with a legacy host (the official Python client over stdio) at its other end."""

    @asynccontextmanager
    async def connect(url: str, key: str) -> AsyncIterator[Guide]:
        line = [*mcp_remote(url, f"Authorization:Bearer {key}"), "--allow-http", *words]
        server = StdioServerParameters(command=line[0], args=line[1:], env=environment(home), cwd=str(home))
        async with _client(server, "legacy") as guide:
            yield guide

    return connect


@asynccontextmanager
async def _client(target: Any, mode: str) -> AsyncIterator[Guide]:
    heard: list[str] = []
    changes: list[str] = []

    async def hear(params: Any) -> None:
        heard.append(params.data)

    client = Client(
        target, mode=mode, elicitation_callback=_accept, logging_callback=hear, log_level="info",
        message_handler=_noting(changes), read_timeout_seconds=STEP_S,
    )  # fmt: skip
    async with client:
        yield Official(client, heard, changes)


def fast(mode: str) -> Connect:
    """FastMCP's client over HTTP."""

    @asynccontextmanager
    async def connect(url: str, key: str) -> AsyncIterator[Guide]:
        heard: list[str] = []
        changes: list[str] = []

        async def hear(message: Any) -> None:
            data = message.data
            heard.append(data if isinstance(data, str) else data["msg"])

        transport = StreamableHttpTransport(url, headers={"Authorization": f"Bearer {key}"})
        client = FastClient(
            transport, mode=mode, elicitation_handler=_accept_all, log_handler=hear, message_handler=_noting(changes),
            timeout=STEP_S,
        )  # fmt: skip
        async with client:
            yield Fast(client, heard, changes)

    return connect


async def toured(connect: Connect, base: str, key: str, strict_key: str) -> Seen:
    """Take the tour with a client that Python drives."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the clients deprecate logging; it is served and must work
        async with connect(f"{base}/everything/mcp", key) as guide:
            seen = await _steps(guide)
        seen["refused"] = await _attempt(_entered(connect, f"{base}/everything/mcp", wrong(key)))
        async with connect(f"{base}/strict/mcp", strict_key) as guide:
            for _ in range(2):
                seen["limited"] = await _attempt(guide.call("greet", {"name": "Ada"}))
    return seen


async def _steps(guide: Guide) -> Seen:
    progress: Progress = []
    seen = {
        "lists": await _attempt(guide.names()),
        "calls": await _attempt(guide.call("greet", {"name": "Ada"})),
        "reads": await _attempt(guide.read("test://template/7/data")),
        "prompts": await _attempt(guide.prompt()),
        "completes": await _attempt(guide.complete()),
    }
    failed = await _attempt(guide.call("test_tool_with_progress", {}, progress))
    seen["progress"] = progress or failed
    failed = await _attempt(guide.hear())
    seen["logs"] = guide.heard or failed
    seen["elicits"] = await _attempt(guide.call(ASKING, {}))
    seen["changes"] = await _attempt(guide.change())
    return seen


async def _entered(connect: Connect, url: str, key: str) -> str:
    async with connect(url, key) as guide:
        await guide.names()
    return "let in"


async def _attempt(step: Awaitable[Any]) -> Any:
    try:
        return await asyncio.wait_for(step, 2 * STEP_S)
    except Exception as error:  # noqa: BLE001 - whatever a client raises is what its user sees
        return f"error: {_told(error)}"


def _told(error: BaseException) -> str:
    """Return the words of an error, and of all errors that it holds or comes from."""
    inner = [_told(one) for one in getattr(error, "exceptions", ())]
    cause = [_told(error.__cause__)] if error.__cause__ is not None else []
    return " | ".join([f"{type(error).__name__}: {error}", *inner, *cause])


def typescript(script: str, era: str, base: str, key: str, strict_key: str, home: Path) -> Seen:
    """Take the tour with one of the official TypeScript clients."""
    run = _run([str(node_binary()), str(INTEROP / script), base, key, strict_key, era], home)
    assert run.returncode == 0, run.stdout + run.stderr
    return dict(json.loads(run.stdout))


def task_tour(url: str, key: str, home: Path) -> Seen:
    """Run, answer and cancel tasks with the official client of the tasks extension."""
    run = _run([str(node_binary()), str(INTEROP / "tour_tasks.mjs"), url, key], home)
    assert run.returncode == 0, run.stdout + run.stderr
    return dict(json.loads(run.stdout))


def inspected(era: str, base: str, key: str, strict_key: str, home: Path) -> Seen:
    """Take the tour with the Inspector's command line, one run per step."""

    def ask(*words: str, server: str = "everything", key: str = key) -> Any:
        command = inspector(f"{base}/{server}/mcp", headers=(f"Authorization: Bearer {key}",))
        run = _run([*command, "--protocol-era", era, "--format", "json", "-q", *words], home)
        return json.loads(run.stdout)["result"] if run.returncode == 0 else f"error: {run.stdout}{run.stderr}"

    def call(tool: str, *words: str, **options: str) -> Any:
        answer = ask("--method", "tools/call", "--tool-name", tool, *words, **options)
        return answer["content"][0]["text"] if isinstance(answer, dict) else answer

    greet = ("greet", "--tool-arg", "name=Ada")
    lists = [ask("--method", f"{kind}/list") for kind in ("tools", "prompts", "resources", "resources/templates")]
    words = [f"{name}={value}" for name, value in ARGUMENTS.items()]
    prompt = ask("--method", "prompts/get", "--prompt-name", PROMPT, "--prompt-args", *words)
    read = ask("--method", "resources/read", "--uri", "test://template/7/data")
    seen = {
        "lists": [name for listed in lists for name in _named(listed)],
        "calls": call(*greet),
        "reads": read["contents"][0]["text"] if isinstance(read, dict) else read,
        "prompts": prompt["messages"][0]["content"]["text"] if isinstance(prompt, dict) else prompt,
        "refused": ask("--method", "tools/list", key=wrong(key)),
    }
    for _ in range(2):
        seen["limited"] = call(*greet, server="strict", key=strict_key)
    return seen


def _named(listed: Any) -> list[str]:
    if not isinstance(listed, dict):
        return [listed]
    entries = next((value for value in listed.values() if isinstance(value, list)), [])
    return [one.get("uri") or one.get("uriTemplate") or one["name"] for one in entries]


def _run(command: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=INTEROP, env=environment(home), capture_output=True, text=True, timeout=90, check=False
    )
