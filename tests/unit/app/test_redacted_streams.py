"""Attack 85: what Python code writes to standard output and error leaves line by line, redacted."""

import io
import sys

import pytest

from mcpward.app.redacted_streams import RedactedStream, redacted_streams
from mcpward.core.secret import Secret
from mcpward.sanitize.redact import Redactor

SECRET = "sk-live-4eC39HqLyjWDarjtT1zdp7dc"
REDACTOR = Redactor([Secret(SECRET, "STRIPE")])


@pytest.fixture
def below() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def stream(below: io.StringIO) -> RedactedStream:
    return RedactedStream(below, REDACTOR.text)


def test_a_secret_printed_in_pieces_is_masked_and_whole_lines_are_written_at_once(below, stream):
    print("key", SECRET[:9], sep=" ", end="", file=stream)
    assert below.getvalue() == ""
    print(SECRET[9:], "and more", file=stream)
    assert below.getvalue() == "key [redacted] and more\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_secret_whose_halves_are_printed_with_a_flush_between_is_masked_whole(below, stream):
    print("key", SECRET[:16], end="", flush=True, file=stream)
    stream.flush()
    assert below.getvalue() == ""
    print(SECRET[16:], "and more", flush=True, file=stream)
    assert below.getvalue() == "key [redacted] and more\n"


def test_the_rest_of_a_line_is_written_by_a_flush_where_a_person_reads_along():
    below = Terminal()
    stream = RedactedStream(below, REDACTOR.text)
    stream.write(f"password? {SECRET}")
    stream.flush()
    assert below.getvalue() == "password? [redacted]"
    print(" thanks", file=stream)
    assert below.getvalue() == "password? [redacted] thanks\n"


def test_of_a_secret_whose_first_half_a_person_has_seen_no_more_is_written():
    below = Terminal()
    stream = RedactedStream(below, REDACTOR.text)
    print("key", SECRET[:16], end="", flush=True, file=stream)
    print(SECRET[16:], "and more", file=stream)
    assert below.getvalue() == f"key {SECRET[:16]}[redacted] and more\n"
    print("next", file=stream)
    assert below.getvalue().endswith("more\nnext\n")


def test_a_line_without_an_end_is_written_when_it_is_long_and_at_the_end(below, capsys):
    stream = RedactedStream(below, REDACTOR.text)
    stream.write("x" * 70_000 + SECRET[:9])
    assert below.getvalue() == "x" * 70_000 + SECRET[:9]
    stream.write(SECRET[9:] + "\n")
    assert SECRET not in below.getvalue()
    with redacted_streams(REDACTOR.text):
        sys.stdout.write("no end")
        sys.stdout.flush()
        assert capsys.readouterr().out == ""
    assert capsys.readouterr().out == "no end"


def test_bytes_are_redacted_as_text(stream, below, monkeypatch):
    monkeypatch.setattr(RedactedStream, "encoding", "utf-8")
    stream.buffer.write(f"ü {SECRET}\n".encode())
    assert below.getvalue() == "ü [redacted]\n"


def test_what_cannot_be_looked_through_is_not_written(below):
    def broken(_text: str) -> str:
        raise ValueError(SECRET)

    print("something", file=RedactedStream(below, broken))
    assert below.getvalue() == "[redacted]\n"


def test_a_stream_says_of_itself_what_the_one_below_says(stream, below):
    assert not stream.isatty()
    assert stream.writable()
    with pytest.raises(io.UnsupportedOperation):
        stream.fileno()
    with pytest.raises(TypeError):
        stream.write(b"bytes")


def test_the_streams_of_the_process_are_its_own_again_afterwards(capsys):
    before = sys.stdout, sys.stderr
    with redacted_streams(REDACTOR.text):
        sys.stdout.write(f"a {SECRET}\n")
        sys.stderr.write(f"b {SECRET}\n")
    assert (sys.stdout, sys.stderr) == before
    said = capsys.readouterr()
    assert (said.out, said.err) == ("a [redacted]\n", "b [redacted]\n")
