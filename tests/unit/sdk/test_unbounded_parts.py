"""What a schema leaves without a bound, and what holds then."""

import json
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mcpward import Email, Limit, OneOf, Server, Uuid
from mcpward.core.integral import LEAST, MOST
from mcpward.sdk.schema.arguments import Arguments
from mcpward.sdk.schema.author_schema import Written
from mcpward.sdk.schema.unbounded_parts import is_finite_pattern, unbounded_parts


class Item(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str
    parts: "list[Item]" = []


def typed(annotation: Any) -> Arguments:
    def act(value: Any) -> str:
        """Act."""
        return ""

    server = Server("shop")
    act.__annotations__["value"] = annotation
    server.tool(act)
    arguments = server.tools[0].arguments
    assert isinstance(arguments, Arguments)
    return arguments


def written(schema: dict[str, Any]) -> Written:
    server = Server("shop")

    @server.tool(input_schema={"type": "object", "additionalProperties": False} | schema)
    def act(arguments: dict[str, Any]) -> str:
        """Act."""
        return ""

    arguments = server.tools[0].arguments
    assert isinstance(arguments, Written)
    return arguments


def found(arguments: Arguments | Written) -> list[tuple[str, str]]:
    parts = unbounded_parts(arguments.schema(), is_written=isinstance(arguments, Written))
    return [(one.path, one.kind) for one in parts]


def takes(arguments: Arguments | Written, raw: bytes) -> bool:
    try:
        arguments.bind(raw)
    except (ValidationError, ExceptionGroup):
        return False
    return True


@pytest.mark.parametrize(
    "annotation,parts",
    [
        (str, [("value", "string")]),
        (str | None, [("value", "string")]),
        (int, [("value", "integer")]),
        (float, [("value", "number")]),
        (list[str], [("value", "array"), ("value[]", "string")]),
        (dict[str, int], [("value", "object"), ("value.*", "integer")]),
        (Any, [("value", "any")]),
        (Item, [("value.name", "string"), ("value.parts", "array")]),
        (Annotated[int, Field(ge=1)], [("value", "integer")]),
        (Annotated[int, Limit(max=5)], []),
        (Annotated[float, Field(gt=0, lt=1)], []),
        (Annotated[str, Field(max_length=5)], []),
        (Annotated[str, Field(pattern="^[a-z]{1,8}$")], []),
        (Annotated[str, Field(pattern="[a-z]{1,8}")], [("value", "string")]),
        (Annotated[list[bool], Field(max_length=5)], []),
        (Literal["a", "b"], []),
        (UUID, []),
        (bool, []),
    ],
)
def test_each_part_of_a_type_without_a_bound_is_named(annotation: Any, parts: list[tuple[str, str]]):
    assert found(typed(annotation)) == parts


def test_the_fix_is_what_the_author_would_write():
    [part] = unbounded_parts(typed(str).schema(), is_written=False)
    assert part.fix == "value: Annotated[str, Field(max_length=200)]"
    assert part.default == "at most 10000 characters"
    [part] = unbounded_parts(written({"properties": {"q": {"type": "string"}}}).schema(), is_written=True)
    assert part.fix == '"maxLength": 200'


@pytest.mark.parametrize(
    "schema,parts",
    [
        ({"properties": {"a": {"type": ["string", "null"]}}}, [("a", "string")]),
        ({"properties": {"a": {"$ref": "#/$defs/t"}}, "$defs": {"t": {"type": "string"}}}, [("a", "string")]),
        ({"properties": {"a": {"type": "array", "prefixItems": [True], "items": False}}}, [("a[]", "any")]),
        ({"properties": {"a": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}}, [("a", "integer")]),
        ({"properties": {"a": {}}}, [("a", "any")]),
        ({"properties": {"a": {"description": "x"}}}, [("a", "any")]),
        ({"properties": {"a": {"properties": {"b": {"type": "boolean"}}}}}, [("a", "object")]),
        ({"additionalProperties": True}, [("", "object")]),
        ({"properties": {"a": {"type": "string", "format": "uri"}}}, [("a", "string")]),
        ({"properties": {"a": {"type": "string", "format": "date"}}}, []),
        ({"properties": {"a": {"enum": ["x"]}, "b": {"const": 1}}}, []),
    ],
)
def test_each_part_of_a_written_schema_without_a_bound_is_named(schema: dict[str, Any], parts: list[tuple[str, str]]):
    assert found(written(schema)) == parts


@pytest.mark.parametrize(
    "annotation,fits,not_fits",
    [
        (str, '"' + "x" * 10_000 + '"', '"' + "x" * 10_001 + '"'),
        (list[bool], f"[{','.join(['true'] * 1000)}]", f"[{','.join(['true'] * 1001)}]"),
        (set[int], f"[{','.join(map(str, range(1000)))}]", f"[{','.join(map(str, range(1001)))}]"),
        (tuple[int, ...], f"[{','.join(['1'] * 1000)}]", f"[{','.join(['1'] * 1001)}]"),
        (int, str(MOST), str(MOST + 1)),
        (int, str(LEAST), str(LEAST - 1)),
        (dict[str, int], json.dumps(dict.fromkeys(map(str, range(1000)), 1)),
         json.dumps(dict.fromkeys(map(str, range(1001)), 1))),
        (Item, json.dumps({"name": "x" * 10_000}), json.dumps({"name": "x" * 10_001})),
        (list[Item], json.dumps([{"name": "a", "parts": [{"name": "b"}]}]),
         json.dumps([{"name": "a", "parts": [{"name": "x" * 10_001}]}])),
    ],
)  # fmt: skip
def test_a_default_bound_holds_and_is_published(annotation: Any, fits: str, not_fits: str):
    arguments = typed(annotation)
    bounded = arguments.with_default_bounds()
    assert found(bounded) == []
    assert takes(bounded, f'{{"value": {fits}}}'.encode())
    assert not takes(bounded, f'{{"value": {not_fits}}}'.encode())
    if annotation is not int:
        assert takes(arguments, f'{{"value": {not_fits}}}'.encode())
    assert bounded.effort is not None
    assert not takes_slowly(bounded, f'{{"value": {not_fits}}}'.encode())


def takes_slowly(arguments: Arguments, raw: bytes) -> bool:
    """Return whether the validator for large arguments takes them."""
    assert arguments.effort is not None
    try:
        arguments.effort.bind(raw)
    except ValidationError:
        return False
    return True


def test_the_bounds_of_an_author_stay():
    bounded = typed(
        Annotated[list[Annotated[str, Field(max_length=20_000)]], Field(max_length=5)]
    ).with_default_bounds()
    value = bounded.schema()["properties"]["value"]
    assert (value["maxItems"], value["items"]["maxLength"]) == (5, 20_000)
    half = typed(Annotated[int, Field(gt=0)]).with_default_bounds().schema()["properties"]["value"]
    assert half == {"exclusiveMinimum": 0, "maximum": MOST, "type": "integer"}


def test_names_that_no_argument_has_stay_refused_at_every_depth():
    bounded = typed(Item).with_default_bounds()
    assert not takes(bounded, b'{"value": {"name": "a", "more": 1}}')
    assert not takes(bounded, b'{"value": {"name": "a"}, "more": 1}')


def test_a_written_schema_gets_its_bounds_where_they_only_narrow():
    text = {"type": "string"}
    arguments = written(
        {
            "properties": {"a": text, "b": {"not": dict(text)}, "c": {"$ref": "#/$defs/t"}, "d": {"$ref": "#/$defs/n"}},
            "if": {"properties": {"a": dict(text)}},
            "then": {"properties": {"e": {"type": "array", "items": True}}},
            "$defs": {"t": dict(text), "n": {"not": {"$ref": "#/$defs/u"}}, "u": dict(text)},
        }
    )
    schema = arguments.with_default_bounds().schema()
    assert schema["properties"]["a"] == {"type": "string", "maxLength": 10_000}
    assert schema["$defs"]["t"]["maxLength"] == 10_000
    assert schema["then"]["properties"]["e"]["maxItems"] == 1_000
    for condition in (schema["properties"]["b"]["not"], schema["if"]["properties"]["a"], schema["$defs"]["u"]):
        assert condition == text
    assert "maxLength" not in arguments.schema()["properties"]["a"]


def test_an_open_written_schema_has_a_number_of_members():
    bounded = written({"additionalProperties": True}).with_default_bounds()
    assert bounded.schema()["maxProperties"] == 1_000
    assert takes(bounded, b'{"x": 1}')
    assert not takes(bounded, b"{%s}" % b",".join(b'"%d":1' % n for n in range(1001)))


@pytest.mark.parametrize(
    "pattern,is_finite",
    [
        ("^a{1,5}$", True), (r"\Aabc\Z", True), ("^(?:a|b)$", True), ("^a|b$", False), ("^a*$", False), ("a", False),
        ("^a", False), ("a$", False), ("^a{2,}$", False), ("^(", False), (r"^\p{L}$", False), ("^a{1,9}$|.*", False),
        ("", False), ("^$", True),
    ],
)  # fmt: skip
def test_a_pattern_is_a_bound_if_it_is_anchored_and_finite(pattern: str, is_finite: bool):
    assert is_finite_pattern(pattern) is is_finite


@pytest.mark.parametrize(
    "bounded",
    [
        {"maxLength": 5, "anyOf": [{"type": "string"}, {"type": "null"}]},
        {"format": "uuid", "anyOf": [{"type": "string"}, {"type": "null"}]},
        {"enum": ["a", None], "anyOf": [{"type": "string"}, {"type": "null"}]},
        {"minimum": 0, "maximum": 5, "anyOf": [{"type": "integer"}, {"type": "null"}]},
        {"maxItems": 5, "oneOf": [{"type": "array", "items": False}, {"type": "array"}]},
    ],
)
def test_a_bound_beside_the_choices_of_types_holds_for_each(bounded: dict[str, Any]):
    assert found(written({"properties": {"a": bounded}})) == []


def test_a_bound_of_a_list_is_none_of_its_items():
    part = {"maxItems": 5, "maxLength": 5, "anyOf": [{"type": "array", "items": {"type": "string"}}]}
    assert found(written({"properties": {"a": part}})) == [("a[]", "string")]


@pytest.mark.parametrize("guard", [Email(), Uuid(), OneOf(["a", "b"])])
def test_an_optional_text_with_a_guard_that_has_an_end_is_bounded(guard: Any):
    assert found(typed(Annotated[str | None, guard])) == []
