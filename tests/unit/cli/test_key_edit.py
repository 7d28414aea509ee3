"""``mcpward key edit``, ``key list`` with its filters, and what names of tools and servers are refused."""

import pytest

from mcpward.identity.keys.api_key import parse

TOOLS = """
from mcpward import Server

print("an author's greeting")
server = Server("orders")


@server.tool(read_only=True)
async def get_order(number: int) -> str:
    "Return an order."
    return str(number)


@server.tool
async def cancel_order(number: int) -> str:
    "Cancel an order."
    return str(number)
"""


@pytest.fixture
def tools(site):
    (site / "tools.py").write_text(TOOLS)
    return site


def made(cli, *more):
    said = cli("key", "create", "--server", "orders", "--name", "laptop", "--json", *more)
    assert said.code == 0, said.err
    return said.json


def edited(cli, key_id, *words):
    said = cli("key", "edit", key_id, "--json", *words)
    assert said.code == 0, said.err
    return said.json


def aged(site, days):
    """Write how old keys may become into the site's file."""
    file = site / "mcpward.toml"
    file.write_text(file.read_text() + f'\n[keys]\nmax_age = "{days}d"\n')


CHANGES = [
    (("--name", "desk"), "name", "laptop", "desk"),
    (("--owner", "team-data"), "owner", None, "team-data"),
    (("--note", "nightly import"), "note", None, "nightly import"),
    (("--tag", "prod", "--tag", "eu"), "tags", [], ["prod", "eu"]),
    (("--server", "*"), "servers", ["orders"], ["*"]),
    (("--tool", "get_order"), "tools", None, ["get_order"]),
    (("--scope", "a", "--scope", "b"), "scopes", [], ["a", "b"]),
    (("--class", "destructive"), "class", "write", "destructive"),
    (("--rate", "60/minute burst 10"), "rate", None, "60/minute burst 10"),
    (("--cidr", "10.0.0.0/8"), "networks", [], ["10.0.0.0/8"]),
    (("--expires", "2099-12-31"), "expires_at", None, "2099-12-31T00:00:00Z"),
    (("--may-confirm",), "may_confirm", False, True),
]


@pytest.mark.parametrize("words,field,before,after", CHANGES, ids=lambda one: one if isinstance(one, str) else "")
def test_an_edit_changes_what_it_names_and_shows_what_was_there(cli, tools, words, field, before, after):
    key = made(cli)
    change = edited(cli, key["id"], *words)
    assert change.pop("changed")[field] == {"before": before, "after": after}
    assert change[field] == after
    shown = cli("key", "show", key["id"], "--json").json
    assert shown == change
    others = {"key", field, "ends_at"}
    assert {name: value for name, value in key.items() if name not in others} == {
        name: value for name, value in shown.items() if name not in others
    }


AWAY = {
    "owner": ("--owner", ""),
    "note": ("--note", ""),
    "tags": ("--tag", ""),
    "tools": ("--tool", "*"),
    "scopes": ("--scope", ""),
    "rate": ("--rate", ""),
    "networks": ("--cidr", ""),
    "expires_at": ("--expires", "never"),
}


def test_what_was_given_can_be_taken_away(cli, tools):
    full = ["--owner", "me", "--note", "n", "--tag", "t", "--tool", "get_order", "--scope", "s", "--rate", "5/minute"]
    key = made(cli, *full, "--cidr", "10.0.0.0/8", "--expires", "90d")
    assert all(key[field] for field in AWAY)
    bare = edited(cli, key["id"], *(word for words in AWAY.values() for word in words))
    assert not any(bare[field] for field in AWAY)
    assert set(bare["changed"]) == {*AWAY, "ends_at"}


def test_a_person_sees_each_change_on_a_line(cli, site):
    key = made(cli)
    said = cli("key", "edit", key["id"], "--owner", "team-data", "--rate", "5/minute")
    assert (said.code, said.out) == (0, "")
    assert [line.split() for line in said.err.splitlines()[1:]] == [
        ["owner", "-", "->", "team-data"],
        ["rate", "none", "->", "5/minute"],
    ]


def test_a_successor_has_owner_note_and_tags_of_its_predecessor(cli, site):
    key = made(cli, "--owner", "ann", "--note", "import", "--tag", "prod")
    new = cli("key", "rotate", key["id"], "--json").json
    assert (new["owner"], new["note"], new["tags"]) == ("ann", "import", ["prod"])


@pytest.mark.parametrize("words", [(), ("--owner", "x" * 101), ("--tag", "two words"), ("--note", "a\nb")])
def test_an_edit_that_says_nothing_or_nonsense_is_a_usage_error(cli, site, words):
    key = made(cli)
    said = cli("key", "edit", key["id"], *words)
    assert (said.code, said.out) == (2, "")
    assert cli("key", "show", key["id"], "--json").json["owner"] is None


def test_an_edit_that_changes_nothing_is_a_no(cli, site):
    key = made(cli, "--owner", "ann")
    said = cli("key", "edit", key["id"], "--owner", "ann")
    assert said.code == 1
    assert "has these values already" in said.err


def test_a_key_that_has_ended_is_not_edited_back_to_life(cli, site):
    key = made(cli)
    cli("key", "revoke", key["id"])
    said = cli("key", "edit", key["id"], "--expires", "never")
    assert said.code == 1
    assert "has ended" in said.err
    assert cli("key", "show", key["id"], "--json").json["state"] == "revoked"


def test_the_earlier_name_of_the_command_is_understood(cli, site):
    key = made(cli)
    assert cli("key", "set", key["id"], "--may-confirm", "--json").json["may_confirm"] is True


def test_a_name_in_the_place_of_an_id_is_answered_with_the_id(cli, site):
    key = made(cli)
    said = cli("key", "edit", "laptop", "--owner", "ann")
    assert said.code == 1
    assert key["id"] in said.err


@pytest.mark.parametrize("verb", ["create", "edit"])
def test_a_tool_that_its_server_has_not_is_refused_with_the_nearest_name(cli, tools, verb):
    words = ["--tool", "get_ordre", "--json"]
    if verb == "create":
        said = cli("key", "create", "--server", "orders", "--name", "laptop", *words)
    else:
        said = cli("key", "edit", made(cli)["id"], *words)
    assert (said.code, said.out) == (2, "")
    assert "error: --tool: orders has no tool 'get_ordre'" in said.err
    assert "hint: did you mean get_order?" in said.err


def test_what_an_author_prints_does_not_stand_beside_the_key(cli, tools):
    said = cli("key", "create", "--server", "orders", "--name", "laptop", "--tool", "get_order")
    assert parse(said.out.strip())
    assert "an author's greeting" in said.err


def test_tools_of_a_source_that_cannot_be_loaded_are_told_to_be_unchecked(cli, site):
    said = cli("key", "create", "--server", "orders", "--name", "laptop", "--tool", "anything")
    assert said.code == 0
    assert "anything is not checked" in said.err
    assert parse(said.out.strip())


def test_a_key_is_not_moved_to_a_server_without_its_tools(cli, tools):
    (tools / "other.py").write_text("from mcpward import Server\nserver = Server('notes')\n")
    file = tools / "mcpward.toml"
    file.write_text(file.read_text() + '\n[servers.third]\nsource = "other.py"\n')
    key = made(cli, "--tool", "get_order")
    said = cli("key", "edit", key["id"], "--server", "third")
    assert said.code == 2
    assert "third has no tool 'get_order'" in said.err


def test_the_only_server_that_takes_keys_is_meant_without_a_name(cli, site):
    said = cli("key", "create", "--name", "laptop", "--json")
    assert said.json["servers"] == ["orders"]


def test_a_key_for_a_server_that_takes_none_is_told_so(cli, site):
    said = cli("key", "create", "--server", "notes", "--name", "laptop")
    assert said.code == 0
    assert "notes is in mode unlisted and takes no keys" in said.err


def test_keys_are_found_by_what_is_known_of_them(cli, site):
    one = made(cli, "--owner", "ann", "--tag", "prod", "--tag", "eu", "--expires", "10d")["id"]
    two = made(cli, "--owner", "bob", "--tag", "prod")["id"]
    three = made(cli, "--server", "*", "--expires", "90d")["id"]

    def found(*words):
        return {row["id"] for row in cli("key", "list", "--json", *words).json}

    assert found() == {one, two, three}
    assert found("--owner", "ann") == {one}
    assert found("--owner", "") == {three}
    assert found("--tag", "prod") == {one, two}
    assert found("--tag", "prod", "--tag", "eu") == {one}
    assert found("--no-end") == {two}
    assert found("--ends-within", "14d") == {one}
    assert found("--never-used") == {one, two, three}
    assert found("--never-used", "--no-end", "--owner", "bob") == {two}
    assert cli("key", "list", "--unused-for", "1d").code == 1


def test_a_list_says_which_keys_were_never_used_and_have_no_end(cli, site):
    made(cli, "--owner", "ann")
    said = cli("key", "list")
    header, row = said.out.splitlines()
    assert header.split()[:3] == ["id", "name", "owner"]
    assert "ann" in row
    assert "no end" in row
    assert "never used" in row


def test_an_unknown_server_in_a_filter_is_an_error_with_the_nearest_name(cli, site):
    made(cli)
    said = cli("key", "list", "--server", "ordres")
    assert said.code == 2
    assert "did you mean orders?" in said.err


def test_no_key_is_made_that_would_outlive_the_site_s_bound(cli, site):
    aged(site, 30)
    said = cli("key", "create", "--server", "orders", "--name", "laptop", "--expires", "31d")
    assert (said.code, said.out) == (2, "")
    assert "keys.max_age" in said.err
    assert "--expires 30d at most" in said.err
    key = made(cli)
    assert key["expires_at"] is None
    assert key["ends_at"] > key["created_at"]
    assert cli("key", "edit", key["id"], "--expires", "40d").code == 2
    assert cli("key", "list", "--no-end").code == 1


@pytest.mark.parametrize("value", ["0d", "30s", "ninety days", "90"])
def test_a_bound_that_is_no_span_is_an_error(cli, site, value):
    file = site / "mcpward.toml"
    file.write_text(file.read_text() + f'\n[keys]\nmax_age = "{value}"\n')
    said = cli("config", "check")
    assert said.code == 2
    assert "keys.max_age" in said.err
