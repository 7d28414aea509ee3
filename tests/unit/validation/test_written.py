"""Refusals of a hand-written schema name the path and the rule, and never the value (attack 83)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

from mcpward import Server
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Tool
from mcpward.tools.registry import Registry
from mcpward.validation.accept import accept
from support.calls import call_of
from support.facts import facts_of

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "n": {"type": "integer", "minimum": 1, "maximum": 9, "multipleOf": 2},
        "text": {"type": "string", "maxLength": 5, "minLength": 2, "pattern": "^[a-z]*$"},
        "at": {"type": "string", "format": "date"},
        "mode": {"enum": ["a", "b"]},
        "fixed": {"const": "x"},
        "list": {"type": "array", "maxItems": 2, "uniqueItems": True, "items": {"type": ["string", "null"]}},
        "inner": {"type": "object", "required": ["id"], "additionalProperties": False, "properties": {"id": {}}},
        "either": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
    },
    "additionalProperties": False,
}


def tool_of(schema: dict[str, Any]) -> Tool:
    server = Server("shop")

    @server.tool(input_schema=schema)
    async def act(arguments: dict[str, Any]) -> None: ...

    return Registry("orders", server).tools[0]


TOOL = tool_of(SCHEMA)


def problems(raw: bytes, tool: Tool = TOOL) -> list[dict[str, str]]:
    with pytest.raises(Refusal) as no:
        accept(call_of("act", raw), tool)
    assert no.value.reason is Reason.ARGUMENTS_INVALID
    assert no.value.__cause__ is None
    return facts_of(no.value)["problems"]


def test_what_fits_is_given_whole():
    raw = b'{"n": 4, "inner": {"id": 1}, "list": ["a", null]}'
    accepted = accept(call_of("act", raw), TOOL)
    assert accepted.arguments == {"arguments": {"n": 4, "inner": {"id": 1}, "list": ["a", None]}}
    assert accept(call_of("act"), TOOL).arguments == {"arguments": {}}


@pytest.mark.parametrize(
    "raw,path,rule",
    [
        (b'{"n": 0}', "n", "an integer of 1 to 9, a multiple of 2"),
        (b'{"n": 10}', "n", "an integer of 1 to 9, a multiple of 2"),
        (b'{"n": 3}', "n", "an integer of 1 to 9, a multiple of 2"),
        (b'{"n": "4"}', "n", "an integer of 1 to 9, a multiple of 2"),
        (b'{"n": true}', "n", "an integer of 1 to 9, a multiple of 2"),
        (b'{"text": "SECRET"}', "text", "a string of 2 to 5 characters that matches ^[a-z]*$"),
        (b'{"text": "a"}', "text", "a string of 2 to 5 characters that matches ^[a-z]*$"),
        (b'{"text": "ABC"}', "text", "a string of 2 to 5 characters that matches ^[a-z]*$"),
        (b'{"at": "soon"}', "at", "a date such as 2026-03-01"),
        (b'{"mode": "c"}', "mode", 'one of "a", "b"'),
        (b'{"fixed": "y"}', "fixed", '"x"'),
        (b'{"list": [1]}', "list.0", "a string or null"),
        (b'{"list": ["a", "b", "c"]}', "list", "an array of at most 2 items, without repetitions"),
        (b'{"list": ["a", "a"]}', "list", "an array of at most 2 items, without repetitions"),
        (b'{"inner": {}}', "inner.id", "required"),
        (b'{"inner": {"id": 1, "more": 2}}', "inner.more", "not a member of this object; there are id"),
        (b'{"more": 1}', "more", "not an argument of this tool; did you mean mode?"),
        (b'{"either": []}', "either", "a string or an integer"),
    ],
)
def test_a_problem_has_path_and_rule(raw, path, rule):
    assert {"path": path, "rule": rule} in problems(raw)


def test_an_integer_beyond_64_bits_is_refused_before_any_schema():
    assert problems(b'{"n": 99999999999999999999}') == [{"path": "n", "rule": "an integer within 64 bits"}]


def test_there_are_at_most_16_problems():
    raw = json.encode({"n": 0, "text": "SECRET", **{f"x{n}": n for n in range(100)}})
    assert len(problems(raw)) == 16


CANARY = "c4n4ry"


@given(
    st.sampled_from([*SCHEMA["properties"], "other"]),
    st.sampled_from([CANARY, [CANARY], {"id": {}, CANARY + " !": CANARY}, {CANARY + "\n": 1}]),
)
def test_no_value_and_no_strange_name_is_told(name, value):
    try:
        accept(call_of("act", json.encode({name: value})), TOOL)
    except Refusal as no:
        assert CANARY not in str(facts_of(no)) + no.detail  # noqa: PT017  most of these are refused, some fit


def test_a_foreign_group_of_errors_is_nobodys_problem():
    def bind(_raw: bytes) -> dict[str, Any]:
        raise ExceptionGroup("an author's", [ValueError(CANARY)])

    tool = Tool(server="orders", name="act", access=TOOL.access, listing={}, bind=bind, run=TOOL.run)
    with pytest.raises(TypeError) as broken:
        accept(call_of("act"), tool)
    assert CANARY not in str(broken.value)
