"""Files of secrets: their bounds, what is trimmed, and when they are read again."""

import os
from pathlib import Path

import pytest

from mcpward.sdk.errors import SecretUnreadable
from mcpward.sdk.secret_files import LONGEST, SecretFiles, trim
from support.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def files(tmp_path: Path, clock: ManualClock) -> SecretFiles:
    return SecretFiles((tmp_path,), clock)


def text(files: SecretFiles, name: str = "KEY") -> str | None:
    found = files.find(name)
    return None if found is None else found.text


@pytest.mark.parametrize(
    "content,value,words",
    [
        ("a", "a", ""),
        ("a\n", "a", "its line end"),
        ("a\r\n", "a", "its line end"),
        ("a\n\n", "a\n", "its line end"),
        ("a ", "a ", ""),
        ("a\r", "a\r", ""),
        ("\ufeffa", "a", "its byte order mark"),
        ("\ufeffa\r\n", "a", "its byte order mark and its line end"),
        ("\n", "", "its line end"),
    ],
)
def test_one_line_end_and_a_byte_order_mark_are_left_out(content, value, words):
    assert trim(content) == (value, words)


def test_64_kib_are_read_and_not_a_byte_more(files, tmp_path, clock):
    (tmp_path / "KEY").write_bytes(b"a" * LONGEST)
    assert text(files) == "a" * LONGEST
    (tmp_path / "OTHER").write_bytes(b"a" * (LONGEST + 1))
    with pytest.raises(SecretUnreadable, match="larger than 64 KiB"):
        files.find("OTHER")


def test_a_file_is_looked_at_once_a_second(files, tmp_path, clock):
    (tmp_path / "KEY").write_text("old")
    assert text(files) == "old"
    (tmp_path / "KEY").write_text("newer")
    clock.advance(0.9)
    assert text(files) == "old"
    clock.advance(0.2)
    assert text(files) == "newer"


def test_a_file_that_has_not_changed_is_not_read_again(files, tmp_path, clock):
    (tmp_path / "KEY").write_text("value")
    found = files.find("KEY")
    clock.advance(2)
    assert files.find("KEY") is found


def test_a_name_that_comes_later_is_found(files, tmp_path, clock):
    assert text(files) is None
    (tmp_path / "key").write_text("value")
    clock.advance(1)
    assert text(files) == "value"


@pytest.mark.parametrize("spoilt", ["gone", "empty", "open", "fifo"])
def test_the_last_value_holds_while_a_file_is_not_fit_and_the_log_says_so_once(files, tmp_path, clock, caplog, spoilt):
    file = tmp_path / "KEY"
    file.write_text("value")
    assert text(files) == "value"
    if spoilt == "empty":
        file.write_text("")
    elif spoilt == "open":
        file.chmod(0o666)
    else:
        file.unlink()
        if spoilt == "fifo":
            os.mkfifo(file)
    for _ in range(3):
        clock.advance(1)
        assert text(files) == "value"
    assert caplog.text.count("the file of the secret KEY cannot be used, so its last value holds") == 1
    if spoilt == "fifo":
        file.unlink()
    file.write_text("another")
    file.chmod(0o600)
    clock.advance(1)
    assert text(files) == "another"


def test_others_may_write_a_file_in_the_folder_that_systemd_made(files, tmp_path, monkeypatch):
    (tmp_path / "KEY").write_text("value")
    (tmp_path / "KEY").chmod(0o660)
    with pytest.raises(SecretUnreadable, match="other users may change it"):
        files.find("KEY")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert text(SecretFiles((), ManualClock())) == "value"
