"""Arguments as clients and models send them, to the shipped process: what is taken, what is answered, what is on
record.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.generated import arguments_of
from support.ward import LAVISH, Ward, serving
from support.wire import until

TOOLS = '''
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum
from typing import Annotated, Any, Literal
from pydantic import BaseModel
from mcpward import Limit, Server

server = Server("shop")


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Line(BaseModel):
    count: int
    due: datetime | None = None
    note: str = "none"


@server.tool(read_only=True)
async def ints(n: int, limit: Annotated[int, Limit(max=100)] = 20, tags: list[str] | None = None) -> str:
    """Numbers."""
    return f"{n!r} {limit!r} {tags!r}"


@server.tool(read_only=True)
async def many(
    level: Level = Level.LOW,
    lines: list[Line] = [],
    at: datetime | None = None,
    day: date = date(2026, 1, 1),
    price: Decimal = Decimal(1),
    share: float = 0.5,
    pick: Literal[1, "two", None] = 1,
    by_number: dict[int, Line | int] = {},
) -> str:
    """All sorts."""
    return repr(at)


@server.tool(read_only=True, unknown_arguments="drop")
async def lenient(n: int = 0) -> str:
    """Drops what it does not know."""
    return repr(n)


@server.tool(read_only=True, input_schema={
    "type": "object",
    "properties": {"n": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}},
    "additionalProperties": False,
})
async def written(arguments: dict[str, Any]) -> str:
    """Takes a schema of its author's."""
    return repr(arguments)


@server.tool(read_only=True, name="calendar.read")
async def dotted() -> str:
    """Has a dot in its name."""
    return "x"


@server.tool(read_only=True, name="x" * 65)
async def long() -> str:
    """Has a long name."""
    return "x"


@server.tool(read_only=True, name="y" * 60)
async def prefixed() -> str:
    """Is too long with its server's name before it."""
    return "x"


@server.prompt
async def week(number: int, tone: str = "short") -> str:
    """A week."""
    return f"week {number!r} {tone}"
'''
SERVERS = f"""
[servers.shop]
source = "shop.py"
mode = "public"
[servers.shop.limits]
{LAVISH}
[servers.strict]
source = "shop.py"
mode = "public"
unknown_arguments = "refuse"
[servers.strict.tools.many]
unknown_arguments = "drop"
[servers.open]
source = "shop.py"
mode = "public"
unknown_arguments = "drop"
"""
N8N = {"toolCallId": "call_1", "sessionId": "s", "action": "sendMessage", "chatInput": "x"}


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("arguments")
    (folder / "shop.py").write_text(TOOLS)
    with serving(folder, servers=SERVERS) as running:
        yield running


def call(ward: Ward, tool: str, arguments: Any, server: str = "shop") -> dict[str, Any]:
    return ward.call(tool, arguments, path=f"/{server}/mcp").json()["result"]


def raw_call(ward: Ward, tool: str, arguments: bytes) -> dict[str, Any]:
    """Send the arguments byte for byte, as a client that does not write JSON as we do."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": "@", "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }}}  # fmt: skip
    text = json.dumps(body).encode().replace(b'"@"', arguments)
    headers = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": tool}
    return ward.post(text, path="/shop/mcp", headers=headers).json()["result"]


def words(result: dict[str, Any]) -> str:
    return str(result["content"][0]["text"])


@pytest.mark.parametrize(
    "written,read", [("5", "5"), ("5.0", "5"), ("1e3", "1000"), ("9007199254740993.0", "9007199254740993")]
)
def test_an_integer_may_be_written_with_a_point_or_an_exponent(ward: Ward, written: str, read: str):
    result = raw_call(ward, "ints", b'{"n": %b, "limit": 1E1}' % written.encode())
    assert not result.get("isError"), result
    assert words(result) == f"{read} 10 None"


@pytest.mark.parametrize("number", ["5.5", '"5"', "true", "1e30", "null"])
def test_73_what_is_no_integer_is_refused_in_words(ward: Ward, number: str):
    result = raw_call(ward, "ints", b'{"n": %b}' % number.encode())
    assert result["isError"]
    assert "\nn: an integer" in words(result)


def test_a_problem_says_what_the_schema_takes_and_not_what_came(ward: Ward):
    text = words(call(ward, "ints", {"limit": 1000, "tag": "canary", "tags": ["canary", 7]}))
    assert "\nn: required: an integer" in text
    assert "\nlimit: an integer of 1 to 100" in text
    assert "\ntag: not an argument of this tool; did you mean tags?" in text
    assert "\ntags.1: a string" in text
    assert "canary" not in text
    text = words(call(ward, "many", {"at": "canary", "level": 7}))
    assert "\nat: an RFC 3339 date-time such as 2026-03-01T00:00:00Z or null" in text
    assert "\nlevel: one of 1, 2" in text


def test_null_for_an_optional_argument_is_its_default(ward: Ward):
    assert words(call(ward, "ints", {"n": 1, "limit": None, "tags": None})) == "1 20 None"


def test_a_time_without_an_offset_is_in_utc(ward: Ward):
    assert "tzinfo=TzInfo(0)" in words(call(ward, "many", {"at": "2026-03-01T10:00:00"}))
    assert words(call(ward, "written", {"n": 5.0, "at": "2026-03-01"})) == "{'n': 5, 'at': '2026-03-01T00:00:00Z'}"


def test_77_n8n_is_served_and_the_record_says_what_was_dropped(ward: Ward):
    result = call(ward, "ints", {"n": 1, **N8N})
    assert words(result) == "1 20 None"

    def dropped() -> list[Any]:
        with closing(sqlite3.connect(ward.folder / ".mcpward" / "mcpward.db")) as db:
            return db.execute("SELECT detail FROM traffic WHERE detail LIKE 'dropped %' AND outcome = 'ok'").fetchall()

    assert ("dropped toolCallId, sessionId, action, chatInput",) in until(dropped)
    assert "dropped toolCallId" in ward.cli("log", "--tool", "ints").stdout


def test_77_any_other_name_is_refused_unless_server_or_tool_drops(ward: Ward):
    assert call(ward, "ints", {"n": 1, "admin": True})["isError"]
    assert not call(ward, "lenient", {"n": 1, "admin": True}).get("isError")
    assert not call(ward, "ints", {"n": 1, "admin": True}, server="open").get("isError")
    assert not call(ward, "many", {"admin": True}, server="strict").get("isError")
    assert call(ward, "ints", {"n": 1, **N8N}, server="strict")["isError"]


def test_wrong_params_say_which_and_what_they_must_be(ward: Ward):
    answer = ward.modern("tools/list", {"cursor": 5}, path="/shop/mcp").json()["error"]
    assert answer["message"].endswith(": cursor: a string")
    assert answer["data"]["problems"] == [{"path": "cursor", "rule": "a string"}]
    answer = ward.modern(
        "prompts/get", {"name": "week", "arguments": {"number": "canary"}}, name="week", path="/shop/mcp"
    )
    assert answer.json()["error"]["data"]["problems"] == [{"path": "number", "rule": "an integer"}]
    assert "canary" not in answer.text


def test_a_prompt_reads_its_numbers_likewise(ward: Ward):
    asked = {"name": "week", "arguments": {"number": "1e1", "tone": None}}
    answer = ward.modern("prompts/get", asked, name="week", path="/shop/mcp").json()["result"]
    assert answer["messages"][0]["content"]["text"] == "week 10 short"


def test_names_that_clients_drop_are_told_once_at_the_start(ward: Ward):
    log = ward.log()
    assert (
        log.count("server shop: tool name 'calendar.read': Claude Desktop, claude.ai and Codex do not accept a dot")
        == 1
    )
    assert f"server shop: tool name '{'x' * 65}': Claude Desktop, Claude Code and Codex take at most 64" in log
    assert f"server shop: tool name '{'y' * 60}': Claude Code and Codex call it mcp__shop__NAME and take 64" in log


@pytest.mark.parametrize("tool", ["ints", "many", "written"])
def test_what_the_published_schema_allows_is_accepted(ward: Ward, tool: str):
    listed = ward.modern("tools/list", path="/shop/mcp").json()["result"]["tools"]
    schema = next(one["inputSchema"] for one in listed if one["name"] == tool)

    @settings(max_examples=25, suppress_health_check=list(HealthCheck), database=None)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        result = raw_call(ward, tool, data.draw(arguments_of(schema)))
        assert not result.get("isError"), words(result)

    check()
