"""A server whose tools are no Python functions passes the same controls: all that mcpward asks of it is the port."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mcpward.app.in_process import join_in_process
from mcpward.core.change import Change, Topic
from mcpward.core.clock import SystemClock
from mcpward.core.scope import Access
from mcpward.core.secret import Secret
from mcpward.core.values import AcceptedCall, AuthMethod, Call, Principal, RawResult, Tool
from mcpward.testing.conversation import Conversation
from mcpward.testing.site import make_data, settings_of
from mcpward.tools.completion import Completion
from mcpward.tools.prompt import Prompt
from mcpward.tools.resource import Resource, ResourceTemplate
from mcpward.tools.tool_source import Introduction, Published, ToolSource


class Remote:
    """Implements :class:`ToolSource` for one tool that answers as another MCP server would: in the protocol's shape."""

    server = "shop"
    introduction = Introduction(name="far shop", version="3", instructions="ask\u200b politely")
    has_tools = has_resources = True
    has_prompts = has_completions = has_tasks = False
    prompts: Sequence[Prompt] = ()
    templates: Sequence[ResourceTemplate] = ()
    pools: Mapping[str, int] = {}
    unnamed_pools: frozenset[str] = frozenset()
    published = Published()

    def __init__(self) -> None:
        self.seen: list[Mapping[str, Any]] = []
        self.told: list[Callable[[Change], None]] = []
        schema = {"type": "object", "properties": {"item": {"type": "string"}}, "required": ["item"]}
        self.declared: Sequence[Tool] = [
            Tool(
                server="shop", name=name, access=access, listing={"name": name, "inputSchema": schema},
                bind=json.loads, run=self._run,
            )
            for name, access in (("price", Access.READ), ("buy", Access.DESTRUCTIVE))
        ]  # fmt: skip
        self.tools = self.declared
        self.resources = [
            Resource(
                server="shop", uri="shop://hours", listing={"uri": "shop://hours", "name": "hours"}, bind=dict,
                make=self._make,
            )
        ]  # fmt: skip

    async def _run(self, accepted: AcceptedCall, *_: object) -> RawResult:
        self.seen.append(accepted.arguments)
        return RawResult(
            content=[{"type": "text", "text": f"{accepted.arguments['item']}: 5 \x1b[31mEUR, token-of-the-shop"}]
        )

    async def _make(self, _call: Call, uri: str, *_: object) -> dict[str, Any]:
        return {"contents": [{"uri": uri, "text": "9 to 5"}]}

    def find(self, name: str) -> Tool | None:
        return next((tool for tool in self.tools if tool.name == name), None)

    def is_held(self, name: str) -> bool:
        return False

    def find_prompt(self, _name: str) -> Prompt | None:
        return None

    def find_resource(self, uri: str) -> Resource | None:
        return next((one for one in self.resources if one.uri == uri), None)

    def complete(self, _call: Call) -> Completion | None:
        return None

    def where(self, _tool: str) -> str:
        return ""

    def watch(self, listener: Callable[[Change], None]) -> None:
        self.told.append(listener)

    def watch_switches(self, turned: Callable[[Topic, str, bool], None]) -> None:
        pass

    def adopt(self, topic: Topic, name: str, *, on: bool) -> None:
        pass


def answers(folder: Path, access: Access, *asked: tuple[str, dict[str, Any]]) -> tuple[Remote, list[dict[str, Any]]]:
    """Return what a caller of that class is answered, one after the other."""
    remote, clock = Remote(), SystemClock()
    source: ToolSource = remote
    settings = settings_of("shop", None, {}, folder / "data")
    who = Principal(key="api-key:k", way=AuthMethod.API_KEY, server="shop", subject="k", access=access)

    async def run() -> list[dict[str, Any]]:
        await make_data(settings, clock)
        secrets = {"TOKEN": Secret("token-of-the-shop", "TOKEN")}
        async with join_in_process(settings, source, secrets, clock, lambda *_: None) as joined:
            conversation = Conversation(joined, joined.callers.add(who), None)
            ended = [
                await conversation.request(method, params, params.get("name") or params.get("uri", ""))
                for method, params in asked
            ]
            return [one.raw.get("result") or one.raw["error"] for one in ended]

    return remote, asyncio.run(run())


def test_its_lists_are_filtered_for_their_caller(tmp_path: Path) -> None:
    _, (tools, resources) = answers(tmp_path, Access.READ, ("tools/list", {}), ("resources/list", {}))
    assert [tool["name"] for tool in tools["tools"]] == ["price"]
    assert [one["uri"] for one in resources["resources"]] == ["shop://hours"]


def test_what_a_caller_is_not_shown_it_cannot_call(tmp_path: Path) -> None:
    remote, (no, unknown) = answers(
        tmp_path, Access.READ,
        ("tools/call", {"name": "buy", "arguments": {"item": "tea"}}),
        ("tools/call", {"name": "sell", "arguments": {"item": "tea"}}),
    )  # fmt: skip
    assert no == unknown | {"data": no["data"]}
    assert remote.seen == []


def test_what_it_answers_is_cleaned_and_its_secrets_are_redacted(tmp_path: Path) -> None:
    remote, (result, read, about) = answers(
        tmp_path, Access.WRITE,
        ("tools/call", {"name": "price", "arguments": {"item": "tea"}}),
        ("resources/read", {"uri": "shop://hours"}),
        ("server/discover", {}),
    )  # fmt: skip
    assert remote.seen == [{"item": "tea"}]
    text = result["content"][0]["text"]
    assert "\x1b" not in text
    assert "token-of-the-shop" not in text
    assert text.startswith("tea: 5 ")
    assert read["contents"] == [{"uri": "shop://hours", "text": "9 to 5"}]
    assert about["instructions"] == "ask politely"


def test_its_changes_reach_those_who_listen(tmp_path: Path) -> None:
    remote, _ = answers(tmp_path, Access.READ, ("tools/call", {"name": "price", "arguments": {"item": "tea"}}))
    assert len(remote.told) == 1
