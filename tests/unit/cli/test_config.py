import contextlib
import grp
import json
import os
import pwd

import pytest

from mcpward.cli.ui import Exit


def test_a_right_configuration_is_told_on_stderr(cli, site):
    (site / "tools.py").write_text("")
    said = cli("config", "check")
    assert (said.code, said.out) == (0, "")
    assert ": valid (orders, notes)" in said.err
    assert cli("config", "check", "--json").json == {"ok": True, "findings": []}


def test_every_problem_is_told_with_code_2(cli, folder):
    (folder / "mcpward.toml").write_text('[site]\nlisen = "x"\nworkers = 0\n[servers.a]\nmode = "publik"\n')
    said = cli("config", "check")
    assert (said.code, said.out) == (Exit.USAGE, "")
    assert said.err.count("error: ") == 4
    assert "error: mcpward.toml:2: unknown key 'site.lisen'\nhint: did you mean 'listen'?\n" in said.err
    found = cli("config", "check", "--json")
    assert found.code == 2
    assert [one["where"] for one in found.json["findings"]] == [f"mcpward.toml:{n}" for n in (3, 2, 4, 5)]


def test_a_problem_stops_every_verb(cli, folder):
    (folder / "mcpward.toml").write_text("[sight]\n")
    commands = [("serve", "x.py"), ("key", "list"), ("key", "create", "--name", "n"), ("url", "rotate"), ("log",),
                ("connect", "curl"), ("config", "show"), ("secret", "list")]  # fmt: skip
    for command in commands:
        said = cli(*command)
        assert (said.code, said.out) == (2, ""), command
        assert "unknown key 'sight'" in said.err
    assert [path.name for path in folder.iterdir()] == ["mcpward.toml"]


def test_show_says_where_each_value_came_from(cli, site, monkeypatch):
    monkeypatch.setenv("MCPWARD_SITE__WORKERS", "2")
    rows = cli("config", "show", "--json").json
    assert rows["site.listen"] == {"value": "127.0.0.1:8123", "origin": "file", "where": "mcpward.toml:2"}
    assert rows["site.workers"] == {"value": 2, "origin": "env", "where": "MCPWARD_SITE__WORKERS"}
    assert rows["site.drain_s"]["origin"] == "default"
    text = cli("config", "show", "site").out
    assert "site.listen" in text
    assert "servers" not in text
    assert cli("config", "show", "nothing").code == 1


def test_show_is_safe_for_a_terminal(cli, folder):
    (folder / "mcpward.toml").write_text('[servers.a]\nsource = "\\u001b[2J\\u202e.py"\n')
    said = cli("config", "show")
    assert "\x1b" not in said.out
    assert "\u202e" not in said.out


def test_a_setting_is_explained(cli, folder):
    said = cli("config", "explain", "servers.orders.mode")
    assert said.code == 0
    assert "MCPWARD_SERVERS__" in said.out
    assert cli("config", "explain", "site.listen", "--json").json["default"] == '"127.0.0.1:8000"'
    assert len(cli("config", "explain", "--json").json) > 40
    wrong = cli("config", "explain", "site.lisen")
    assert wrong.code == 1
    assert "did you mean site.listen?" in wrong.err


def test_the_schema_is_json(cli, folder):
    assert json.loads(cli("config", "schema").out)["title"] == "mcpward.toml"


def test_a_named_file_that_is_missing_is_told(cli, folder):
    said = cli("config", "check", "--config", "no.toml")
    assert said.code == 2
    assert "no.toml" in said.err


def test_a_source_that_is_not_there_is_told(cli, site):
    said = cli("config", "check")
    assert said.code == 2
    assert "error: mcpward.toml:5: servers.orders.source: there is no file" in said.err
    assert said.err.count("error:") == 2


TWO_TOOLS = """
from mcpward import Server, env

server = Server("orders")
print("loading", env.TOKEN)


@server.tool(budgets=["stripe"])
async def pay(amount: int) -> str:
    "Pay."
    return "paid"


@server.tool(read_only=True)
async def look(number: int) -> str:
    "Look."
    return "seen"
"""


def sourced(folder, source, more=""):
    (folder / "mcpward.toml").write_text(f'[servers.orders]\nsource = "{source}"\n{more}')


@pytest.mark.parametrize(
    "source,said",
    [
        ("tols.py", "there is no file"),
        ("tols.py:server", "there is no file"),
        ("no_such_package.tools:server", "there is no module no_such_package.tools"),
        ("no_such_package", "there is no module no_such_package"),
        ("mcpward.no_such_module:server", "there is no module mcpward.no_such_module"),
    ],
)
def test_a_source_that_is_not_there_is_an_error_without_running_any(cli, folder, source, said):
    (folder / "tools.py").write_text("raise SystemExit")
    sourced(folder, source)
    checked = cli("config", "check")
    assert checked.code == 2
    assert f"error: mcpward.toml:2: servers.orders.source: {said}" in checked.err
    if "tols" in source:
        assert "hint: did you mean tools.py?" in checked.err


@pytest.mark.parametrize("source", ["tools.py", "tools.py:server", "tools:server", "inner.tools", "json", "sys"])
def test_a_source_that_is_there_is_found_without_running_it(cli, folder, source):
    (folder / "inner").mkdir()
    for file in ("tools.py", "inner/__init__.py", "inner/tools.py"):
        (folder / file).write_text("raise SystemExit")
    sourced(folder, source)
    assert cli("config", "check").code == 0


def test_a_check_that_loads_says_what_a_start_warns_of(cli, folder):
    (folder / "tools.py").write_text(
        "from mcpward import Database, Server\n"
        "server = Server('orders')\n"
        "db = Database('sqlite:///x.db', read_only=False)\n"
        "@server.tool(read_only=True)\n"
        "async def wipe(word: str) -> int:\n"
        "    'Wipe.'\n"
        "    return await db.execute('DELETE FROM x WHERE word = :word', word=word)\n"
    )
    sourced(folder, "tools.py")
    said = cli("config", "check", "--load")
    assert (said.code, said.out) == (0, "")
    assert "tools.py:4: server orders: tool 'wipe': word has no bound; default bounds hold: write word:" in said.err
    assert "tools.py:7: server orders: tool 'wipe' is read_only, and db.execute() changes data: remove" in said.err


def test_a_check_loads_the_tools_when_it_is_asked_to(cli, folder):
    (folder / "tools.py").write_text(TWO_TOOLS)
    sourced(folder, "tools.py", '[budgets.stripe]\nrate = "5/second"\n')
    assert cli("config", "check").code == 0
    without = cli("config", "check", "--load")
    assert without.code == 2
    assert "mcpward secret set" in without.err
    assert not (folder / ".mcpward").exists()
    assert cli("secret", "set", "TOKEN", stdin="hunter2").code == 0
    said = cli("config", "check", "--load")
    assert (said.code, said.out) == (0, "")
    assert ": valid (orders: 2 tools)" in said.err
    assert "hunter2" not in said.err
    assert cli("config", "check", "--load", "--json").json["tools"] == {"orders": ["look", "pay"]}
    sourced(folder, "tools.py")
    undefined = cli("config", "check", "--load", "--json")
    assert undefined.code == 2
    assert "budget 'stripe', which is not defined" in undefined.json["findings"][0]["what"]


@pytest.mark.parametrize("mode", [0o602, 0o646, 0o666])
def test_a_file_that_others_may_write_is_refused_by_every_verb(cli, site, mode):
    (site / "tools.py").write_text("")
    (site / "mcpward.toml").chmod(mode)
    for command in (("config", "check"), ("key", "create", "--name", "n"), ("serve",)):
        said = cli(*command)
        assert (said.code, said.out) == (2, "")
        assert "other users may change the site's file" in said.err
        assert "hint: chmod go-w mcpward.toml" in said.err
    (site / "mcpward.toml").chmod(0o644)
    assert cli("config", "check").code == 0


def give_away(path, monkeypatch):
    """Make a file another user's. Only root can give one away; if that is not possible, the test becomes the other
    one.
    """
    if os.geteuid() == 0:
        os.chown(path, 65_534, -1, follow_symlinks=False)
    else:
        monkeypatch.setattr("os.geteuid", lambda: 65_534)


@pytest.mark.parametrize("mode", [0o700, 0o1777])
def test_a_file_of_another_user_is_refused_also_in_a_sticky_folder(cli, site, monkeypatch, mode):
    """An owner changes the file when it likes: as root in /tmp its tools would be run."""
    (site / "tools.py").write_text("")
    site.chmod(mode)
    give_away(site / "mcpward.toml", monkeypatch)
    said = cli("config", "check")
    assert (said.code, said.out) == (2, "")
    assert "the site's file belongs to another user" in said.err
    assert f"run mcpward as its owner, or, as root: chown {os.geteuid()} mcpward.toml" in said.err


def test_a_folder_of_another_user_is_refused(cli, site, monkeypatch):
    (site / "tools.py").write_text("")
    site.chmod(0o1755)
    give_away(site, monkeypatch)
    said = cli("config", "check")
    assert said.code == 2
    assert "the folder of the site's file belongs to another user" in said.err
    assert f"chown {os.geteuid()} {site}" in said.err


def test_a_link_of_another_user_to_our_file_is_refused(cli, site, monkeypatch):
    """Its sources would be looked for beside the link."""
    (site / "tools.py").write_text("")
    (site / "ours").mkdir()
    (site / "mcpward.toml").rename(site / "ours" / "real.toml")
    (site / "mcpward.toml").symlink_to("ours/real.toml")
    assert cli("config", "check").code == 0
    give_away(site / "mcpward.toml", monkeypatch)
    said = cli("config", "check")
    assert said.code == 2
    assert "belongs to another user" in said.err


@pytest.fixture
def apart(site):
    """A site whose source is in a folder of its own."""
    (site / "src").mkdir(mode=0o755)
    (site / "src" / "tools.py").write_text(TWO_TOOLS)
    (site / "src" / "tools.py").chmod(0o644)
    sourced(site, "src/tools.py")
    return site / "src"


def test_a_file_whose_folder_lets_others_replace_it_is_refused(cli, apart):
    site = apart.parent
    site.chmod(0o777)
    said = cli("config", "check")
    assert said.code == 2
    assert "other users may put another file in the place of the site's file" in said.err
    assert f"hint: chmod go-w {site}" in said.err
    site.chmod(0o1777)  # as /tmp is: no user can replace another user's file there
    assert cli("config", "check").code == 0


#: Whatever would run the source.
RUNNERS = (
    ("serve",), ("config", "check"), ("config", "check", "--load"), ("tools",), ("tools", "orders"),
    ("call", "orders", "look"), ("call", "src/tools.py", "look"), ("tools", "src/tools.py"), ("serve", "src/tools.py"),
)  # fmt: skip


@pytest.mark.parametrize("words", RUNNERS, ids=" ".join)
def test_a_source_that_others_may_write_is_not_run(cli, apart, monkeypatch, words):
    source = apart / "tools.py"
    source.write_text("import pathlib\npathlib.Path('ran').touch()\n" + TWO_TOOLS)

    def refused(what, hint):
        said = cli(*words)
        assert (said.code, said.out) == (2, "")
        assert what in said.err
        assert f"hint: {hint}" in said.err
        assert not (apart.parent / "ran").exists()

    source.chmod(0o666)
    refused("other users may change the source of server orders, and so what it runs", "chmod go-w ")
    source.chmod(0o644)
    apart.chmod(0o777)
    refused("other users may put another file in the place of the source of server orders", f"chmod go-w {apart}")
    apart.chmod(0o1777)
    give_away(source, monkeypatch)
    refused("the source of server orders belongs to another user", "run mcpward as its owner, or, as root: chown ")


def test_others_may_not_add_a_module_beside_a_source(cli, apart):
    """Its folder is the first of which Python imports: a file there takes the place of a library's, sticky or not."""
    apart.chmod(0o1777)
    said = cli("config", "check")
    assert said.code == 2
    assert "other users may put a module beside the source of server orders, which it would run" in said.err
    assert f"hint: chmod go-w {apart}" in said.err
    apart.chmod(0o755)
    assert cli("config", "check").code == 0


def test_others_may_not_write_what_a_source_was_compiled_to(cli, apart):
    compiled = apart / "__pycache__"
    compiled.mkdir(exist_ok=True)
    compiled.chmod(0o777)
    said = cli("config", "check")
    assert said.code == 2
    assert f"hint: chmod go-w {compiled}" in said.err


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_others_may_not_add_a_module_beside_a_package(cli, site, mode):
    """The file of the site is elsewhere; a package without __init__.py is a folder, too."""
    work, package = site / "work", site / "work" / "parcels_of_ours"
    package.mkdir(parents=True, mode=0o755)
    (package / "tools.py").write_text(TWO_TOOLS)
    sourced(site, "parcels_of_ours.tools")
    for folder in (work, package):
        with contextlib.chdir(work):
            assert cli("config", "check", "--config", "../mcpward.toml").code == 0
            folder.chmod(mode)
            said = cli("config", "check", "--config", "../mcpward.toml")
        assert said.code == 2
        assert f"hint: chmod go-w {folder}" in said.err
        folder.chmod(0o755)


def test_the_folder_of_a_source_may_not_belong_to_another_user(cli, apart, monkeypatch):
    give_away(apart, monkeypatch)
    said = cli("config", "check")
    assert said.code == 2
    assert "the folder of the source of server orders belongs to another user" in said.err


def test_a_source_whose_group_is_the_users_own_may_be_written_by_it(cli, apart, monkeypatch):
    """As umask 002 leaves it on systems where each user has such a group."""
    user = pwd.getpwuid(os.geteuid())
    for path in (apart / "tools.py", apart):
        os.chown(path, -1, user.pw_gid)
        path.chmod(path.stat().st_mode | 0o020)
    monkeypatch.setattr("grp.getgrgid", lambda gid: grp.struct_group((user.pw_name, "x", gid, [])))
    assert cli("config", "check").code == 0
    monkeypatch.setattr("grp.getgrgid", lambda gid: grp.struct_group((user.pw_name, "x", gid, ["somebody"])))
    assert "other users may change the source" in cli("config", "check").err


def test_a_module_that_others_may_write_is_refused_with_its_packages(cli, site, monkeypatch):
    package = site / "shopkit_of_ours"
    package.mkdir(mode=0o755)
    (package / "__init__.py").write_text("")
    (package / "tools.py").write_text(TWO_TOOLS)
    sourced(site, "shopkit_of_ours.tools")
    assert cli("config", "check").code == 0
    for name in ("__init__.py", "tools.py"):
        (package / name).chmod(0o666)
        said = cli("config", "check")
        assert said.code == 2
        assert f"{package / name}: other users may change the source of server orders" in said.err
        (package / name).chmod(0o644)


def test_a_link_is_judged_by_the_folder_that_it_leads_to(cli, site):
    (site / "tools.py").write_text("")
    there = site / "there"
    there.mkdir()
    (site / "mcpward.toml").rename(there / "real.toml")
    (site / "mcpward.toml").symlink_to(there / "real.toml")
    (site / "there" / "tools.py").write_text("")
    assert cli("config", "check").code == 0
    there.chmod(0o777)
    assert f"chmod go-w {there}" in cli("config", "check").err


def test_a_misspelt_server_to_serve_is_told_with_the_nearest_name(cli, site):
    said = cli("serve", "ordres")
    assert said.code == 2
    assert "error: there is no server 'ordres' in the site's file" in said.err
    assert "hint: did you mean orders?" in said.err


@pytest.mark.parametrize("mode, told", [(0o644, True), (0o640, False), (0o600, False)])
def test_attack_93_a_file_with_a_password_that_others_may_read_is_told(cli, site, mode, told):
    (site / "tools.py").write_text("from mcpward import Server\n\nserver = Server('orders')\n")
    text = (site / "mcpward.toml").read_text()
    (site / "mcpward.toml").write_text(f'[limits]\ncounters = "redis://:canary-91@localhost:6379/0"\n{text}')
    (site / "mcpward.toml").chmod(mode)
    said = cli("config", "check")
    assert said.code == 0
    assert ("other users can read limits.counters" in said.err) is told
    assert "chmod 600" in said.err or not told
    assert "canary" not in said.err


def test_attack_93_a_file_without_a_password_may_be_read_by_all(cli, site):
    (site / "mcpward.toml").chmod(0o644)
    assert "other users can read" not in cli("config", "check").err
