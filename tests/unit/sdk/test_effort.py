"""The cost of checking arguments, counted before it is begun (attack 121)."""

import re
from itertools import pairwise
from typing import Annotated, Any, Literal

import pytest
from msgspec import json
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mcpward import Server
from mcpward.core.effort import LARGE, Effort
from mcpward.core.errors import Refusal
from mcpward.sdk.errors import AuthoringError
from mcpward.tools.registry import Registry
from support.cost import cost_of
from support.facts import facts_of


class Branch(BaseModel):
    kids: list["Branch | Leaf"] = []
    name: str = ""


class Leaf(BaseModel):
    leaf: int
    kids: list["Branch | Leaf"] = []


class File(BaseModel):
    kind: Literal["file"]
    size: int


class Folder(BaseModel):
    kind: Literal["folder"]
    parts: list[Annotated["File | Folder", Field(discriminator="kind")]] = []


class Chain(BaseModel):
    value: int = 0
    rest: "Chain | None" = None


class Wide(BaseModel):
    a: int
    b: int
    c: int


for model in (Branch, Leaf, Folder, Chain):
    model.model_rebuild()

server = Server("shop")


@server.tool(read_only=True)
def plain(text: str = "", number: int = 0) -> int:
    return number


@server.tool(read_only=True)
def records(rows: list[Wide]) -> int:
    return len(rows)


@server.tool(read_only=True)
def tree(root: Branch) -> str:
    return root.name


@server.tool(read_only=True)
def folder(root: Folder) -> int:
    return len(root.parts)


@server.tool(read_only=True)
def chain(first: Chain) -> int:
    return first.value


@server.tool(read_only=True)
def either(rows: list[Wide | Leaf | Chain | int | str]) -> int:
    return len(rows)


@server.tool(read_only=True)
def named(values: dict[str, int], other: dict[str, int] | dict[str, str] | None = None) -> int:
    return len(values)


def written(name: str, schema: dict[str, Any]) -> None:
    async def function(arguments: dict[str, Any]) -> int:
        return len(arguments)

    function.__name__ = name
    server.tool(read_only=True, input_schema=schema)(function)


ALTERNATIVES = [{"type": "object", "required": [f"o{n}"], "properties": {"x": {"type": "integer"}}} for n in range(20)]
written("many", {"type": "object", "properties": {"rows": {"type": "array", "items": {"anyOf": ALTERNATIVES}}}})
written("few", {"type": "object", "properties": {"rows": {"type": "array", "items": {"type": "integer"}}}})
written(
    "patterns",
    {"type": "object", "patternProperties": {f"^p{n}[a-z]*$": {"type": "integer"} for n in range(100)}},
)

registry = Registry("shop", server)


def effort_of(name: str) -> Effort:
    tool = registry.find(name)
    assert tool is not None
    assert tool.effort is not None
    return tool.effort


def visits(name: str, value: Any) -> int:
    return effort_of(name).count(json.encode(value), 10**9)


def nested(levels: int, inner: Any) -> Any:
    for _ in range(levels):
        inner = {"kids": [inner]}
    return {"root": inner}


def test_121_alternatives_that_contain_themselves_double_with_each_level():
    counts = [visits("tree", nested(levels, {})) for levels in (4, 5, 6, 7)]
    assert all(1.8 < more / less < 2.2 for less, more in pairwise(counts)), counts


def test_121_what_doubles_without_end_is_counted_no_further_than_asked():
    effort = effort_of("tree")
    raw = json.encode(nested(60, {"leaf": "x"}))
    assert cost_of(lambda: effort.count(raw, effort.most)) < 1
    assert effort.count(raw, effort.most) > effort.most
    assert not effort.is_little(raw)


def test_an_alternative_that_is_chosen_by_its_tag_is_the_only_one_that_counts():
    value: Any = {"kind": "file", "size": 1}
    for _ in range(25):
        value = {"kind": "folder", "parts": [value]}
    assert visits("folder", {"root": value}) < 500
    assert effort_of("folder").is_little(json.encode({"root": value}))


def test_a_model_that_contains_itself_once_grows_with_its_value_alone():
    value: Any = {}
    for _ in range(30):
        value = {"rest": value}
    assert visits("chain", {"first": value}) < 500


@pytest.mark.parametrize(
    "name, value",
    [
        ("plain", {"text": "x" * 60_000}),
        ("records", {"rows": [{"a": 1, "b": 2, "c": 3}] * 100}),
        ("few", {"rows": [1] * 20_000}),
        ("tree", nested(3, {})),
        ("plain", {}),
    ],
)
def test_what_takes_little_stays_on_the_event_loop(name, value):
    assert effort_of(name).is_little(json.encode(value))


@pytest.mark.parametrize(
    "name, value",
    [
        ("plain", {"text": "x" * LARGE}),
        ("records", {"rows": [{}] * 5000}),
        ("either", {"rows": [{}] * 500}),
        ("tree", nested(12, {})),
        ("patterns", {f"p{n}": 1 for n in range(2000)}),
    ],
)
def test_121_what_may_take_long_does_not(name, value):
    assert not effort_of(name).is_little(json.encode(value))


@pytest.mark.parametrize(
    "name, value",
    [
        ("tree", nested(20, {})),
        ("many", {"rows": [{}] * 33_000}),
        ("patterns", {f"p{n}": 1 for n in range(50_000)}),
        ("plain", {f"p{n}": 1 for n in range(90_000)}),
    ],
)
def test_121_what_would_take_far_too_long_is_more_than_the_most(name, value):
    effort = effort_of(name)
    raw = json.encode(value)
    assert effort.count(raw, effort.most) > effort.most


@pytest.mark.parametrize(
    "name, value",
    [
        ("records", {"rows": [{"a": 1, "b": 2, "c": 3}] * 20_000}),
        ("plain", {"text": "QUJD" * 750_000}),
        ("named", {"values": {f"n{n}": n for n in range(20_000)}}),
        ("few", {"rows": [1] * 90_000}),
    ],
)
def test_what_is_large_and_plain_is_within_the_most_and_bound_alike(name, value):
    effort, tool = effort_of(name), registry.find(name)
    raw = json.encode(value)
    assert effort.count(raw, effort.most) <= effort.most
    assert tool is not None
    assert effort.bind(raw) == tool.bind(raw)


def test_121_a_list_with_a_wrong_item_is_read_no_further():
    with pytest.raises(ValidationError) as caught:
        effort_of("records").bind(json.encode({"rows": [{"a": 1, "b": 2, "c": 3}, *[{"a": 1, "b": "x", "c": 3}] * 9]}))
    assert [error["loc"] for error in caught.value.errors()] == [("rows", 1, "b")]


def test_121_an_object_with_a_wrong_member_is_refused_at_the_first():
    with pytest.raises(Refusal) as caught:
        effort_of("named").bind(json.encode({"values": dict.fromkeys(map(str, range(9)), "x")}))
    assert facts_of(caught.value)["problems"][0]["rule"].startswith("objects without a wrong member")


def test_a_wrong_member_is_not_the_end_where_another_alternative_takes_it():
    raw = json.encode({"values": {}, "other": {"a": "x", "b": "y"}})
    assert effort_of("named").bind(raw)["other"] == {"a": "x", "b": "y"}


def test_121_of_what_is_not_small_a_hand_written_schema_tells_the_first_error_only():
    raw = json.encode({"rows": [{}] * 2000})
    tool = registry.find("many")
    assert tool is not None
    with pytest.raises(ExceptionGroup) as caught:
        tool.bind(raw)
    assert len(caught.value.exceptions) == 1


class Slow(BaseModel):
    model_config = ConfigDict(regex_engine="python-re")
    text: Annotated[str, Field(pattern="^(a+)+$")] = "a"


@pytest.mark.parametrize("kind", [Annotated[str, Field(pattern=re.compile("^(a+)+$"))], list[Slow]])
def test_121_a_pattern_that_may_run_without_end_is_refused_when_its_tool_is_declared(kind):
    def tool(text: kind) -> int:  # type: ignore[valid-type]  # the annotation is the parameter of this test
        return len(text)

    with pytest.raises(AuthoringError, match="Python's engine"):
        Server("slow").tool(read_only=True)(tool)
