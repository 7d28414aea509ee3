"""Damaged data do not open: one clear line for damaged data, all problems at once for a wrong configuration."""

import hashlib
import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from support.wire import site, write_site


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A site with data: a key, a record, and everything closed."""
    folder = tmp_path_factory.mktemp("damage")
    with site(folder) as ward:
        assert ward.call("echo", {"text": "a"}).status_code == 200
        assert ward.stop() == 0
    return folder / ".mcpward"


@pytest.fixture
def ward(tmp_path, sound):
    with site(tmp_path, start=False) as ward:
        data = tmp_path / ".mcpward"
        data.mkdir(mode=0o700)
        for path in sound.iterdir():
            if path.is_file():
                (data / path.name).write_bytes(path.read_bytes())
                (data / path.name).chmod(0o600)
        yield ward


def prints(folder: Path) -> dict[str, str]:
    """Return the digest of every file of the data: not of the lock and the numbers of a process that serves."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "mcpward.pid" and path.parent.name != "metrics"
    }


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("INSERT INTO mcpward_schema VALUES (9999)")
        db.commit()


def foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE api_keys (everything TEXT)")
        db.commit()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no database at all": lambda path: path.write_bytes(b"this is a text file\n" * 200),
    "a damaged head": lambda path: overwrite(path, 0, os.urandom(100)),
    "a damaged schema": lambda path: overwrite(path, 100, b"\xff" * 3996),
    "cut in the middle": lambda path: os.truncate(path, path.stat().st_size // 2 // 4096 * 4096 + 100),
    "newer than this program": newer,
    "somebody else's": foreign,
}


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("words", [["serve"], ["key", "list"]], ids=" ".join)
def test_a_damaged_database_is_told_in_one_line_and_left_as_it_is(ward, how, words):
    data = ward.folder / ".mcpward"
    DAMAGE[how](data / "mcpward.db")
    before = prints(data)
    refused = ward.cli(*words, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert len(re.findall(r"^error: ", refused.stderr, re.MULTILINE)) == 1
    assert len(refused.stderr.splitlines()) <= 2
    assert "Traceback" not in refused.stderr
    assert "mcpward.db" in refused.stderr
    assert prints(data) == before


def _folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


MASTER: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_text(""),
    "no key": lambda path: path.write_text("this is no key\n"),
    "readable by others": lambda path: path.chmod(0o644),
    "a folder": _folder_instead,
}


@pytest.mark.parametrize("how", MASTER)
def test_a_damaged_master_key_is_told_in_one_line_and_left_as_it_is(ward, how):
    data = ward.folder / ".mcpward"
    MASTER[how](data / "master.key")
    before = prints(data)
    refused = ward.cli("serve", check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.count("error: ") == 1
    assert "master.key" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert prints(data) == before


def test_another_master_key_does_not_pass_for_the_one_that_the_keys_were_made_with(ward):
    """All keys would be refused without a word; better said at the start."""
    data = ward.folder / ".mcpward"
    (data / "master.key").unlink()
    before = prints(data)
    refused = ward.cli("serve", check=False)
    assert refused.returncode == 2
    assert refused.stderr.count("error: ") == 1
    assert {name: digest for name, digest in prints(data).items() if name != "master.key"} == before


WRONG = """
[site]
lisen = "127.0.0.1:8000"
workers = 0
metrics_listen = "nonsense"

[http]
max_body = "4 potatoes"

[limits]
auth_failures = "ten a minute"

[servers.Bad_Name]
source = "bench.py"

[servers.notes]
source = "missing.py"
mode = "publik"

[servers.notes.limits]
raed = "1/minute"
"""


def test_a_wrong_configuration_is_told_whole_with_lines_and_nearest_spellings(tmp_path):
    with site(tmp_path, start=False) as ward:
        (tmp_path / "mcpward.toml").write_text(WRONG)
        for words in (["serve"], ["config", "check"]):
            refused = ward.cli(*words, check=False)
            assert (refused.returncode, refused.stdout) == (2, "")
            told = dict(re.findall(r"^error: mcpward\.toml:(\d+): (.+)$", refused.stderr, re.MULTILINE))
            lines = WRONG.splitlines()
            at = {lines[int(number) - 1].partition(" =")[0] for number in told}
            assert at >= {"lisen", "workers", "metrics_listen", "max_body", "auth_failures", "mode", "raed"}
            assert any("Bad_Name" in what for what in told.values())
            assert "did you mean 'listen'?" in refused.stderr
            assert "did you mean 'read'?" in refused.stderr
            assert "Traceback" not in refused.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"bench.py", "mcpward.toml"}


@pytest.mark.parametrize(
    "text,told",
    [
        ("[site\n", "not valid TOML"),
        ('[site]\nlisten = "a"\nlisten = "b"\n', "not valid TOML"),
        ("\udcff", "not UTF-8"),
        ("", "nothing to serve"),
        ('[servers.a]\nsource = "missing.py"\n', "missing.py"),
        ('[servers.a]\nmode = "public"\n', "source"),
        ('[servers.a]\nsource = "bench.py"\nmode = "oauth"\n', "needs exactly one of metadata and issuers"),
    ],
)
def test_a_file_that_cannot_be_meant_starts_nothing(tmp_path, text, told):
    with site(tmp_path, start=False) as ward:
        (tmp_path / "mcpward.toml").write_bytes(text.encode(errors="surrogateescape"))
        refused = ward.cli("serve", check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert told in refused.stderr
    assert not (tmp_path / ".mcpward").exists()


def test_a_variable_that_is_misspelt_is_an_error_too(tmp_path):
    with site(tmp_path, env={"MCPWARD_SITE__LISEN": "x", "MCPWARD_HTTP_MAX_BODY": "1 KiB"}, start=False) as ward:
        refused = ward.cli("serve", check=False)
    assert refused.returncode == 2
    assert "MCPWARD_SITE__LISEN" in refused.stderr
    assert "MCPWARD_HTTP__MAX_BODY" in refused.stderr


@pytest.mark.parametrize(
    "source", ["raise RuntimeError('private')\n", "import nothing_of_that_name\n", "def (\n", "x = 1\n", ""]
)
def test_a_source_that_does_not_load_is_told_in_one_line(tmp_path, source):
    with site(tmp_path, start=False) as ward:
        (tmp_path / "bench.py").write_text(source)
        refused = ward.cli("serve", check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.count("error: ") == 1
    assert "bench.py" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_same_site_starts_once_it_is_mended(tmp_path):
    with site(tmp_path, {"site.workers": 0}, start=False) as ward:
        assert ward.cli("serve", check=False).returncode == 2
        write_site(ward)
        ward.start()
