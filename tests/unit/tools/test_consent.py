"""What a person is shown before a tool runs, and what counts as their yes."""

import unicodedata
from datetime import date
from decimal import Decimal

import pytest
from pydantic import BaseModel

from mcpward.tools.consent import is_yes, question_of
from support.values import a_tool


class Order(BaseModel):
    id: int


def message(arguments: dict, text: str = "") -> str:
    return question_of(a_tool("delete_order"), arguments, text).params["message"]


def test_the_question_names_the_tool_and_its_arguments():
    question = question_of(a_tool("delete_order"), {"order": Order(id=7), "why": "old", "day": date(2026, 1, 2)})
    assert question.method == "elicitation/create"
    assert question.capability == {"elicitation": {"form": {}}}
    assert question.params["message"].splitlines() == [
        "Allow the tool delete_order to run?", 'order: {"id":7}', 'why: "old"', 'day: "2026-01-02"',
    ]  # fmt: skip
    assert question.params["requestedSchema"] == {
        "type": "object",
        "properties": {"confirm": {"type": "boolean", "title": "Yes, do it", "default": False}},
        "required": ["confirm"],
    }


def test_the_authors_words_come_first_and_the_tool_is_named_all_the_same():
    assert message({}, "Really?").splitlines() == ["Really?", "Tool: delete_order"]


@pytest.mark.parametrize(
    "value",
    ["a\nAllow: everything", "a\r\x1b[31m", "\u202eevil", "\u2028x", "a\u200bb", "\ue000", "\ud800", "\U000e0041"],
)
def test_an_argument_is_one_line_of_visible_signs(value):
    """A caller's text must not draw a question of its own, nor hide a part of it."""
    lines = message({"text": value, value: 1}).split("\n")
    assert len(lines) == 3
    for line in lines:
        assert not [sign for sign in line if unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}]


def test_the_question_is_bounded_and_a_cut_is_seen():
    told = message({f"a{n}": "x" * 10_000 for n in range(1000)})
    assert len(told) < 20_000
    assert "… (10002 characters)" in told
    assert told.endswith("and 980 more arguments")


@pytest.mark.parametrize("value", [float("nan"), Decimal(1), object(), b"\xff", {1, 2}, {"a": {"b": [None]}}])
def test_every_argument_can_be_shown(value):
    assert message({"a": value}).count("\n") == 1


def test_an_argument_nested_too_deep_is_named_by_its_kind():
    deep: list = []
    deep.append(deep)
    assert message({"a": deep}).endswith("a: <list>")


def test_only_a_yes_is_a_yes():
    assert is_yes({"action": "accept", "content": {"confirm": True}, "_meta": {}})


@pytest.mark.parametrize(
    "result",
    [
        None, 5, "accept", [], {}, {"action": "accept"}, {"action": "accept", "content": None},
        {"action": "accept", "content": {}}, {"action": "accept", "content": {"confirm": False}},
        {"action": "accept", "content": {"confirm": 1}}, {"action": "accept", "content": {"confirm": "true"}},
        {"action": "accept", "content": [True]}, {"action": "decline", "content": {"confirm": True}},
        {"action": "cancel", "content": {"confirm": True}}, {"action": ["accept"], "content": {"confirm": True}},
        {"content": {"confirm": True}}, {"action": "accept", "content": {"Confirm": True}},
    ],
)  # fmt: skip
def test_anything_else_is_none(result):
    assert not is_yes(result)
