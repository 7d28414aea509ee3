"""A key goes beside a URL that a person named or has seen; a file in the present folder is not trusted."""

import io
import json

import pytest

from mcpward.core.clock import SystemClock
from mcpward.crypto.digest import Pepper
from mcpward.identity.keys.api_key import PREFIX, checksum, issue

KEY = issue(Pepper(b"p" * 32), SystemClock(), name="n", servers=["orders"])[0].reveal()
THEIRS = "https://evil.example/orders/mcp"
FILE = """[site]
public_url = "https://evil.example"
trusted_proxies = ["127.0.0.1/32"]
{more}
[servers.orders]
source = "tools.py"
"""


@pytest.fixture
def theirs(folder):
    """A folder with a site's file of another user."""
    (folder / "mcpward.toml").write_text(FILE.format(more=""))
    return folder


@pytest.mark.parametrize("name", ["cursor", "claude-desktop", "codex", "claude-code", "vscode", "goose", "opencode"])
def test_a_key_does_not_go_silently_to_a_host_that_only_the_folders_file_names(cli, theirs, tmp_path, name):
    target = tmp_path / "file"
    said = cli("connect", name, "--write", "--yes", "--file", str(target), "--stdin", stdin=KEY)
    assert (said.code, said.out) == (2, "")
    assert f"--url {THEIRS}" in said.err
    assert KEY not in said.err
    assert not target.exists()


def test_a_variable_is_as_good_as_the_key_there(cli, theirs, tmp_path, monkeypatch):
    target = tmp_path / "file"
    assert cli("connect", "cursor", "--write", "--yes", "--file", str(target)).code == 2
    monkeypatch.setenv("MCPWARD_KEY", KEY)
    assert cli("connect", "codex", "--write", "--yes", "--file", str(target)).code == 2
    assert not target.exists()


def test_a_url_that_is_named_is_agreed_to(cli, theirs, tmp_path):
    target = tmp_path / "file"
    said = cli("connect", "cursor", "--url", THEIRS, "--write", "--yes", "--file", str(target), "--stdin", stdin=KEY)
    assert said.code == 0
    assert json.loads(target.read_text())["mcpServers"]["orders"]["url"] == THEIRS


@pytest.mark.parametrize("answer,code", [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_a_person_who_is_asked_sees_where_the_key_goes(cli, theirs, tmp_path, monkeypatch, answer, code, capsys):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    from mcpward.cli.main import run

    target = tmp_path / "file"
    monkeypatch.setenv("MCPWARD_KEY", KEY)
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert run(["connect", "cursor", "--write", "--file", str(target)]) == code
    assert f"the key goes to {THEIRS}" in capsys.readouterr().err
    assert target.exists() is (code == 0)


def test_printing_says_where_the_url_comes_from(cli, theirs):
    assert f"the key goes to {THEIRS}" in cli("connect", "curl").err
    assert "the key goes to" not in cli("connect", "curl", "--url", THEIRS).err


def test_this_machine_and_a_server_without_keys_need_no_word(cli, folder, tmp_path):
    (folder / "mcpward.toml").write_text('[servers.orders]\nsource = "tools.py"\n')
    assert cli("connect", "cursor", "--write", "--yes", "--file", str(tmp_path / "a"), "--stdin", stdin=KEY).code == 0
    (folder / "mcpward.toml").write_text(FILE.format(more="") + 'mode = "public"\n')
    said = cli("connect", "cursor", "--write", "--yes", "--file", str(tmp_path / "b"))
    assert said.code == 0, said.err


def test_a_key_that_the_folders_own_site_has_made_goes_to_its_url(cli, theirs, tmp_path):
    own = cli("key", "create", "--name", "n").out.strip()
    said = cli("connect", "cursor", "--write", "--yes", "--file", str(tmp_path / "a"), "--stdin", stdin=own)
    assert said.code == 0, said.err
    said = cli("connect", "cursor", "--write", "--yes", "--file", str(tmp_path / "b"), "--stdin", stdin=KEY)
    assert said.code == 2


def test_data_of_another_site_vouches_for_nothing(cli, folder, tmp_path, monkeypatch):
    mine = tmp_path / "mine"
    mine.mkdir()
    monkeypatch.chdir(mine)
    (mine / "mcpward.toml").write_text('[servers.orders]\nsource = "tools.py"\n')
    own = cli("key", "create", "--name", "n").out.strip()
    assert own.startswith("sk-mcpward-")
    monkeypatch.chdir(folder)
    for at, more in enumerate([f'data = "{mine}/.mcpward"', 'data = "linked"']):
        (folder / "mcpward.toml").write_text(FILE.format(more=more))
        if at:
            (folder / "linked").symlink_to(mine / ".mcpward")
        assert cli("key", "list", "--json").code == 0  # the file does reach that site's data
        said = cli("connect", "cursor", "--write", "--yes", "--file", str(tmp_path / "c"), "--stdin", stdin=own)
        assert said.code == 2
        assert "--url" in said.err
    assert not (tmp_path / "c").exists()


def test_asking_about_a_key_makes_no_data(cli, theirs, tmp_path):
    assert cli("connect", "cursor", "--write", "--yes", "--file", str(tmp_path / "a"), "--stdin", stdin=KEY).code == 2
    assert not (theirs / ".mcpward").exists()


def test_a_site_that_has_only_the_id_of_a_key_has_not_made_it(cli, theirs, tmp_path):
    own = cli("key", "create", "--name", "n").out.strip()
    body = own[: len(PREFIX) + 13] + "x" * 43
    forged = body + checksum(body)
    said = cli("connect", "cursor", "--write", "--yes", "--file", str(tmp_path / "a"), "--stdin", stdin=forged)
    assert said.code == 2
    assert "--url" in said.err
