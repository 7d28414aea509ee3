"""The whole life of a key: made, shown, narrowed, rotated, revoked by commands, and obeyed by a running process."""

import asyncio
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mcpward.config.load import load
from mcpward.config.model import Settings
from mcpward.core.clock import SystemClock
from mcpward.identity.keys.api_key import issue, reissue
from mcpward.identity.keys.records import KeyRecord
from mcpward.operations.site import open_site
from support.ward import Ward, text_of
from support.wire import KEY, exchange, reason_of, rows, site, undated, until

SERVERS = ("alpha", "beta")


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    with site(tmp_path_factory.mktemp("keys"), servers=SERVERS) as ward:
        yield ward


def made(ward: Ward, *words: str, server: str = "alpha") -> tuple[str, str]:
    """Make a key and wait until the running process knows it; returns the key and its id."""
    done = ward.cli("key", "create", "--server", server, "--name", "a laptop", *words)
    key = done.stdout.strip()
    assert KEY.fullmatch(key)
    assert done.stdout == f"{key}\n"
    assert key not in done.stderr
    return key, key.removeprefix("sk-mcpward-").partition("_")[0]


def opens(ward: Ward, key: str, server: str = "alpha") -> bool:
    return ward.call("echo", {"text": "a"}, path=f"/{server}/mcp", key=key).status_code == 200


def call(ward: Ward, key: str, tool: str = "echo", **arguments):
    return ward.call(tool, arguments or {"text": "a"}, path="/alpha/mcp", key=key)


def listed(ward: Ward, key: str) -> set[str]:
    tools = ward.modern("tools/list", path="/alpha/mcp", key=key).json()["result"]["tools"]
    return {tool["name"] for tool in tools}


def shown(ward: Ward, key_id: str) -> dict:
    return json.loads(ward.cli("key", "show", key_id, "--json").stdout)


def test_a_new_key_opens_its_server_the_moment_it_is_printed_and_no_other(ward):
    key, _ = made(ward)
    assert opens(ward, key)
    assert reason_of(ward.call("echo", {"text": "a"}, path="/beta/mcp", key=key)) == "credential-invalid"


def test_a_key_for_all_servers_opens_all(ward):
    key, _ = made(ward, server="*")
    assert opens(ward, key)
    assert opens(ward, key, "beta")


def test_a_key_and_its_successor_open_every_worker_the_moment_they_are_printed(tmp_path):
    with site(tmp_path, {"site.workers": 3}, servers=SERVERS) as ward:
        settings = load(ward.folder / "mcpward.toml", {}, {"site.data": ward.folder / ".mcpward"})
        for _ in range(6):
            key, record = asyncio.run(stored(settings))
            assert everywhere(ward, key) == {200}
            successor, _ = asyncio.run(stored(settings, record))
            assert everywhere(ward, successor) == {200}
            assert everywhere(ward, key) == {200}


async def stored(settings: Settings, old: KeyRecord | None = None) -> tuple[str, KeyRecord]:
    """Do what the commands do up to the moment at which they print: the end of a command takes longer than a poll."""
    clock = SystemClock()
    async with open_site(settings, clock) as site:
        if old is not None:
            secret, record = reissue(site.pepper_keys, clock, old)
            await site.store.keys.rotate(old.id, record, clock.now() + 3600)
        else:
            secret, record = issue(site.pepper_keys, clock, name="a laptop", servers=["alpha"])
            await site.store.keys.add(record)
    return secret.reveal(), record


def everywhere(ward: Ward, key: str) -> set[int]:
    """Call on many connections at once: the kernel gives some of them to each worker."""
    with ThreadPoolExecutor(24) as crowd:
        said = [crowd.submit(ward.call, "echo", {"text": f"{n}"}, path="/alpha/mcp", key=key) for n in range(24)]
        return {one.result().status_code for one in said}


def test_no_command_shows_a_key_again(ward):
    key, key_id = made(ward)
    said = [ward.cli("key", *words) for words in (["list"], ["show", key_id, "--json"])]
    secret = key.partition("_")[2]
    for done in said:
        assert key_id in done.stdout
        assert secret not in done.stdout + done.stderr
        assert secret[:20] not in done.stdout + done.stderr
    assert "a laptop" in said[0].stdout


def test_a_key_given_for_its_id_is_not_echoed(ward):
    key, key_id = made(ward)
    done = ward.cli("key", "show", key, check=False)
    assert done.returncode == 2
    assert key not in done.stderr
    assert f"its id is {key_id}" in done.stderr


def test_all_that_was_asked_for_is_shown(ward):
    words = ["--expires", "90d", "--class", "read", "--tool", "echo", "--scope", "notes:read"]
    _, key_id = made(ward, *words, "--rate", "5/minute burst 2", "--cidr", "127.0.0.0/8")
    shape = shown(ward, key_id)
    assert shape["class"] == "read"
    assert (shape["tools"], shape["scopes"]) == (["echo"], ["notes:read"])
    assert (shape["rate"], shape["networks"]) == ("5/minute burst 2", ["127.0.0.0/8"])
    assert (shape["state"], shape["last_used_at"]) == ("live", None)
    assert shape["expires_at"] > shape["created_at"]


def test_a_rotated_key_is_the_same_caller_and_both_live_for_the_grace(ward):
    old, old_id = made(ward)
    until(lambda: opens(ward, old), 1.0)
    rotated = ward.cli("key", "rotate", old_id, "--grace", "8s")
    new = rotated.stdout.strip()
    at = time.monotonic()
    assert KEY.fullmatch(new)
    assert new != old
    until(lambda: opens(ward, new), 1.0)
    assert opens(ward, old)
    assert shown(ward, old_id)["state"] == "grace"
    refused = until(lambda: None if (answer := call(ward, old)).status_code == 200 else answer, 10.0)
    assert 1.0 < time.monotonic() - at < 9.5
    assert reason_of(refused) == "credential-invalid"
    assert opens(ward, new)
    used = until(lambda: rows(ward, "key_id = ?", new[11:23]))
    assert {row["principal"] for row in used} == {f"api-key:{old_id}"}


def test_an_edited_key_may_what_it_says_now_without_a_restart(ward):
    key, key_id = made(ward)
    assert "store" in listed(ward, key)
    ward.cli("key", "edit", key_id, "--tool", "echo")
    until(lambda: listed(ward, key) == {"echo"})
    ward.cli("key", "edit", key_id, "--rate", "1/hour", "--tool", "*", "--server", "beta")
    until(lambda: not opens(ward, key))
    assert opens(ward, key, "beta")
    again = ward.call("store", {"text": "a"}, path="/beta/mcp", key=key)
    assert reason_of(again) == "rate-exceeded"


def test_a_rotation_without_grace_ends_the_old_key_at_once(ward):
    old, old_id = made(ward)
    until(lambda: opens(ward, old), 1.0)
    new = ward.cli("key", "rotate", old_id, "--grace", "0").stdout.strip()
    until(lambda: not opens(ward, old), 1.0)
    assert opens(ward, new)
    assert shown(ward, new[11:23])["rotated_from"] == old_id


def test_a_rotated_key_keeps_its_rights(ward):
    _, old_id = made(ward, "--class", "read", "--tool", "echo", "--tool", "store")
    new = ward.cli("key", "rotate", old_id).stdout.strip()
    until(lambda: opens(ward, new), 1.0)
    assert listed(ward, new) == {"echo"}
    assert reason_of(call(ward, new, "store", value="x")) == "tool-unknown"


def test_a_revoked_key_is_refused_within_a_second(ward):
    key, key_id = made(ward)
    until(lambda: opens(ward, key), 1.0)
    ward.cli("key", "revoke", key_id)
    until(lambda: not opens(ward, key), 1.0)
    assert key_id not in ward.cli("key", "list").stdout
    assert shown(ward, key_id)["state"] == "revoked"
    for verb in ("revoke", "rotate"):
        again = ward.cli("key", verb, key_id, check=False)
        assert (again.returncode, again.stdout) == (1, "")


def test_a_key_ends_when_it_expires(ward):
    key, key_id = made(ward, "--expires", "6s")
    until(lambda: opens(ward, key), 1.5)
    until(lambda: not opens(ward, key), 8.0)
    assert shown(ward, key_id)["state"] == "ended"


@pytest.mark.parametrize(
    "words",
    [
        ["--expires", "2020-01-01"],
        ["--class", "all"],
        ["--rate", "x"],
        ["--cidr", "10.0.0.1/8"],
        ["--server", "gamma"],
        ["--name", "a\x1b[2J"],
    ],
)
def test_a_key_that_makes_no_sense_is_not_made(ward, words):
    done = ward.cli("key", "create", "--name", "x", "--server", "alpha", *words, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.match(r"error: .+\n", done.stderr)
    assert "\x1b" not in done.stderr


def test_a_key_for_another_network_is_refused_like_an_unknown_one(ward):
    far, _ = made(ward, "--cidr", "10.0.0.0/8", "--cidr", "2001:db8::/32")
    near, _ = made(ward, "--cidr", "127.0.0.0/8", "--cidr", "10.0.0.0/8")  # known: so the one before is as well
    until(lambda: opens(ward, near), 1.0)

    def ask(key: str) -> bytes:
        head = f"POST /alpha/mcp HTTP/1.1\r\nHost: 127.0.0.1:{ward.port}\r\nAuthorization: Bearer {key}\r\n"
        head += "Content-Type: application/json\r\nAccept: application/json\r\nConnection: close\r\n"
        return undated(exchange(ward, f"{head}Content-Length: 2\r\n\r\n{{}}".encode()))

    assert ask(far) == ask("sk-mcpward-" + "0" * 12 + "_" + "0" * 49)
    assert ask(far).startswith(b"HTTP/1.1 401 ")


def test_a_key_calls_and_sees_the_tools_of_its_class_alone(ward):
    reading, writing, destroying = (made(ward, "--class", word)[0] for word in ("read", "write", "destructive"))
    until(lambda: opens(ward, destroying), 1.0)
    assert {"echo"} == listed(ward, reading) & {"echo", "store", "wipe"}
    assert {"echo", "store"} == listed(ward, writing) & {"echo", "store", "wipe"}
    assert {"echo", "store", "wipe"} == listed(ward, destroying) & {"echo", "store", "wipe"}
    assert reason_of(call(ward, reading, "store", value="x")) == "tool-unknown"
    assert reason_of(call(ward, writing, "wipe", what="x")) == "tool-unknown"
    assert text_of(call(ward, destroying, "store", value="x")) == "stored 1"


def test_a_tool_that_a_key_may_not_call_looks_like_one_that_is_not_there(ward):
    key, _ = made(ward, "--tool", "echo")
    until(lambda: opens(ward, key), 1.0)
    assert listed(ward, key) == {"echo"}
    hidden, missing = call(ward, key, "crash", text="a"), call(ward, key, "crush", text="a")
    assert (hidden.status_code, hidden.content) == (missing.status_code, missing.content)
    assert reason_of(hidden) == "tool-unknown"


def test_a_key_with_scopes_is_narrowed_by_them(ward):
    with_it, without = made(ward, "--scope", "notes:read")[0], made(ward, "--scope", "notes:write")[0]
    until(lambda: opens(ward, without), 1.0)
    assert "scoped" in listed(ward, with_it)
    assert "scoped" not in listed(ward, without)
    no_scopes, every_scope = made(ward)[0], made(ward, "--scope", "*")[0]
    until(lambda: opens(ward, every_scope), 1.0)
    assert "scoped" not in listed(ward, no_scopes)
    assert "scoped" in listed(ward, every_scope)
    assert text_of(ward.call("scoped", path="/alpha/mcp", key=with_it)) == "read"
    assert reason_of(ward.call("scoped", path="/alpha/mcp", key=without)) == "tool-unknown"


def test_a_key_has_a_rate_of_its_own(ward):
    key, _ = made(ward, "--rate", "2/hour")
    until(lambda: opens(ward, key), 1.0)
    assert opens(ward, key)
    refused = call(ward, key)
    assert (refused.status_code, reason_of(refused)) == (429, "rate-exceeded")
    assert 1000 < int(refused.headers["retry-after"]) <= 1800
    assert '"key";q=2;w=3600' in refused.headers["ratelimit-policy"]
    assert '"key";r=0' in refused.headers["ratelimit"]
    assert opens(ward, ward.key)


def test_rotation_is_no_way_around_a_rate(ward):
    key, key_id = made(ward, "--rate", "1/hour")
    until(lambda: opens(ward, key), 1.0)
    new = ward.cli("key", "rotate", key_id).stdout.strip()
    refused = until(lambda: answer if (answer := call(ward, new)).status_code != 401 else None, 1.0)
    assert reason_of(refused) == "rate-exceeded"


def test_the_time_of_the_last_use_is_noted(ward):
    key, key_id = made(ward)
    until(lambda: opens(ward, key), 1.0)
    until(lambda: shown(ward, key_id)["last_used_at"], 12.0, 1.0)
