"""Attack 85: no form of a secret leaves, and what leaves is still JSON."""

import base64
import hashlib
import html
import json
import string
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from mcpward.core.secret import Secret
from mcpward.sanitize.forms import forms
from mcpward.sanitize.redact import MASK, Redactor

SECRET = "sk-live-4eC39HqLyjWDarjtT1zdp7dc"

secrets = st.one_of(
    st.text(min_size=6, max_size=24),
    st.text(alphabet=string.ascii_letters + string.digits, min_size=6, max_size=24),
    st.text(alphabet='ntbrfu0041"\\/\n\t', min_size=6, max_size=12),
)
texts = st.one_of(st.text(max_size=30), st.text(alphabet='\n\t\\"/a0', max_size=12))

ENCODINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 inside of others, by 1": lambda value: base64.b64encode(b"x" + value.encode() + b"yz").decode(),
    "base64 inside of others, by 2": lambda value: base64.urlsafe_b64encode(b"xy" + value.encode() + b"z").decode(),
    "hex": lambda value: value.encode().hex(),
    "upper hex": lambda value: value.encode().hex().upper(),
    "url": lambda value: quote(value, safe=""),
    "path": quote,
    "form": quote_plus,
    "json": json.dumps,
    "json utf-8": lambda value: json.dumps(value, ensure_ascii=False),
    "json twice": lambda value: json.dumps(json.dumps(value, ensure_ascii=False)),
    "all escapes": lambda value: "".join(
        f"\\u{unit:04x}" for unit in memoryview(value.encode("utf-16-le")).cast("H").tolist()
    ),
}


def redactor(*values):
    return Redactor(Secret(value, f"SECRET_{at}") for at, value in enumerate(values))


def strings_of(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from strings_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings_of(item)
    elif value is not None and not isinstance(value, bool):
        yield json.dumps(value)


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(secret=secrets, before=texts, after=texts, where=st.sampled_from(["value", "name", "item"]))
@example(secret="nabcdef", before="\n", after="", where="value")
@example(secret="u0041bcd", before="\\", after="", where="name")
@example(secret='"\\"\\"\\', before='\\"', after='"', where="item")
@example(secret="\\\\\\\\\\\\", before="\\", after="\\", where="value")
@example(secret='\U00010000\n\U00010000\n\n"', before="\\", after="", where="value")
def test_no_form_of_a_secret_is_left_and_the_json_still_parses(encoding, secret, before, after, where):
    redacts = redactor(secret)
    assume(not redacts.weak)
    text = before + ENCODINGS[encoding](secret) + after
    document = {"value": {"text": text}, "name": {text: 1}, "item": {"items": [[text]]}}[where]
    for written in (json.dumps(document, ensure_ascii=False), json.dumps(document)):
        clean = redacts.json(written.encode())
        parsed = json.loads(clean)
        for form in forms(secret):
            assert form not in clean
            assert not any(form in spoken.encode() for spoken in strings_of(parsed))


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts)
documents = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=12)


@given(document=documents)
def test_json_without_a_secret_is_given_back_as_it_is(document):
    written = json.dumps(document).encode()
    assert redactor(SECRET).json(written) is written


@given(secret=secrets, document=documents)
def test_json_stays_json_whatever_the_secret(secret, document):
    json.loads(redactor(secret).json(json.dumps(document).encode()))


@given(secret=st.text(string.ascii_letters, min_size=6), escaped=st.sets(st.integers(0, 5)))
def test_characters_escaped_by_a_stranger_hide_nothing(secret, escaped):
    redacts = redactor(secret)
    assume(not redacts.weak)
    text = "".join(f"\\u{ord(c):04X}" if at in escaped else c for at, c in enumerate(secret))
    assert json.loads(redacts.json(f'{{"a":"{text}"}}'.encode())) == {"a": MASK}


@given(secret=secrets, before=texts, after=texts)
def test_a_text_keeps_what_is_not_secret(secret, before, after):
    assume(secret not in before + after)
    redacts = redactor(secret)
    assume(not redacts.weak)
    clean = redacts.text(before + secret + after)
    assert secret not in clean
    assert MASK in clean


def test_overlapping_secrets_leave_no_end_of_either():
    assert redactor("abcdefgh", "efghijkl").text("<abcdefghijkl>") == f"<{MASK}>"
    assert redactor("abcdef", "abcdefghijkl").text("<abcdefghijkl>") == f"<{MASK}>"


def test_a_number_that_is_a_secret_is_masked():
    assert json.loads(redactor("271828").json(b'{"pin":271828,"other":314159}')) == {"pin": MASK, "other": 314159}


def test_two_names_that_are_secrets_lose_no_member():
    clean = json.loads(redactor("secret-one", "secret-two").json(b'{"secret-one":1,"secret-two":2}'))
    assert sorted(clean.values()) == [1, 2]


def test_a_secret_over_several_members_masks_the_whole_document():
    assert redactor('9,"token":7').json(b'{"a":9,"token":7}') == b'"[redacted]"'


def test_what_is_no_json_is_redacted_as_bytes():
    assert redactor(SECRET).json(f"not json: {SECRET}".encode()) == f"not json: {MASK}".encode()


def test_deep_json_is_masked_and_does_not_raise():
    deep = b"[" * 900 + b'"' + SECRET.encode() + b'"' + b"]" * 900
    assert SECRET.encode() not in redactor(SECRET).json(deep)


@pytest.mark.parametrize("value", ["", "a", "12345", "content", "structured", "isError", "redacted", '"type":"text"'])
def test_a_secret_that_cannot_be_redacted_is_reported_by_name(value):
    assert Redactor([Secret(value, "NAME"), Secret(SECRET, "GOOD")]).weak == ("NAME",)


def test_a_secret_with_invisible_characters_is_found_without_them():
    assert SECRET not in redactor(f"{SECRET[:9]}\u200b{SECRET[9:]}").text(f"it is {SECRET}")


def test_bytes_of_the_environment_that_are_no_utf8_are_redacted():
    value = b"caf\xe9-password".decode("utf-8", "surrogateescape")
    assert redactor(value).bytes(b"<caf\xe9-password>") == f"<{MASK}>".encode()


def test_many_hits_and_escapes_in_a_large_text_take_no_quadratic_time():
    text = json.dumps({"text": ("\nabcdef " * 20_000)}).encode()
    assert b"nabcdef" not in redactor("nabcdef").json(text)


@given(secret=secrets)
@example(secret="0000\x080")
def test_every_form_is_found_where_json_writes_it_in_a_text(secret):
    redacts = redactor(secret)
    assume(not redacts.weak)
    for form in forms(secret):
        text = form.decode("utf-8", "replace")
        clean = redacts.json(json.dumps({"a": text}, ensure_ascii=False).encode())
        assert text not in json.loads(clean)["a"]


@pytest.mark.parametrize("spelled", [repr, ascii, lambda value: repr(value.encode()), html.escape])
def test_what_python_and_html_write_for_a_secret_is_masked(spelled):
    secret = 'it\'s <a> \\ "quoted" & naïve\nsecret'
    clean = redactor(secret).text(f"ValueError: {spelled(secret)}!")
    assert "naïve" not in clean
    assert "quoted" not in clean


def test_only_the_escape_that_a_secret_touches_is_masked_with_it():
    assert json.loads(redactor("nabcdef").json(b'{"a":"x\\nabcdef y"}')) == {"a": f"x{MASK} y"}
    assert json.loads(redactor('abcdef\\"').json(rb'{"a":"\\\\abcdef\\\"\t!"}')) == {"a": f"\\\\{MASK}\t!"}
    assert json.loads(redactor("abcdef\\").json(rb'{"a":"\tabcdef\n!"}')) == {"a": f"\t{MASK}!"}


def test_a_mask_does_not_complete_another_secret():
    assert redactor("abcdef", "xx[redac").text("keep xxabcdef") == MASK


@pytest.mark.parametrize("size", [65_536, 131_072])
def test_a_secret_across_two_pieces_of_a_long_text_is_suspected(size):
    redactor = Redactor([Secret("hunter2-correct-horse", "PASSWORD")])
    for start in range(size - 400, size, 7):
        assert redactor.suspects(b"x" * start + b"hunter2-correct-horse" + b"x" * 100_000)
    assert not redactor.suspects(b"x" * 300_000)


def test_a_secret_with_forms_as_long_as_a_piece_is_suspected():
    long = "".join(hashlib.sha256(bytes([n])).hexdigest() for n in range(100))
    assert Redactor([Secret(long, "KEY")]).suspects(b"x" * 80_000 + long.encode())


def test_numbers_are_masked_where_a_secret_may_be_one():
    redactor = Redactor([Secret("4711081516", "PIN")])
    assert redactor.json(b'{"pin": 4711081516, "n": 1}') == b'{"pin":"[redacted]","n":1}'


@settings(max_examples=300)
@given(
    parts=st.lists(
        st.sampled_from(["hunter22", "hunter", "22hunter22secret", "secret", "x", "\u200b", "22"]), max_size=30
    ),
    window=st.integers(1, 40),
)
def test_long_data_is_searched_in_pieces_as_it_is_whole(parts, window):
    redactor = Redactor([Secret("hunter22", "A"), Secret("22secret", "B")])
    data = "".join(parts).encode()
    whole = redactor._spans(data)
    redactor._window = redactor._overlap + window
    assert redactor._spans(data) == whole


def seconds_of(value: str) -> float:
    begun = time.process_time()
    assert Redactor([Secret(value, "LARGE")]).suspects(b'{"text":"harmless"}') in {True, False}
    return time.process_time() - begun


@pytest.mark.parametrize(
    "piece",
    ["a", "ab", "A1", "0", "é", "-", "a\n"],
    ids=["letter", "letters", "digits between", "zeros", "beyond ASCII", "signs", "lines"],
)
def test_a_large_value_costs_no_more_than_its_length_whatever_it_is(piece) -> None:
    small, large = (piece * (size // len(piece.encode())) for size in (4_096, 65_536))
    least_s = min(seconds_of(small) for _ in range(3))
    assert seconds_of(large) < 64 * max(least_s, 0.002)
