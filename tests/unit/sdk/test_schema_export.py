from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from mcpward.sdk.schema.schema_export import inlined
from mcpward.sdk.server import Server


class Kind(Enum):
    SOFA = "sofa"
    CHAIR = "chair"


class Part(BaseModel):
    kind: Kind
    count: int = 1


class Cat(BaseModel):
    is_a: Literal["cat"]


class Dog(BaseModel):
    is_a: Literal["dog"]


class Node(BaseModel):
    name: str
    children: list["Node"] = []


def schemas(function: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    server = Server("shop")
    server.tool(function)
    tool = server.tools[0]
    return tool.arguments.schema(), tool.returns.schema or {}


def test_a_definition_stands_where_it_is_used():
    def add(parts: list[Part], kind: Annotated[Kind, Field(description="of all")] = Kind.SOFA) -> Part | None: ...

    taken, given = schemas(add)
    part = taken["properties"]["parts"]["items"]
    assert part["properties"]["kind"] == {"enum": ["sofa", "chair"], "type": "string"}
    assert part["additionalProperties"] is False
    assert taken["properties"]["kind"] == {
        "enum": ["sofa", "chair"], "type": "string", "description": "of all", "default": "sofa",
    }  # fmt: skip
    for schema in (taken, given):
        assert "$ref" not in str(schema)
        assert "$defs" not in schema


def test_alternatives_lose_what_names_their_definitions():
    def pet(animal: Annotated[Cat | Dog, Field(discriminator="is_a")]) -> None: ...

    animal = schemas(pet)[0]["properties"]["animal"]
    assert [one["properties"]["is_a"]["const"] for one in animal["oneOf"]] == ["cat", "dog"]
    assert "discriminator" not in animal


def test_a_schema_that_refers_to_itself_stays_as_it_is():
    def plant(tree: Node) -> None: ...

    taken = schemas(plant)[0]
    assert taken["properties"]["tree"] == {"$ref": "#/$defs/Node"}
    assert taken["$defs"]["Node"]["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"$ref": "#/$defs/a", "minimum": 1}}, "$defs": {"a": {"type": "integer"}}},
        {"properties": {"a": {"$ref": "#/$defs/none"}}, "$defs": {"a": {"type": "integer"}}},
        {"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#/$defs/a"}}},
        {
            "properties": {"a": {"$ref": "#/$defs/0"}},
            "$defs": {f"{n}": {"anyOf": [{"$ref": f"#/$defs/{n + 1}"}] * 2} for n in range(30)} | {"30": {}},
        },
    ],
    ids=["more than annotations beside it", "unknown", "circle", "too large"],
)
def test_a_schema_that_would_mean_something_else_or_grow_without_bound_stays_as_it_is(schema):
    assert inlined(schema) == schema


def test_a_property_that_is_called_like_a_keyword_is_a_property():
    schema = {"properties": {"$ref": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "integer"}}}
    assert inlined(schema) == {"properties": {"$ref": {"type": "integer"}}}
