import io
import json as jsonlib
import os
from dataclasses import dataclass

import pytest

from mcpward.cli.main import run

SITE = """[site]
listen = "127.0.0.1:8123"

[servers.orders]
source = "tools.py"

[servers.notes]
source = "tools.py"
mode = "unlisted"
"""


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return jsonlib.loads(self.out)

    json_block = json  # what was printed for a client whose file is JSON


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty current folder and home, and no variable of ours in the environment."""
    for name in [
        name
        for name in os.environ
        if name.startswith(("MCPWARD_", "XDG_", "CODEX_", "APPDATA", "CLAUDE_", "CLINE_", "COPILOT_", "CONTINUE_"))
    ]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    here = tmp_path / "here"
    home.mkdir()
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def cli(folder, capsys, monkeypatch):
    """Run one command in the folder, as ``main`` does, and return what it said."""

    def say(*arguments, stdin=""):
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        capsys.readouterr()
        code = run(list(arguments))
        said = capsys.readouterr()
        return Said(int(code), said.out, said.err)

    return say


@pytest.fixture
def site(folder):
    """A site with an api-key server and an unlisted one."""
    (folder / "mcpward.toml").write_text(SITE)
    return folder
