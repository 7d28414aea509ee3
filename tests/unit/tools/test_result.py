from dataclasses import dataclass

import msgspec
import pytest
from pydantic import BaseModel

from mcpward import Audio, EmbeddedResource, Image, Text
from mcpward.core.errors import Refusal
from mcpward.sdk.returns import Returns, read_returns
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


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_has_no_number_for_is_null(value):
    assert msgspec.json.decode(shape(NONE, {"x": value}).content[0]["text"]) == {"x": None}
    declared = shape(read_returns(dict[str, float], None, "", ""), {"x": value})
    assert msgspec.json.decode(encoded(declared)) == {"x": None}


class Unencodable:
    def __repr__(self) -> str:
        return "canary"


@pytest.mark.parametrize("value", [Unencodable(), {"a": Unencodable()}, [Unencodable()], "\ud800"])
def test_what_json_cannot_hold_is_withheld_without_quoting_it(value):
    returns = read_returns(str, None, "", "") if isinstance(value, str) else NONE
    with pytest.raises(Refusal) as refusal:
        shape(returns, value)
    assert "canary" not in refusal.value.detail


def test_a_value_that_holds_itself_is_withheld():
    loop: list = []
    loop.append(loop)
    with pytest.raises(Refusal):
        shape(NONE, {"a": loop})
