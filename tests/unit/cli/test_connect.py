import json
import os
import subprocess
import tomllib
from typing import Any

import pytest

from mcpward.cli import edit
from mcpward.cli.clients import CLIENTS, Entry
from mcpward.cli.clients.shown import rendered
from mcpward.cli.merge import make, work_out
from mcpward.cli.ui import CommandEnded
from mcpward.core.clock import SystemClock
from mcpward.core.secret import Secret
from mcpward.crypto.digest import Pepper
from mcpward.identity.keys.api_key import issue

KEY = issue(Pepper(b"p" * 32), SystemClock(), name="n", servers=["orders"])[0].reveal()
URL = "http://127.0.0.1:8123/orders/mcp"
FILES = [client for client in CLIENTS.values() if client.files]


def entry(**more):
    fields: dict[str, Any] = {"server": "orders", "url": URL, "needs_key": True, "key": Secret(KEY)}
    return Entry(**(fields | more))


def parsed(client, text):
    return edit.load(client.format, text)


def member(client, text, server="orders"):
    return edit.found(parsed(client, text), client.path(server))


def url_of(member):
    return next(member[name] for name in ("url", "httpUrl", "serverUrl", "baseUrl", "uri") if name in member)


@pytest.mark.parametrize("client", FILES, ids=lambda client: client.name)
def test_a_block_is_printed_as_the_file_has_it(cli, site, client):
    said = cli("connect", client.name, "--server", "orders")
    assert said.code == 0
    server = member(client, said.out)
    assert URL in server["args"] if "args" in server else url_of(server) == URL
    assert "mcpward key create --server orders" in said.err
    assert cli("connect", client.name, "--server", "orders", "--json").json["block"] == parsed(client, said.out)


def test_the_key_of_claude_desktop_is_in_its_environment_and_no_argument_has_a_space(cli, site):
    server = json.loads(cli("connect", "claude-desktop", "-s", "orders", "--stdin", stdin=KEY).out)["mcpServers"][
        "orders"
    ]
    assert server["command"] == "npx"
    assert server["args"][:3] == ["-y", "mcp-remote", URL]
    assert server["args"][-2:] == ["--header", "Authorization:${MCPWARD_KEY_ORDERS}"]
    assert server["env"] == {"MCPWARD_KEY_ORDERS": f"Bearer {KEY}"}
    assert not any(" " in argument for argument in server["args"])


@pytest.mark.parametrize("name", ["claude-code", "vscode", "codex", "curl"])
def test_a_file_of_a_project_never_holds_the_key(cli, site, name):
    said = cli("connect", name, "-s", "orders", "--stdin", stdin=KEY)
    assert said.code == 0
    assert KEY not in said.out + said.err


def test_the_key_may_come_from_the_environment(cli, site, monkeypatch):
    monkeypatch.setenv("MCPWARD_KEY", KEY)
    assert KEY in cli("connect", "cursor", "-s", "orders").out


@pytest.mark.parametrize(
    "wrong", [KEY[:-1], "sk-mcpward-x", "password", KEY + "x"], ids=["cut", "short", "other", "long"]
)
def test_what_is_no_key_is_refused_and_not_repeated(cli, site, wrong):
    said = cli("connect", "cursor", "-s", "orders", "--stdin", stdin=wrong)
    assert (said.code, said.out) == (2, "")
    assert wrong not in said.err


def test_an_unlisted_server_is_reached_by_its_url(cli, site):
    secret = f"http://127.0.0.1:8123/notes/mcp/{'a' * 48}"
    assert "/notes/mcp/<the secret>" in cli("connect", "cursor", "-s", "notes").out
    said = cli("connect", "cursor", "-s", "notes", "--stdin", stdin=secret)
    assert json.loads(said.out)["mcpServers"]["notes"] == {"type": "http", "url": secret}


SECRET_URL = f"http://127.0.0.1:8123/notes/mcp/{'a' * 48}"


@pytest.mark.parametrize("file", [None, "other.json"])
@pytest.mark.parametrize("name", ["claude-code", "vscode"])
def test_a_secret_url_is_not_written_into_a_file_of_a_project(cli, site, name, file):
    named = ("--file", file) if file else ()
    said = cli("connect", name, "-s", "notes", "--stdin", "--write", "--yes", *named, stdin=SECRET_URL)
    assert (said.code, said.out) == (2, "")
    assert "the URL is the credential" in said.err
    assert "leave --write off" in said.err
    assert SECRET_URL not in said.err
    assert not any((site / one).exists() for one in (".mcp.json", ".vscode", "other.json"))


@pytest.mark.parametrize("name", ["cursor", "codex", "claude-desktop", "goose", "zed"])
def test_a_secret_url_may_stand_in_a_file_of_the_user(cli, site, name):
    said = cli("connect", name, "-s", "notes", "--stdin", "--write", "--yes", "--file", "own", stdin=SECRET_URL)
    assert said.code == 0
    assert SECRET_URL in (site / "own").read_text()
    assert SECRET_URL not in said.out + said.err


@pytest.mark.parametrize("client", FILES, ids=lambda client: client.name)
def test_nobody_is_asked_for_a_key_where_none_is_taken(cli, site, client):
    told = cli("connect", client.name, "-s", "notes").err
    assert not any(word in told for word in ("MCPWARD_KEY", "the key", "key create"))
    assert client.after.replace("{server}", "orders") in cli("connect", client.name, "-s", "orders").err
    said = cli("connect", client.name, "-s", "notes", "--write", "--yes")
    assert said.code == 2
    assert "MCPWARD_KEY" not in said.err


def test_curl_keeps_the_key_out_of_the_process_list(cli, site):
    command = cli("connect", "curl", "-s", "orders").out
    shown = command.replace("curl -sS", "printf '%s\\n'")
    env = os.environ | {"MCPWARD_KEY": KEY}
    done = subprocess.run(["bash", "-c", shown], env=env, capture_output=True, text=True, timeout=20, check=True)
    assert KEY not in done.stdout
    assert json.loads(done.stdout.splitlines()[-1])["method"] == "tools/list"


def test_unknown_clients_and_servers_are_told(cli, site):
    assert "did you mean claude-desktop?" in cli("connect", "claude-desktp", "-s", "orders").err
    assert cli("connect", "cursor", "-s", "order").code == 2
    assert cli("connect", "curl", "-s", "orders", "--write", "--yes").code == 2
    assert cli("connect", "cursor", "-s", "orders", "--url", "ftp://x").code == 2


@pytest.mark.parametrize("client", FILES, ids=lambda client: client.name)
def test_write_makes_a_file_for_its_owner_alone(cli, site, tmp_path, client):
    target = tmp_path / "deep" / "file"
    said = cli("connect", client.name, "-s", "orders", "--stdin", "--write", "--yes", "--file", str(target), stdin=KEY)
    assert (said.code, said.out) == (0, "")
    assert KEY not in said.err
    assert target.stat().st_mode & 0o777 == 0o600
    assert member(client, target.read_text())
    again = cli("connect", client.name, "-s", "orders", "--stdin", "--write", "--file", str(target), stdin=KEY)
    assert again.code == 0
    assert "has it already" in again.err


def test_write_keeps_all_else_and_a_backup(cli, site, tmp_path):
    target = tmp_path / "c.json"
    before = '{\n    "theme": "dark",\n    "mcpServers": {\n        "other": {"command": "x", "é": 1.50}\n    }\n}'
    target.write_text(before)
    said = cli(
        "connect", "claude-desktop", "-s", "orders", "--stdin", "--write", "--yes", "--file", str(target), stdin=KEY
    )
    assert said.code == 0
    after = json.loads(target.read_text())
    assert after["theme"] == "dark"
    assert after["mcpServers"]["other"] == {"command": "x", "é": 1.5}
    assert after["mcpServers"]["orders"]["env"]["MCPWARD_KEY_ORDERS"] == f"Bearer {KEY}"
    assert '"é": 1.50' in target.read_text()
    (backup,) = tmp_path.glob("c.json.mcpward-backup.*")
    assert backup.read_text() == before
    assert backup.stat().st_mode & 0o777 == 0o600
    assert "+" in said.err
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["c.json", backup.name]


def test_without_a_yes_nothing_is_written(cli, site, tmp_path):
    target = tmp_path / "c.json"
    target.write_text("{}")
    said = cli("connect", "cursor", "-s", "orders", "--write", "--file", str(target), stdin="y\n")
    assert (said.code, said.out) == (1, "")
    assert target.read_text() == "{}"


@pytest.mark.parametrize(
    "name,text",
    [
        ("vscode", "{ 'servers': {} }"),
        ("cursor", "{"),
        ("cursor", "[]"),
        ("cursor", '{"mcpServers": []}'),
        ("cursor", '{"mcpServers": {}, "mcpServers": {}}'),
        ("cursor", '{"mcpServers": {"orders": {}, "orders": {}}}'),
        ("cursor", '{"a": 1} {}'),
        ("vscode", '{"inputs": {}}'),
        ("cursor", "[" * 100_000),
        ("codex", "[mcp_servers"),
        ("codex", "mcp_servers = 3"),
        ("goose", "extensions: {a: {b: 1}}"),
        ("goose", "extensions: 3"),
        ("goose", "a: [1"),
        ("goose", "a: 1\na: 2"),
        ("continue", "mcpServers:\n  orders: {}\n"),
    ],
)
def test_a_file_that_cannot_be_changed_safely_is_not_touched(cli, site, tmp_path, name, text):
    target = tmp_path / "file"
    target.write_text(text)
    said = cli("connect", name, "-s", "orders", "--write", "--yes", "--file", str(target))
    assert (said.code, said.out) == (2, "")
    assert "not written" in said.err
    assert target.read_text() == text
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["file"]


def test_a_folder_and_bytes_are_not_touched(cli, site, tmp_path):
    (tmp_path / "file").write_bytes(b"\xff\xfe")
    assert cli("connect", "cursor", "-s", "orders", "--write", "--yes", "--file", str(tmp_path / "file")).code == 2
    assert cli("connect", "cursor", "-s", "orders", "--write", "--yes", "--file", str(tmp_path)).code == 2


@pytest.mark.parametrize(
    "old", ['url = "old"', 'command = "x"', 'url = "x"\n[mcp_servers.orders.http_headers]\na = "b"']
)
def test_toml_outside_of_the_table_stays_byte_for_byte(tmp_path, old):
    target = tmp_path / "config.toml"
    head = '# mine\nmodel = "o"  # keep\n\n'
    tail = '[mcp_servers.other]\ncommand = "x"\nargs = [\n  "a",\n]\n'
    target.write_text(head + f"[mcp_servers.orders]\n{old}\n\n{tail}")
    change = work_out(CLIENTS["codex"], entry(), target)
    make(change)
    text = target.read_text()
    assert text.startswith(head)
    assert text.endswith(tail)
    assert tomllib.loads(text)["mcp_servers"]["orders"] == {"url": URL, "bearer_token_env_var": "MCPWARD_KEY_ORDERS"}


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.json").write_text("{}")
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    make(work_out(CLIENTS["cursor"], entry(), tmp_path / "link.json"))
    assert (tmp_path / "link.json").is_symlink()
    assert "orders" in (tmp_path / "real.json").read_text()


def test_a_file_that_changed_meanwhile_is_not_touched(tmp_path):
    target = tmp_path / "c.json"
    target.write_text("{}")
    change = work_out(CLIENTS["cursor"], entry(), target)
    target.write_text('{"new": 1}')
    with pytest.raises(CommandEnded, match="changed meanwhile"):
        make(change)
    assert target.read_text() == '{"new": 1}'


def test_a_key_that_is_replaced_is_masked_in_the_diff(tmp_path):
    target = tmp_path / "c.json"
    make(work_out(CLIENTS["cursor"], entry(), target))
    change = work_out(CLIENTS["cursor"], entry(key=None), target)
    assert change.diff()
    assert KEY not in "\n".join(change.diff())


def test_vscode_asks_for_each_key_once(tmp_path):
    target = tmp_path / "mcp.json"
    make(work_out(CLIENTS["vscode"], entry(), target))
    make(work_out(CLIENTS["vscode"], entry(url="http://127.0.0.1:1/mcp"), target))
    assert len(json.loads(target.read_text())["inputs"]) == 1


@pytest.mark.parametrize("client", list(CLIENTS.values()), ids=lambda client: client.name)
def test_a_public_server_asks_for_no_key(client):
    text = rendered(client, entry(needs_key=False, key=None))
    assert "MCPWARD_KEY" not in text
    assert "Authorization" not in text


OAUTH = """[servers.orders]
source = "tools.py"
mode = {mode}
[servers.orders.oauth]
metadata = "https://id.example.com/.well-known/openid-configuration"
"""


@pytest.fixture(params=['"oauth"', '["oauth", "api-key"]'], ids=["tokens", "both"])
def login(folder, request):
    """A site whose server takes tokens, alone or beside keys."""
    (folder / "mcpward.toml").write_text(OAUTH.format(mode=request.param))
    return "api-key" in request.param


@pytest.mark.parametrize("client", FILES, ids=lambda client: client.name)
def test_where_one_logs_in_the_block_has_no_key_and_no_place_for_one(cli, login, client):
    said = cli("connect", client.name)
    assert said.code == 0
    assert "MCPWARD_KEY" not in said.out
    assert "http://127.0.0.1:8000/orders/mcp" in said.out
    assert "browser" in said.err
    assert "key create" not in said.err


def test_where_both_are_taken_a_key_that_is_given_is_used(cli, login):
    said = cli("connect", "cursor", "--stdin", stdin=KEY)
    assert (KEY in said.out) is login
    assert ("browser" in said.err) is not login


def test_curl_is_told_where_its_token_stands(cli, login):
    said = cli("connect", "curl")
    assert '"$ACCESS_TOKEN"' in said.out
    assert "identity provider" in said.err


def test_a_login_can_be_written_without_any_credential(cli, login, tmp_path):
    target = tmp_path / "client.json"
    assert cli("connect", "claude-desktop", "--write", "--yes", "--file", str(target)).code == 0
    assert "http://127.0.0.1:8000/orders/mcp" in json.loads(target.read_text())["mcpServers"]["orders"]["args"]
