"""Attacks 84 and 134: nothing that a terminal or a model obeys and a person does not see."""

import json
import re
import sys
import unicodedata

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpward.core import ignorable
from mcpward.core.ignorable import IGNORED, PLACED, VIRAMAS, others, points
from mcpward.sanitize.screens import invisible
from mcpward.sanitize.screens.invisible import bare, marks, strip

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
        ("α\u200cβ 中\u200d文", "αβ 中文"),  # scripts that have no use for joiners
        ("👨\u200d\u200d👩", "👨👩"),
        ("a\ufe0f 1\ufe0f2 0\ufe00", "a 12 0"),
        ("❤\ufe0f\ufe0f ❤\ufe0e\ufe0f", "❤\ufe0f ❤\ufe0e"),
        ("❤\ufe00 ≈\ufe00", "❤ ≈"),
        ("辻\U000e0100\U000e0101 あ\U000e0100", "辻\U000e0100 あ"),
        ("دفتر\u200cها", "دفترها"),  # reh joins nothing after it: nothing is seen of this one
        ("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "🏴"),
        ("x\u034fy \u17b4\u17b5 \u2065\ufff0\U000e0fff", "xy  "),
        ("\U0001d173\U0001d17a\U0001bca0\U00013430", ""),
    ],
)
def test_only_what_is_invisible_goes(dirty, clean):
    assert strip(dirty) == clean


SEEN = {
    "emoji": "❤️ ☎︎ 👩🏽\u200d🚀 🏳️\u200d🌈 👩\u200d❤️\u200d👨 1️⃣ #️⃣",
    "Persian": "می\u200cخواهم کتاب\u200cها خانه\u200cای", "Hindi": "क्\u200dष क्\u200cष", "Bengali": "র\u200d্যাব দ্\u200c",
    "Malayalam": "അവന്\u200d ", "Sinhala": "ක්\u200dෂ", "Kannada": "ಸೂರ\u200d್ಯ", "Khmer": "ប៊\u200cី",
    "Mongolian": "ᠰᠠᠷ\u180eᠠ ᠭ\u180b", "Han": "葛\U000e0100城 辻\ufe00", "mathematics": "⊕\ufe00 ≨\ufe00",
    "hieroglyphs": "𓁶\ufe00", "Quran": "\u06dd١ \u0600١", "Syriac": "\u070fܐ",
}  # fmt: skip


@pytest.mark.parametrize("text", SEEN.values(), ids=SEEN.keys())
def test_attack_134_what_changes_what_is_seen_stays(text):
    assert strip(text) is text
    assert not re.search(f"[{PLACED}]", bare(text))


EVERYTHING = "".join(map(chr, range(sys.maxunicode + 1)))
#: Prepended_Concatenation_Mark: a format character by category, and printed.
PREPENDED = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
#: Other_Default_Ignorable_Code_Point (PropList.txt); all else is Cf or Variation_Selector.
OTHER = {
    0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2065, 0x3164, 0xFFA0, *range(0xFFF0, 0xFFF9), 0xE0000,
    *range(0xE0002, 0xE0020), *range(0xE0080, 0xE0100), *range(0xE01F0, 0xE1000),
}  # fmt: skip
SELECTORS = {*range(0x180B, 0x180E), 0x180F, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}


def test_attack_134_what_is_removed_is_what_has_the_property():
    """Default_Ignorable_Code_Point as DerivedCoreProperties.txt derives it, and Cf as this Python knows it."""
    formats = {point for point in range(sys.maxunicode + 1) if unicodedata.category(chr(point)) == "Cf"}
    table = {*points(IGNORED), *points(PLACED)}
    assert table == OTHER | SELECTORS | (formats - PREPENDED) | {
        *range(0x13430, 0x13440)
    }  # Unicode 15 named seven more
    assert set(points(PLACED)) == SELECTORS | {0x180E, 0x200C, 0x200D}


def test_the_sets_of_code_points_hold_what_they_are_called_after():
    assert all(unicodedata.combining(chr(point)) == 9 for point in points(VIRAMAS))
    assert all(unicodedata.name(chr(point)).startswith("MONGOLIAN LETTER") for point in points(ignorable.MONGOLIAN)
               if unicodedata.category(chr(point)) != "Cn" and point not in {0x1885, 0x1886, 0x18A9})  # fmt: skip
    joining = {*points(ignorable.JOINED_BACK), *points(ignorable.JOINING_ON)}
    assert {unicodedata.category(chr(point)) for point in joining} <= {"Lo", "Cn"}
    assert {ord("د"), ord("ر"), ord("ا")}.isdisjoint(points(ignorable.JOINING_ON))
    for inside in (IGNORED, PLACED, IGNORED + PLACED, ignorable.PICTOGRAPHS, r"\u0100-\u0200\u0150\x00"):
        assert {*map(ord, re.sub(f"[{others(inside)}]+", "", EVERYTHING))} == {*points(inside)}


def test_attack_134_no_code_point_with_the_property_stays_between_letters():
    for point in {*points(IGNORED), *points(PLACED)}:
        for left, right in ("ab", "1 ", "é中", "aあ", "  ", "αα"):
            assert strip(f"{left}{chr(point)}{right}") == left + right, hex(point)
            assert strip(f"{left}{chr(point) * 3}{right}") == left + right, hex(point)


@given(st.text(st.sampled_from("a1#❤👩🏽辻क्র্می⊕ᠠ𓁶\u20e3" + "".join(map(chr, points(PLACED))))))
def test_attack_134_of_two_of_a_kind_in_a_row_one_stays_at_most(text):
    stripped = strip(text)
    assert strip(stripped) == stripped
    assert not re.search(f"[{PLACED}]{{3}}", stripped)
    for two in re.findall(f"[{PLACED}]{{2}}", stripped):
        assert two == "\ufe0f\u200d"


@given(st.text())
def test_stripping_twice_changes_nothing_more(text):
    assert strip(strip(text)) == strip(text)


@given(st.text(st.characters(codec="utf-8")))
def test_every_text_that_is_changed_bears_a_mark_when_encoded(text):
    if strip(text) != text or bare(text) != text:
        for written in (msgspec.json.encode(text), json.dumps(text).encode()):
            assert any(mark in written for mark in MARKS)


@pytest.mark.slow
def test_every_single_character_that_is_removed_bears_a_mark():
    for point in range(sys.maxunicode + 1):
        character = chr(point)
        if (strip(character) != character or bare(character) != character) and not 0xD800 <= point < 0xE000:
            assert any(mark in msgspec.json.encode(character) for mark in MARKS), hex(point)


def test_a_hostile_text_takes_linear_time():
    for part in ("\x1b[", "\x1b]", "\x1b[0", "\x9b", "\u200d", "\x1bP", "a\u200d\u200b", "a\ufe0f", "👩\u200d"):
        strip(part * 200_000)
    strip("\x1b[" + "0" * 500_000)


@pytest.mark.parametrize("text", ["plain", "tab\tline\n", "Grüße", "👨\u200d👩"])
def test_a_text_without_them_is_the_same_object(text):
    assert strip(text) is text


PARTS = st.sampled_from(
    [
        *"aZ0[m;]\\PX^_ /~\n\t\x07\x1b\x9b\x9c\x85\ufe0f\ufe00\u200b\u200c\u200d\u180b\u180e\ud800\U000e0100",
        *"\u0628\u064b\u0924\u094d\u09b0\u09cd\u09af\u4e00\u2764\u1820\u20e3\u2028",
        *("\U0001f468", "\U0001f3fb", "\x1b]", "\x1b\\", "\x1b[31m", "\x1b]0;ab\x07", "\x1bPab", "\u200d\ufe0f\u200d"),
    ]
)


@settings(max_examples=800)
@given(text=st.lists(PARTS, max_size=40).map("".join), piece=st.integers(1, 7))
def test_a_text_is_screened_in_pieces_as_it_is_whole(text, piece):
    whole, bare_whole = strip(text), bare(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(invisible, "_PIECE", piece)
        assert strip(text) == whole
        assert bare(text) == bare_whole
        assert strip(whole) is whole or strip(whole) != whole  # the same object where there is nothing to remove


LONG = 300_000
LONG_TEXTS = {
    "sequences": "\x1b]" * LONG,
    "sequences that end": "\x1b]0;ab\x07" * (LONG // 8),
    "sequences of one character": "\x9b" * LONG,
    "colours": "\x1b[31mred" * (LONG // 8),
    "one mark": "a" * LONG + "\u200b",
    "marks": "\u200b" * LONG,
    "marks between": "a\u200b" * (LONG // 2),
    "marks and joiners": "\u200b\u200c" * (LONG // 2),
    "joiners": "a\u200d" * (LONG // 2),
    "joiners in place": "\u0628\u200c" * (LONG // 2),
    "selectors": "\u4e00\ufe00" * (LONG // 2),
    "one sequence, then none": "\x1b[m" + "a" * LONG,
}


@pytest.mark.parametrize("name", LONG_TEXTS)
def test_attack_122_a_thread_may_pause_within_a_long_text(name, monkeypatch):
    pieces = []

    def step(part: str) -> str:
        pieces.append(part)
        return part

    monkeypatch.setattr(invisible, "step", step)
    text = LONG_TEXTS[name]
    bare(strip(text))
    assert len(pieces) >= len(text) // invisible._PIECE - 1
    assert max(map(len, pieces)) <= 2 * invisible._PIECE
