import json

from mcpward.cli.ui import Exit


def test_a_right_configuration_is_told_on_stderr(cli, site):
    (site / "tools.py").write_text("")
    said = cli("config", "check")
    assert (said.code, said.out) == (0, "")
    assert "is right (orders, notes)" in said.err
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
