"""An operator's act is on record with the change itself, and says who, where, what, before and after."""

import json
import os
import pwd
import sqlite3
from contextlib import closing

import pytest
import typer

from mcpward.cli.main import app
from mcpward.cli.site import settings_of
from mcpward.config.show import chosen, digest_of, in_force

KEY_ID = slice(len("sk-mcpward-"), len("sk-mcpward-") + 12)
VALUE = "canary-5f1c-postgres://u:p@h/d"

TOOLS = """from mcpward import Server
server = Server("orders")
@server.tool(read_only=True)
def find(word: str) -> str:
    \"\"\"Find a word.\"\"\"
    return word
"""

#: Commands that change the site or carry its record away: each leaves an act, which a test of this file or of
#: tests/wire/test_acts.py sees. All others only read, or write nothing that belongs to the site.
ACTS = {
    "key create", "key edit", "key set", "key rotate", "key revoke", "url rotate", "url revoke", "secret set",
    "secret remove", "secret rollback", "secret rotate-keys", "secret import", "secret export", "secret restore",
    "server rename", "store accept-older", "log export", "limits reset", "serve", "reload", "call",
    "backup", "approve call", "approve deny", "approve tools",
}  # fmt: skip
#: The data that it puts back count from ``store accept-older`` on, which is on record.
LATER = {"restore"}
READS = {
    "key list", "key show", "url show", "secret list", "secret check", "log", "log verify", "limits", "connect",
    "config check", "config show", "config explain", "config schema", "init", "tools", "access",
    "approve list", "approve show", "policy list", "policy test",
}  # fmt: skip


def every_command(group, path=()):
    for name, one in getattr(group, "commands", {}).items():
        if not hasattr(one, "commands") or one.invoke_without_command:
            yield " ".join((*path, name))
        yield from every_command(one, (*path, name))


def acts_of(cli, *options):
    rows = [json.loads(line) for line in cli("log", "--acts", "--json", *options).out.splitlines()]
    return [(row["method"], json.loads(row["arguments"])) for row in rows]


def database(site):
    return closing(sqlite3.connect(site / ".mcpward" / "mcpward.db"))


def make(cli, *options):
    return cli("key", "create", "--server", "orders", "--name", "laptop", *options).out.strip()


def test_every_command_is_said_to_leave_an_act_or_none():
    commands = set(every_command(typer.main.get_command(app)))
    assert commands == ACTS | READS | LATER, (
        "does this command change the site? then put it on record, and name it here"
    )


def test_the_life_of_a_key_is_on_record_with_what_it_was_before_and_after(cli, site):
    key_id = make(cli, "--class", "read", "--expires", "2099-01-01", "--rate", "20/minute")[KEY_ID]
    cli("key", "set", key_id, "--may-confirm")
    new_id = cli("key", "rotate", key_id, "--grace", "1h").out.strip()[KEY_ID]
    cli("key", "revoke", new_id)
    said = acts_of(cli)
    assert [command for command, _ in said] == ["key create", "key set", *["key rotate"] * 2, "key revoke"]
    made, changed, old, new, revoked = (told for _, told in said)
    assert (made["object"], made["before"]) == (f"key {key_id} (laptop)", None)
    expected = {"servers": ["orders"], "class": "read", "expires_at": "2099-01-01T00:00:00Z", "may_confirm": False}
    assert made["after"].items() >= expected.items()
    assert (made["after"]["rate"], made["after"]["networks"]) == ("20/minute", "all")  # as they are typed and shown
    assert (changed["before"], changed["after"]) == ({"may_confirm": False}, {"may_confirm": True})
    assert (old["before"], new["after"]["rotated_from"]) == ({"grace_until": None}, key_id)
    assert (revoked["object"], revoked["before"]) == (f"key {new_id} (laptop)", {"revoked_at": None})
    assert [told["object"] for _, told in acts_of(cli, "--key", new_id)] == [f"key {new_id} (laptop)"] * 2


def test_urls_and_secrets_are_on_record_and_their_values_are_not(cli, site):
    url = cli("url", "rotate", "--server", "notes").out.strip()
    for value in (VALUE, VALUE.upper()):
        cli("secret", "set", "DATABASE_URL", "--server", "orders", stdin=value)
    cli("secret", "remove", "DATABASE_URL", "--server", "orders")
    key = make(cli)
    said = acts_of(cli)
    sets, removes = ["secret set"] * 3, ["secret remove"] * 2  # the second value ends the first one
    assert [command for command, _ in said] == ["url rotate", *sets, *removes, "key create"]
    assert [told["object"] for _, told in said][1:6] == ["secret DATABASE_URL"] * 5
    (_, ended), (_, again) = said[2:4]
    assert (ended["before"], again["before"], again["after"]["version"]) == ({"ends_at": None}, None, 2)
    with database(site) as opened:
        kept = repr(opened.execute("SELECT * FROM traffic").fetchall()).lower()
        (digest,) = opened.execute("SELECT hex(digest) FROM api_keys").fetchone()
    names = {name for _, told in said for values in (told["before"], told["after"]) for name in values or {}}
    assert not names & {"digest", "blob", "mac"}
    for secret in (VALUE, url.rpartition("/")[2], key, key[KEY_ID.stop + 1 :], digest):
        assert secret.lower() not in kept


def test_an_act_says_who_did_it_at_which_host_and_for_whom(cli, site, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "gate\x1b[2J")
    monkeypatch.setenv("USER", "somebody-else")
    monkeypatch.setenv("LOGNAME", "somebody-else")
    monkeypatch.setenv("SUDO_USER", "ann")
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.9 50000 192.0.2.1 22")
    make(cli)
    shown = cli("log", "--acts").out
    assert "\x1b" not in shown
    row = json.loads(cli("log", "--acts", "--json").out)
    user, _, host = row["principal"].partition("@")
    assert (user != "somebody-else", host, row["peer"]) == (True, "gate\x1b[2J", "192.0.2.9")
    assert (row["way"], row["phase"], row["chain"]) == ("operator", "act", "calls")
    assert json.loads(row["arguments"])["on_behalf"] == "ann"


def refuse_records(site):
    with database(site) as opened, opened:
        opened.execute("CREATE TRIGGER full BEFORE INSERT ON traffic BEGIN SELECT RAISE(ABORT, 'no'); END")


def test_a_right_that_cannot_be_put_on_record_is_not_given(cli, site):
    make(cli)
    refuse_records(site)
    said = cli("key", "create", "--server", "orders", "--name", "unseen")
    assert (said.code, said.out) == (3, "")
    assert cli("secret", "set", "TOKEN", "--server", "orders", stdin="x").code == 3
    assert [key["name"] for key in cli("key", "list", "--json").json] == ["laptop"]
    assert cli("secret", "list", "--server", "orders").code == 1


def test_a_right_is_taken_away_even_where_that_cannot_be_put_on_record(cli, site, caplog):
    key_id = make(cli)[KEY_ID]
    refuse_records(site)
    assert cli("key", "revoke", key_id).code == 0
    assert cli("key", "list").code == 1
    assert f"key {key_id} (laptop), but this could not be recorded" in caplog.text


def test_secret_urls_are_ended_even_where_that_cannot_be_put_on_record(cli, site, caplog):
    cli("url", "rotate", "--server", "notes")
    refuse_records(site)
    assert cli("url", "revoke", "--server", "notes").code == 0
    assert cli("url", "show", "--server", "notes", "--json").json["urls"] == []
    assert "but this could not be recorded" in caplog.text


def test_a_command_that_changes_nothing_leaves_no_act(cli, site):
    key_id = make(cli)[KEY_ID]
    cli("key", "revoke", key_id)
    before = len(acts_of(cli))
    assert cli("key", "revoke", key_id).code == 1
    assert cli("key", "list", "--all").code == 0
    assert cli("secret", "remove", "NOTHING", "--server", "orders").code == 1
    assert len(acts_of(cli)) == before


def test_limits_that_are_given_back_are_on_record(cli, site, monkeypatch):
    from mcpward.cli import limits
    from mcpward.operations.worker_query import WorkerAnswers

    make(cli)
    monkeypatch.setattr(limits, "_with_tally", lambda settings, work: WorkerAnswers(found=3, answered=1, workers=1))
    assert cli("limits", "reset", "--server", "orders", "--yes").code == 0
    (_, _), (command, told) = acts_of(cli)
    assert (command, told["object"]) == ("limits reset", "limits")
    assert "3 counters of all limits of server orders reset" in cli("log", "--acts").out


def test_another_name_of_a_server_is_on_record_also_where_nothing_was_for_it(cli, site):
    cli("key", "create", "--server", "notes", "--name", "other")
    assert cli("server", "rename", "orders", "shop").code == 0
    (_, _), (command, told) = acts_of(cli)
    assert (command, told["object"]) == ("server rename", "server orders")
    assert (told["before"], told["after"]) == ({"name": "orders"}, {"name": "shop"})
    assert "server orders: name: orders → shop" in cli("log", "--acts", "--server", "shop").out


def test_a_call_as_somebody_is_on_record_beside_its_request(cli, site):
    (site / "tools.py").write_text(TOOLS)
    key_id = make(cli)[KEY_ID]
    cli("call", "orders", "find", '{"word": "hidden-argument"}', "--key-id", key_id)
    (_, _), (command, told) = acts_of(cli)
    assert (command, told["object"]) == ("call", "tool find")
    assert f"tool find of orders called as the holder of key {key_id}" in cli("log", "--acts").out
    assert "hidden-argument" not in cli("log", "--acts", "--json").out


def test_a_backup_is_on_record_and_has_its_own_act(cli, site):
    make(cli)
    assert cli("backup", "site.backup").code == 0
    assert "site backed up to" in cli("log", "--acts").out.splitlines()[-1]


def test_an_export_is_on_record_with_what_was_taken(cli, site):
    make(cli)
    assert cli("log", "export", "--format", "csv", "--acts", "--since", "1d").code == 0
    command, told = acts_of(cli)[-1]
    assert (command, told["object"]) == ("log export", "record")
    assert told["after"].items() >= {"format": "csv", "rows": 1, "acts": True}.items()
    assert cli("log", "export", "--reason", "busy").code == 1  # nothing was taken
    assert len(acts_of(cli)) == 2


def test_requests_and_acts_are_not_mixed(cli, site):
    make(cli)
    assert cli("log").code == 1
    assert cli("log", "--acts").code == 0


def test_the_chain_covers_acts(cli, site):
    """Attack 128: an attacker who can write the file cannot put another name to an act."""
    make(cli)
    assert cli("log", "verify").code == 0
    with database(site) as opened, opened:
        opened.execute("UPDATE traffic SET principal = 'nobody@nowhere' WHERE phase = 'act'")
    said = cli("log", "verify")
    assert said.code == 1
    assert "record 1 of calls" in said.err


@pytest.mark.parametrize("word", ["revoke", "set"])
def test_a_command_that_is_misused_leaves_no_act(cli, site, word):
    make(cli)
    assert cli("key", word, "unknown-id").code in {1, 2}
    assert len(acts_of(cli)) == 1


def test_the_digest_of_the_settings_tells_limits_apart_and_knows_no_password(cli, folder):
    def digest(url="rediss://:hunter2@h/0", read="60/minute"):
        (folder / "mcpward.toml").write_text(
            f'[limits]\ncounters = "{url}"\n[servers.orders]\nsource = "tools.py"\nlimits.read = "{read}"\n'
        )
        settings = settings_of(None)
        assert "hunter2" not in json.dumps([in_force(settings), chosen(settings)])
        return digest_of(settings), chosen(settings)

    assert digest() == digest() == digest(url="rediss://:hunter3@h/0")
    assert digest()[0] != digest(read="61/minute")[0]
    assert digest(read="61/minute")[1]["servers.orders.limits.read"] != digest()[1]["servers.orders.limits.read"]
    assert "site.workers" not in digest()[1]  # it has its default


def test_the_account_of_a_call_is_not_what_a_variable_claims(cli, site, monkeypatch):
    (site / "tools.py").write_text(TOOLS)
    monkeypatch.setenv("LOGNAME", "mallory")
    said = cli("call", "orders", "find", '{"word": "chair"}')
    assert said.code == 0, said.err
    account = pwd.getpwuid(os.geteuid()).pw_name
    (row,) = [json.loads(line) for line in cli("log", "--json").out.splitlines()]
    assert (row["principal"], row["peer"]) == (f"operator:{account}",) * 2
