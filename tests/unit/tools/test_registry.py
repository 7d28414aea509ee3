from datetime import datetime

import pytest

from mcpward import DateRange, Server
from mcpward.core.errors import Misconfigured, Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Rate
from mcpward.tools.registry import Defaults, Registry


@pytest.fixture
def server() -> Server:
    return Server("shop")


def test_tools_are_listed_in_the_authors_order(server):
    for name in ("zebra", "ape", "mole"):
        server.tool(name)(lambda: None)
    registry = Registry("orders", server)
    assert [tool.name for tool in registry.tools] == ["zebra", "ape", "mole"]
    assert registry.find("ape") is registry.tools[1]


@pytest.mark.parametrize("name", ["Ape", "ape ", "", "__proto__", "ape\0", "a" * 10_000, "\u202eepa"])
def test_only_the_exact_name_finds_a_tool(server, name):
    """Attack 66."""
    server.tool("ape")(lambda: None)
    assert Registry("orders", server).find(name) is None


def test_an_entry_has_what_the_specification_asks_for(server):
    @server.tool(
        title="Count", read_only=True, open_world=False, idempotent=True, scopes=["a"], rate="60/minute burst 5"
    )
    def count(n: int) -> int:
        """Counts."""
        return n

    tool = Registry("orders", server).tools[0]
    assert tool.listing == {
        "name": "count",
        "title": "Count",
        "description": "Counts.",
        "inputSchema": {
            "type": "object",
            "properties": {"n": {"type": "integer"}},
            "required": ["n"],
            "additionalProperties": False,
        },
        "outputSchema": {"type": "object", "properties": {"result": {"type": "integer"}}, "required": ["result"]},
        "annotations": {
            "title": "Count",
            "readOnlyHint": True,
            "destructiveHint": False,
            "idempotentHint": True,
            "openWorldHint": False,
        },
    }
    assert tool.rate == Rate(60, 60.0, 5)
    assert tool.scopes == {"a"}
    assert tool.structured


def test_the_tools_own_deadline_goes_before_the_servers(server):
    server.tool("one")(lambda: None)
    server.tool("two", deadline_s=3)(lambda: None)
    assert [tool.deadline_s for tool in Registry("orders", server, Defaults(deadline_s=7)).tools] == [7, 3]


def test_all_rates_that_cannot_be_read_are_told_at_once(server):
    server.tool("one", rate="often")(lambda: None)
    server.tool("two", rate="0/minute")(lambda: None)
    with pytest.raises(Misconfigured) as wrong:
        Registry("orders", server)
    assert [finding.what for finding in wrong.value.findings] == [
        "tool 'one': its rate cannot be read",
        "tool 'two': its rate cannot be read",
    ]


def test_all_guards_are_asked(server):
    @server.tool(guards=[DateRange("a", "b", 1), DateRange("a", "c", 2)])
    def between(a: datetime, b: datetime, c: datetime) -> None: ...

    tool = Registry("orders", server).tools[0]
    raw = b'{"a": "2026-01-01T00:00:00Z", "b": "2026-02-01T00:00:00Z", "c": "2026-02-01T00:00:00Z"}'
    with pytest.raises(Refusal) as refusal:
        tool.bind(raw)
    assert refusal.value.reason is Reason.ARGUMENT_DANGEROUS
    assert refusal.value.facts["problems"] == [
        {"path": "b", "rule": "at most 1 days after a"},
        {"path": "c", "rule": "at most 2 days after a"},
    ]
