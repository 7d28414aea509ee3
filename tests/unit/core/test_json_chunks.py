"""Large JSON texts, read chunk by chunk: judged as they are when read at once, and no step costs more than a stranger's
share of the loop.
"""

import json
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mcpward.core.json_chunks import ChunkReader
from mcpward.core.jsonio import DEFAULT_BOUNDS, Bounds, JsonRefused, read
from support.bombs import AROUND, BOMBS, SIZES, message
from support.cost import slowness, uncollected

TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from('"\\{}[],:/\n\t\0\x7f'), max_size=40)
NAMES = st.sampled_from(["params", "arguments", "a", "b", "é"]) | TEXTS
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)
MESSAGES = st.fixed_dictionaries(
    {"x": VALUES, "params": st.fixed_dictionaries({"q": VALUES, "arguments": VALUES, "z": VALUES}), "y": VALUES}
)
LONGEST_S = 0.01
#: A cut is where it hurts if a chunk is this small.
CHUNKS = st.sampled_from([16, 21, 40, 100])
#: The chunk reader's results for texts that are JSON: no client writes them.
STRICTER = {
    "a name is too long", "blank space without end", "blank space, or a number, without end", "nested too deep",
}  # fmt: skip


class _Params(msgspec.Struct):
    arguments: msgspec.Raw


class _Envelope(msgspec.Struct):
    params: _Params


def opened(text: bytes, chunk: int, bounds: Bounds = DEFAULT_BOUNDS) -> ChunkReader:
    reader = ChunkReader(text, bounds, chunk)
    for _ in reader.steps():
        pass
    return reader


def costs_of(steps: Iterator[None]) -> Iterator[float]:
    """Return the seconds of the processor that each step takes."""
    over = False
    while not over:
        begun = time.thread_time()
        try:
            next(steps)
        except (JsonRefused, StopIteration):
            over = True
        yield time.thread_time() - begun


def judged(text: bytes, chunk: int) -> Any:
    try:
        return repr(opened(text, chunk).value)
    except JsonRefused as no:
        return no


def reference(text: bytes) -> Any:
    try:
        return repr(read(text)[0])
    except JsonRefused:
        return None


def assert_agrees(text: bytes, chunk: int) -> None:
    expected, seen = reference(text), judged(text, chunk)
    if isinstance(seen, JsonRefused):
        assert expected is None or str(seen) in STRICTER
    else:
        assert seen == expected


@given(MESSAGES, CHUNKS, st.sampled_from([(",", ":"), (" ,\n", " : ")]), st.booleans())
@settings(max_examples=120)
def test_a_message_is_what_it_is_when_read_at_once(value, chunk, separators, ascii_only) -> None:
    text = json.dumps(value, separators=separators, ensure_ascii=ascii_only).encode()
    assert_agrees(text, chunk)
    if not isinstance(judged(text, chunk), JsonRefused) and isinstance(value["params"]["arguments"], dict):
        expected = bytes(msgspec.json.decode(text, type=_Envelope).params.arguments)
        assert opened(text, chunk).arguments == expected


@example("[1" + "0" * 30 + ",]", 16, "", 0)
@example("[" + " " * 20 + ",1]", 16, "", 0)
@example("[1," + " " * 30 + ",2]", 16, "", 0)
@example('{"a":1,' + " " * 12 + '"b":2,"a":3}', 16, "", 0)
@example('["' + "x" * 100 + '" "y"]', 16, "", 0)
@example('["' + "x" * 100 + '"]]', 16, "", 0)
@example('["' + "x" * 100 + '",]', 16, "", 0)
@example('{"a":"' + "x" * 100 + '"', 16, "", 0)
@example('"' + "x" * 100 + '",1', 16, "", 0)
@example("[1],[" + "2" * 30 + "]", 16, "", 0)
@example("[[1],{" + '"a":2' + " " * 20 + "]}", 16, "", 0)
@example("", 16, "", 0)
@given(VALUES.map(json.dumps), CHUNKS, st.sampled_from('{}[],:" \\1é'), st.integers(0, 10_000))
@settings(max_examples=120)
def test_a_text_with_one_wrong_character_is_judged_as_when_read_at_once(text, chunk, wrong, at) -> None:
    at %= len(text) + 1
    assert_agrees(text.encode(), chunk)
    assert_agrees((text[:at] + wrong + text[at:]).encode(), chunk)
    assert_agrees((text[:at] + text[at + 1 :]).encode(), chunk)


@pytest.mark.parametrize("text", ["é", "中", "😀", "\\u00e9", "\\ud83d\\ude00", "\\\\", '\\"', "\\n", "a\\u0041"])
def test_a_long_string_is_cut_neither_in_a_character_nor_in_an_escape(text) -> None:
    for lead in range(12):
        raw = b'{"params":{"arguments":{"x":"' + b"a" * lead + text.encode() * 200 + b'"}}}'
        reader = opened(raw, 40)
        assert reader.value == json.loads(raw)
        assert reader.arguments == raw[len('{"params":{"arguments":') : -2]


def test_56_a_name_is_repeated_however_far_away() -> None:
    far = ",".join(f'"n{number}":[{number}]' for number in range(200))
    for text in (f'{{"a":1,{far},"a":2}}', f'{{"a":{{"b":1,{far},"\\u0062":2}}}}', f'[[{{"a":1,{far},"a":2}}]]'):
        with pytest.raises(JsonRefused, match="repeated"):
            opened(text.encode(), 64)


def test_bounds_hold_over_all_chunks() -> None:
    text = b"[" + b"1," * 500 + b"1]"
    opened(text, 64, Bounds(members=503))
    with pytest.raises(JsonRefused, match="too many members"):
        opened(text, 64, Bounds(members=400))
    with pytest.raises(JsonRefused, match="nested too deep"):
        opened(b"[[[[" + b"1," * 500 + b"1]]]]", 64, Bounds(depth=3))


@pytest.mark.parametrize("name", ["short names", "small objects", "line breaks", "25 digits", "short strings"])
def test_a_text_that_costs_too_much_is_refused_before_all_of_it_is_read(name) -> None:
    text = BOMBS[name](SIZES[-1])
    reader = ChunkReader(text, DEFAULT_BOUNDS)
    with pytest.raises(JsonRefused, match=r"costs too much|too many members"):
        for _ in reader.steps():
            pass
    assert reader.value is None or len(json.dumps(reader.value)) < len(text) / 2


def test_the_square_of_a_numbers_length_is_paid_for() -> None:
    few, many = (message(BOMBS["4000 digits"](size)) for size in (128 * 1024, 255 * 1024))
    assert opened(few, 4096).value["params"]["arguments"]["value"][0] == int("1" * 4000)
    with pytest.raises(JsonRefused, match="costs too much"):
        opened(many, 4096)


@pytest.mark.parametrize("name", BOMBS)
def test_attack_119_no_step_takes_longer_than_the_loop_may_pause(name) -> None:
    for size in SIZES:
        steps = ChunkReader(message(BOMBS[name](size - AROUND)), DEFAULT_BOUNDS).steps()
        with uncollected():
            longest = max(costs_of(steps))
        assert longest < LONGEST_S or longest < LONGEST_S * slowness()


def test_blanks_around_a_text_are_as_many_as_they_like():
    text = b" " * 300_000 + b"[1,2]" + b"\n" * 3_000_000
    reader = ChunkReader(text, DEFAULT_BOUNDS)
    assert reader.read_for(10)
    assert reader.value == [1, 2]
    with pytest.raises(JsonRefused):
        ChunkReader(b" " * 300_000, DEFAULT_BOUNDS).read_for(10)
