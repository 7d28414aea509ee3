"""``mcpward server rename``: what is carried over, and what is refused."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from mcpward.config.load import load
from mcpward.operations.site import open_site
from mcpward.storage.served import ServedUrl


@pytest.fixture
def filled(cli, site):
    """A site with a key, a key for every server, a secret and a secret URL."""
    ids = [cli("key", "create", "--json", "--name", "k", "--server", server).json["id"] for server in ("orders", "*")]
    cli("secret", "set", "TOKEN", "--server", "orders", stdin="hunter2")
    cli("url", "rotate", "--server", "notes")
    return ids


def servers_of(cli, key_id):
    return cli("key", "show", key_id, "--json").json["servers"]


def test_keys_and_secrets_are_carried_over_and_the_file_has_the_new_name(cli, site, filled):
    said = cli("server", "rename", "orders", "shop", "--json")
    assert said.code == 0, said.err
    assert said.json == {"old": "orders", "new": "shop", "keys": 1, "urls": 0, "secrets": 1, "file": "mcpward.toml"}
    assert "[servers.shop]" in (site / "mcpward.toml").read_text()
    assert "orders" not in (site / "mcpward.toml").read_text()
    assert [servers_of(cli, key) for key in filled] == [["shop"], ["*"]]
    assert [one["name"] for one in cli("secret", "list", "--server", "shop", "--json").json] == ["TOKEN"]


def test_a_secret_is_sealed_for_its_new_place_and_opens_there(cli, site, filled):
    source = "from mcpward import Server, env\nassert env.TOKEN.reveal() == 'hunter2'\nserver = Server('shop')\n"
    (site / "tools.py").write_text(source)
    file = site / "mcpward.toml"
    file.write_text(file.read_text().partition("[servers.notes]")[0])
    assert cli("config", "check", "--load").code == 0
    assert cli("server", "rename", "orders", "shop").code == 0
    assert cli("config", "check", "--load").code == 0


def test_secret_urls_are_carried_over(cli, site, filled):
    assert cli("server", "rename", "notes", "memos").code == 0
    assert len(cli("url", "show", "--server", "memos", "--json").json["urls"]) == 1


def test_data_are_carried_over_where_the_file_has_the_new_name_already(cli, site, filled):
    file = site / "mcpward.toml"
    file.write_text(file.read_text().replace("[servers.orders]", "[servers.shop]"))
    before = file.read_text()
    said = cli("server", "rename", "orders", "shop")
    assert said.code == 0, said.err
    assert servers_of(cli, filled[0]) == ["shop"]
    assert file.read_text() == before
    again = cli("server", "rename", "orders", "shop")
    assert again.code == 2
    assert "there is no server 'orders', neither in the site's file nor in its data" in again.err


@pytest.mark.parametrize(
    "old,new,said",
    [
        ("ordres", "shop", "did you mean orders?"),
        ("orders", "notes", "servers orders and notes both exist"),
        ("orders", "Sh op", "a server's name is"),
        ("orders", "mcp", "mcpward itself uses"),
    ],
)
def test_a_name_that_cannot_be_meant_changes_nothing(cli, site, filled, old, new, said):
    before = (site / "mcpward.toml").read_text()
    done = cli("server", "rename", old, new)
    assert done.code == 2
    assert said in done.err
    assert (site / "mcpward.toml").read_text() == before
    assert servers_of(cli, filled[0]) == ["orders"]


def test_a_secret_that_both_names_have_stops_the_rename_before_anything_is_changed(cli, site, filled):
    file = site / "mcpward.toml"
    text = file.read_text()
    file.write_text(text.replace("[servers.orders]", "[servers.shop]"))
    cli("secret", "set", "TOKEN", "--server", "shop", stdin="other")
    said = cli("server", "rename", "orders", "shop")
    assert said.code == 1
    assert "orders and shop each have a secret TOKEN" in said.err
    assert servers_of(cli, filled[0]) == ["orders"]


def test_a_name_for_which_a_removed_server_s_rights_are_live_is_refused_until_they_have_ended(cli, site, filled):
    """The holder of a key of the removed server would hold one of the renamed server's."""
    file = site / "mcpward.toml"
    rest = '\n[servers.shop]\nsource = "tools.py"\nmode = "unlisted"\n'
    kept = file.read_text()
    file.write_text(kept + rest)
    key = cli("key", "create", "--json", "--name", "old", "--server", "shop").json["id"]
    cli("url", "rotate", "--server", "shop")
    file.write_text(kept)
    refused = cli("server", "rename", "orders", "shop")
    assert refused.code == 1
    assert f"key {key} (old), secret URL " in refused.err
    assert f"mcpward key revoke {key} && mcpward url revoke --server shop" in refused.err
    assert (file.read_text(), servers_of(cli, filled[0])) == (kept, ["orders"])
    cli("key", "revoke", key)
    assert "secret URL" in cli("server", "rename", "orders", "shop").err
    assert cli("url", "revoke", "--server", "shop", "--json").json == {"server": "shop", "ended": 1}
    assert cli("server", "rename", "orders", "shop").code == 0
    assert servers_of(cli, filled[0]) == ["shop"]


def test_a_file_that_cannot_be_changed_in_place_stays_and_so_do_the_data(cli, site, filled):
    text = 'servers = { orders = { source = "tools.py" } }\n'
    (site / "mcpward.toml").write_text(text)
    said = cli("server", "rename", "orders", "shop")
    assert said.code == 2
    assert "write [servers.shop] in place of [servers.orders] yourself" in said.err
    assert (site / "mcpward.toml").read_text() == text
    assert servers_of(cli, filled[0]) == ["orders"]


def started_without_a_file(*servers):
    """Leave in the site's data what the start of a target that no file names leaves there."""

    async def work():
        async with open_site(load(None, {})) as site:
            await site.store.served.replace([ServedUrl(f"/{name}/mcp", name) for name in servers])

    asyncio.run(work())


def test_a_site_without_a_file_has_the_server_of_its_last_start(cli, folder):
    said = cli("key", "create", "--name", "k")
    assert said.code == 2
    assert "which server?" in said.err
    started_without_a_file("tools")
    assert cli("key", "create", "--name", "k", "--json").json["servers"] == ["tools"]
    assert cli("secret", "set", "TOKEN", stdin="hunter2").code == 0
    assert [one["name"] for one in cli("secret", "list", "--server", "tools", "--json").json] == ["TOKEN"]


def test_a_name_that_was_never_served_is_told_of_where_no_file_says_which_there_are(cli, folder):
    started_without_a_file("tools")
    said = cli("key", "create", "--name", "k", "--server", "tolls")
    assert said.code == 0
    assert "no server tolls was served here yet: did you mean tools?" in said.err


def test_of_several_servers_of_the_last_start_one_has_to_be_named(cli, folder):
    started_without_a_file("one", "two")
    said = cli("key", "create", "--name", "k")
    assert said.code == 2
    assert "add --server NAME (one of: one, two)" in said.err


TAMPERED = (
    "UPDATE renamed_servers SET new = 'notes'",
    "UPDATE renamed_servers SET old = 'notes'",
    "UPDATE renamed_servers SET at = at + 1000",
    "UPDATE renamed_servers SET mac = NULL",
    "DELETE FROM renamed_servers",
    "INSERT INTO renamed_servers (old, new, at) VALUES ('shop', 'notes', 9e9)",
    "INSERT INTO renamed_servers SELECT old, 'notes', at, mac FROM renamed_servers",
    "UPDATE revisions SET mac = NULL WHERE name = 'renames'",
    "UPDATE renamed_servers SET mac = NULL; UPDATE revisions SET mac = NULL, value = 0 WHERE name = 'renames'",
)


@pytest.mark.parametrize("change", TAMPERED)
def test_a_row_of_renames_that_was_changed_by_hand_maps_nothing_and_is_told(cli, site, filled, change):
    (site / "tools.py").write_text("from mcpward import Server\nserver = Server('shop')\n")
    assert cli("server", "rename", "orders", "shop").code == 0
    with closing(sqlite3.connect(site / ".mcpward" / "mcpward.db")) as database:
        database.executescript(change)
    for words in (("serve", "--port", "0", "--metrics", ""), ("log", "--server", "notes"), ("log", "--server", "shop")):
        said = cli(*words)
        assert (said.code, said.out) == (2, "")
        assert "renamed_servers were changed without the master key" in said.err or "older copy" in said.err
        assert "mcpward store accept-older" in said.err
    assert cli("store", "accept-older", "--yes").code == 0
    with closing(sqlite3.connect(site / ".mcpward" / "mcpward.db")) as database:
        assert set(database.execute("SELECT old, new FROM renamed_servers")) <= {("orders", "shop")}
    assert servers_of(cli, filled[0]) == ["shop"]


def test_a_server_can_be_renamed_again_and_back(cli, site, filled):
    for old, new in (("orders", "shop"), ("shop", "store"), ("store", "orders")):
        assert cli("server", "rename", old, new).code == 0
    assert cli("log", "--server", "orders", "--acts").code == 0
