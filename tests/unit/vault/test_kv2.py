"""One read of a KV engine, version 2: what counts as a secret, and what is refused."""

import json
from ipaddress import ip_network

import pytest

from mcpward.core.secret import Secret, value_of
from mcpward.egress.client import Client
from mcpward.egress.guard import Guard
from mcpward.vault.kv2 import LONGEST, MOST, Kv2, Kv2Place
from mcpward.vault.secret_source import SourceFailed
from support.kv import TOKEN, kv
from support.outside import http, outside

LOOPBACK = (ip_network("127.0.0.0/8"),)


async def token() -> Secret:
    return Secret(TOKEN, "token")


async def read(url: str, server: str = "shop", path: str = "mcpward/{server}", allow=LOOPBACK):
    client = Client(Guard(allow))
    try:
        return await Kv2(client, Kv2Place(url, "secret", path), token).read(server)
    finally:
        await client.close()


async def problem(url: str, server: str = "shop", allow=LOOPBACK) -> str:
    with pytest.raises(SourceFailed) as failed:
        await read(url, server, allow=allow)
    assert TOKEN not in str(failed.value)
    return failed.value.problem


async def test_fields_that_are_text_are_secrets_and_others_are_named_and_not_used():
    with kv() as engine:
        engine.put(
            "mcpward/shop", FINE="a", BYTES="x" * LONGEST, EMPTY="", NUMBER=7, LIST=["a"], LONG="x" * (LONGEST + 1),
            NUL="a\0b", **{"../up": "b", "a b": "c"},
        )  # fmt: skip
        found = await read(engine.url)
    assert {name: len(value_of(secret)) for name, secret in found.values.items()} == {"FINE": 1, "BYTES": LONGEST}
    assert set(found.problems) == {"NUMBER", "LIST", "LONG", "NUL", "../up", "a b"}
    assert found.version == 1


async def test_an_entry_with_too_many_fields_is_refused_whole():
    with kv() as engine:
        engine.put("mcpward/shop", **{f"N_{number}": "a" for number in range(MOST + 1)})
        assert await problem(engine.url) == f"the entry has more than {MOST} fields"


async def test_no_entry_and_a_version_that_was_deleted_or_destroyed_hold_no_secrets():
    with kv() as engine:
        engine.put("mcpward/gone", A="a")
        engine.put("mcpward/burnt", A="a")
        engine.delete("mcpward/gone")
        engine.destroy("mcpward/burnt")
        for server in ("never", "gone", "burnt"):
            assert not (await read(engine.url, server)).values


@pytest.mark.parametrize(
    "server", ["..", ".", "a/b", "../other", "%2e%2e", "a?version=1", "a#b", "a b", "", "A", "a\n"]
)
async def test_attack_148_no_name_of_a_server_leads_to_another_path(server):
    with kv() as engine:
        assert await problem(engine.url, server) == "the server's name cannot stand in a path"
        assert not engine.asked


@pytest.mark.parametrize(
    "answer,why",
    [
        (http(b'{"data": {"A": "of version 1"}}'), "its answer is not one of KV version 2"),
        (http(b'{"data": {"data": ["A"], "metadata": {}}}'), "its answer is not one of KV version 2"),
        (http(b"[]"), "its answer is not one of KV version 2"),
        (http(b"<html>", media="text/html"), "media-refused"),
        (http(b"{"), "not-json"),
        (http(json.dumps({"data": "x" * 5_000_000}).encode()), "too-large"),
        (http(b"{}", status=301, location="http://127.0.0.1:1/"), "it redirects"),
        (http(b"{}", status=307, location="http://127.0.0.1:1/"), "it redirects"),
        (http(json.dumps({"errors": [TOKEN]}).encode(), status=403), "it refuses the token (403)"),
        (http(b'{"errors": ["no handler"]}', status=404), "it has no such mount (404)"),
        (http(b"gone", status=404, media="text/plain"), "it has no such mount (404)"),
        (http(b"{}", status=418), "its answer is 418"),
    ],
)
async def test_an_answer_that_is_none_is_named_in_words_of_our_own(answer, why):
    async with outside(answer) as there:
        assert (await problem(there.url("").rstrip("/"))).startswith(why)


async def test_a_private_address_is_not_called_unless_its_network_is_named():
    with kv() as engine:
        assert (await problem(engine.url, allow=())).startswith("address-refused")
        assert not engine.asked
