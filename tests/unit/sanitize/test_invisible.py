"""Attack 84: nothing that a terminal or a model obeys and a person does not see."""

import json
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpward.sanitize.screens.invisible import marks, strip

MARKS = tuple(marks())


@pytest.mark.parametrize(
    "dirty, clean",
    [
        ("plain", "plain"),
        ("tab\tline\r\nend", "tab\tline\r\nend"),
        ("bell\x07 null\x00 del\x7f", "bell null del"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://evil.example\x07link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;title\x9cx", "x"),
        ("\x9b2Jgone", "gone"),
        ("\x1bPq payload \x1b\\x", "x"),
        ("\x1b(0line", "line"),
        ("\x85next", "next"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("\u202eright to left\u202c \u2066isolate\u2069", "right to left isolate"),
        ("hi\U000e0069\U000e0067\U000e006e\U000e006f\U000e0072\U000e0065", "hi"),
        ("x\U000e0100\U000e01efy", "xy"),
        ("lone \ud800 surrogate", "lone  surrogate"),
        ("se\u200dcret", "secret"),
        ("se\u200d\u200ccret", "secret"),
        ("family 👨\u200d👩\u200d👧", "family 👨\u200d👩\u200d👧"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("heart ❤\ufe0f", "heart ❤\ufe0f"),
        ("Ünïcode 中文 ñ", "Ünïcode 中文 ñ"),
        ("end\u200d", "end"),
        ("👨\u200d", "👨"),
    ],
)
def test_only_what_is_invisible_goes(dirty, clean):
    assert strip(dirty) == clean


@given(st.text())
def test_stripping_twice_changes_nothing_more(text):
    assert strip(strip(text)) == strip(text)


@given(st.text(st.characters(codec="utf-8")))
def test_every_text_that_is_changed_bears_a_mark_when_encoded(text):
    if strip(text) != text:
        for written in (msgspec.json.encode(text), json.dumps(text).encode()):
            assert any(mark in written for mark in MARKS)


def test_every_single_character_that_is_removed_bears_a_mark():
    for point in range(sys.maxunicode + 1):
        character = chr(point)
        if strip(character) != character and not 0xD800 <= point < 0xE000:
            assert any(mark in msgspec.json.encode(character) for mark in MARKS), hex(point)


def test_a_hostile_text_takes_linear_time():
    for part in ("\x1b[", "\x1b]", "\x1b[0", "\x9b", "\u200d", "\x1bP", "a\u200d\u200b"):
        strip(part * 200_000)
    strip("\x1b[" + "0" * 500_000)


@pytest.mark.parametrize("text", ["plain", "tab\tline\n", "Grüße", "👨\u200d👩"])
def test_a_text_without_them_is_the_same_object(text):
    assert strip(text) is text
