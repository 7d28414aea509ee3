"""JSON from strangers: judged as a slow and simple reader judges it, and at a cost that a stranger cannot choose."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mcpward.core.jsonio import Bounds, JsonRefused, decode
from support.cost import cost_of


class Pairs(list):
    """An object as it is written: its names in order, twins included."""


MIB = 1024 * 1024
TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from('"\\{}[],:/\n\t\0\x7f'), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.lists(st.tuples(TEXTS, inner), max_size=4).map(Pairs),
    max_leaves=12,
)
#: Pieces of JSON in any order: most are none, some are, some are with a twin.
SHREDS = st.lists(
    st.sampled_from(
        [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            '"',
            "\\",
            '"a"',
            '"\\u0061"',
            '"\\\\"',
            '"\\""',
            "\\ud800",
            "\\udc00",
            "\\u00e9",
            '"b":1',
            '"a":',
            "1",
            "-",
            "0",
            ".5",
            "e9",
            "null",
            "NaN",
            " ",
            "\n",
            "\x00",
            "é",
            "\ufeff",
            "\\/",
            "\\n",
        ]
    ),
    max_size=14,
).map("".join)


def written(value: Any, spell: Any) -> str:
    """Write a value with strings spelled by ``spell``, and spaces."""
    if isinstance(value, Pairs):
        return "{" + " ,".join(f"{spell(name)} : {written(item, spell)}" for name, item in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(written(item, spell) for item in value) + "]"
    return spell(value) if isinstance(value, str) else json.dumps(value)


def escaped(text: str) -> str:
    return '"' + "".join(f"\\u{ord(char):04x}" if ord(char) < 0x10000 else char for char in text) + '"'


def has_twins(value: Any) -> bool:
    if isinstance(value, Pairs):
        names = [name for name, _ in value]
        return len(names) != len(set(names)) or any(has_twins(item) for _, item in value)
    return isinstance(value, list) and any(has_twins(item) for item in value)


def reference(text: bytes) -> Any:
    """The standard decoder, which receives every name as it came."""

    def no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError
        return dict(pairs)

    def no_constant(_: str) -> Any:
        raise ValueError

    value = json.loads(text.decode(), object_pairs_hook=no_twins, parse_constant=no_constant)
    json.dumps(value, ensure_ascii=False).encode()  # raises for a lone surrogate
    msgspec.json.decode(text)  # raises for a number that no double holds
    return value


def judged(read: Any, text: bytes) -> Any:
    try:
        return "read", repr(read(text))
    except (JsonRefused, ValueError):
        return "refused"


@given(VALUES, st.sampled_from([json.dumps, escaped, lambda text: json.dumps(text, ensure_ascii=False)]))
def test_56_a_name_that_comes_twice_is_refused_however_it_is_spelled(value, spell) -> None:
    text = written(value, spell).encode()
    if has_twins(value):
        with pytest.raises(JsonRefused):
            decode(text)
    else:
        decode(text)


@example('{"a":1,"\\u0061":2}')
@example('{"a":{"b":1,"b":1}}')
@example('{"\\\\":1,"\\\\":1}')
@example('{"\\"":1,"\\u0022":1}')
@example('["\\ud800"]')
@example('["\\udc00\\ud800"]')
@example('{"a":"\\\\"}')
@given(SHREDS)
@settings(max_examples=500)
def test_any_text_is_judged_as_the_reference_judges_it(text) -> None:
    raw = text.encode()
    assert judged(decode, raw) == judged(reference, raw)


def test_bytes_that_are_no_utf8_are_refused() -> None:
    for text in (b'"\xff"', b'"\xed\xa0\x80"', b'{"\xc0\xaf":1}', b'"\xf5\x80\x80\x80"', b"\xef\xbb\xbf1"):
        with pytest.raises(JsonRefused):
            decode(text)


@pytest.mark.parametrize(
    "text,fits",
    [
        (b'[1,2,3,"[[,,]]"]', True),
        (b"[1,2,3,4,5,6,7]", False),
        (b"[[[[1]]]]", False),
        (b'["\\"[[[[[[",",,,,,,,"]', True),
        (b'["\\\\",[[[[1]]]]]', False),
        (b'{"a":1,"b":2,"c":3,"d":4}', True),
        (b'"' + b"\\n" * 50 + b'"', True),
    ],
)
def test_bounds_count_what_stands_outside_of_strings(text, fits) -> None:
    bounds = Bounds(depth=3, members=6)
    assert judged(lambda raw: decode(raw, bounds), text) == (judged(reference, text) if fits else "refused")


WORST = {
    "newlines": b'"' + b"\\n" * (2 * MIB - 1) + b'"',
    "quotes and brackets": b'"' + b'\\"[],' * (4 * MIB // 5) + b'"',
    "escaped letters": b'"' + b"\\u0041" * (4 * MIB // 6) + b'"',
    "backslashes": b'"' + b"\\\\" * (2 * MIB - 1) + b'"',
    "names": b"{" + b",".join(b'"%d%s": 0' % (n, b"a" * 30) for n in range(90_000)) + b"}",
    "escaped names": b"{" + b",".join(b'"\\u0061%d": 0' % n for n in range(90_000)) + b"}",
    "strings": b"[" + b'"",' * (4 * MIB // 3 - 2) + b'""]',
    "strings of a backslash": b"[" + b'"\\\\",' * (4 * MIB // 5 - 2) + b'""]',
    "an open string": b'"' + b"[]," * (4 * MIB // 3),
    "spaces": b" " * (4 * MIB - 2) + b"1",
    "quotes": b'"' * (4 * MIB),
}


@pytest.mark.parametrize("text", WORST.values(), ids=WORST.keys())
def test_55_four_mebibytes_of_the_worst_cost_less_than_twice_what_the_standard_library_takes(text) -> None:
    assert len(text) <= 4 * MIB
    assert cost_of(lambda: judged(lambda raw: decode(raw) and None, text)) < 2
