"""Every mistake of an author names the author's own file and line, what is wrong and what to write."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mcpward.cli.ui import words_of
from support.mistakes import MISTAKES, PREAMBLE, page, told
from support.sources import ROOT
from support.wording import doubled, is_foreign

PAGE = ROOT / "docs" / "mistakes.md"


@pytest.fixture(scope="module")
def made():
    return told()


def test_the_page_of_mistakes_is_current():
    assert PAGE.read_text(encoding="utf-8") == page(), "cd tests && python -m support.mistakes > ../docs/mistakes.md"


def test_every_mistake_names_the_line_what_is_wrong_and_what_to_write(made):
    assert len(made) == len({one.title for one in made}) == len(MISTAKES) >= 60
    for one in made:
        assert one.findings, f"{one.title}: it is served, and fails later"
        for found in one.findings:
            assert re.fullmatch(r"tools\.py:\d+", found.where), (one.title, found)
            assert found.what, one.title
            assert found.hint, one.title
            assert "\n" not in found.what + found.hint


def test_no_mistake_shows_a_secret_or_a_librarys_file(made):
    shown = "".join(f"{found.where} {found.what} {found.hint}" for one in made for found in one.findings)
    for canary in ("hunter2secret", "secretvalue", "site-packages", "/lib/python"):
        assert canary not in shown


def test_the_shipped_command_says_the_same_and_serves_nothing(tmp_path: Path):
    text = f"{PREAMBLE}@server.tool(readonly=True)\ndef f() -> str:\n    return ''\n"
    (tmp_path / "tools.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "mcpward", "serve", "tools.py", "--port", "0", "--metrics", ""]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-2:] == [
        "error: tools.py:6: @server.tool has no option 'readonly'",
        "hint: write read_only=True",
    ]


def test_no_mistake_is_told_twice_over_or_in_the_words_of_a_library(made):
    for one in made:
        for found in one.findings:
            for text in (words_of(found)[0], found.hint):
                assert not doubled(text), (one.title, text)
                assert not is_foreign(text), (one.title, text)
