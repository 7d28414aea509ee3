from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from mcpward import Audio, EmbeddedResource, Image, Text, ToolResult
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.sdk.errors import AuthoringError
from mcpward.sdk.schema.returns import Returns, read_returns
from mcpward.tools.result import shape


class Model(BaseModel):
    id: int
    rate: float = 0.0


@dataclass
class Point:
    x: int


class Struct(msgspec.Struct):
    x: int


NONE = Returns()


def encoded(result) -> bytes:
    return msgspec.json.encode(result.structured)


def test_text_is_text_and_nothing_is_nothing():
    assert shape(NONE, "hi").content == [{"type": "text", "text": "hi"}]
    assert shape(NONE, "hi").structured is None
    assert shape(NONE, None).content == []


def test_content_values_become_their_blocks():
    assert [block["type"] for block in shape(NONE, Image(b"x")).content] == ["image"]
    mixed = shape(NONE, ["a", Text("b"), Image(b"x"), Audio(b"x"), EmbeddedResource("a:b", text="t"), {"n": 1}])
    assert [block["type"] for block in mixed.content] == ["text", "text", "image", "audio", "resource", "text"]
    assert mixed.content[-1]["text"] == '{"n":1}'


@pytest.mark.parametrize("value", [{"x": 1}, Point(1), Struct(1)])
def test_undeclared_objects_are_structured_and_mirrored(value):
    result = shape(NONE, value)
    assert encoded(result) == b'{"x":1}'
    assert result.content == [{"type": "text", "text": '{"x":1}'}]
    assert shape(NONE, value, structured=False).structured is None


def test_undeclared_lists_and_numbers_are_text():
    assert shape(NONE, [1, 2]).content == [{"type": "text", "text": "[1,2]"}]
    assert shape(NONE, [1, 2]).structured is None


def test_declared_objects_are_mirrored_as_text():
    returns = read_returns(Model, None, "", "")
    result = shape(returns, Model(id=1))
    assert encoded(result) == b'{"id":1,"rate":0.0}'
    assert result.content[0]["text"] == '{"id":1,"rate":0.0}'


def test_other_declared_values_are_wrapped_and_their_text_is_bare():
    result = shape(read_returns(list[Model], None, "", ""), [Model(id=1)])
    assert encoded(result) == b'{"result":[{"id":1,"rate":0.0}]}'
    assert result.content[0]["text"] == '[{"id":1,"rate":0.0}]'
    text = shape(read_returns(str, None, "", ""), "hi")
    assert encoded(text) == b'{"result":"hi"}'
    assert text.content[0]["text"] == "hi"


NO_NUMBERS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf"), "huge": 10**400}


class Rate(BaseModel):
    rate: float = 0.0
    more: Any = None


@dataclass
class Share:
    share: float


class Ratio(msgspec.Struct):
    ratio: float


@pytest.mark.parametrize("number", NO_NUMBERS.values(), ids=NO_NUMBERS)
@pytest.mark.parametrize(
    "annotation,make,path",
    [
        (None, lambda n: {"x": n}, "x: "),
        (None, lambda n: [1, n], "1: "),
        (dict[str, float | int], lambda n: {"x": n}, "x: "),
        (list[dict[str, float | int]], lambda n: [{}, {"x": n}], "1.x: "),
        (Rate, lambda n: Rate.model_construct(rate=n), "rate: "),
        (Rate, lambda n: Rate(more=[n]), "more.0: "),
        (list[Rate], lambda n: [Rate.model_construct(rate=n)], "0.rate: "),
        (float | int | None, lambda n: n, ""),
        (Share, Share, "share: "),
        (Ratio, Ratio, "ratio: "),
        (dict, lambda n: {"x": (n,)}, "x.0: "),
    ],
)
def test_a_number_that_is_none_to_clients_is_withheld_with_its_path(annotation, make, path, number):
    returns = NONE if annotation is None else read_returns(annotation, None, "", "")
    with pytest.raises(Refusal) as no:
        shape(returns, make(number))
    assert path in no.value.detail
    assert any(rule in no.value.detail for rule in ("not a finite number", "308 digits", "Number out of range"))


class Unencodable:
    def __repr__(self) -> str:
        return "canary"


@pytest.mark.parametrize("value,path", [(Unencodable(), ""), ({"a": Unencodable()}, "a: "), ([Unencodable()], "0: ")])
def test_what_json_cannot_hold_is_withheld_without_quoting_it(value, path):
    with pytest.raises(Refusal) as refusal:
        shape(NONE, value)
    assert refusal.value.detail == f"the result cannot be JSON: {path}Unencodable is not serializable"


def test_a_value_that_holds_itself_is_withheld():
    loop: list = []
    loop.append(loop)
    with pytest.raises(Refusal):
        shape(NONE, {"a": loop})


def test_a_result_put_together_by_hand_keeps_every_part():
    result = shape(Returns(), ToolResult([Text("a"), "b"], structured={"n": 1}, meta={"com.example/x": 1}))
    assert [block["text"] for block in result.content] == ["a", "b"]
    assert (bytes(result.structured), result.meta, result.is_error) == (b'{"n":1}', {"com.example/x": 1}, False)
    assert shape(Returns(), ToolResult("no", is_error=True)).is_error
    assert shape(Returns(), ToolResult()).content == []


def test_structured_content_by_hand_is_mirrored_and_fits_what_was_declared():
    returns = read_returns(Point, None, "tool 't'", "")
    result = shape(returns, ToolResult(structured=Point(x=1), meta={"a": 1}))
    assert (bytes(result.structured), result.content[0]["text"]) == (b'{"x":1}', '{"x":1}')
    for wrong in (ToolResult(structured={"x": "canary"}), ToolResult("text alone")):
        with pytest.raises(Refusal) as no:
            shape(returns, wrong)
        assert no.value.reason is Reason.OUTPUT_REFUSED
        assert "canary" not in no.value.detail
    with pytest.raises(Refusal):
        shape(Returns(), ToolResult(structured=[1]))
    assert shape(returns, ToolResult("it went wrong", is_error=True)).structured is None


def test_a_tool_that_gives_results_by_hand_publishes_no_schema():
    assert read_returns(ToolResult, None, "tool 't'", "").schema is None
    assert read_returns(ToolResult | None, None, "tool 't'", "").schema is None


@pytest.mark.parametrize("meta", [{"io.modelcontextprotocol/serverInfo": 1}, {"a": object()}, {"com.mcp/x": 1}])
def test_meta_that_is_not_the_authors_is_refused(meta):
    with pytest.raises(AuthoringError):
        ToolResult("x", meta=meta)
