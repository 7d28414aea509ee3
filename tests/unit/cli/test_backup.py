"""``mcpward backup`` and ``mcpward restore``: what is in the file, who opens it, and what a restored site asks for."""

import json
import os
import re
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

KEY = ("key", "create", "--server", "orders", "--json", "--name")
FILE = "orders.backup"


@pytest.fixture
def filled(cli, site):
    """A site with a key, a secret and a backup from before its key was revoked."""
    key = cli(*KEY, "laptop").json["id"]
    cli("secret", "set", "TOKEN", "--server", "orders", stdin="hunter2-canary")
    said = cli("backup", FILE)
    assert said.code == 0, said.err
    cli("key", "revoke", key)
    return key


def moved(here: Path, monkeypatch: pytest.MonkeyPatch, *files: str) -> Path:
    """Go to another machine: an empty folder with some files of this one."""
    there = here.parent / "there"
    (there / ".mcpward").mkdir(parents=True, mode=0o700)
    for name in files:
        shutil.copy2(here / name, there / name)
    monkeypatch.chdir(there)
    return there


def test_a_backup_is_for_its_owner_and_holds_nothing_that_can_be_read(cli, site, filled):
    content = (site / FILE).read_bytes()
    assert stat.S_IMODE((site / FILE).stat().st_mode) == 0o600
    for word in (filled, "laptop", "hunter2-canary", "SQLite", "api_keys"):
        assert word.encode() not in content
    assert (site / ".mcpward" / "master.key").read_bytes().strip() not in content
    assert not [path.name for path in site.iterdir() if path.name.startswith(".orders")]


def test_nothing_unsealed_lies_beside_the_backup_while_it_is_made(cli, site, filled, monkeypatch):
    """On a stick without modes all users could read it, and a killed backup would leave it there."""
    stick = site / "stick"
    stick.mkdir()
    seen: list[Any] = []
    fsync = os.fsync

    def look(file):
        seen.extend((path, path.is_file() and path.read_bytes()[:17]) for path in stick.rglob("*"))
        fsync(file)

    monkeypatch.setattr("os.fsync", look)
    assert cli("backup", str(stick / FILE)).code == 0
    assert {start for _, start in seen} == {b"mcpward-backup-1\n"}
    assert list(stick.iterdir()) == [stick / FILE]
    assert not list((site / ".mcpward").glob(".backup.*"))


def test_a_backup_says_what_is_in_it_and_what_is_not(cli, site, filled):
    said = cli("backup", "again.backup")
    contents = r"in it: the database \(1 keys, 0 secret URLs, 1 secrets, \d records\), its marks and mcpward.toml"
    assert re.search(contents, said.err)  # the records are those of what was done here
    assert "not in it: the master key, TLS files, tools.py" in said.err
    assert str(site / ".mcpward" / "master.key") in said.err


def test_a_backup_takes_no_other_file_s_place(cli, site, filled):
    before = (site / FILE).read_bytes()
    said = cli("backup", FILE)
    assert said.code == 1
    assert "there is a file" in said.err
    assert (site / FILE).read_bytes() == before


def test_a_site_is_restored_in_place_and_counts_once_it_is_accepted(cli, site, filled):
    kept = cli("key", "list", "--all", "--json").json[0]
    said = cli("restore", FILE)
    assert said.code == 1
    assert "--replace" in said.err
    said = cli("restore", FILE, "--replace")
    assert said.code == 0, said.err
    assert kept["state"] == "revoked"
    refused = cli("key", "list")
    assert refused.code == 2
    assert "the store is an older copy: keys at revision 1, but was at 2 before" in refused.err
    shown = cli("store", "accept-older", "--yes", "--json")
    assert [key["id"] for key in shown.json["keys"]] == [filled]
    assert cli("key", "show", filled, "--json").json["state"] == "live"
    assert [path.name for path in (site / ".mcpward").glob("mcpward.db.before-restore-*") if path.suffix[-1].isdigit()]


def test_a_site_is_restored_on_another_machine_with_its_master_key(cli, site, filled, monkeypatch):
    there = moved(site, monkeypatch, FILE, ".mcpward/master.key")
    said = cli("restore", FILE)
    assert said.code == 0, said.err
    assert (there / "mcpward.toml").read_text() == (site / "mcpward.toml").read_text()
    refused = cli("key", "list")
    assert refused.code == 2
    assert "the store was restored from a backup" in refused.err
    assert "mcpward store accept-older" in refused.err
    assert cli("store", "accept-older", "--yes").code == 0
    assert cli("key", "show", filled, "--json").json["state"] == "live"
    assert [one["name"] for one in cli("secret", "list", "--server", "orders", "--json").json] == ["TOKEN"]
    assert cli("log", "verify").code == 0
    assert cli("store", "accept-older").code == 1


def test_the_data_go_where_the_restored_file_says(cli, site, monkeypatch):
    file = site / "mcpward.toml"
    file.write_text(file.read_text().replace("[site]\n", '[site]\ndata = "kept"\n'))
    assert cli(*KEY, "laptop").code == 0
    assert cli("backup", FILE).code == 0
    there = moved(site, monkeypatch, FILE)
    shutil.copy2(site / "kept" / "master.key", there / ".mcpward" / "master.key")
    assert cli("restore", FILE).code == 0
    assert (there / "kept" / "mcpward.db").exists()
    assert not (there / ".mcpward" / "mcpward.db").exists()


def test_without_its_master_key_a_backup_opens_nothing_and_none_is_made(cli, site, filled, monkeypatch):
    there = moved(site, monkeypatch, FILE)
    said = cli("restore", FILE)
    assert said.code == 2
    assert "the backup was made with a master key, but there is none here" in said.err
    assert not (there / ".mcpward" / "master.key").exists()


def test_another_master_key_opens_no_backup(cli, site, filled, monkeypatch):
    there = moved(site, monkeypatch, FILE)
    (there / "x.toml").write_text("")
    monkeypatch.setenv("MCPWARD_MASTER_KEY", "A" * 43)
    said = cli("restore", FILE)
    assert said.code == 2
    assert "another master key" in said.err
    assert not (there / ".mcpward" / "mcpward.db").exists()


@pytest.mark.parametrize("how", ["cut", "cut at a frame", "bit", "longer", "swapped", "foreign"])
def test_a_backup_that_was_changed_or_cut_off_is_refused_whole(cli, site, filled, monkeypatch, how):
    content = (site / FILE).read_bytes()
    head = len(b"mcpward-backup-1\n") + 16
    wrong = {
        "cut": content[:-1],
        "cut at a frame": content[:head],
        "bit": content[:-40] + bytes([content[-40] ^ 1]) + content[-39:],
        "longer": content + b"\0",
        "swapped": content[:head] + content[head:] + content[head:],
        "foreign": b"PK\x03\x04" + content,
    }[how]
    (site / "bad.backup").write_bytes(wrong)
    there = moved(site, monkeypatch, "bad.backup", ".mcpward/master.key")
    said = cli("restore", "bad.backup")
    assert said.code == 2
    assert sorted(path.name for path in (there / ".mcpward").iterdir()) == ["master.key"]
    assert not (there / "mcpward.toml").exists()


def test_a_check_reads_all_of_it_and_puts_nothing_anywhere(cli, site, filled, monkeypatch):
    there = moved(site, monkeypatch, FILE, ".mcpward/master.key")
    said = cli("restore", FILE, "--check", "--json")
    assert said.code == 0, said.err
    assert said.json["rows"].items() > {"keys": 1, "urls": 0, "secrets": 1}.items()
    assert sorted(path.name for path in (there / ".mcpward").iterdir()) == ["master.key"]


def test_a_store_without_its_master_key_says_that_there_is_none_here(cli, site, filled):
    (site / ".mcpward" / "master.key").rename(site / "elsewhere.key")
    before = (site / ".mcpward" / "mcpward.db").read_bytes()
    for command in (("key", "list"), (*KEY, "x"), ("backup", "other.backup"), ("store", "accept-older", "--yes")):
        said = cli(*command)
        assert (said.code, said.out) == (2, "")
        assert "was made with a master key, but there is none here" in said.err
        assert "restore the file" in said.err
    assert not (site / ".mcpward" / "master.key").exists()
    assert (site / ".mcpward" / "mcpward.db").read_bytes() == before


def restores(cli):
    acts = cli("log", "--acts", "--json")
    return [act for act in map(json.loads, acts.out.splitlines()) if "site restored from" in (act["detail"] or "")]


def test_a_restore_with_nothing_to_accept_is_on_record_and_serves_as_it_is(cli, site):
    cli(*KEY, "laptop")
    cli("backup", FILE)
    said = cli("restore", FILE, "--replace")
    assert said.code == 0
    assert "so there is nothing to accept" in said.err
    assert cli("store", "accept-older").code == 1
    (act,) = restores(cli)
    assert str(site / FILE) in act["detail"]
    assert cli("log", "verify").code == 0


@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_a_restore_that_is_accepted_afterwards_is_on_record(cli, site, filled, monkeypatch, is_elsewhere):
    if is_elsewhere:
        moved(site, monkeypatch, FILE, ".mcpward/master.key")
    said = cli("restore", FILE, *(() if is_elsewhere else ("--replace",)))
    assert said.code == 0
    assert "next: mcpward store accept-older" in said.err
    assert cli("store", "accept-older", "--yes").code == 0
    (act,) = restores(cli)
    assert FILE in act["detail"]


def test_a_check_of_a_backup_is_no_restore(cli, site, filled):
    cli("restore", FILE, "--check")
    assert restores(cli) == []
