import asyncio
import json
from typing import Any

import pytest

from mcpward.cli.site import in_site, settings_of
from support.records import keep

EVIL = "\x1b]0;owned\x07\x1b[2J\r\nfake line\u202e\u2028\u200b\U000e0041\x9b31m\x7f"


def row(n, **more):
    return {
        "id": f"{n:016x}", "at": 1_800_000_000.0 + n, "server": "orders", "method": "tools/call", "tool": "find",
        "era": "modern", "version": "2026-07-28", "way": "api-key", "principal": "api-key:abc", "client": None,
        "key_id": "abc", "peer": "127.0.0.1", "phase": "done", "outcome": "ok", "reason": None, "error_id": None,
        "status": 200, "duration_us": 1500, "bytes_in": 10, "bytes_out": 20, "arguments": "{}", "trace": None,
    } | more  # fmt: skip


@pytest.fixture
def records(site):
    def add(*rows):
        in_site(settings_of(None), lambda opened: keep(opened.store.traffic, *rows))

    return add


def test_records_are_printed_oldest_first_in_columns(cli, records):
    records(row(1), row(2, tool="other", outcome="rate-exceeded", reason="rate-exceeded", status=429))
    said = cli("log")
    assert (said.code, said.err) == (0, "")
    header, first, second = said.out.splitlines()
    assert header.split()[:3] == ["time", "server", "call"]
    assert "tools/call find" in first
    assert "429" in second
    assert first.index("127.0.0.1") == second.index("127.0.0.1") == header.index("address")


def test_every_filter_narrows(cli, records):
    records(
        row(1),
        row(2, server="notes"),
        row(3, tool="t"),
        row(4, key_id="k"),
        row(5, reason="busy", outcome="refused"),
        row(6, peer="10.0.0.9"),
    )

    def ids(*options):
        return [json.loads(line)["id"][-1] for line in cli("log", "--json", *options).out.splitlines()]

    assert ids() == list("123456")
    assert ids("--server", "notes") == ["2"]
    assert ids("--tool", "t") == ["3"]
    assert ids("--key", "k") == ["4"]
    assert ids("--reason", "busy") == ["5"]
    assert ids("--outcome", "refused") == ["5"]
    assert ids("--address", "10.0.0.9") == ["6"]
    assert ids("--lines", "2") == ["5", "6"]
    assert ids("--since", "2027-01-15T08:00:05Z") == ["5", "6"]
    assert ids("--until", "2027-01-15T08:00:02Z") == ["1"]


def test_nothing_found_is_a_no(cli, records):
    records(row(1))
    said = cli("log", "--tool", "nothing")
    assert (said.code, said.out) == (1, "")


def test_110_nothing_of_a_record_reaches_the_terminal_unescaped(cli, records):
    records(row(1, tool=EVIL, principal=EVIL, peer=EVIL, server=EVIL, method=EVIL, outcome=EVIL), row(2))
    for options in ([], ["--json"]):
        said = cli("log", *options)
        assert len(said.out.splitlines()) == len(said.out.rstrip("\n").split("\n")) == 3 - len(options)
        assert all(char.isprintable() or char == "\n" for char in said.out)
    assert json.loads(said.out.splitlines()[0])["tool"] == EVIL


def test_limits_that_refused_or_would_have_are_found_and_shown(cli, records):
    records(
        row(1),
        row(2, outcome="refused", reason="rate-exceeded", limit_name="budget-stripe"),
        row(3, would_refuse="read,budget-stripe"),
        row(4, would_refuse="read"),
    )

    def ids(*options):
        return [json.loads(line)["id"][-1] for line in cli("log", "--json", *options).out.splitlines()]

    assert ids("--limit", "budget-stripe") == ["2", "3"]
    assert ids("--limit", "budget-stripe", "--would-refuse") == ["3"]
    assert ids("--would-refuse") == ["3", "4"]
    assert json.loads(cli("log", "--json", "-n", "1").out)["would_refuse"] == "read"
    lines = cli("log").out
    assert "rate-exceeded (budget-stripe)" in lines
    assert "ok, over read,budget-stripe" in lines


def test_a_number_for_a_limit_is_told_how_to_ask_for_lines(cli, records):
    records(row(1))
    said = cli("log", "--limit", "20")
    assert (said.code, said.out) == (2, "")
    assert "-n 20" in said.err


def test_a_part_of_what_was_found_says_of_how_many(cli, records):
    records(*(row(n) for n in range(1, 1301)))
    said = cli("log", "--server", "orders")
    assert len(said.out.splitlines()) == 51
    assert said.err == "50 of 1,300; -n for more\n"
    assert cli("log", "-n", "2", "--json").err == "2 of 1,300; -n for more\n"
    assert cli("log", "-n", "1300").err == ""


@pytest.mark.parametrize("options", [["--json"], ["--since", "2027-01-01"], ["--until", "2099-01-01"]])
def test_what_was_asked_for_as_a_whole_is_printed_as_a_whole(cli, records, options):
    records(*(row(n) for n in range(1, 1301)))
    said = cli("log", *options)
    assert (len([line for line in said.out.splitlines() if "orders" in line]), said.err) == (1300, "")


@pytest.mark.parametrize(
    "option,word,code,what,hint",
    [
        ("--server", "ordres", 2, "there is no server 'ordres' in the site's file or in the record", "orders"),
        ("--reason", "rate-exceded", 2, "there is no reason 'rate-exceded'", "rate-exceeded"),
        ("--outcome", "refusd", 2, "there is no outcome 'refusd'", "refused"),
        ("--limit", "quota-dya", 2, "there is no limit 'quota-dya'", "quota-day"),
        ("--tool", "fnid", 1, "no record names a tool 'fnid'", "find"),
        ("--key", "abd", 1, "there is no key 'abd', and no record of one", "abc"),
    ],
)
@pytest.mark.parametrize("verb", [["log"], ["log", "export"]])
def test_a_name_that_nothing_has_is_an_error_with_the_nearest_one(cli, records, verb, option, word, code, what, hint):
    records(row(1))
    said = cli(*verb, option, word)
    assert (said.code, said.out) == (code, "")
    assert said.err == f"error: {what}\nhint: did you mean {hint}?\n"


def test_a_server_that_is_gone_is_still_found_by_its_records(cli, records):
    records(row(1, server="removed"))
    assert cli("log", "--server", "removed").code == 0
    assert cli("log", "--server", "notes").err == "error: no records found\n"


@pytest.mark.parametrize(
    "options,what",
    [
        (["--address", "nonsense"], "--address is not an address"),
        (["--since", "1h", "--until", "2h"], "--since is not before --until"),
        (["--since", "tomorrow"], "--since is neither a time span nor a time"),
        (["--reason", "too-many-knocks"], "there is no reason 'too-many-knocks'"),
    ],
)
def test_what_no_record_can_have_is_a_mistake_and_not_nothing_found(cli, records, options, what):
    records(row(1))
    said = cli("log", *options)
    assert (said.code, said.out) == (2, "")
    assert f"error: {what}" in said.err


def test_an_address_is_found_however_it_is_spelt(cli, records):
    records(row(1, peer="2001:db8::1"), row(2, peer="2001:db8::/64"))
    spelt = cli("log", "--json", "--address", "2001:0DB8:0:0::1").out
    assert json.loads(spelt)["peer"] == "2001:db8::1"
    assert json.loads(cli("log", "--json", "--address", "2001:db8::/64").out)["id"].endswith("2")


def test_a_key_in_the_place_of_its_id_is_told(cli, records):
    records(row(1))
    key = cli("key", "create", "--server", "orders", "--name", "a").out.strip()
    said = cli("log", "--key", key)
    assert said.code == 2
    assert key[11:23] in said.err
    assert key[24:] not in said.err


async def test_following_prints_what_comes_later(site, capsys):
    from mcpward.cli.log import _follow, _Printer
    from mcpward.operations.site import open_site
    from mcpward.storage.traffic_filter import TrafficFilter

    async with open_site(settings_of(None)) as opened:
        await keep(opened.store.traffic, row(1))
        following = asyncio.create_task(_follow(opened, TrafficFilter(), _Printer(as_json=True)))
        seen: list[Any] = []
        for n in (1, 2, 3):
            if n > 1:
                await keep(opened.store.traffic, row(n))
            async with asyncio.timeout(10):
                while len(seen) < n:
                    await asyncio.sleep(0.02)
                    seen += [json.loads(line)["id"][-1] for line in capsys.readouterr().out.splitlines()]
        following.cancel()
    assert seen == ["1", "2", "3"]
