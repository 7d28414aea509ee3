import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mcpward.storage.record_mark import LONGEST, RecordMark


def number_of(content: bytes) -> int | None:
    return int(content[1:]) if content.startswith(b"#") else None


@pytest.fixture
def mark(tmp_path: Path) -> RecordMark:
    return RecordMark(tmp_path / "record.mark", number_of)


def test_the_newest_content_is_read_and_an_older_one_changes_nothing(mark: RecordMark) -> None:
    assert mark.read() is None
    for number in (0, 1, 2, 7, 3, 6):
        mark.advance(b"#%d" % number)
    assert mark.read() == b"#7"
    assert stat.S_IMODE(mark.path.stat().st_mode) == 0o600


def test_the_file_never_grows_and_no_block_is_added_to_it(mark: RecordMark) -> None:
    mark.advance(b"#0")
    before = mark.path.stat()
    for number in range(1, 50):
        mark.advance(b"#%d" % number)
    after = mark.path.stat()
    assert (after.st_size, after.st_blocks, after.st_ino) == (before.st_size, before.st_blocks, before.st_ino)
    with pytest.raises(ValueError, match="too long"):
        mark.advance(b"#1".ljust(LONGEST + 1))


@pytest.mark.parametrize("place", [0, 4096])
def test_a_place_that_was_half_written_leaves_the_other(mark: RecordMark, place: int) -> None:
    mark.advance(b"#1")
    mark.advance(b"#2")
    with mark.path.open("r+b") as file:
        file.seek(place)
        file.write(b"\xff" * 2000)
    assert mark.read() in (b"#1", b"#2")
    mark.advance(b"#3")
    assert mark.read() == b"#3"


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"\xff" * 8192, b"\xff" * 20_000, b"\0\x02no"])
def test_what_is_none_of_ours_is_nothing_and_is_written_over(mark: RecordMark, content: bytes) -> None:
    mark.path.write_bytes(content)
    assert mark.read() is None
    mark.advance(b"#1")
    assert mark.read() == b"#1"


def test_processes_that_write_at_once_leave_the_newest(mark: RecordMark) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: mark.advance(b"#%d" % number), range(300)))
    assert mark.read() == b"#299"


def test_a_link_is_not_followed(mark: RecordMark, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"theirs")
    mark.path.symlink_to(target)
    for use in (mark.read, lambda: mark.advance(b"#1")):
        with pytest.raises(OSError, match=os.strerror(40)):
            use()
    assert target.read_bytes() == b"theirs"
