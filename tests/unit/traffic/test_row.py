"""Attack 110, and the cut of arguments: nothing unredacted, nothing half, nothing that is no text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpward.core.secret import Secret
from mcpward.sanitize.redact import Redactor
from mcpward.traffic.line import line, visible
from mcpward.traffic.record import MAX_RAW_ARGUMENTS
from mcpward.traffic.row import MAX_ARGUMENTS, RowMaker, cut, text, unescaped
from support.records import a_record, named

SECRET = b"hunter2-correct-horse"
ANY_TEXT = st.text(st.characters(codec=None), max_size=200)
NASTY = 'a\nb\r\x1b[31mred\x1b[0m\x9b2J\x00\x7f\u2028\u202e\u2066\U000e0041\ud800"}\n{'


def record(arguments=None, tool="query_orders", is_listed=True):
    return a_record(method="tools/call", tool=tool, is_listed=is_listed, arguments=arguments)


def redact(raw):
    return raw.replace(SECRET, b"***")


@given(ANY_TEXT)
def test_110_a_row_is_one_printable_line_and_reads_back_as_it_was(given_text):
    row = {"tool": given_text, given_text: [given_text]}
    written = line(row)
    assert written.isascii()
    assert written.isprintable()
    assert len(written.splitlines()) == 1
    assert json.loads(written) == row


def test_110_escape_sequences_and_breaks_neither_act_nor_split():
    row = named(RowMaker(bytes).of(record(tool=NASTY, is_listed=False)))
    written = line(row)
    assert written.isascii()
    assert written.isprintable()
    assert json.loads(written)["tool"].startswith("a\nb\r\x1b[31mred")


@given(ANY_TEXT)
def test_110_a_text_for_people_has_nothing_that_acts_on_a_terminal(given_text):
    assert visible(given_text).isprintable()


@given(ANY_TEXT)
def test_a_row_holds_only_what_every_database_can_keep(given_text):
    kept = text(given_text)
    assert "\0" not in kept
    kept.encode()


@given(st.text(), st.integers(4, 64))
def test_a_cut_ends_at_a_character_and_is_the_longest_that_fits(given_text, size):
    kept = cut(given_text.replace("\0", "").encode(), size)
    whole = given_text.replace("\0", "")
    assert whole.startswith(kept)
    assert len(kept.encode()) <= size
    if len(kept) < len(whole):
        assert len((kept + whole[len(kept)]).encode()) > size


@given(st.binary(max_size=100), st.integers(4, 64))
def test_a_cut_of_any_bytes_is_a_text(given_bytes, size):
    cut(given_bytes, size).encode()


@pytest.mark.parametrize("edge", [MAX_ARGUMENTS, MAX_RAW_ARGUMENTS])
def test_85_a_secret_across_an_edge_is_not_kept_in_part(edge):
    rows = RowMaker(redact)
    for start in range(edge - len(SECRET), edge + 1):
        whole = b"x" * start + SECRET + b"x" * 20_000
        kept = named(rows.of(record(whole[:MAX_RAW_ARGUMENTS])))["arguments"]
        assert "hunt" not in kept
        assert len(kept) <= MAX_ARGUMENTS


def test_85_a_secret_across_the_edge_is_not_kept_in_part_when_redaction_makes_the_rest_short():
    whole = SECRET * 2_000
    for shift in range(len(SECRET)):
        raw = (b"x" * shift + whole)[:MAX_RAW_ARGUMENTS]
        kept = named(RowMaker(redact).of(record(raw)))["arguments"]
        assert "hunt" not in kept


def test_arguments_that_cannot_be_redacted_are_not_kept(caplog):
    def broken(raw):
        raise ValueError(raw)

    row = named(RowMaker(broken).of(record(SECRET, tool="made up", is_listed=False)))
    assert (row["arguments"], row["tool"]) == (None, "?")
    assert "hunter2" not in caplog.text
    assert "redaction failed" in caplog.text


def test_without_a_redactor_no_arguments_are_kept():
    row = named(RowMaker().of(record(b"{}", tool="made up", is_listed=False)))
    assert (row["arguments"], row["tool"]) == (None, "?")


def test_a_trace_that_is_none_is_not_kept():
    made_up = record()
    made_up.trace = "00-zz"
    assert named(RowMaker().of(made_up))["trace"] is None


SPELLED = [
    b"hunter2-correct-horse",
    b"hunter2-c\\u006frrect-horse",
    b"\\u0068unter2\\u002Dcorrect-horse",
    b"".join(b"\\u%04x" % byte for byte in SECRET),
]


def kept_of(raw):
    redactor = Redactor([Secret(SECRET.decode(), "PASSWORD")])
    return named(RowMaker(redactor.bytes, redactor.json).of(record(raw)))["arguments"]


@pytest.mark.parametrize("spelled", SPELLED)
@pytest.mark.parametrize("rest", [0, 20_000])
def test_85_a_secret_is_not_kept_however_its_letters_are_escaped(spelled, rest):
    kept = kept_of((b'{"key":"' + spelled + b'","rest":"' + b"x" * rest + b'"}')[:MAX_RAW_ARGUMENTS])
    assert kept.startswith('{"key":"[redacted]"')


@pytest.mark.parametrize("rest", [0, 20_000])
def test_85_nor_is_one_with_an_escaped_slash(rest):
    redactor = Redactor([Secret("one/two/three", "PATH")])
    raw = (b'{"key":"one\\/two/three","rest":"' + b"x" * rest + b'"}')[:MAX_RAW_ARGUMENTS]
    kept = named(RowMaker(redactor.bytes, redactor.json).of(record(raw)))["arguments"]
    assert kept.startswith('{"key":"[redacted]"')


def test_arguments_that_are_no_json_are_redacted_as_bytes():
    assert kept_of(b'{"key":"' + SECRET) == '{"key":"[redacted]'


def test_arguments_without_a_secret_are_kept_as_they_came():
    raw = b'{ "name" : "J\\u00fcrgen \\/ \\n" }'
    assert kept_of(raw) == raw.decode()


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_what_is_unescaped_reads_the_same(given_text):
    spelled = "".join(f"\\u{ord(char):04x}" if ord(char) < 0x10000 else char for char in given_text)
    for raw in (f'"{spelled}"'.encode(), json.dumps(given_text).encode(), json.dumps(spelled).encode()):
        assert json.loads(unescaped(raw)) == json.loads(raw)


@pytest.mark.parametrize("secret", [None, 0, 2])
def test_a_batch_is_kept_as_its_records_alone_whatever_is_among_them(secret):
    redactor = Redactor([Secret(SECRET.decode(), "PASSWORD")])
    raws = [b'{"a":1}', None, b'{"c":"\xc3\xbc"}', b"", b'"%b"' % (b"x" * MAX_ARGUMENTS), b'"\xff"', b"{}"]
    if secret is not None:
        raws[secret] = b'{"a":"%b"}' % SECRET
    rows = RowMaker(redactor.bytes, redactor.json)
    for batch in ([record(raw) for raw in raws], [record(raw) for raw in raws if raw]):
        kept = [named(row)["arguments"] for row in rows.all(batch)]
        assert kept == [named(rows.of(each))["arguments"] for each in batch]
        assert "hunter2" not in str(kept)


def test_a_secret_in_one_record_of_a_batch_is_redacted_however_it_is_escaped():
    redactor = Redactor([Secret("correct-horse-battery", "A")])
    spelled = "".join(f"\\u{ord(letter):04x}" for letter in "correct-horse-battery").encode()
    batch = [record(b'{"a":1}'), record(b'{"b":"%b"}' % spelled), record(b'{"c":"plain"}')]
    kept = [named(row)["arguments"] for row in RowMaker(redactor.bytes, redactor.json).all(batch)]
    assert kept == ['{"a":1}', '{"b":"[redacted]"}', '{"c":"plain"}']


def test_why_a_result_was_withheld_is_redacted_and_cut():
    redactor = Redactor([Secret(SECRET.decode(), "PASSWORD")])
    given = a_record(detail=f"{SECRET.decode()}.rate: not a finite number {'x' * 1000}")
    for row in (RowMaker(redactor.bytes).of(given), *RowMaker(redactor.bytes).all([given])):
        assert named(row)["detail"].startswith("[redacted].rate: not a finite number xx")
        assert len(named(row)["detail"]) == 1024
    assert named(RowMaker().of(given))["detail"] is None  # what cannot be redacted is not kept
    assert named(RowMaker(redactor.bytes).of(a_record()))["detail"] is None
