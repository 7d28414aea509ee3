"""Schemas that bound nothing, and schemas that are bombs (attacks 74, 75, 76), at the declaration and over HTTP."""

import json
import time
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import Any

import pytest

from mcpward import Server
from mcpward.core.errors import Refusal
from mcpward.sdk.errors import AuthoringError
from support.ward import LAVISH, Ward, serving, text_of

TOOLS = '''
from typing import Any
from pydantic import BaseModel
from mcpward import Server

server = Server("demo")


class Line(BaseModel):
    note: str


@server.tool(read_only=True)
async def typed(
    text: str = "", tags: list[str] = [], n: int = 0, lines: list[Line] = [], more: dict[str, int] = {}
) -> str:
    """Takes all sorts."""
    return "ran"


@server.tool(read_only=True, input_schema={
    "type": "object",
    "properties": {
        "text": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}, "n": {"type": "integer"},
        "code": {"type": "string", "pattern": "^(a+)+$"},
    },
})
async def written(arguments: dict[str, Any]) -> str:
    """Takes a schema of its author's."""
    return "ran"


@server.tool(read_only=True, input_schema={"type": "object", "properties": {"ok": {"type": "boolean"}},
    "additionalProperties": False})
async def bounded(arguments: dict[str, Any]) -> str:
    """Bounds everything."""
    return "ran"
'''
SERVERS = f"""
[servers.bounded]
source = "bounds.py"
mode = "public"
[servers.bounded.limits]
{LAVISH}
[servers.off]
source = "bounds.py"
mode = "public"
bounds = "off"
[servers.off.limits]
{LAVISH}
"""
LONG = "x" * 10_001
WITHIN: dict[str, Any] = {
    "text": LONG[1:], "tags": [LONG[1:]] * 3, "n": 2**63 - 1, "lines": [{"note": "x"}] * 1000, "more": {"a": 1},
}  # fmt: skip
BEYOND: dict[str, Any] = {
    "text": LONG, "tags": ["x"] * 1001, "n": 2**63, "lines": [{"note": LONG}],
    "more": {str(at): at for at in range(1001)},
}  # fmt: skip


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("bounds")
    (folder / "bounds.py").write_text(TOOLS)
    with serving(folder, servers=SERVERS) as running:
        yield running


def schemas(ward: Ward, server: str) -> dict[str, Any]:
    tools = ward.modern("tools/list", path=f"/{server}/mcp").json()["result"]["tools"]
    return {tool["name"]: tool["inputSchema"]["properties"] for tool in tools}


PUBLISHED = {"text": "10000", "tags": "1000", "n": "9223372036854775807", "lines": "10000", "more": "1000"}


@pytest.mark.parametrize(
    "tool,name", [*(("typed", name) for name in BEYOND), *(("written", name) for name in ("text", "tags", "n"))]
)
def test_attack_74_what_has_no_bound_gets_one_that_holds_and_is_published(ward: Ward, tool: str, name: str):
    answer = ward.call(tool, {name: BEYOND[name]}, path="/bounded/mcp").json()["result"]
    assert answer["isError"]
    assert answer["content"][0]["text"].count(name) >= 1
    assert text_of(ward.call(tool, {name: WITHIN[name]}, path="/bounded/mcp")) == "ran"
    listed = json.dumps(schemas(ward, "bounded")[tool][name])
    assert {"text": "10000", "tags": "1000", "n": "9223372036854775807", "lines": "10000", "more": "1000"}[
        name
    ] in listed


def test_attack_74_the_start_names_each_tool_once_with_the_line_to_write(ward: Ward):
    lines = [line for line in ward.log().splitlines() if "no bound" in line]
    assert len(lines) == 2
    assert "server bounded: tool 'typed': text, tags, tags[] and 5 more have no bound; default bounds hold" in lines[0]
    assert "write text: Annotated[str, Field(max_length=200)]" in lines[0].replace('\\"', '"')
    assert "bounds.py:" in lines[0]
    assert "tool 'written'" in lines[1]


def test_attack_74_the_list_counts_what_has_no_bound(ward: Ward):
    shapes = {one["tool"]: one for one in json.loads(ward.cli("tools", "bounded", "--json").stdout)}
    assert [one["path"] for one in shapes["typed"]["unbounded"]] == [
        "text", "tags", "tags[]", "n", "lines", "lines[].note", "more", "more.*",
    ]  # fmt: skip
    assert shapes["bounded"]["unbounded"] == []
    assert "8 without a bound" in ward.cli("tools", "bounded").stdout


def test_attack_74_bounds_are_off_where_the_operator_says_so(ward: Ward):
    assert text_of(ward.call("typed", {"text": LONG, "tags": ["x"] * 1001}, path="/off/mcp")) == "ran"
    assert schemas(ward, "off")["typed"]["text"]["type"] == "string"
    assert "maxLength" not in json.dumps(schemas(ward, "off"))


def test_attack_74_strict_refuses_to_start_and_names_every_part(tmp_path):
    servers = '[servers.strict]\nsource = "bounds.py"\nmode = "public"\nbounds = "strict"\n'
    (tmp_path / "bounds.py").write_text(TOOLS)
    with serving(tmp_path, servers=servers, start=False) as ward:
        done = ward.cli("serve", check=False)
        assert done.returncode == 2
        said = done.stderr
        for part in ("text (string)", "tags (array)", "lines[].note (string)", "more (object)", "code (string)"):
            assert f"of server strict: {part} has no bound" in said
        assert 'write "maxLength": 200' in said
        assert "tool 'bounded'" not in said


def test_attack_75_a_pattern_by_hand_takes_linear_time(ward: Ward):
    """``(a+)+$`` on 50 KB that do not match: a backtracking engine never comes back."""
    began = time.perf_counter()
    answer = ward.call("written", {"code": "a" * 50_000 + "!"}, path="/off/mcp").json()["result"]
    assert answer["isError"]
    assert time.perf_counter() - began < 2
    best = min(
        _cpu_s({"type": "object", "properties": {"a": {"pattern": "^(a+)+$"}}}, "a" * 50_000 + "!") for _ in "abc"
    )
    assert best < 0.05


def _cpu_s(schema: dict[str, Any], value: Any) -> float:
    server = Server("shop")

    @server.tool(input_schema=schema)
    def act(arguments: dict[str, Any]) -> str:
        """Act."""
        return ""

    raw = json.dumps({"a": value}).encode()
    began = time.process_time()
    with pytest.raises(ExceptionGroup):
        server.tools[0].arguments.bind(raw)
    return time.process_time() - began


def doubling(keyword: str, levels: int) -> dict[str, Any]:
    """A schema of a kilobyte that unfolds to 2 ** levels."""
    steps = {
        f"s{at}": {keyword: [{"$ref": f"#/$defs/s{at + 1}"}, {"$ref": f"#/$defs/s{at + 1}"}]} for at in range(levels)
    }
    return {
        "type": "object", "properties": {"a": {"$ref": "#/$defs/s0"}},
        "$defs": steps | {f"s{levels}": {"type": "string"}},
    }  # fmt: skip


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


BOMBS = {
    "allOf": doubling("allOf", 20),
    "anyOf": doubling("anyOf", 20),
    "oneOf": doubling("oneOf", 20),
    "circle": {
        "type": "object", "$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
    },
    "itself": {"type": "object", "allOf": [{"$ref": "#"}]},
    "deep": deep(400),
    "wide": {"type": "object", "allOf": [{"required": [f"a{at}"]} for at in range(3000)]},
    "large": {"type": "object", "description": "x" * 70_000},
    "pattern": {"type": "object", "properties": {"a": {"pattern": "((a{0,99}){0,99}){0,99}"}}},
    "dynamic": {"type": "object", "properties": {"a": {"$dynamicRef": "#x"}}, "$defs": {"x": {"$dynamicAnchor": "x"}}},
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_attack_76_a_bomb_is_refused_when_it_is_declared_in_less_than_50_ms(name: str):
    took = []
    for _ in range(3):  # the first one imports
        server = Server("shop")

        def act(arguments: dict[str, Any]) -> str:
            """Act."""
            return ""

        began = time.process_time()
        with pytest.raises(AuthoringError) as wrong:
            server.tool(input_schema=BOMBS[name])(act)
        took.append(time.process_time() - began)
        assert wrong.value.hint
    assert min(took) < 0.05


def test_attack_76_a_schema_within_itself_is_checked_in_less_than_50_ms():
    server = Server("shop")
    node = {"anyOf": [{"properties": {"a": {"$ref": "#/$defs/n"}}}, {"properties": {"a": {"$ref": "#/$defs/n"}}}]}
    leaf = {"type": "object", "required": ["leaf"]}
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"allOf": [node, leaf]}}}

    @server.tool(input_schema=schema)
    def act(arguments: dict[str, Any]) -> str:
        """Act."""
        return ""

    arguments = server.tools[0].arguments.with_default_bounds()
    took = []
    for levels in (4, 16, 60):
        value: dict[str, Any] = {"leaf": 1}
        for _ in range(levels):
            value = {"a": value, "leaf": 1}
        raw = json.dumps(value).encode()
        began = time.process_time()
        with suppress(Refusal) if levels > 4 else nullcontext():
            arguments.bind(raw)
        took.append(time.process_time() - began)
    assert max(took) < 0.05
