"""The question to a person before a tool runs, and the answers that count as consent."""

import unicodedata
from datetime import date
from decimal import Decimal

import pytest
from pydantic import BaseModel, Field, SecretStr

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.tools.consent import is_yes, question_of
from support.facts import facts_of
from support.values import a_tool


class Order(BaseModel):
    id: int


def message(arguments: dict, text: str = "") -> str:
    return question_of(a_tool("delete_order"), arguments, None, text).params["message"]


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


def test_a_number_is_shown_as_it_was_sent_which_is_what_a_tool_gets_that_takes_decimals():
    raw = b'{"amount":99999999999999999.99,"rate":1.10,"small":[{"x":1e-400}]}'
    values = {"amount": Decimal("99999999999999999.99"), "rate": Decimal("1.10"), "small": [{"x": Decimal("1e-400")}]}
    asked = question_of(a_tool("pay"), values, raw).params["message"]
    assert asked.splitlines()[1:] == ["amount: 99999999999999999.99", "rate: 1.10", 'small: [{"x":1e-400}]']


LANGUAGES = {
    "French": "« naïve » café", "Vietnamese": "Tiếng Việt nặng", "Hindi": "हिन्दी में क्षेत्र", "Thai": "ไทยนี้ที่สุด",
    "Arabic": "العَرَبِيَّةُ", "Hebrew": "שָׁלוֹם בְּרֵאשִׁית", "Burmese": "မြန်မာဘာသာ ကျွန်ုပ်", "Tibetan": "བོད་སྐད་ བསྒྲུབས",
    "Tamil": "தமிழ் கொடு", "Khmer": "ភាសាខ្មែរ", "Sinhala": "සිංහල ක්\u200dෂ", "Persian": "می\u200cخواهم",
    "Korean": "한국어", "Japanese": "日本語、テキストが", "emoji": "👩🏽\u200d🚀❤️",
}  # fmt: skip


@pytest.mark.parametrize("text", LANGUAGES.values(), ids=LANGUAGES.keys())
def test_attack_133_what_languages_are_written_with_is_shown_as_it_is(text):
    assert message({"text": text}).split("\n")[1] == f'text: "{unicodedata.normalize("NFC", text)}"'


@pytest.mark.parametrize(
    "sent, told",
    [
        ("e\u0301", "é"),  # composed: the same to the eye
        ("a\u0301\u0302\u0336", r"á\u{336}\u{302}"),
        ("x\u0336y", r"x\u{336}y"),
        ("a\u0e49 \u0e49", r"a\u{e49} \u{e49}"),  # a sign of another script, and one of no letter
        ("ก\u0e49\u0e49", "ก\u0e49" + r"\u{e49}"),
        ("ב\u05b0\u05b1\u05b2\u05b3\u05b4\u05b5\u05b6", "ב\u05b0\u05b1\u05b2\u05b3\u05b4\u05b5" + r"\u{5b6}"),
        ("a\u00a0b\u2007c\u3000d", r"a\u{a0}b\u{2007}c\u{3000}d"),
        ("\u2800\u3164\u115f\uffa0", r"\u{2800}\u{3164}\u{115f}\u{ffa0}"),
        ("a\u200bb\u034f\ufe0f", r"a\u{200b}b\u{34f}\u{fe0f}"),
        ("\u202egpj.exe", r"\u{202e}gpj.exe"),
        ("\U000e0041\ue000\ufffc", r"\u{e0041}\u{e000}\u{fffc}"),
        ("x" + 10 * " " + "y", "x" + 8 * " " + r"\u{20}\u{20}y"),
        (r"\u{200b}", r"\\u{200b}"),  # a text that looks like one of ours
    ],
)
def test_attack_133_what_a_person_would_not_see_is_written_as_a_number(sent, told):
    assert message({"text": sent}).split("\n")[1] == f'text: "{told}"'


def test_attack_133_a_line_end_in_a_name_or_a_value_makes_no_line():
    assert message({"a\nTool: x": "b\nc"}).split("\n")[1:] == [r'"a\nTool: x": "b\nc"']


def test_attack_133_what_was_sent_is_shown_and_not_what_hides_in_its_type():
    class Hiding(BaseModel):
        path: str = Field(exclude=True)
        token: SecretStr

    raw = b'{"what":{"path":"/etc","token":"abc"}}'
    arguments = {"what": Hiding(path="/etc", token=SecretStr("abc")), "by_default": 3}
    told = question_of(a_tool("delete_order"), arguments, raw).params["message"]
    assert told.split("\n")[1:] == ['what: {"path":"/etc","token":"abc"}', "by_default: 3"]


@pytest.mark.parametrize(
    "arguments",
    [{"text": "x" * 4000}, {"text": "\u0301" * 900}, {f"a{n}": "x" * 900 for n in range(9)}, {"x" * 5000: 1},
     {"text": "x" * 10_000_000}],
)  # fmt: skip
def test_attack_133_what_cannot_be_shown_whole_is_not_asked(arguments):
    with pytest.raises(Refusal) as no:
        message(arguments)
    assert no.value.reason is Reason.CONSENT_MISSING
    assert "can be shown at most" in facts_of(no.value)["advice"]
    assert len(facts_of(no.value)["advice"]) < 600
    assert facts_of(no.value)["problems"][0]["path"] in {name[:64] for name in arguments}


def test_attack_133_what_can_be_shown_whole_has_no_end_cut_off():
    told = message({f"a{n}": f"{'x' * 300} end {n}" for n in range(24)})
    assert all(f'end {n}"' in told for n in range(24))
    assert "…" not in told


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
