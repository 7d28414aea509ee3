"""A tool's result becomes one that may leave."""

import datetime as dt
import itertools
import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpward.core.errors import Refusal
from mcpward.core.notification_bounds import LONGEST, LONGEST_READ
from mcpward.core.reasons import Reason
from mcpward.core.secret import Secret
from mcpward.core.values import RawResult
from mcpward.sanitize.clean import Sanitizer
from mcpward.sanitize.redact import MASK, Redactor
from mcpward.sanitize.screens.invisible import strip
from support.canaries import canaries, leaks
from support.cost import cost_of
from support.facts import facts_of

SECRET = "sk-live-4eC39HqLyjWDarjtT1zdp7dc"


@pytest.fixture(name="sanitizer")
def _sanitizer():
    redactor = Redactor([Secret(SECRET, "STRIPE")])
    return Sanitizer(lambda: redactor, max_bytes=10_000)


def text(*parts):
    return [{"type": "text", "text": part} for part in parts]


def clean(sanitizer, content, **more):
    return sanitizer.clean(None, RawResult(content=content, **more))


def test_a_result_without_anything_suspicious_leaves_as_it_is(sanitizer):
    outcome = clean(sanitizer, text("Grüße, 中文 🙂"), structured={"n": 1.5, "list": [None, True]})
    assert json.loads(outcome.body) == {
        "content": text("Grüße, 中文 🙂"),
        "structuredContent": {"n": 1.5, "list": [None, True]},
        "isError": False,
    }
    assert outcome.redactions == 0


def test_a_result_without_a_schema_has_no_structured_content(sanitizer):
    assert b"structuredContent" not in clean(sanitizer, text("x")).body


def test_meta_of_a_result_stands_first_and_is_cleaned_as_the_rest(sanitizer):
    """First, where the reply's own members join it; a second ``_meta`` would be read by some and not by others."""
    raw = RawResult(content=text("x"), meta={"com.example/x": SECRET})
    outcome = sanitizer.clean(None, raw)
    assert outcome.body.startswith(b'{"_meta":{"com.example/x":')
    assert SECRET.encode() not in outcome.body
    assert outcome.redactions == 1
    assert b"_meta" not in sanitizer.clean(None, RawResult(content=text("x"))).body
    with pytest.raises(Refusal):
        sanitizer.clean(None, RawResult(content=[], meta={"a": object()}))


def test_an_error_stays_an_error(sanitizer):
    outcome = clean(sanitizer, text("no"), is_error=True)
    assert outcome.is_error
    assert json.loads(outcome.body)["isError"] is True


def test_a_secret_goes_from_text_and_structure_and_is_counted(sanitizer):
    outcome = clean(sanitizer, text(f"key {SECRET}."), structured={"key": SECRET, SECRET: 1})
    assert json.loads(outcome.body) == {
        "content": text(f"key {MASK}."),
        "structuredContent": {"key": MASK, MASK: 1},
        "isError": False,
    }
    assert outcome.redactions == 3


def test_a_secret_with_invisible_characters_between_goes(sanitizer):
    dirty = SECRET[:5] + "\u200b" + SECRET[5:9] + "\x1b[0m" + SECRET[9:] + "\U000e0041"
    outcome = clean(sanitizer, text(dirty))
    assert json.loads(outcome.body)["content"] == text(MASK)


@pytest.mark.parametrize("half", [chr(0xD800), chr(0xDC00), 2 * chr(0xD83D)])
def test_half_a_surrogate_pair_becomes_a_replacement_character_and_the_rest_leaves(sanitizer, half):
    outcome = clean(sanitizer, text(f"a{half}b", SECRET), structured={f"n{half}": [half]})
    mended = "\ufffd" * len(half)
    assert json.loads(outcome.body) == {
        "content": text(f"a{mended}b", MASK),
        "structuredContent": {f"n{mended}": [mended]},
        "isError": False,
    }


def test_two_halves_of_one_pair_become_its_character(sanitizer):
    assert json.loads(clean(sanitizer, text("\ud83d\ude00")).body)["content"] == text("\U0001f600")


@pytest.mark.parametrize("gap", [chr(0xD800), "\ufffd", "\ufffd\u200b" + chr(0xDFFF)])
def test_a_secret_with_half_a_pair_or_its_replacement_between_goes(sanitizer, gap):
    dirty = SECRET[:7] + gap + SECRET[7:]
    outcome = clean(sanitizer, text(f"a {dirty}", "x"), structured={"key": [dirty]})
    said = json.loads(outcome.body)
    assert (said["content"], said["structuredContent"]) == (text(f"a {MASK}", "x"), {"key": [MASK]})
    with pytest.raises(Refusal):
        clean(sanitizer, text(SECRET[:7] + gap, SECRET[7:]))


def test_line_and_paragraph_separators_leave_escaped(sanitizer):
    outcome = clean(sanitizer, text("a\u2028b\u2029"), structured={"\u2028": "\u2029"})
    assert outcome.body.count(b"\\u2028") == outcome.body.count(b"\\u2029") == 2
    assert len(outcome.body.decode().splitlines()) == 1
    assert json.loads(outcome.body)["content"] == text("a\u2028b\u2029")
    frame = sanitizer.frame(json.dumps({"x": "\u2028"}, ensure_ascii=False).encode())
    assert frame == b'{"x":"\\u2028"}'


def test_what_is_mirrored_as_text_counts_once_towards_the_limit(sanitizer):
    def returned(size: int) -> RawResult:
        structured = {"x": "y" * (size - len('{"x":""}') - len("{}"))}
        return RawResult(text(json.dumps(structured)), structured, is_mirrored=True)

    assert len(sanitizer.clean(None, returned(10_000)).body) > 20_000
    with pytest.raises(Refusal) as no:
        sanitizer.clean(None, returned(10_001))
    assert no.value.detail == "the result has 10001 bytes, output.max_bytes is 10000"
    assert facts_of(no.value)["advice"] == "it is too large: ask for less"
    apart = RawResult(text("y" * 6_000), {"x": "y" * 6_000})  # not the same thing twice
    with pytest.raises(Refusal):
        sanitizer.clean(None, apart)


def test_what_breaks_its_output_schema_once_it_is_redacted_is_withheld(sanitizer):
    def misfit(value):
        return None if value == {"n": "y"} else "n: does not fit the output schema (pattern)"

    kept = RawResult(text(f"x {SECRET}"), {"n": "y"}, misfit=misfit)
    assert sanitizer.clean(None, kept).redactions == 1
    with pytest.raises(Refusal) as no:
        sanitizer.clean(None, RawResult(text("x"), {"n": SECRET}, misfit=misfit))
    assert no.value.detail.endswith("breaks its output schema: n: does not fit the output schema (pattern)")


def test_an_embedded_resource_and_a_picture_are_redacted(sanitizer):
    import base64

    picture = base64.b64encode(b"\x89PNG" + SECRET.encode() + b"IEND").decode()
    outcome = clean(
        sanitizer,
        [
            {"type": "resource", "resource": {"uri": f"x://{SECRET}", "text": SECRET}},
            {"type": "image", "data": picture, "mimeType": "image/png"},
        ],
    )
    assert SECRET.encode() not in outcome.body
    assert outcome.redactions == 3


@pytest.mark.parametrize("cut", range(1, len(SECRET)))
@pytest.mark.parametrize("between", ["", "\u200b"])
def test_a_secret_split_over_two_blocks_is_withheld(sanitizer, cut, between):
    with pytest.raises(Refusal) as refused:
        clean(sanitizer, text("x " + SECRET[:cut] + between, SECRET[cut:] + " y"))
    assert refused.value.reason is Reason.OUTPUT_REFUSED
    told = "it contains a secret: ask for less of it"
    assert facts_of(refused.value) == {"error_id": facts_of(refused.value)["error_id"], "advice": told}
    assert len(facts_of(refused.value)["error_id"]) == 12


def test_a_secret_split_over_a_resource_and_three_blocks_is_withheld(sanitizer):
    content = [*text(SECRET[:5]), {"type": "resource", "resource": {"uri": "x://y", "text": SECRET[5:9]}}]
    with pytest.raises(Refusal):
        clean(sanitizer, [*content, *text(SECRET[9:20], SECRET[20:])])


def test_lines_of_a_secret_in_blocks_of_their_own_are_withheld():
    redactor = Redactor([Secret("-----BEGIN KEY-----\nMIIEvQ\n-----END KEY-----", "PEM")])
    with pytest.raises(Refusal):
        clean(Sanitizer(lambda: redactor, 10_000), text("-----BEGIN KEY-----", "MIIEvQ", "-----END KEY-----"))


def test_whole_secrets_in_several_blocks_are_redacted_not_withheld(sanitizer):
    assert json.loads(clean(sanitizer, text(SECRET, SECRET)).body)["content"] == text(MASK, MASK)


def test_a_secret_over_several_members_is_withheld():
    redactor = Redactor([Secret('{"a":1,"b":2}', "DOCUMENT")])
    with pytest.raises(Refusal) as refused:
        clean(Sanitizer(lambda: redactor, 10_000), [], structured={"a": 1, "b": 2})
    assert refused.value.reason is Reason.OUTPUT_REFUSED


def test_a_result_that_is_too_large_is_refused(sanitizer):
    assert clean(sanitizer, text("x" * 9_000)).body
    with pytest.raises(Refusal) as refused:
        clean(sanitizer, text("x" * 10_001))
    assert refused.value.reason is Reason.OUTPUT_REFUSED


@pytest.mark.parametrize("value", [object(), {1: object()}, {"x": {object()}}])
def test_a_result_that_is_no_json_is_refused_without_its_value(sanitizer, value):
    with pytest.raises(Refusal) as refused:
        clean(sanitizer, text("x"), structured=value)
    assert refused.value.reason is Reason.OUTPUT_REFUSED
    assert "object at" not in refused.value.detail


def test_dates_are_written_also_where_something_is_redacted(sanitizer):
    outcome = clean(sanitizer, text(SECRET), structured={"at": dt.date(2026, 7, 28)})
    assert json.loads(outcome.body)["structuredContent"] == {"at": "2026-07-28"}


def test_a_deep_result_is_cleaned_or_refused(sanitizer):
    deep: Any = SECRET
    for _ in range(900):
        deep = [deep]
    try:
        body = clean(sanitizer, text("x"), structured=deep).body
    except Refusal:
        return
    assert SECRET.encode() not in body


def test_a_frame_is_cleaned(sanitizer):
    message = {
        "jsonrpc": "2.0",
        "method": "notifications/progress",
        "params": {"progress": 1, "message": f"\x1b[1m{SECRET}"},
    }
    assert json.loads(sanitizer.frame(msgspec.json.encode(message)))["params"] == {"progress": 1, "message": MASK}


def test_a_frame_without_anything_suspicious_is_the_same_object(sanitizer):
    message = b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}'
    assert sanitizer.frame(message) is message


@pytest.mark.parametrize("message", [b'{"x":"' + b"x" * 10_000 + b'"}', b"{\xff\\u" + SECRET.encode()])
def test_a_frame_of_which_nothing_may_leave_is_empty(sanitizer, message):
    assert sanitizer.frame(message) == b""


def test_a_text_is_cleaned(sanitizer):
    assert sanitizer.text(f"\x1b[31merror\x00 at {SECRET[:4]}\u200b{SECRET[4:]}") == f"error at {MASK}"


def test_a_secret_that_came_while_serving_is_redacted():
    redactors = [Redactor([])]
    sanitizer = Sanitizer(lambda: redactors[-1], 10_000)
    assert SECRET.encode() in clean(sanitizer, text(SECRET)).body
    redactors.append(Redactor([Secret(SECRET, "NEW")]))
    assert SECRET.encode() not in clean(sanitizer, text(SECRET)).body


@settings(max_examples=30)
@given(st.text(max_size=40))
def test_without_secrets_a_clean_text_comes_through(said):
    sanitizer = Sanitizer(lambda: Redactor([]), 10_000)
    body = clean(sanitizer, text(said)).body
    assert json.loads(body)["content"][0]["text"].isprintable() or said
    assert json.loads(clean(sanitizer, json.loads(body)["content"]).body) == json.loads(body)


def test_500_canaries_in_every_disguise_leave_no_trace():
    planted = canaries(500)
    redactor = Redactor(Secret(canary.value, canary.name) for canary in planted)
    assert redactor.weak == ()
    sanitizer = Sanitizer(lambda: redactor, 1_000_000)
    for at, canary in enumerate(planted):
        disguises = canary.few(at, 4)
        body = clean(sanitizer, text(" | ".join(disguises)), structured={"result": disguises}).body
        assert leaks(body, [canary]) == []
        assert leaks("\0".join(json.loads(body)["structuredContent"]["result"]).encode(), [canary]) == []


NAMES = [
    "".join(letters) for letters in itertools.product("\u200b\u200e\u200f\u2060\u2061\u2062\u2063\u2064", repeat=4)
]


def test_names_that_become_equal_are_counted_and_none_is_lost(sanitizer):
    given_names = {"a\u200b": 1, "a": 2, "\u200ba": 3, "a'1": 4, "a'2": 5, "\u200b\u200ba": 6}
    structured = json.loads(clean(sanitizer, [], structured=given_names).body)["structuredContent"]
    assert structured == {"a": 1, "a'1": 2, "a'2": 3, "a'1'1": 4, "a'2'1": 5, "a'3": 6}


def test_what_becomes_too_large_by_screening_does_not_leave(sanitizer):
    secret = {f"{n:04}": "hunter" for n in range(900)}
    redactor = Redactor([Secret("hunter", "SHORT")])
    small = Sanitizer(lambda: redactor, max_bytes=len(msgspec.json.encode(secret)) + 100)
    with pytest.raises(Refusal) as no:
        clean(small, [], structured=secret)
    assert no.value.reason is Reason.OUTPUT_REFUSED
    assert small.frame(msgspec.json.encode(secret)) == b""


LONG = "a\x1b]" * 65_536
LARGE_RESULTS = {
    "text": RawResult(text(LONG)),
    "resource": RawResult([{"type": "resource", "resource": {"uri": "x:y", "text": LONG}}]),
    "link": RawResult([{"type": "resource_link", "uri": "x:y", "name": "n", "description": LONG}]),
    "name": RawResult([{"type": "text", "text": "x", "_meta": {LONG: 1}}]),
    "meta": RawResult(text("x"), meta={"x/y": LONG}),
    "numbers": RawResult(text("x"), meta={"x/y": [1] * 40_000}),
    "nested": RawResult(text("x"), meta={"x/y": [[{"z": [0]}] for _ in range(10_000)]}),
    "structured": RawResult(text("x"), {"a": LONG}),
    "encoded": RawResult(text("x"), msgspec.Raw(msgspec.json.encode({"a": LONG}))),
    "many": RawResult(text(*["x"] * 40_000)),
    "unknown": RawResult(text("x"), object()),
}


@pytest.mark.parametrize("name", LARGE_RESULTS)
def test_attack_122_whatever_of_a_result_is_large_is_not_cleaned_on_the_loop(sanitizer, name):
    assert not sanitizer.is_little(LARGE_RESULTS[name])


def test_a_little_result_is_cleaned_on_the_loop(sanitizer):
    resource = {"type": "resource", "resource": {"uri": "x:y", "text": "z" * 30_000}}
    little = RawResult([*text("x" * 30_000), resource], msgspec.Raw(b'{"a":1}'), meta={"x/y": [1, 2.5, None, True]})
    assert sanitizer.is_little(little)


def test_attack_122_it_is_known_at_once_whether_a_result_is_little(sanitizer):
    at = time.process_time()
    for raw in LARGE_RESULTS.values():
        sanitizer.is_little(raw)
    assert time.process_time() - at < 0.05


MIB = 1024 * 1024
WORST = {
    "names of nothing": [dict.fromkeys(NAMES, 0) for _ in range(14)],
    "texts of one mark": ["\u00ad"] * (MIB // 5 - 100),
    "joiners": ["\u200c"] * (MIB // 6 - 100),
    "sequences": ["\x1b[m"] * (MIB // 14 - 100),
    "numbers and one mark": [1] * (MIB // 2 - 100) + ["\u200b"],
    "texts and one secret": [""] * (MIB // 3 - 100) + [SECRET],
    "numbers and one secret": [1] * (MIB // 2 - 100) + [SECRET],
    "names and one secret": {str(n): "" for n in range(MIB // 13)} | {"z": SECRET},
    "marks in one text": "\u200b" * (MIB // 3 - 100),
    "joiners in one text": "a\u200d" * (MIB // 4 - 100),
    "a sequence without an end": "\x1b[" + "0" * (MIB - 200),
    "sequences without an end": "\x1b]" * (MIB // 7 - 100),
}


@pytest.mark.parametrize("structured", WORST.values(), ids=WORST.keys())
def test_a_mebibyte_of_the_worst_does_not_hold_up_the_others(structured):
    redactor = Redactor([Secret(SECRET, "STRIPE")])
    sanitizer = Sanitizer(lambda: redactor, max_bytes=MIB)
    raw = msgspec.Raw(msgspec.json.encode(structured))
    assert SECRET.encode() not in clean(sanitizer, [], structured=raw).body
    assert cost_of(lambda: clean(sanitizer, [], structured=raw)) < 3


@given(
    st.recursive(
        st.none() | st.integers() | st.text(st.sampled_from('ab\u200b\u200c\u0645\x1b[m]\x07\n\\"\x9b'), max_size=5),
        lambda inner: (
            st.lists(inner, max_size=90) | st.dictionaries(st.text("a\u200b'1", max_size=3), inner, max_size=90)
        ),
        max_leaves=300,
    )
)
@settings(max_examples=50)
def test_values_taken_by_the_slice_are_cleaned_as_one_by_one(value):
    redactor = Redactor([Secret(SECRET, "STRIPE")])
    body = clean(Sanitizer(lambda: redactor, max_bytes=MIB), [], structured=[value] * 70).body
    assert json.loads(body)["structuredContent"] == [one_by_one(value)] * 70


def one_by_one(value):
    if isinstance(value, str):
        return strip(value)
    if isinstance(value, list):
        return [one_by_one(item) for item in value]
    if not isinstance(value, dict):
        return value
    members = {}
    for name, item in value.items():
        other = clean_name = strip(name)
        count = 0
        while other in members:
            count += 1
            other = f"{clean_name}'{count}"
        members[other] = one_by_one(item)
    return members


@pytest.mark.parametrize("cut", [5, 20])
def test_a_secret_split_over_two_parts_of_a_prompt_is_seen(sanitizer, cut):
    parts = text(SECRET[:cut], SECRET[cut:])
    assert sanitizer.is_split(parts, lambda: parts)


def test_a_secret_that_is_whole_and_masked_is_not_split(sanitizer):
    assert not sanitizer.is_split(text("a", SECRET), lambda: text("a", MASK))
    assert not sanitizer.is_split(text(SECRET), lambda: text(SECRET))


@pytest.mark.parametrize("before", range(LONGEST - len(SECRET) + 1, LONGEST))
def test_attack_85_a_secret_across_the_end_of_a_long_message_leaves_in_no_part(sanitizer, before):
    for tail in ("", "y" * 300_000):
        read = ("x" * before + SECRET + tail)[:LONGEST_READ]
        sent = msgspec.json.encode({"method": "notifications/message", "params": {"level": "info", "data": read}})
        text = msgspec.json.decode(sanitizer.notification(sent))["params"]["data"]
        assert len(text) <= LONGEST
        assert text.rstrip("y").rstrip("x").rstrip(MASK).strip("x") == ""


@pytest.mark.parametrize("masked", [0, 5_000])
def test_attack_85_a_secret_that_was_cut_before_it_was_redacted_leaves_in_no_part(sanitizer, masked):
    """Masks are shorter than what they hide, so the end of the text moves forward."""
    read = (SECRET * masked + "x" * (LONGEST_READ - masked * len(SECRET) - 8) + SECRET)[:LONGEST_READ]
    sent = msgspec.json.encode({"method": "notifications/progress", "params": {"progress": 1, "message": read}})
    text = msgspec.json.decode(sanitizer.notification(sent))["params"]["message"]
    assert SECRET[:4] not in text
    assert len(text) <= LONGEST


def test_a_message_of_plain_length_is_left_whole(sanitizer):
    sent = msgspec.json.encode({"method": "notifications/message", "params": {"level": "info", "data": "é" * 4_000}})
    assert sanitizer.notification(sent) == sent
