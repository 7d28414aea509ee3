"""An output schema that the author wrote is published as it is, and no result that breaks it leaves. Over HTTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.ward import LAVISH, Ward, serving
from support.wire import reason_of

TOOLS = """
from typing import Any
from mcpward import Server, ToolResult

server = Server("prices")
SCHEMA = {
    "type": "object",
    "properties": {
        "price": {"type": "number", "minimum": 0},
        "code": {"type": "string", "pattern": "^[A-Z]{3}$"},
        "secret": {"type": "string"},
    },
    "required": ["price"],
    "additionalProperties": False,
}


@server.tool(read_only=True, output_schema=SCHEMA)
def price(value: dict[str, Any]) -> dict[str, Any]:
    return value


@server.tool(read_only=True, output_schema=SCHEMA)
def by_hand(value: dict[str, Any]) -> ToolResult:
    return ToolResult("a price", structured=value)


@server.tool(read_only=True, output_schema={"type": "object", "properties": {"a": {"pattern": "^(a+)+$"}}})
def slow(text: str):
    return {"a": text}
"""


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("schemas")
    (folder / "prices.py").write_text(TOOLS)
    servers = (
        f'[servers.prices]\nsource = "prices.py"\nmode = "public"\n[servers.prices.limits]\n{LAVISH}'
        '[servers.prices.tools.by_hand.output]\ndrop = ["secret"]\n'
    )
    with serving(folder, servers=servers) as ward:
        yield ward


def test_the_schema_is_published_as_it_was_written_but_for_dropped_members(ward: Ward):
    listed = {tool["name"]: tool["outputSchema"] for tool in ward.modern("tools/list").json()["result"]["tools"]}
    assert listed["price"]["properties"]["code"] == {"type": "string", "pattern": "^[A-Z]{3}$"}
    assert "secret" not in listed["by_hand"]["properties"]


@pytest.mark.parametrize("tool", ["price", "by_hand"])
@pytest.mark.parametrize(
    "value,fits",
    [
        ({"price": 5, "code": "EUR"}, True),
        ({"price": -1}, False),
        ({"price": "5"}, False),
        ({"code": "EUR"}, False),
        ({"price": 5, "code": "euro"}, False),
        ({"price": 5, "more": 1}, False),
    ],
)
def test_a_result_leaves_only_if_it_fits(ward: Ward, tool: str, value: dict, fits: bool):
    answer = ward.call(tool, {"value": value})
    assert reason_of(answer) == ("" if fits else "output-refused")
    if fits:
        assert answer.json()["result"]["structuredContent"] == value


def test_a_pattern_that_would_take_for_ever_takes_linear_time(ward: Ward):
    answer = ward.call("slow", {"text": "a" * 50_000 + "b"})
    assert reason_of(answer) == "output-refused"
    assert answer.elapsed.total_seconds() < 1.0


@pytest.mark.parametrize(
    "options,said",
    [
        ('output_schema={"type": "array"}', 'output_schema needs "type": "object" at its root'),
        ('output_schema={"type": "object", "$ref": "https://a.example/x"}', "refers to another document"),
        ('output_schema={"type": "object"}, structured=False', "exclude each other"),
    ],
)
def test_a_schema_that_cannot_be_published_is_a_finding_with_its_line(tmp_path: Path, options: str, said: str):
    with serving(tmp_path, servers='[servers.demo]\nsource = "bad.py"\n', start=False) as ward:
        (tmp_path / "bad.py").write_text(
            f'from mcpward import Server\nserver = Server("a")\n@server.tool({options})\ndef f():\n    return {{}}\n'
        )
        done = ward.cli("config", "check", "--load", check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert "bad.py:3" in done.stderr
