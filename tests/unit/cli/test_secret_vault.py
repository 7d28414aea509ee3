"""``mcpward secret``: versions, hosts, rotation, ``.env`` files and backups."""

import json

import pyrage
import pytest
from pyrage import x25519

VALUE = "canary-5f1c-9d2e"
WORD = "correct horse battery staple"


@pytest.fixture
def orders(cli, site):
    """Run a secret's command for the server orders."""

    def run(*words, stdin=""):
        return cli("secret", *words, "--server", "orders", stdin=stdin)

    return run


def listed(orders):
    return {one["name"]: one for one in json.loads(orders("list", "--json").out or "[]")}


def test_a_secret_that_is_set_again_has_a_version_more_and_can_be_put_back(orders):
    orders("set", "TOKEN", stdin=f"{VALUE}-1")
    said = orders("set", "TOKEN", "--grace", "2h", stdin=f"{VALUE}-2")
    assert "version 2" in said.err
    assert listed(orders)["TOKEN"]["version"] == 2
    assert [one["version"] for one in listed(orders)["TOKEN"]["earlier"]] == [1]
    assert "version 3" in orders("rollback", "TOKEN").err
    assert [one["version"] for one in listed(orders)["TOKEN"]["earlier"]] == [2]


def test_without_grace_there_is_nothing_to_put_back(orders):
    orders("set", "TOKEN", stdin="one-value")
    orders("set", "TOKEN", "--grace", "0", stdin="another")
    said = orders("rollback", "TOKEN")
    assert said.code == 1
    assert "no earlier version of TOKEN is kept" in said.err
    assert "mcpward secret set TOKEN --server orders" in said.err
    assert orders("rollback", "OTHER").code == 1


def test_hosts_have_one_spelling(orders):
    said = orders("set", "KEY", "--host", "API.Stripe.com:443", "--host", "x.example:8443", "--http-only", stdin=VALUE)
    assert said.code == 0
    told = listed(orders)["KEY"]
    assert (told["hosts"], told["http_only"]) == (["api.stripe.com", "x.example:8443"], True)


@pytest.mark.parametrize(
    "host",
    [
        "https://api.stripe.com",
        "api.stripe.com/v1",
        "u@h",
        "*.example.com",
        "h:0",
        "h:99999",
        "a..b",
        "2001:db8::1",
        "",
    ],
)
def test_what_is_no_host_is_refused(orders, host):
    said = orders("set", "KEY", "--host", host, stdin=VALUE)
    assert said.code == 2
    assert listed(orders) == {}


def test_what_only_bound_secrets_have_needs_a_host(orders):
    assert orders("set", "KEY", "--http-only", stdin=VALUE).code == 2
    assert orders("set", "KEY", "--header", "X-Key", stdin=VALUE).code == 2
    assert orders("set", "KEY", "--host", "a.example", "--header", "X Key", stdin=VALUE).code == 2


def test_a_new_value_stays_bound_until_an_operator_ends_that(orders):
    orders("set", "KEY", "--host", "a.example", "--header", "X-Key", "--http-only", stdin="first-value-1")
    said = orders("set", "KEY", "--json", stdin="second-value-2")
    assert said.json["hosts"] == ["a.example"]
    assert "it stays bound to a.example; --any-host ends that" in said.err
    told = listed(orders)["KEY"]
    assert (told["hosts"], told["header"], told["http_only"]) == (["a.example"], "x-key", True)
    assert orders("set", "KEY", "--any-host", "--host", "b.example", stdin="x").code == 2
    orders("set", "KEY", "--any-host", stdin="third-value-3")
    assert (listed(orders)["KEY"]["hosts"], listed(orders)["KEY"]["http_only"]) == ([], False)


def test_what_is_trimmed_is_said(orders):
    assert "taken off" in orders("set", "KEY", stdin=f"{VALUE}\r\n").err
    assert "taken off" not in orders("set", "KEY", stdin=VALUE).err


@pytest.mark.parametrize("value, why", [("abc", "too short"), ("password", "too common"), ("k3y-9f21-a77c", "")])
def test_a_short_or_common_value_is_told(orders, value, why):
    said = orders("set", "KEY", stdin=value)
    assert said.code == 0
    assert (f"KEY is {why}" in said.err) is bool(why)
    assert "guessed" not in said.err


def test_a_rotation_keeps_every_value_and_is_on_record(cli, orders, site):
    (site / ".env").write_text("".join(f"S{number}={VALUE}-{number}\n" for number in range(25)))
    orders("import", ".env")
    first = cli("secret", "rotate-keys", "--json")
    assert (first.json["versions"], first.json["resumed"]) == (25, False)
    assert cli("secret", "rotate-keys", "--json").json["key"] != first.json["key"]
    assert f"key {first.json['key']} wraps 25" in cli("log", "--acts").out
    assert orders("import", ".env", "--json").json["changed"] == 0


ENV = """\ufeff# a comment
export A="two words"\r
B=plain # said
C='$HOME #1'
EMPTY=
D="line one\nline two"
"""


def test_a_dotenv_file_is_read_as_people_write_it(cli, orders, site):
    (site / ".env").write_text(ENV, newline="")
    assert orders("import", ".env", "--json").json["names"] == ["A", "B", "C", "D"]
    assert orders("import", ".env", "--json").json["changed"] == 0
    key = x25519.Identity.generate()
    orders("export", "s.age", "--recipient", str(key.to_public()))
    kept = json.loads(pyrage.decrypt((site / "s.age").read_bytes(), [key]))["secrets"]
    expected = {"A": "two words", "B": "plain", "C": "$HOME #1", "D": "line one\nline two"}
    assert {one["name"]: one["value"] for one in kept} == expected


@pytest.mark.parametrize("text, line", [("A=1\nnonsense\n", 2), ('A=1\nB="open\n', 2), ("A=1\n\nlower=2\n", 0)])
def test_a_dotenv_file_that_cannot_be_read_changes_nothing_and_is_not_quoted(orders, site, text, line):
    (site / ".env").write_text(text.replace("1", VALUE))
    said = orders("import", ".env")
    assert said.code == 2
    assert not line or f"line {line}" in said.err
    assert VALUE not in said.err
    assert listed(orders) == {}


def test_new_values_from_a_file_stay_bound_to_the_hosts_of_the_old_ones(orders, site):
    orders("set", "KEY", "--host", "a.example", "--http-only", stdin="first-value")
    (site / ".env").write_text("KEY=second-value\n")
    orders("import", ".env")
    told = listed(orders)["KEY"]
    assert (told["version"], told["hosts"], told["http_only"]) == (2, ["a.example"], True)


def test_attack_92_a_backup_opens_with_its_passphrase(cli, orders, site):
    orders("set", "KEY", "--host", "a.example", "--header", "X-Key", stdin=VALUE)
    assert cli("secret", "export", "s.age", stdin=WORD).code == 0
    backup = (site / "s.age").read_bytes()
    assert VALUE.encode() not in backup
    assert (site / "s.age").stat().st_mode & 0o777 == 0o600
    assert cli("secret", "export", "s.age", stdin=WORD).code == 1  # never over another file
    orders("remove", "KEY")
    assert listed(orders) == {}
    assert cli("secret", "restore", "s.age", stdin=WORD).code == 0
    told = listed(orders)["KEY"]
    assert (told["hosts"], told["header"]) == (["a.example"], "x-key")


def test_attack_92_a_backup_for_a_recipient_opens_with_its_identity_and_with_nothing_else(cli, orders, site):
    orders("set", "KEY", stdin=VALUE)
    key, other = x25519.Identity.generate(), x25519.Identity.generate()
    assert cli("secret", "export", "s.age", "--recipient", str(key.to_public())).code == 0
    (site / "key.txt").write_text(f"# created\n{key}\n")
    (site / "other.txt").write_text(f"{other}\n")
    orders("remove", "KEY")
    said = cli("secret", "restore", "s.age", "--identity", "other.txt")
    assert (said.code, "cannot be opened" in said.err) == (1, True)
    backup = (site / "s.age").read_bytes()
    (site / "bad.age").write_bytes(backup[:-60] + backup[-59:])
    assert cli("secret", "restore", "bad.age", "--identity", "key.txt").code == 1
    assert listed(orders) == {}
    assert cli("secret", "restore", "s.age", "--identity", "s.age").code == 2
    assert cli("secret", "restore", "s.age", "--identity", "key.txt", "--json").json["saved"] == 1


@pytest.mark.parametrize("recipient", ["age1nonsense", "AGE-SECRET-KEY-1", ""])
def test_a_recipient_that_is_none_is_refused(cli, orders, site, recipient):
    orders("set", "KEY", stdin=VALUE)
    said = cli("secret", "export", "s.age", "--recipient", recipient)
    assert said.code == 2
    assert not (site / "s.age").exists()


def test_a_short_passphrase_is_refused_and_an_export_of_nothing(cli, orders, site):
    assert cli("secret", "export", "s.age", stdin=WORD).code == 1
    orders("set", "KEY", stdin=VALUE)
    assert cli("secret", "export", "s.age", stdin="short").code == 2


TOOLS = """
from mcpward import Server, env

server = Server("orders")


@server.tool(read_only=True)
def pay() -> str:
    \"\"\"Pay.\"\"\"
    return env.PAY_KEY.reveal()[:0] + str(env.get("MAYBE"))
"""


def test_a_check_names_what_is_missing_weak_or_used_by_nobody(cli, orders, site):
    (site / "tools.py").write_text(TOOLS)
    orders("set", "STALE", stdin="k3y-9f21-a77c")
    orders("set", "SHORT", stdin="abc")
    said = cli("secret", "check", "--json")
    assert said.code == 1
    found = {(one["kind"], one["name"]): one for one in said.json if one["server"] == "orders"}
    assert {("missing", "PAY_KEY"), ("weak", "SHORT"), ("unused", "STALE"), ("unused", "SHORT")} == set(found)
    assert found["missing", "PAY_KEY"]["hint"] == "mcpward secret set PAY_KEY --server orders"
    assert "tool pay asks for PAY_KEY" in found["missing", "PAY_KEY"]["what"]
    for server in ("orders", "notes"):
        cli("secret", "set", "PAY_KEY", "--server", server, stdin="k3y-77e0-b21d")
    orders("remove", "STALE")
    assert "missing" not in cli("secret", "check").err
