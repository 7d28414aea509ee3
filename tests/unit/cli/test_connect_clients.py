import json
import os
import re
import subprocess
import tomllib
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import pytest
from ruamel.yaml import YAML

from mcpward.cli.clients import CLIENTS, Entry, Place, variable_of
from mcpward.cli.clients.shown import rendered
from mcpward.cli.connect import client_names
from mcpward.core.clock import SystemClock
from mcpward.core.secret import Secret
from mcpward.crypto.digest import Pepper
from mcpward.identity.keys.api_key import issue
from support.matches import whole

KEY = issue(Pepper(b"p" * 32), SystemClock(), name="n", servers=["orders"])[0].reveal()
URL = "https://mcp.example.com/orders/mcp"
FILES = [client for client in CLIENTS.values() if client.files]
by_name = pytest.mark.parametrize("client", FILES, ids=lambda client: client.name)


def entry(**more):
    fields: dict[str, Any] = {"server": "orders", "url": URL, "needs_key": True, "key": Secret(KEY)}
    return Entry(**(fields | more))


def filled(pattern):
    """Make a client's filler of variables: what it finds in a text is looked up in the environment."""
    return lambda text, env: re.sub(pattern, lambda found: env.get(found[1], found[0]), text)


def literal(text, env):
    return text


BRACES, ENV_BRACES = filled(r"\$\{(\w+)\}"), filled(r"\$\{env:(\w+)\}")
# How each client fills variables into the values of its file, by its own documentation.
FILLS = {
    "claude-code": BRACES,
    "cursor": ENV_BRACES,
    "gemini-cli": filled(r"\$(?:\{)?(\w+)\}?"),
    "qwen": filled(r"\$(?:\{)?(\w+)\}?"),
    "opencode": filled(r"\{env:(\w+)\}"),
    "continue": filled(r"\$\{\{ secrets\.(\w+) \}\}"),
    "windsurf": ENV_BRACES,
    "mcporter": BRACES,
}


def reached(name, text, env):
    """Read a file as the client does and return the URL and the header that it would send for the server orders."""
    if name == "codex":
        server = tomllib.loads(text)["mcp_servers"]["orders"]
        assert set(server) <= {"url", "bearer_token_env_var"}
        variable = server.get("bearer_token_env_var")
        return server["url"], f"Bearer {env[variable]}" if variable else None
    if name == "goose":
        server = YAML(typ="safe").load(text)["extensions"]["orders"]
        assert server["enabled"] is True
        assert server["type"] == "streamable_http"
        known = {key: env[key] for key in server["env_keys"]}
        return server["uri"], BRACES(server.get("headers", {}).get("Authorization", ""), known) or None
    if name == "continue":
        content = YAML(typ="safe").load(text)
        assert {"name", "version", "schema"} <= set(content)
        (server,) = content["mcpServers"]
        assert (server["name"], server["type"]) == ("orders", "streamable-http")
        header = server.get("requestOptions", {}).get("headers", {}).get("Authorization")
        return server["url"], header and FILLS[name](header, env)
    content = json.loads(text)
    if name == "claude-desktop":
        server = content["mcpServers"]["orders"]
        assert server["command"] == "npx"
        header = server["args"][server["args"].index("--header") + 1] if "--header" in server["args"] else None
        value = header and BRACES(whole(r"([\w-]+):\s*(.*)", header)[2], server["env"])
        return server["args"][2], value
    if name == "vscode":
        server = content["servers"]["orders"]
        assert server["type"] == "http"
        header = server.get("headers", {}).get("Authorization")
        asked = {one["id"]: one for one in content.get("inputs", [])}
        for one in re.findall(r"\$\{input:([\w-]+)\}", header or ""):
            assert asked[one]["type"] == "promptString"
            assert asked[one]["password"] is True
        return server["url"], header and re.sub(r"\$\{input:[\w-]+\}", KEY, header)
    table, field, type_ = {
        "claude-code": ("mcpServers", "url", "http"),
        "cursor": ("mcpServers", "url", "http"),
        "gemini-cli": ("mcpServers", "httpUrl", None),
        "qwen": ("mcpServers", "httpUrl", None),
        "opencode": ("mcp", "url", "remote"),
        "copilot": ("mcpServers", "url", "http"),
        "cline": ("mcpServers", "url", "streamableHttp"),
        "windsurf": ("mcpServers", "serverUrl", None),
        "zed": ("context_servers", "url", None),
        "lm-studio": ("mcpServers", "url", None),
        "junie": ("mcpServers", "url", None),
        "mcporter": ("mcpServers", "baseUrl", None),
    }[name]
    server = content[table]["orders"]
    assert server.get("type") == type_
    header = server.get("headers", {}).get("Authorization")
    return server[field], header and FILLS.get(name, literal)(header, env)


@by_name
def test_a_client_reads_url_and_key_from_its_block(client):
    text = rendered(client, entry())
    assert reached(client.name, text, {"MCPWARD_KEY_ORDERS": KEY}) == (URL, f"Bearer {KEY}")


@pytest.mark.parametrize("name", [client.name for client in FILES if client.reference or client.asks])
def test_a_client_reads_the_key_from_a_variable_if_none_is_at_hand(name):
    text = rendered(CLIENTS[name], entry(key=None))
    assert KEY not in text
    assert reached(name, text, {"MCPWARD_KEY_ORDERS": KEY}) == (URL, f"Bearer {KEY}")


@by_name
def test_a_client_sends_nothing_if_no_key_is_taken(client):
    text = rendered(client, entry(needs_key=False, key=None))
    assert reached(client.name, text, {}) == (URL, None)


@by_name
def test_a_file_of_a_project_names_a_variable_and_never_the_key(client):
    if "project" not in client.files:
        return
    text = rendered(client, entry(scope="project"))
    assert KEY not in text
    assert reached(client.name, text, {"MCPWARD_KEY_ORDERS": KEY}) == (URL, f"Bearer {KEY}")


@by_name
def test_a_project_is_offered_only_if_the_key_need_not_stand_in_its_file(client):
    assert "project" not in client.files or client.reference or client.asks


@pytest.mark.parametrize("name", [client.name for client in FILES if client.reference])
def test_a_variable_that_is_named_stands_in_the_file_instead_of_the_key(cli, site, name):
    said = cli("connect", name, "-s", "orders", "--variable", "MINE", "--stdin", stdin=KEY)
    assert said.code == 0
    assert KEY not in said.out
    assert "MCPWARD_KEY" not in said.out
    assert reached(name, said.out, {"MINE": KEY})[1] == f"Bearer {KEY}"
    assert "set MINE in" in said.err


def test_a_variable_is_refused_by_a_client_that_fills_none_in(cli, site):
    assert cli("connect", "zed", "-s", "orders", "--variable", "MINE").code == 2
    assert cli("connect", "cursor", "-s", "orders", "--variable", "not a name").code == 2
    assert "${MINE}" in cli("connect", "claude-desktop", "-s", "orders", "--variable", "MINE").out


def test_two_servers_have_two_variables():
    assert variable_of("orders") == "MCPWARD_KEY_ORDERS"
    assert variable_of("my-notes") == "MCPWARD_KEY_MY_NOTES"


@by_name
def test_two_servers_stand_in_one_client_with_a_key_each(cli, folder, tmp_path, client):
    target = tmp_path / "file"
    for name in ("orders", "bills"):
        url = f"https://mcp.example.com/{name}/mcp"
        said = cli(
            "connect", client.name, "--url", url, "--stdin", "--write", "--yes", "--file", str(target), stdin=KEY
        )
        assert said.code == 0, said.err
    text = target.read_text()
    for name in ("orders", "bills"):
        assert f"https://mcp.example.com/{name}/mcp" in text
        assert f"Bearer {KEY}" in text or variable_of(name) in text or f"mcpward-{name}-key" in text
    assert cli("connect", client.name, "--remove", "-s", "bills", "--yes", "--file", str(target)).code == 0
    assert reached(client.name, target.read_text(), {"MCPWARD_KEY_ORDERS": KEY}) == (URL, f"Bearer {KEY}")
    assert "bills" not in target.read_text()


def test_the_key_is_looked_for_in_the_servers_own_variable_first(cli, site, monkeypatch):
    other = issue(Pepper(b"p" * 32), SystemClock(), name="n", servers=["orders"])[0].reveal()
    monkeypatch.setenv("MCPWARD_KEY", other)
    assert other in cli("connect", "zed", "-s", "orders").out
    monkeypatch.setenv("MCPWARD_KEY_ORDERS", KEY)
    said = cli("connect", "zed", "-s", "orders")
    assert KEY in said.out
    assert other not in said.out


def test_whoever_has_only_the_variable_of_all_servers_is_told_what_to_export(cli, site, monkeypatch):
    monkeypatch.setenv("MCPWARD_KEY", KEY)
    assert 'export MCPWARD_KEY_ORDERS="$MCPWARD_KEY"' in cli("connect", "claude-code", "-s", "orders").err
    monkeypatch.setenv("MCPWARD_KEY_ORDERS", KEY)
    assert "export" not in cli("connect", "claude-code", "-s", "orders").err


@pytest.mark.parametrize("name", ["MCPWARD_KEY", "MCPWARD_KEY_ORDERS"])
def test_curl_takes_either_variable(cli, site, name):
    shown = cli("connect", "curl", "-s", "orders").out.replace("curl -sS", "for one in")
    shown = re.sub(r"-H @<\((.*)\)", r'"$(\1)"', shown) + "\ndo printf '%s\\n' \"$one\"; done"
    env = {"PATH": os.environ["PATH"], name: KEY}
    done = subprocess.run(["bash", "-c", shown], env=env, capture_output=True, text=True, timeout=20, check=True)
    assert f"Authorization: Bearer {KEY}" in done.stdout


PLACES = [
    ("claude-desktop", "user", "linux", {}, "/h/.config/Claude/claude_desktop_config.json"),
    ("claude-desktop", "user", "linux", {"XDG_CONFIG_HOME": "/x"}, "/x/Claude/claude_desktop_config.json"),
    ("claude-desktop", "user", "darwin", {}, "/h/Library/Application Support/Claude/claude_desktop_config.json"),
    ("claude-desktop", "user", "win32", {"APPDATA": "/a"}, "/a/Claude/claude_desktop_config.json"),
    ("claude-desktop", "user", "win32", {}, "/h/AppData/Roaming/Claude/claude_desktop_config.json"),
    ("claude-code", "project", "linux", {}, "/p/.mcp.json"),
    ("claude-code", "user", "darwin", {}, "/h/.claude.json"),
    ("claude-code", "user", "linux", {"CLAUDE_CONFIG_DIR": "/c"}, "/c/.claude.json"),
    ("cursor", "user", "win32", {}, "/h/.cursor/mcp.json"),
    ("cursor", "project", "linux", {}, "/p/.cursor/mcp.json"),
    ("vscode", "project", "linux", {}, "/p/.vscode/mcp.json"),
    ("vscode", "user", "linux", {}, "/h/.config/Code/User/mcp.json"),
    ("vscode", "user", "darwin", {}, "/h/Library/Application Support/Code/User/mcp.json"),
    ("vscode", "user", "win32", {"APPDATA": "/a"}, "/a/Code/User/mcp.json"),
    ("codex", "user", "linux", {}, "/h/.codex/config.toml"),
    ("codex", "user", "linux", {"CODEX_HOME": "/c"}, "/c/config.toml"),
    ("codex", "project", "linux", {}, "/p/.codex/config.toml"),
    ("gemini-cli", "user", "linux", {}, "/h/.gemini/settings.json"),
    ("gemini-cli", "project", "linux", {}, "/p/.gemini/settings.json"),
    ("qwen", "user", "linux", {}, "/h/.qwen/settings.json"),
    ("qwen", "project", "linux", {}, "/p/.qwen/settings.json"),
    ("opencode", "user", "darwin", {}, "/h/.config/opencode/opencode.json"),
    ("opencode", "user", "linux", {"XDG_CONFIG_HOME": "/x"}, "/x/opencode/opencode.json"),
    ("opencode", "project", "linux", {}, "/p/opencode.json"),
    ("copilot", "user", "linux", {}, "/h/.copilot/mcp-config.json"),
    ("copilot", "user", "linux", {"COPILOT_HOME": "/c"}, "/c/mcp-config.json"),
    ("cline", "user", "linux", {}, "/h/.cline/data/settings/cline_mcp_settings.json"),
    ("cline", "user", "linux", {"CLINE_MCP_SETTINGS_PATH": "/c.json"}, "/c.json"),
    ("continue", "user", "linux", {}, "/h/.continue/config.yaml"),
    ("continue", "project", "linux", {}, "/p/.continue/mcpServers/mcpward.yaml"),
    ("windsurf", "user", "linux", {}, "/h/.codeium/windsurf/mcp_config.json"),
    ("zed", "user", "darwin", {}, "/h/.config/zed/settings.json"),
    ("zed", "user", "win32", {"APPDATA": "/a"}, "/a/Zed/settings.json"),
    ("goose", "user", "darwin", {}, "/h/.config/goose/config.yaml"),
    ("goose", "user", "win32", {"APPDATA": "/a"}, "/a/Block/goose/config/config.yaml"),
    ("lm-studio", "user", "darwin", {}, "/h/.lmstudio/mcp.json"),
    ("junie", "user", "linux", {}, "/h/.junie/mcp/mcp.json"),
    ("mcporter", "user", "linux", {}, "/h/.mcporter/mcporter.json"),
    ("mcporter", "user", "linux", {"XDG_CONFIG_HOME": "/x"}, "/x/mcporter/mcporter.json"),
    ("mcporter", "project", "linux", {}, "/p/config/mcporter.json"),
]


@pytest.mark.parametrize("name,scope,platform,env,path", PLACES)
def test_a_client_has_its_file_by_scope_platform_and_environment(tmp_path, name, scope, platform, env, path):
    kind = type(tmp_path)
    place = Place(platform=platform, home=kind("/h"), here=kind("/p"), env=MappingProxyType(env))
    found = CLIENTS[name].file(place, scope)
    assert found is not None
    assert PurePosixPath(found) == PurePosixPath(path)


def test_every_scope_of_every_client_has_its_place_in_the_test():
    assert {(name, scope) for name, scope, *_ in PLACES} == {
        (client.name, scope) for client in FILES for scope in client.files
    }


@pytest.mark.parametrize(
    "name,used",
    [
        ("opencode", ".config/opencode/opencode.jsonc"),
        ("mcporter", ".mcporter/mcporter.jsonc"),
        ("lm-studio", ".cache/lm-studio/mcp.json"),
        ("windsurf", ".config/devin/mcp_config.json"),
        ("cline", ".config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"),
    ],
)
def test_of_two_places_the_one_in_use_counts(tmp_path, name, used):
    place = Place(platform="linux", home=tmp_path, here=tmp_path, env={})
    usual = CLIENTS[name].file(place)
    assert usual is not None
    (tmp_path / used).parent.mkdir(parents=True)
    (tmp_path / used).write_text("{}")
    assert CLIENTS[name].file(place) == tmp_path / used
    usual.parent.mkdir(parents=True, exist_ok=True)
    usual.write_text("{}")
    assert CLIENTS[name].file(place) == usual


@pytest.mark.parametrize("client", FILES, ids=lambda client: client.name)
def test_each_scope_writes_its_own_file(cli, site, monkeypatch, tmp_path, client):
    home = tmp_path / "home"
    for scope in client.files:
        said = cli("connect", client.name, "-s", "orders", "--scope", scope, "--stdin", "--write", "--yes", stdin=KEY)
        assert said.code == 0, said.err
        place = Place(platform="linux", home=home, here=site, env={})
        file = client.file(place, scope)
        assert file.is_file()
        assert file.is_relative_to(site if scope == "project" else home)
        assert KEY not in file.read_text() or scope == "user"


def test_a_scope_that_a_client_has_not_is_told(cli, site):
    said = cli("connect", "zed", "-s", "orders", "--scope", "project")
    assert said.code == 2
    assert "it has: user" in said.err
    assert cli("connect", "curl", "-s", "orders", "--scope", "user").code == 2
    assert "user and project" in cli("connect", "cursor", "-s", "orders", "--scope", "global").err


def test_claude_code_asks_for_approval_of_a_projects_server(cli, site):
    assert "asks for approval" in cli("connect", "claude-code", "-s", "orders").err
    assert "asks for approval" in cli("connect", "claude-code", "-s", "orders", "--write", "--yes").err
    assert "approval" not in cli("connect", "claude-code", "-s", "orders", "--scope", "user").err


def test_opencode_2_keeps_its_own_form(cli, site, tmp_path):
    target = tmp_path / "opencode.jsonc"
    target.write_text(
        '{\n  "mcp": {\n    "servers": {\n      // mine\n      "a": {"type": "local"},\n    },\n  },\n}\n'
    )
    assert cli("connect", "opencode", "-s", "orders", "--write", "--yes", "--file", str(target)).code == 0
    text = re.sub(r",(\s*})", r"\1", target.read_text().replace("// mine", ""))
    assert set(json.loads(text)["mcp"]["servers"]) == {"a", "orders"}


# claude.ai and ChatGPT


OAUTH = """[site]
public_url = "https://mcp.example.com"
trusted_proxies = ["127.0.0.1/32"]
[servers.orders]
source = "tools.py"
mode = {mode}
[servers.orders.oauth]
metadata = "https://id.example.com/.well-known/openid-configuration"
"""
web = pytest.mark.parametrize("name", ["claude-ai", "chatgpt"])


@web
def test_a_web_page_takes_no_key_and_says_what_is_possible(cli, site, name):
    said = cli("connect", name, "-s", "orders")
    assert (said.code, said.out) == (1, "")
    assert "no field for an API key" in said.err
    assert '"oauth"' in said.err
    assert '"unlisted"' in said.err


@web
@pytest.mark.parametrize("mode", ['"oauth"', '["oauth", "api-key"]'])
def test_a_web_page_is_told_what_to_enter_for_a_login(cli, folder, monkeypatch, name, mode):
    (folder / "mcpward.toml").write_text(OAUTH.format(mode=mode))
    said = cli("connect", name)
    assert said.code == 0
    assert "https://mcp.example.com" in said.out
    assert "OAuth" in said.out
    assert "MCPWARD_KEY" not in said.out + said.err


@web
def test_a_secret_url_is_what_to_enter_on_a_web_page(cli, site, name):
    secret = f"https://mcp.example.com/notes/mcp/{'a' * 48}"
    said = cli("connect", name, "-s", "notes", "--stdin", stdin=secret)
    assert said.code == 0
    assert secret in said.out
    assert "OAuth" not in said.out
    local = cli("connect", name, "-s", "notes", "--stdin", stdin=f"http://127.0.0.1:8123/notes/mcp/{'a' * 48}")
    assert "public URL" in local.err


@web
def test_a_web_page_has_no_file(cli, folder, name):
    said = cli("connect", name, "--url", URL)
    assert said.code == 0
    assert URL in said.out
    assert "no field for an API key" in said.err
    assert cli("connect", name, "--url", URL, "--write", "--yes").code == 2
    assert cli("connect", name, "--undo", "--yes").code == 2


# The command


def test_clients_are_listed_with_their_files(cli, folder, tmp_path):
    said = cli("connect", "--list")
    assert said.code == 0
    assert all(name in said.out for name in CLIENTS)
    rows = cli("connect", "--list", "--json").json
    assert {row["client"] for row in rows} == set(CLIENTS)
    assert {"client": "zed", "title": "Zed", "scope": "user", "format": "json"}.items() <= next(
        row for row in rows if row["client"] == "zed"
    ).items()


def test_the_names_of_clients_are_completed():
    assert client_names("cl") == ["claude-desktop", "claude-code", "cline", "claude-ai"]
    assert client_names("zz") == []


def test_a_missing_client_is_asked_for(cli, folder):
    said = cli("connect")
    assert said.code == 2
    assert "mcporter" in said.err


@by_name
def test_json_says_where_and_what(cli, site, client):
    said = cli("connect", client.name, "-s", "orders", "--json", "--stdin", stdin=KEY).json
    assert said["client"] == client.name
    assert said["url"] in json.dumps(said["block"])
    assert said["variable"] == "MCPWARD_KEY_ORDERS"
    assert said["format"] == client.format
    assert said["scope"] in client.files
    assert said["file"]


@pytest.mark.parametrize(
    "url,name",
    [
        ("https://mcp.example.com/orders/mcp", "orders"),
        ("https://mcp.example.com/ai/orders/mcp/", "orders"),
        ("https://x.example/Team_Notes/mcp", "team-notes"),
        ("https://mcp.example.com/mcp", "example"),
        ("https://orders.example.com/mcp", "orders"),
        ("http://127.0.0.1:8000/mcp", "mcpward"),
        ("http://localhost:8000/mcp", "mcpward"),
        ("http://[::1]:8000/bills/mcp", "bills"),
    ],
)
def test_without_a_file_of_the_site_the_name_comes_from_the_url(cli, folder, url, name):
    assert list(cli("connect", "cursor", "--url", url).json_block["mcpServers"]) == [name]


def test_a_secret_url_names_its_server(cli, folder):
    secret = f"https://mcp.example.com/notes/mcp/{'a' * 48}"
    for words, stdin in ((["--stdin"], secret), (["--url", secret], "")):
        said = cli("connect", "cursor", *words, stdin=stdin)
        assert said.json_block == {"mcpServers": {"notes": {"type": "http", "url": secret}}}


def test_a_url_of_the_site_is_its_server_and_another_one_is_not(cli, site):
    assert list(cli("connect", "cursor", "--url", "https://h.example.com/orders/mcp").json_block["mcpServers"]) == [
        "orders"
    ]
    said = cli("connect", "cursor", "--url", "https://h.example.com/bills/mcp")
    assert list(said.json_block["mcpServers"]) == ["bills"]
    named = cli("connect", "cursor", "--url", "https://h.example.com/bills/mcp", "-s", "mine")
    assert list(named.json_block["mcpServers"]) == ["mine"]
