"""Output schemas from return annotations, and the one pass that checks and encodes."""

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

from mcpward import Image
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.schema.returns import ReturnMismatch, Returns, read_returns
from mcpward.sdk.signature import REQUIRED


class Model(BaseModel):
    id: int


class Node(BaseModel):
    children: list["Node"] = []


@dataclass
class Point:
    x: int


class Struct(msgspec.Struct):
    x: int


class Row(TypedDict):
    x: int


def returns(annotation: Any, structured: bool | None = None) -> Returns:
    return read_returns(annotation, structured, "tool 'x'", "")


@pytest.mark.parametrize(
    "annotation,value",
    [
        (Model, Model(id=1)),
        (Point, Point(1)),
        (Struct, Struct(1)),
        (Row, {"x": 1}),
        (dict[str, int], {"x": 1}),
        (Node, Node()),
    ],
)
def test_objects_are_published_as_they_are(annotation, value):
    found = returns(annotation)
    assert found.schema is not None
    assert found.schema["type"] == "object"
    assert not found.wrapped
    assert found.encode is not None
    assert found.encode(value)[:1] == b"{"


@pytest.mark.parametrize("annotation", [str, int, list[Model], list[Struct], Model | None])
def test_other_values_are_wrapped(annotation):
    found = returns(annotation)
    assert found.wrapped
    assert found.schema is not None
    assert found.schema["required"] == ["result"]


@pytest.mark.parametrize("annotation", [REQUIRED, Any, None, type(None), Image, list[Image], list[str | Image], object])
def test_content_nothing_and_anything_have_no_schema(annotation):
    assert returns(annotation).schema is None


def test_structured_false_publishes_nothing_and_true_insists():
    assert returns(Model, structured=False).schema is None
    with pytest.raises(AuthoringError, match="structured=True"):
        returns(REQUIRED, structured=True)


@pytest.mark.parametrize(
    "annotation,value", [(Model, {"id": "canary"}), (Struct, {"x": "canary"}), (list[int], ["canary"])]
)
def test_a_value_that_is_not_what_was_declared_is_told_without_the_value(annotation, value):
    found = returns(annotation)
    assert found.encode is not None
    with pytest.raises(ReturnMismatch) as mismatch:
        found.encode(value)
    assert "canary" not in str(mismatch.value)
    assert mismatch.value.__cause__ is None
