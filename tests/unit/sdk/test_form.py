"""Forms: in the specification's restricted shapes, without secrets, and answers read exactly."""

import enum
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, SecretStr, WithJsonSchema, create_model

from mcpward import Elicit, Titles
from mcpward.sdk.client.ask import Unfit
from mcpward.sdk.errors import AuthoringError


class Color(enum.Enum):
    """Not for the person who is asked."""

    RED = "red"
    GREEN = "green"


TITLES = Titles(red="Red", green="Green")
VALUES = ["red", "green"]
TITLED = [{"const": "red", "title": "Red"}, {"const": "green", "title": "Green"}]


def schema_of(elicit: Elicit) -> Any:
    return elicit.question("k").params["requestedSchema"]


def published(annotation: Any, default: Any = ...) -> dict[str, Any]:
    return schema_of(Elicit("?", create_model("Form", value=(annotation, default))))["properties"]["value"]


@pytest.mark.parametrize(
    "annotation,default,expected",
    [
        (str, "John Doe", {"type": "string", "default": "John Doe"}),
        (int, 30, {"type": "integer", "default": 30}),
        (float, 95.5, {"type": "number", "default": 95.5}),
        (bool, True, {"type": "boolean", "default": True}),
        (Literal["a", "b"], "a", {"type": "string", "enum": ["a", "b"], "default": "a"}),
        (str | None, None, {"type": "string"}),
        (date, ..., {"type": "string", "format": "date"}),
        (datetime, ..., {"type": "string", "format": "date-time"}),
        (Annotated[int, Field(gt=0, lt=9)], ..., {"type": "integer", "minimum": 1, "maximum": 8}),
        (
            Annotated[str, Field(min_length=1, max_length=9, title="Name", description="Whose", pattern="^a")],
            ...,
            {"type": "string", "minLength": 1, "maxLength": 9, "title": "Name", "description": "Whose"},
        ),
    ],
)
def test_fields_are_published_as_the_specification_has_them(annotation, default, expected):
    assert published(annotation, default) == expected


@pytest.mark.parametrize(
    "annotation,expected",
    [
        (Literal["red", "green"], {"type": "string", "enum": VALUES}),
        (Color, {"type": "string", "enum": VALUES}),
        (Annotated[Color, TITLES], {"type": "string", "oneOf": TITLED}),
        (
            Annotated[Color, Titles({"red": "Red", "green": "Green"}, legacy=True)],
            {"type": "string", "enum": VALUES, "enumNames": ["Red", "Green"]},
        ),
        (list[Color], {"type": "array", "items": {"type": "string", "enum": VALUES}}),
        (list[Annotated[Color, TITLES]], {"type": "array", "items": {"anyOf": TITLED}}),
        (
            Annotated[set[Literal["red"]], Field(min_length=1, max_length=2)],
            {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "string", "enum": ["red"]}},
        ),
    ],
)
def test_choices_have_all_five_shapes(annotation, expected):
    """SEP-1330."""
    assert published(annotation) == expected


class Nested(BaseModel):
    inner: dict[str, str]


@pytest.mark.parametrize(
    "annotation",
    [
        Nested, dict[str, str], list[str], list[list[str]], Decimal, UUID, bytes, Any, int | str, Literal[1, 2],
        str | None, object, tuple[str, ...], list[Annotated[Color, Titles(red="Red", green="Green", legacy=True)]],
    ],
)  # fmt: skip
def test_what_no_form_has_is_refused_when_it_is_written(annotation):
    with pytest.raises(AuthoringError):
        published(annotation)


@pytest.mark.parametrize("annotation", [Annotated[Color, Titles(red="Red")], Annotated[str, Titles(red="Red")]])
def test_titles_are_for_exactly_the_values(annotation):
    with pytest.raises(AuthoringError, match="titles"):
        published(annotation)


@pytest.mark.parametrize(
    "name", ["password", "userPassword", "API_KEY", "apiKey", "access_token", "cardNumber", "cvv", "otp", "private-key"]
)
def test_a_form_never_asks_for_a_secret(name):
    with pytest.raises(AuthoringError, match="elicit_url"):
        Elicit("?", form_with(name.replace("-", "_")))
    with pytest.raises(AuthoringError, match="elicit_url"):
        Elicit("?", schema={"type": "object", "properties": {name: {"type": "string"}}})
    with pytest.raises(AuthoringError, match="elicit_url"):
        Elicit("?", create_model("Form", value=(Annotated[str, Field(title=name)], ...)))


def form_with(name: str, kind: Any = str) -> type[BaseModel]:
    fields: dict[str, Any] = {name: (kind, ...)}
    return create_model("Form", **fields)


def test_a_format_of_secrets_is_one():
    with pytest.raises(AuthoringError, match="secret"):
        published(SecretStr)
    with pytest.raises(AuthoringError, match="secret"):
        Elicit("?", schema={"type": "object", "properties": {"x": {"type": "string", "format": "password"}}})


@pytest.mark.parametrize("name", ["name", "email", "username", "tokens", "monkey", "opinion"])
def test_other_words_are_no_secrets(name):
    assert Elicit("?", form_with(name))


def test_whether_there_is_a_password_is_no_secret():
    assert Elicit("?", create_model("Form", has_password=(bool, ...)))


class Contact(BaseModel):
    name: Annotated[str, Field(max_length=9)]
    age: int = 30
    color: Color = Color.RED
    day: date | None = None
    more: list[Literal["a", "b"]] = []


@dataclass
class Plain:
    name: str


def read(elicit: Elicit, content: Any) -> Any:
    return elicit.read({"action": "accept", "content": content}).data


def test_an_answer_is_the_authors_own_type():
    answer = read(Elicit("?", Contact), {"name": "Ann", "color": "green", "day": "2026-01-02", "more": ["b"]})
    assert answer == Contact(name="Ann", color=Color.GREEN, day=date(2026, 1, 2), more=["b"])
    assert read(Elicit("?", Plain), {"name": "Ann"}) == Plain("Ann")


class Visit(BaseModel):
    guests: int
    since: datetime
    day: date = date(2026, 1, 1)
    note: str = "none"


@pytest.mark.parametrize("since", ["2026-03-01T10:00", "2026-03-01T10:00:00z", "2026-03-01 10:00:00Z"])
def test_an_answer_may_be_written_as_clients_write_it(since):
    content = {"guests": 5.0, "since": since, "day": "2026-03-01T00:00", "note": None}
    visit = read(Elicit("?", Visit), content)
    assert visit == Visit(guests=5, since=datetime(2026, 3, 1, 10, tzinfo=UTC), day=date(2026, 3, 1))
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}},
    }
    by_hand = read(Elicit("?", schema=schema), {"n": 5.0, "at": "2026-03-01"})
    assert by_hand == {"n": 5, "at": "2026-03-01T00:00:00Z"}
    assert type(by_hand["n"]) is int


@pytest.mark.parametrize("guests", [5.5, "5", True, None, 2.0**54])
def test_an_answer_that_is_no_integer_stays_refused(guests):
    with pytest.raises(Unfit):
        read(Elicit("?", Visit), {"guests": guests, "since": "2026-03-01T10:00:00Z"})


HOSTILE: list[Any] = [
    None, 5, "canary", [], {}, {"name": 5}, {"name": None}, {"name": "canary-long-one"}, {"name": "x", "canary": 1},
    {"name": "x", "age": "30"}, {"name": "x", "age": 1.5}, {"name": "x", "age": True}, {"name": "x", "age": 10**30},
    {"name": "x", "color": "canary"}, {"name": "x", "color": ["red"]}, {"name": "x", "day": "2026-13-99"},
    {"name": "x", "more": ["c"]}, {"name": "x", "more": "a"}, {"name": "x", "more": ["a"] * 100_000},
    {"name": {"a": 1}}, {"name": "\ud800"},
]  # fmt: skip


@pytest.mark.parametrize("content", HOSTILE)
def test_any_other_answer_is_refused_and_not_quoted(content):
    with pytest.raises(Unfit) as unfit:
        read(Elicit("?", Contact), content)
    assert "canary" not in str(unfit.value)


@pytest.mark.parametrize(
    "result",
    [None, 5, [], {}, {"action": "canary"}, {"action": None}, {"action": "accept"}, {"content": {"name": "x"}}],
)
def test_a_result_that_is_none_is_refused(result):
    with pytest.raises(Unfit) as unfit:
        Elicit("?", Contact).read(result)
    assert "canary" not in str(unfit.value)


@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_no_data_comes_with_a_no(action):
    answer = Elicit("?", Contact).read({"action": action, "content": {"name": "x"}, "_meta": {}})
    assert (answer.action, answer.data) == (action, None)


def test_what_is_published_is_required_whatever_the_type_would_take():
    choice = Annotated[str, WithJsonSchema({"type": "string", "oneOf": TITLED})]
    elicit = Elicit("?", create_model("Form", value=(choice, ...)))
    assert read(elicit, {"value": "red"}).value == "red"
    with pytest.raises(Unfit):
        read(elicit, {"value": "blue"})


def test_nothing_is_turned_into_another_type():
    elicit = Elicit("?", form_with("value", Annotated[int, WithJsonSchema({"type": "string"})]))
    with pytest.raises(Unfit):
        read(elicit, {"value": "30"})


BY_HAND: dict[str, Any] = {
    "type": "object",
    "properties": {
        "ok": {"type": "boolean", "default": False},
        "mail": {"type": "string", "format": "email"},
        "one": {"type": "string", "oneOf": TITLED},
        "some": {"type": "array", "items": {"anyOf": TITLED}, "minItems": 1},
    },
    "required": ["ok"],
}


def test_a_schema_by_hand_is_asked_as_it_is_and_its_data_is_a_dict():
    elicit = Elicit("?", schema=BY_HAND)
    assert schema_of(elicit) == BY_HAND
    assert read(elicit, {"ok": True, "some": ["red"]}) == {"ok": True, "some": ["red"]}
    for content in ({}, {"ok": 1}, {"ok": True, "x": 1}, {"ok": True, "mail": "x"}, {"ok": True, "some": []}):
        with pytest.raises(Unfit):
            read(elicit, content)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": "object", "properties": {"a": {"type": "object"}}},
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "(a+)+$"}}},
        {"type": "object", "properties": {"a": {"type": "string", "format": "uuid"}}},
        {"type": "object", "properties": {"a": {"$ref": "https://example.com/x"}}},
        {"type": "object", "properties": {"a": {"type": "string", "enum": []}}},
        {"type": "object", "properties": {"a": {"type": "string", "enum": ["x", "x"]}}},
        {"type": "object", "properties": {"a": {"type": "string", "enum": ["x"], "enumNames": []}}},
        {"type": "object", "properties": {"a": {"type": "string", "oneOf": [{"const": "x"}]}}},
        {"type": "object", "properties": {"a": {"type": "integer", "default": "x"}}},
        {"type": "object", "properties": {"a": {"type": "string", "minLength": "x"}}},
        {"type": "object", "properties": {"a": 5}},
        {"type": "object", "properties": {}, "required": ["a"]},
        {"type": "object", "properties": {}, "allOf": []},
        {"type": "object", "properties": {f"f{n}": {"type": "string"} for n in range(65)}},
    ],
)
def test_a_schema_by_hand_that_is_none_of_a_form_is_refused(schema):
    with pytest.raises(AuthoringError):
        Elicit("?", schema=schema)


def test_a_model_and_a_schema_are_not_asked_together():
    with pytest.raises(AuthoringError, match="not both"):
        Elicit("?", Contact, schema=BY_HAND)
    with pytest.raises(AuthoringError, match="keyword argument"):
        Elicit("?", BY_HAND)


def test_a_form_without_fields_asks_for_a_yes():
    elicit = Elicit("Go on?")
    assert schema_of(elicit) == {"type": "object", "properties": {}}
    assert elicit.read({"action": "accept"}).data == {}
    assert elicit.read({"action": "accept", "content": None}).action == "accept"
    with pytest.raises(Unfit):
        read(elicit, {"x": 1})
