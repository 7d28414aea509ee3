import pytest

from mcpward.identity.keys.api_key import parse


def create(cli, *more):
    return cli("key", "create", "--server", "orders", "--name", "laptop", *more)


def test_a_created_key_stands_alone_on_stdout(cli, site):
    said = create(cli)
    assert said.code == 0
    key = said.out.removesuffix("\n")
    assert parse(key)
    assert key not in said.err
    assert "shown only once" in said.err


def test_only_a_hash_of_it_is_kept(cli, site):
    key = create(cli).out.strip()
    secret = key.rpartition("_")[2].encode()
    kept = b"".join(path.read_bytes() for path in (site / ".mcpward").iterdir())
    assert key.encode() not in kept
    assert secret not in kept
    assert all(path.stat().st_mode & 0o077 == 0 for path in [site / ".mcpward", site / ".mcpward" / "master.key"])


def id_of(key: str) -> str:
    parsed = parse(key)
    assert parsed is not None
    return parsed.id


def test_a_key_carries_all_that_it_was_given(cli, site):
    made = create(
        cli, "--json", "--expires", "90d", "--scope", "a", "--scope", "b", "--tool", "t", "--class", "read",
        "--rate", "60/minute burst 10", "--cidr", "10.0.0.0/8",
    ).json  # fmt: skip
    key = made.pop("key")
    assert id_of(key) == made["id"]
    shown = cli("key", "show", made["id"], "--json").json
    assert shown == made
    assert shown["scopes"] == ["a", "b"]
    assert (shown["tools"], shown["class"], shown["rate"]) == (["t"], "read", "60/minute burst 10")
    assert shown["networks"] == ["10.0.0.0/8"]
    assert shown["expires_at"]


def test_nothing_of_a_key_is_shown_again(cli, site):
    key = create(cli).out.strip()
    key_id = id_of(key)
    for command in (
        ("key", "list"),
        ("key", "show", key_id),
        ("key", "list", "--json"),
        ("key", "show", key_id, "--json"),
    ):
        said = cli(*command)
        assert said.code == 0
        assert key_id in said.out
        assert key not in said.out + said.err
        assert "digest" not in said.out


def test_the_end_of_a_key_is_shown_once(cli, site):
    made = create(cli, "--json", "--expires", "2099-12-31").json
    shown = cli("key", "show", made["id"]).out
    assert shown.count("2099-12-31T00:00:00Z") == 1
    assert [line.split() for line in shown.splitlines() if "end" in line] == [["ends", "at", "2099-12-31T00:00:00Z"]]
    edited = cli("key", "edit", made["id"], "--expires", "2098-12-31").err
    assert edited.count("2098-12-31T00:00:00Z") == 1
    cli("key", "rotate", made["id"], "--grace", "1h")
    ends_at = cli("key", "show", made["id"], "--json").json["ends_at"]
    shown = cli("key", "show", made["id"]).out
    assert (shown.count(ends_at), shown.count("2098-12-31T00:00:00Z")) == (1, 1)  # and what its end was without that
    (site / "mcpward.toml").write_text((site / "mcpward.toml").read_text() + '[keys]\nmax_age = "30d"\n')
    shown = cli("key", "show", create(cli, "--json").json["id"]).out
    assert "ends at" in shown
    assert "expires at" not in shown


def test_a_rotated_key_lives_on_for_its_grace(cli, site):
    old = create(cli, "--json", "--class", "read", "--scope", "s").json
    said = cli("key", "rotate", old["id"], "--grace", "1h", "--json")
    new = said.json
    assert new["rotated_from"] == old["id"]
    assert (new["class"], new["scopes"]) == ("read", ["s"])
    assert cli("key", "show", old["id"], "--json").json["state"] == "grace"
    assert {row["state"] for row in cli("key", "list", "--json").json} == {"grace", "live"}


def test_a_key_rotated_without_grace_has_ended(cli, site):
    old = create(cli, "--json").json
    assert parse(cli("key", "rotate", old["id"], "--grace", "0").out.strip())
    assert cli("key", "show", old["id"], "--json").json["state"] == "ended"
    again = cli("key", "rotate", old["id"])
    assert (again.code, again.out) == (1, "")


def test_a_revoked_key_is_told_once(cli, site):
    made = create(cli, "--json").json
    assert cli("key", "revoke", made["id"]).code == 0
    again = cli("key", "revoke", made["id"])
    assert again.code == 1
    assert "was revoked at" in again.err
    assert cli("key", "list").code == 1
    assert cli("key", "list", "--all", "--json").json[0]["state"] == "revoked"


@pytest.mark.parametrize("verb", ["show", "rotate", "revoke"])
def test_an_unknown_key_is_a_no(cli, site, verb):
    create(cli)
    said = cli("key", verb, "nosuchkey")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("error: there is no key")


def test_a_key_in_place_of_its_id_is_not_repeated(cli, site):
    key = create(cli).out.strip()
    said = cli("key", "revoke", key)
    assert said.code == 2
    assert key not in said.err
    assert id_of(key) in said.err


@pytest.mark.parametrize(
    "wrong,word",
    [
        (("--expires", "yesterday"), "--expires"),
        (("--expires", "2001-01-01"), "--expires"),
        (("--class", "root"), "--class"),
        (("--rate", "lots"), "--rate"),
        (("--cidr", "10.0.0.1/8"), "--cidr"),
        (("--name", "a\x1b[2J"), "--name"),
        (("--name", " "), "--name"),
        (("--server", "ordres"), "orders"),
    ],
)
def test_a_wrong_option_is_a_usage_error_and_nothing_is_made(cli, site, wrong, word):
    said = create(cli, *wrong)
    assert (said.code, said.out) == (2, "")
    assert word in said.err
    assert "\x1b" not in said.err
    assert not (site / ".mcpward").exists()


def test_reading_makes_no_data(cli, site):
    for command in (
        ("key", "list"),
        ("key", "show", "x"),
        ("key", "revoke", "x"),
        ("log",),
        ("url", "show", "-s", "notes"),
    ):
        said = cli(*command)
        assert said.code == 1
        assert "there is no data yet" in said.err
    assert not (site / ".mcpward").exists()


def test_the_only_server_needs_no_name(cli, folder):
    (folder / "mcpward.toml").write_text('[servers.one]\nsource = "t.py"\n')
    assert cli("key", "create", "--name", "n", "--json").json["servers"] == ["one"]


def test_without_a_file_the_server_must_be_named(cli, folder):
    said = cli("key", "create", "--name", "n")
    assert said.code == 2
    assert "add --server NAME" in said.err
    assert cli("key", "create", "--name", "n", "--server", "any").code == 0
    assert cli("key", "create", "--name", "n", "--server", "*").code == 0
    assert cli("key", "create", "--name", "n", "--server", "Not/A/Name").code == 2


def test_a_damaged_database_is_one_clear_line(cli, site):
    create(cli)
    database = site / ".mcpward" / "mcpward.db"
    for beside in site.glob(".mcpward/mcpward.db-*"):
        beside.unlink()
    database.write_bytes(b"this is no database" * 1000)
    before = database.read_bytes()
    said = cli("key", "list")
    assert (said.code, said.out) == (2, "")
    assert said.err.count("error:") == 1
    assert database.read_bytes() == before
