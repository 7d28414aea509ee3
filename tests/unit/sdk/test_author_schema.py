"""Schemas that authors write: published as they are, bounded, never fetching (attack 76)."""

import socket
import time
from typing import Any

import pytest

from mcpward import DateRange, Server
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.schema.author_schema import Written
from mcpward.sdk.signature import REQUIRED, Parameter
from support.facts import facts_of

WHOLE = (Parameter("arguments", dict[str, Any], REQUIRED),)
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {"$anchor": "place", "type": "object", "properties": {"city": {"type": "string"}}}},
    "properties": {
        "name": {"type": "string", "maxLength": 5},
        "at": {"$ref": "#/$defs/address"},
        "to": {"$ref": "#place"},
    },
    "if": {"properties": {"name": {"const": "x"}}, "required": ["name"]},
    "then": {"required": ["at"]},
    "else": {"not": {"required": ["at"]}},
    "additionalProperties": False,
}


def written(schema: Any) -> Written:
    return Written(schema, WHOLE, "tool 'act'", "")


def rules(**more: Any) -> dict[str, Any]:
    return {"type": "object", **more}


def test_it_is_published_as_it_was_written_and_nobody_can_change_it():
    server = Server("shop")
    schema = {**SCHEMA, "x-own": [1]}

    @server.tool(input_schema=schema)
    async def act(arguments: dict[str, Any]) -> None: ...

    schema["x-own"].append(2)
    assert server.tools[0].arguments.schema() == {**SCHEMA, "x-own": [1]}
    assert list(server.tools[0].arguments.schema()) == list(schema)


def test_the_function_gets_the_object_whole():
    assert written(SCHEMA).bind(b'{"name": "x", "at": {"city": "y"}}') == {
        "arguments": {"name": "x", "at": {"city": "y"}}
    }


@pytest.mark.parametrize(
    "raw", [b'{"name": 1}', b'{"name": "x"}', b'{"at": {}}', b'{"to": {"city": 1}}', b'{"more": 1}']
)
def test_what_does_not_fit_is_refused(raw):
    with pytest.raises(ExceptionGroup):
        written(SCHEMA).bind(raw)


@pytest.mark.parametrize(
    "function",
    [
        lambda: None,
        lambda name: None,
        lambda arguments, more: None,
    ],
)
def test_the_function_takes_arguments_and_nothing_else(function):
    function.__annotations__ = dict.fromkeys(function.__code__.co_varnames, dict[str, Any])
    with pytest.raises(AuthoringError, match=r"arguments: dict\[str, Any\]"):
        Server("shop").tool("act", input_schema=SCHEMA)(function)


def test_a_model_is_not_promised_in_vain():
    def act(arguments: DateRange) -> None: ...

    with pytest.raises(AuthoringError, match=r"arguments: dict\[str, Any\]"):
        Server("shop").tool(input_schema=SCHEMA)(act)


def test_guards_have_nothing_to_look_at():
    def act(arguments: dict[str, Any]) -> None: ...

    with pytest.raises(AuthoringError, match="exclude each other"):
        Server("shop").tool(input_schema=SCHEMA, guards=[DateRange("a", "b", 1)])(act)


@pytest.fixture
def nobody_calls(monkeypatch):
    def fetched(*_: Any) -> None:
        raise AssertionError("something was fetched")

    monkeypatch.setattr(socket.socket, "connect", fetched)


@pytest.mark.parametrize(
    "schema,said",
    [
        ({"type": "string"}, "type.*object"),
        ({}, "type.*object"),
        ([], "type.*object"),
        (True, "type.*object"),
        (rules(default=object()), "JSON"),
        (rules(**{"$schema": "http://json-schema.org/draft-07/schema#"}), "dialect"),
        (rules(**{"$schema": "http://evil.example/schema"}), "dialect"),
        (rules(properties={"a": {"$ref": "http://169.254.169.254/latest"}}), "another document"),
        (rules(properties={"a": {"$ref": "file:///etc/passwd"}}), "another document"),
        (rules(properties={"a": {"$ref": "other.json#/$defs/a"}}), "another document"),
        (rules(**{"$defs": {"a": {"$ref": "//evil.example/a"}}}), "another document"),
        (rules(properties={"a": {"$ref": "#/$defs/none"}}), "missing definition"),
        (rules(properties={"a": {"$ref": "#none"}}), "missing definition"),
        (rules(properties={"a": {"$dynamicRef": "#a"}}), "dynamic"),
        (rules(**{"$defs": {"a": {"$dynamicAnchor": "a"}}}), "dynamic"),
        (rules(properties={"a": {"$id": "http://evil.example/", "type": "string"}}), r"\$id"),
        (rules(**{"$defs": {"a": {"$anchor": "x"}, "b": {"$anchor": "x"}}}), "twice"),
        (rules(properties={"a": {"type": "strin"}}), "properties.a.type"),
        (rules(properties={"a": {"minimum": "1"}}), "not a schema"),
        (rules(properties={"a": {"pattern": "("}}), "not a schema"),
        (rules(properties={"a": {"pattern": r"(a)\1"}}), "not a schema"),
        (rules(description="x" * 70_000), "larger"),
        (rules(enum=[{} for _ in range(2_001)]), "larger"),
        (rules(**{"$ref": "#"}), "circle"),
        (rules(allOf=[{"$ref": "#/$defs/a"}], **{"$defs": {"a": {"anyOf": [{"$ref": "#"}]}}}), "circle"),
        (rules(**{"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}), "circle"),
        (rules(properties={"a": {"type": "string", "x-mcp-header": "bad name"}}), "header name"),
    ],
)
def test_a_schema_that_cannot_be_served_is_refused_at_import(nobody_calls, schema, said):
    with pytest.raises(AuthoringError, match=said) as refused:
        written(schema)
    assert "\n" not in refused.value.what
    assert refused.value.what.startswith("tool 'act': ")


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"not": schema}
    return rules(**schema)


def test_depth_is_bounded():
    written(nested(20))
    with pytest.raises(AuthoringError, match="larger"):
        written(nested(40))


def doubling(levels: int) -> dict[str, Any]:
    definitions: dict[str, Any] = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(levels)}
    definitions[f"d{levels}"] = {"type": "object"}
    return rules(**{"$ref": "#/$defs/d0", "$defs": definitions})


def test_references_that_double_are_counted_before_they_are_used():
    """A schema of 2 KiB that unfolds to 2^20 (attack 76)."""
    began = time.perf_counter()
    with pytest.raises(AuthoringError, match="unfolds"):
        written(doubling(20))
    assert time.perf_counter() - began < 1
    written(doubling(8))


@pytest.mark.slow
def test_a_long_chain_of_references_is_refused():
    links = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(900)}
    with pytest.raises(AuthoringError, match="too long a chain of references"):
        written(rules(**{"$ref": "#/$defs/d0", "$defs": {**links, "d900": {}}}))


TREE = rules(
    properties={"left": {"$ref": "#"}, "right": {"$ref": "#"}, "name": {"type": "string"}}, additionalProperties=False
)
TWICE = rules(allOf=[{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}])


def deep(levels: int, name: str) -> bytes:
    return (b'{"%b":' % name.encode()) * levels + b"{}" + b"}" * levels


def test_a_recursive_schema_of_one_way_takes_any_depth():
    assert written(TREE).bind(deep(60, "left"))


def test_a_recursive_schema_that_doubles_takes_bounded_depth():
    """Two ways on from each level are 2^60 checks at 60 levels."""
    own = written(TWICE)
    assert own.bind(deep(10, "a"))
    began = time.perf_counter()
    with pytest.raises(Refusal) as no:
        own.bind(deep(60, "a"))
    assert time.perf_counter() - began < 1
    assert no.value.reason is Reason.ARGUMENTS_INVALID
    assert facts_of(no.value)["problems"][0]["rule"].startswith("at most ")


def test_a_pattern_takes_linear_time():
    own = written(rules(properties={"a": {"type": "string", "pattern": "^(a+)+$"}}))
    began = time.perf_counter()
    with pytest.raises(ExceptionGroup):
        own.bind(b'{"a": "' + b"a" * 50_000 + b'!"}')
    assert time.perf_counter() - began < 1


def test_formats_are_checked():
    own = written(rules(properties={"at": {"type": "string", "format": "date"}}))
    assert own.bind(b'{"at": "2026-01-31"}')
    with pytest.raises(ExceptionGroup):
        own.bind(b'{"at": "soon"}')
