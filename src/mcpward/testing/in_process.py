"""``client``: opens an author's server in the test's own process, and calls it as a client of MCP would."""

import inspect
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

from mcpward.app.in_process import InProcess, open_in_process
from mcpward.core.errors import Misconfigured
from mcpward.core.scope import Access
from mcpward.core.secret import Secret
from mcpward.core.values import AuthMethod, Principal, Tool
from mcpward.operations.sources import files_of, secrets_of
from mcpward.sdk.context import Caller
from mcpward.sdk.environment import env
from mcpward.sdk.server import Server
from mcpward.testing.answers import Answers
from mcpward.testing.conversation import Conversation, Ended, header_value
from mcpward.testing.results import CallResult, CompletionResult, PromptResult, ReadResult
from mcpward.testing.site import ShiftedClock, make_data, settings_of
from mcpward.tools.local import load_server

AccessClass = Literal["read", "write", "destructive"]
_DISCOVERY_PAGES: Final = 1000


class Client:
    """One caller of an open server. Made by :func:`client`, and by :meth:`as_caller` for another caller of the same."""

    def __init__(
        self,
        site: InProcess,
        wrapped: frozenset[str],
        clock: ShiftedClock,
        details: dict[str, str],
        mark: bytes,
        answers: Answers | None,
    ) -> None:
        self._site = site
        self._wrapped = wrapped
        self._clock = clock
        self._details = details
        self._conversation = Conversation(site, mark, answers)

    async def call(self, tool: str, arguments: Mapping[str, Any] | None = None, /, **named: Any) -> CallResult:
        """Call a tool, with arguments by name, or in a mapping as the model would send them.

        The cause of a refusal or a failure is in the result. Models, dates and the like are sent as JSON.

        Raises:
            AssertionError: the tool asks something that ``answers`` do not answer.
        """
        given = {**(arguments or {}), **named}
        known = self._site.source.find(tool)
        headers = {} if known is None else _mirrored(known, given)
        ended = await self._conversation.request("tools/call", {"name": tool, "arguments": given}, tool, headers)
        return CallResult(**self._told(f"call {tool}", ended), is_wrapped=tool in self._wrapped)

    async def read(self, uri: str) -> ReadResult:
        """Read a resource."""
        ended = await self._conversation.request("resources/read", {"uri": uri}, uri)
        return ReadResult(**self._told(f"read {uri}", ended))

    async def prompt(self, name: str, /, **arguments: str) -> PromptResult:
        """Get a prompt."""
        ended = await self._conversation.request("prompts/get", {"name": name, "arguments": arguments}, name)
        return PromptResult(**self._told(f"prompt {name}", ended))

    async def complete(
        self,
        argument: str,
        value: str = "",
        *,
        prompt: str | None = None,
        resource: str | None = None,
        context: Mapping[str, str] | None = None,
    ) -> CompletionResult:
        """Complete an argument of a prompt, or a variable of a resource template, after ``value`` was typed.

        Raises:
            TypeError: neither or both of ``prompt`` and ``resource`` were named.
        """
        if (prompt is None) == (resource is None):
            raise TypeError("name exactly one of prompt and resource")
        ref = {"type": "ref/prompt", "name": prompt} if resource is None else {"type": "ref/resource", "uri": resource}
        params: dict[str, Any] = {"ref": ref, "argument": {"name": argument, "value": value}}
        if context is not None:
            params["context"] = {"arguments": dict(context)}
        ended = await self._conversation.request("completion/complete", params)
        return CompletionResult(**self._told(f"complete {argument}", ended))

    async def tools(self) -> list[Mapping[str, Any]]:
        """Return the tools that this caller sees, as ``tools/list`` has them."""
        return await self._listed("tools/list", "tools")

    async def resources(self) -> list[Mapping[str, Any]]:
        """Return the resources that this caller sees."""
        return await self._listed("resources/list", "resources")

    async def templates(self) -> list[Mapping[str, Any]]:
        """Return the resource templates that this caller sees."""
        return await self._listed("resources/templates/list", "resourceTemplates")

    async def prompts(self) -> list[Mapping[str, Any]]:
        """Return the prompts that this caller sees."""
        return await self._listed("prompts/list", "prompts")

    def as_caller(
        self,
        caller: str | Caller,
        *,
        scopes: Iterable[str] = (),
        access: AccessClass = "destructive",
        tools: Iterable[str] | None = None,
        answers: Answers | None = None,
    ) -> "Client":
        """Return a client for another caller of the same server; see :func:`client`."""
        principal = _principal(self._site.server, caller, scopes, access, tools)
        mark = self._site.callers.add(principal)
        return Client(self._site, self._wrapped, self._clock, self._details, mark, answers)

    def advance(self, seconds: float) -> None:
        """Let time pass for limits and quotas, of all callers. Deadlines of running calls are not touched."""
        self._clock.advance(seconds)

    async def _listed(self, method: str, member: str) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        params: dict[str, Any] = {}
        for _ in range(_DISCOVERY_PAGES):
            ended = await self._conversation.request(method, params)
            result = ReadResult(**self._told(method, ended)).require()
            found += result[member]
            cursor = result.get("nextCursor")
            if cursor is None:
                break
            params = {"cursor": cursor}
        return found

    def _told(self, request: str, ended: Ended) -> dict[str, Any]:
        reply = ended.reply
        error = ended.raw.get("error") or {}
        result = ended.raw.get("result") or {}
        message = str(error.get("message", ""))
        if not message and reply.reason is not None:
            message = "\n".join(block.get("text", "") for block in result.get("content") or ())
        waits = dict(reply.headers).get(b"retry-after")
        return {
            "request": request,
            "raw": ended.raw,
            "reason": reply.reason,
            "message": message,
            "detail": self._details.get(reply.error_id or "", ""),
            "error_id": reply.error_id,
            "retry_after_s": None if waits is None else float(waits),
            "progress": ended.progress,
            "logs": ended.logs,
            "asked": ended.asked,
        }


@asynccontextmanager
async def client(
    server: Server | str | Path | None = None,
    *,
    caller: str | Caller = "tester",
    scopes: Iterable[str] = (),
    access: AccessClass = "destructive",
    tools: Iterable[str] | None = None,
    answers: Answers | None = None,
    secrets: Mapping[str, str] | None = None,
    config: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> AsyncIterator[Client]:
    """Open a server, run its start, and return a client of it; its end runs when the block ends.

    ``server`` is the :class:`~mcpward.Server` itself, or its source as ``mcpward serve`` takes it, which is loaded anew
    then, with ``secrets`` in reach; without it, it is that of ``config``.

    ``caller`` is a name, or a :class:`~mcpward.Caller` with everything a tool may ask about. It holds ``scopes`` and no
    others, may use tools up to the class ``access``, and only ``tools`` of these if they are given. ``answers`` answer
    what is asked, by key or by a function; without them it is a client that cannot be asked.

    ``secrets`` are what ``env.NAME`` gives. ``config`` is an ``mcpward.toml`` whose limits, budgets and pools hold, and
    ``settings`` change single ones by their dotted keys; ``name`` is the server's in that file.

    Raises:
        Misconfigured: the server, its start or the settings are refused, as ``mcpward serve`` would refuse them.
    """
    held = {key: Secret(value, key) for key, value in (secrets or {}).items()}
    details: dict[str, str] = {}
    clock = ShiftedClock()
    try:
        with tempfile.TemporaryDirectory(prefix="mcpward-test-") as folder, ExitStack() as stack:
            file = None if config is None else Path(config)
            given = name if name is not None else server.name if isinstance(server, Server) else _stem(server)
            used = settings_of(given, file, settings or {}, Path(folder, "data"))
            (served,) = used.servers
            stack.callback(env.install({served: secrets_of(used, served, held)}))
            with env.importing(served):
                source = _loaded(server or used.servers[served].source)
            env.claim(served, files_of(source))
            await make_data(used, clock)
            async with open_in_process(used, source, held, clock, details.__setitem__) as site:
                wrapped = frozenset(tool.name for tool in source.tools if tool.returns.wrapped)
                mark = site.callers.add(_principal(site.server, caller, scopes, access, tools))
                yield Client(site, wrapped, clock, details, mark, answers)
    except Misconfigured as refused:
        for finding in refused.findings:
            refused.add_note(" ".join(filter(None, (finding.where, finding.what, finding.hint))))
        raise


def _loaded(server: Server | str | Path) -> Server:
    return server if isinstance(server, Server) else load_server(str(server))


def _stem(source: str | Path | None) -> str | None:
    return None if source is None else Path(str(source).partition(":")[0]).stem


def _principal(
    server: str, caller: str | Caller, scopes: Iterable[str], access: AccessClass, tools: Iterable[str] | None
) -> Principal:
    if isinstance(scopes, str):
        raise TypeError("scopes is a list, as in scopes=['orders:read']")
    given = (
        caller
        if isinstance(caller, Caller)
        else Caller(subject=caller, name=caller, server=server, way=AuthMethod.API_KEY)
    )
    has_token = given.way is AuthMethod.OAUTH
    return Principal(
        key=f"{given.way.value}:{given.issuer}:{given.subject}",
        way=given.way,
        server=server,
        subject=given.subject,
        issuer=given.issuer,
        client=given.client if has_token else given.name,
        key_id=given.key_id if given.key_id is not None or has_token else given.subject,
        scopes=frozenset(scopes) | given.scopes,
        tools=None if tools is None else frozenset(tools),
        access=Access.parse(access),
        claims=given.claims,
        tags=given.tags,
    )


def _mirrored(tool: Tool, arguments: Mapping[str, Any]) -> dict[bytes, bytes]:
    """Return the headers in which a client of 2026-07-28 repeats arguments."""
    headers: dict[bytes, bytes] = {}
    for header, path in tool.mirrored.items():
        value: Any = arguments
        for part in path:
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None and not inspect.isclass(value) and not isinstance(value, Mapping | list):
            headers[header] = header_value(getattr(value, "value", value))
    return headers
