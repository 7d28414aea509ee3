"""Client files as they are found: with comments, a byte order mark, both line ends; changed, taken back, never torn."""

import json
import os
import re
import threading

import pytest

from mcpward.cli import edit
from mcpward.cli.clients import CLIENTS, Entry
from mcpward.cli.merge import make, work_out
from mcpward.cli.replace import replace_file
from mcpward.cli.ui import CommandEnded
from mcpward.core.clock import SystemClock
from mcpward.core.secret import Secret
from mcpward.crypto.digest import Pepper
from mcpward.identity.keys.api_key import issue

KEY = issue(Pepper(b"p" * 32), SystemClock(), name="n", servers=["orders"])[0].reveal()
URL = "http://127.0.0.1:8123/orders/mcp"
# name of the client, content of its file
AS_FOUND = [
    ("vscode", b'{\n  // mine\n  "servers": {\n    "a": {"type": "stdio", "command": "x"}, // keep\n  },\n}\n'),
    ("vscode", b'{\n\t"inputs": [\n\t\t// asked\n\t],\n\t/* all */ "servers": {},\n}'),
    ("zed", b'// settings\n{\n  "theme": "One", // dark\n  "context_servers": {},\n}\n'),
    ("opencode", b'{"$schema": "https://opencode.ai/config.json"}'),
    ("gemini-cli", b'{\n    "theme": "x"\n}\n// end\n'),
    ("cursor", b'\xef\xbb\xbf{"mcpServers": {"a": {"command": "x"}}}'),
    ("cursor", b'\xef\xbb\xbf{\r\n  "mcpServers": {\r\n    "a": {"command": "x"}\r\n  }\r\n}\r\n'),
    ("cursor", b'{"mcpServers": null}'),
    ("cursor", b""),
    ("cursor", b" \r\n"),
    ("cursor", b"\xef\xbb\xbf"),
    ("cursor", b"// nothing yet\n"),
    ("claude-desktop", b'{\r\n  "mcpServers": {}\r\n}\r\n'),
    ("claude-code", b'{"mcpServers":{"a":{"type":"stdio","command":"x"}},}'),
    ("codex", b'\xef\xbb\xbf# mine\r\nmodel = "o" # keep\r\n\r\n[mcp_servers.a]\r\ncommand = "x"\r\n'),
    ("codex", b"mcp_servers = { a = { command = 'x' } } # inline\n"),
    ("codex", b"[mcp_servers.a]\ncommand = 'x'\n[z]\nq = 1\n[mcp_servers.b]\ncommand = 'y'"),
    ("codex", b"# only a comment"),
    ("codex", b""),
    ("goose", b"# mine\r\nGOOSE_MODEL: x # keep\r\nextensions:\r\n    dev:\r\n        enabled: true\r\n"),
    ("goose", b"extensions:\n"),
    ("goose", b"extensions: {}\nA: 1\n"),
    ("goose", b""),
    ("continue", b"name: mine # keep\nversion: 1.0.0\nschema: v1\nmcpServers:\n  - name: a\n    command: x\n# end\n"),
    ("continue", b"\xef\xbb\xbfname: mine\nversion: 1\nschema: v1\n"),
]
IDS = [f"{name}-{at}" for at, (name, _) in enumerate(AS_FOUND)]


def write(cli, name, target, *more, key=KEY):
    return cli("connect", name, "-s", "orders", "--write", "--yes", "--file", str(target), "--stdin", *more, stdin=key)


def notes(text):
    return re.findall(r"//[^\r\n]*|/\*.*?\*/|#[^\r\n]*", text.replace("https://", "").replace("http://", ""))


@pytest.mark.parametrize("name,before", AS_FOUND, ids=IDS)
def test_a_file_gets_the_server_and_keeps_everything_else(cli, site, tmp_path, name, before):
    target = tmp_path / "file"
    target.write_bytes(before)
    said = write(cli, name, target)
    assert said.code == 0, said.err
    client, after = CLIENTS[name], target.read_bytes()
    text, old = after.decode(), before.decode()
    content = edit.load(client.format, text)
    assert edit.found(content, client.path("orders"))
    known = edit.load(client.format, old)
    for key, value in known.items():
        if key not in {client.table, "inputs"}:
            assert content[key] == value
    table = known.get(client.table) or {}
    if isinstance(table, dict):
        assert {one: content[client.table][one] for one in table} == table
    else:
        assert content[client.table][: len(table)] == table
    assert notes(text) == notes(old)
    assert text.startswith("\ufeff") is old.startswith("\ufeff")
    if "\n" in old:
        assert ("\r\n" in text) is ("\r\n" in old)
        assert "\n" not in text.replace("\r\n", "") or "\r\n" not in text


@pytest.mark.parametrize("name,before", AS_FOUND, ids=IDS)
def test_an_undo_restores_a_file_byte_for_byte(cli, site, tmp_path, name, before):
    target = tmp_path / "file"
    target.write_bytes(before)
    assert write(cli, name, target).code == 0
    said = cli("connect", name, "--undo", "--yes", "--file", str(target))
    assert said.code == 0, said.err
    assert KEY not in said.err + said.out
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["file"]
    assert cli("connect", name, "--undo", "--yes", "--file", str(target)).code == 1


@pytest.mark.parametrize("name,before", AS_FOUND, ids=IDS)
def test_a_removed_server_leaves_what_was_there(cli, site, tmp_path, name, before):
    target = tmp_path / "file"
    target.write_bytes(before)
    client = CLIENTS[name]
    assert write(cli, name, target).code == 0
    said = cli("connect", name, "--remove", "-s", "orders", "--yes", "--file", str(target))
    assert said.code == 0, said.err
    assert KEY not in said.err + said.out
    text = target.read_bytes().decode()
    assert "orders" not in text
    assert notes(text) == notes(before.decode())
    known = edit.load(client.format, before.decode())
    assert {key: value for key, value in edit.load(client.format, text).items() if value} == {
        **{key: value for key, value in known.items() if value},
        **({} if known else client.preamble),
    }
    assert cli("connect", name, "--remove", "-s", "orders", "--yes", "--file", str(target)).code == 1
    assert cli("connect", name, "--undo", "--yes", "--file", str(target)).code == 0
    assert "orders" in target.read_text()


def test_what_a_person_added_to_the_server_stays_and_how_it_is_reached_does_not(cli, site, tmp_path):
    target = tmp_path / "file"
    target.write_text(
        '{"mcpServers": {"orders": {\n  "command": "npx", // old\n  "env": {"TOKEN": "secret"},\n  "disabled": true,\n'
        '  "autoApprove": ["read"], // mine\n  "timeout": 5\n}}}'
    )
    said = write(cli, "cline", target)
    assert said.code == 0
    assert "secret" not in said.err
    text = target.read_text()
    assert "// mine" in text
    assert edit.load("json", text)["mcpServers"]["orders"] == {
        "disabled": True,
        "autoApprove": ["read"],
        "timeout": 5,
        "type": "streamableHttp",
        "url": URL,
        "headers": {"Authorization": f"Bearer {KEY}"},
    }


def test_an_undo_takes_back_the_one_server_if_the_client_wrote_since(cli, site, tmp_path):
    target = tmp_path / "c.json"
    target.write_text('{"mcpServers": {"orders": {"type": "http", "url": "https://old/mcp"}}}')
    assert write(cli, "cursor", target).code == 0
    now = json.loads(target.read_text())
    now["mcpServers"]["another"] = {"command": "y"}
    now["startups"] = 7
    target.write_text(json.dumps(now))
    assert cli("connect", "cursor", "--undo", "--yes", "--file", str(target)).code == 0
    assert json.loads(target.read_text()) == {
        "mcpServers": {"orders": {"type": "http", "url": "https://old/mcp"}, "another": {"command": "y"}},
        "startups": 7,
    }


def test_an_undo_of_a_file_that_was_new_removes_it_unless_it_has_more_now(cli, site, tmp_path):
    target = tmp_path / "c.json"
    assert write(cli, "vscode", target).code == 0
    assert cli("connect", "vscode", "--undo", "--yes", "--file", str(target)).code == 0
    assert not target.exists()
    assert write(cli, "vscode", target).code == 0
    target.write_text(json.dumps({**json.loads(target.read_text()), "mine": 1}))
    assert cli("connect", "vscode", "--undo", "--yes", "--file", str(target)).code == 0
    assert json.loads(target.read_text()) == {"inputs": [], "servers": {}, "mine": 1}


def test_changes_are_taken_back_one_by_one_and_five_copies_are_kept(cli, site, tmp_path):
    target = tmp_path / "c.json"
    target.write_text("{}")
    keys = [issue(Pepper(b"p" * 32), SystemClock(), name="n", servers=["orders"])[0].reveal() for _ in range(7)]
    states = [target.read_text()]
    for key in keys:
        assert write(cli, "zed", target, key=key).code == 0
        states.append(target.read_text())
    copies = list(tmp_path.glob("c.json.mcpward-backup.*"))
    assert len(copies) == 5
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in copies)
    for state in states[-2:1:-1]:
        assert cli("connect", "zed", "--undo", "--yes", "--file", str(target)).code == 0
        assert target.read_text() == state
    assert cli("connect", "zed", "--undo", "--yes", "--file", str(target)).code == 1


def test_an_undo_of_what_a_person_has_undone_already_goes_on_to_the_one_before(cli, site, tmp_path):
    target = tmp_path / "c.json"
    target.write_text("{}")
    write(cli, "zed", target)
    first = target.read_text()
    cli("connect", "zed", "--remove", "-s", "orders", "--yes", "--file", str(target))
    target.write_text(first)
    said = cli("connect", "zed", "--undo", "--yes", "--file", str(target))
    assert (said.code, "has it already" in said.err) == (0, True)
    assert target.read_text() == first
    assert cli("connect", "zed", "--undo", "--yes", "--file", str(target)).code == 0
    assert target.read_text() == "{}"


def test_copies_of_others_are_neither_used_nor_deleted(cli, site, tmp_path):
    target = tmp_path / "c.json"
    target.write_text("{}")
    others = [
        "c.json.backup",
        "c.json.mcpward-backup",
        "c.json.mcpward-backup.1",
        "d.json.mcpward-backup.1.o.0123456789abcdef",
    ]
    for name in others:
        (tmp_path / name).write_text("precious")
    assert cli("connect", "zed", "--undo", "--yes", "--file", str(target)).code == 1
    for _ in range(8):
        write(cli, "zed", target, key=issue(Pepper(b"p" * 32), SystemClock(), name="n", servers=["o"])[0].reveal())
    assert all((tmp_path / name).read_text() == "precious" for name in others)


def test_without_a_yes_nothing_is_removed_or_restored(cli, site, tmp_path):
    target = tmp_path / "c.json"
    write(cli, "zed", target)
    before = target.read_text()
    for words in (["--undo"], ["--remove", "-s", "orders"]):
        said = cli("connect", "zed", *words, "--file", str(target))
        assert (said.code, said.out) == (1, "")
        assert target.read_text() == before
    assert cli("connect", "zed", "--undo", "--write", "--file", str(target)).code == 2


# The files as shown


OTHERS = (
    '{"mcpServers": {"github": {"command": "x", "env": {"GITHUB_TOKEN": "ghp_secret"}},\n'
    ' "mail": {"url": "https://u:pw@mail/s3cret", "headers": {"Authorization": "Bearer other-secret"}}}}'
)


@pytest.mark.parametrize("text", [OTHERS, OTHERS.replace("\n", ""), json.dumps(edit.load("json", OTHERS), indent=2)])
def test_the_difference_shows_the_one_server_and_nothing_of_others(cli, site, tmp_path, text):
    target = tmp_path / "c.json"
    target.write_text(text)
    for said in (
        write(cli, "cursor", target),
        cli("connect", "cursor", "--remove", "-s", "orders", "--yes", "--file", str(target)),
        cli("connect", "cursor", "--undo", "--yes", "--file", str(target)),
        cli("connect", "cursor", "--undo", "--yes", "--file", str(target)),
    ):
        assert said.code == 0
        for secret in ("ghp_secret", "other-secret", "pw", "s3cret", "github", "mail", KEY):
            assert secret not in said.err + said.out


def test_what_stood_in_the_servers_own_place_is_masked(cli, site, tmp_path):
    target = tmp_path / "c.json"
    old = {"url": "https://u:pw@old.example/s3cret/mcp?k=v", "headers": {"X": "t0ken"}, "args": ["--token", "arg-s"]}
    target.write_text(json.dumps({"mcpServers": {"orders": {**old, "env": {"A": "env-s"}}}}))
    said = write(cli, "cursor", target)
    assert said.code == 0
    assert not any(one in said.err for one in ("pw", "s3cret", "t0ken", "arg-s", "env-s", "k=v", KEY))
    assert "https://old.example/***" in said.err
    assert URL in said.err


# Writing


def test_a_file_keeps_its_mode_and_one_that_others_read_is_told(cli, site, tmp_path):
    target = tmp_path / "c.json"
    target.write_text("{}")
    target.chmod(0o644)
    said = write(cli, "cursor", target)
    assert target.stat().st_mode & 0o777 == 0o644
    assert f"chmod 600 {target}" in said.err
    target.chmod(0o640)
    cli("connect", "cursor", "--undo", "--yes", "--file", str(target))
    assert target.stat().st_mode & 0o777 == 0o640
    assert "chmod" not in cli("connect", "claude-code", "-s", "orders", "--write", "--yes", "--file", str(target)).err


def test_a_reader_never_sees_half_a_file(tmp_path):
    target = tmp_path / "c.json"
    versions = [json.dumps({"n": [number] * 20_000}).encode() for number in range(2)]
    replace_file(target, versions[0])
    torn, ended = [], threading.Event()

    def read():
        while not ended.is_set():
            content = target.read_bytes()
            if content not in versions:
                torn.append(len(content))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200):
        replace_file(target, versions[number % 2])
    ended.set()
    reader.join(10)
    assert torn == []
    assert [path.name for path in tmp_path.iterdir()] == ["c.json"]


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "c.json"
    target.write_text("{}")
    change = work_out(CLIENTS["zed"], Entry(server="orders", url=URL, needs_key=True, key=Secret(KEY)), target)
    (tmp_path / "blocked").mkdir()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CommandEnded, match="No space left"):
        make(change)
    assert target.read_text() == "{}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blocked", "c.json"]


def test_a_link_of_the_user_is_followed_and_its_copy_lies_beside_the_target(cli, site, tmp_path):
    dotfiles = tmp_path / "dotfiles"
    dotfiles.mkdir()
    (dotfiles / "mcp.json").write_text("{}")
    (tmp_path / "home" / ".cursor").mkdir()
    link = tmp_path / "home" / ".cursor" / "mcp.json"
    link.symlink_to(dotfiles / "mcp.json")
    said = cli("connect", "cursor", "-s", "orders", "--write", "--yes", "--stdin", stdin=KEY)
    assert said.code == 0
    assert link.is_symlink()
    assert KEY in (dotfiles / "mcp.json").read_text()
    assert len(list(dotfiles.glob("mcp.json.mcpward-backup.*"))) == 1
    assert cli("connect", "cursor", "--undo", "--yes").code == 0
    assert (dotfiles / "mcp.json").read_text() == "{}"


@pytest.mark.parametrize("via", ["file", "folder"])
def test_a_link_of_a_project_does_not_lead_out_of_it(cli, site, tmp_path, via):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mcp.json").write_text("{}")
    if via == "file":
        (site / ".vscode").mkdir()
        (site / ".vscode" / "mcp.json").symlink_to(outside / "mcp.json")
    else:
        (site / ".vscode").symlink_to(outside)
    said = cli("connect", "vscode", "-s", "orders", "--write", "--yes")
    assert said.code == 2
    assert "outside this folder" in said.err
    assert (outside / "mcp.json").read_text() == "{}"
    assert cli("connect", "vscode", "-s", "orders", "--write", "--yes", "--file", str(outside / "mcp.json")).code == 0


def test_a_link_in_a_circle_is_told(cli, site, tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    said = write(cli, "cursor", tmp_path / "a")
    assert said.code in {2, 3}
    assert "Traceback" not in said.err


def test_a_folder_that_cannot_be_written_to_is_told(cli, site, tmp_path):
    (tmp_path / "plain").write_text("x")
    said = write(cli, "cursor", tmp_path / "plain" / "c.json")
    assert said.code in {2, 3}
    assert "Traceback" not in said.err
