"""Loading an author's file: the server, or one finding that says in one line what is wrong and where."""

import os
import sys
from pathlib import Path

import pytest

from mcpward.core.errors import Misconfigured
from mcpward.tools.local import load_server

GOOD = 'from mcpward import Server\nserver = Server("shop")\n'


@pytest.fixture(autouse=True)
def _own_path(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))


def write(folder: Path, text: str, name: str = "tools.py") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def finding(source: str):
    with pytest.raises(Misconfigured) as wrong:
        load_server(source)
    assert len(wrong.value.findings) == 1
    found = wrong.value.findings[0]
    assert "\n" not in found.what + found.where + found.hint
    return found


def test_the_only_server_of_a_file_is_found(tmp_path):
    assert load_server(write(tmp_path, GOOD)).name == "shop"


@pytest.mark.parametrize("changed", ["tools.py", "prices.py"])
def test_a_file_that_was_changed_within_a_second_is_loaded_as_it_is_now(tmp_path, monkeypatch, changed):
    """Python takes its compiled copy for current if second and size are the same: no copy is written."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    texts = {
        "tools.py": "import prices\n" + GOOD + 'server.title = f"one {prices.PRICE}"\n',
        "prices.py": 'PRICE = "one"\n',
    }
    for name, text in texts.items():
        os.utime(write(tmp_path, text, name), (1e9, 1e9))
    assert load_server(str(tmp_path / "tools.py")).title == "one one"
    os.utime(write(tmp_path, texts[changed].replace("one", "two"), changed), (1e9, 1e9))
    del sys.modules["prices"]
    assert "two" in load_server(str(tmp_path / "tools.py")).title
    assert not list(tmp_path.rglob("*.pyc"))


def test_a_server_is_found_by_name(tmp_path):
    source = write(tmp_path, GOOD + 'other = Server("other")\n')
    assert load_server(f"{source}:other").name == "other"
    assert "has several servers (other, server)" in finding(source).what


def test_a_module_is_found_from_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, GOOD, "shop_module_for_test.py")
    assert load_server("shop_module_for_test:server").name == "shop"


def test_two_files_of_one_name_do_not_hide_each_other(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, f'from mcpward import Server\nserver = Server("{name}")\n')
    assert [load_server(str(tmp_path / name / "tools.py")).name for name in ("one", "two")] == ["one", "two"]


def test_a_file_may_import_its_neighbour_and_use_future_annotations(tmp_path):
    write(tmp_path, "class Shop: ...\n", "neighbour_for_test.py")
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom mcpward import Server\n"
        "import neighbour_for_test\nserver = Server('shop')\n@dataclass\nclass P:\n    x: int\n"
        "@server.tool\ndef f(p: P) -> P:\n    return p\n"
    )
    assert load_server(write(tmp_path, text)).tools[0].name == "f"


@pytest.mark.parametrize(
    "text,what,line",
    [
        ("x = (", "never closed", 1),
        ("import nowhere_at_all", "nowhere_at_all", 1),
        ("\n1 / 0", "ZeroDivisionError", 2),
        ("raise SystemExit(1)", "SystemExit", 1),
        ("raise ValueError('canary')", "ValueError", 1),
        (GOOD + "@server.tool\ndef f(x): ...", "parameter 'x' has no annotation", 3),
        ("from mcpward import env\n\nenv.NOT_SET_ANYWHERE", "NOT_SET_ANYWHERE is not set", 3),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_its_line(tmp_path, text, what, line):
    source = write(tmp_path, text)
    found = finding(source)
    assert what in found.what
    assert "canary" not in found.what + found.hint
    assert found.where == f"{source}:{line}"


@pytest.mark.parametrize("source", ["nowhere.py", "nowhere/at/all", "nowhere_module", "nowhere_module:server", ""])
def test_what_is_not_there_is_told(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    finding(source)


@pytest.mark.parametrize("text", ["", "server = 5"])
def test_a_file_without_a_server_says_how_to_write_one(tmp_path, text):
    found = finding(write(tmp_path, text))
    assert "has no Server" in found.what
    assert "Server(" in found.hint


def test_a_file_that_failed_can_be_mended_and_loaded(tmp_path):
    source = write(tmp_path, "1 / 0")
    finding(source)
    write(tmp_path, GOOD)
    assert load_server(source).name == "shop"
