"""Headers agree with bodies; a session and an answer belong to their caller.

Sources: MCP 2026-07-28 transports page (Server Validation); CVE-2026-27896; CVE-2026-52869, CVE-2026-25536,
CVE-2026-33946 and CVE-2025-6515 (sessions not bound to their principal).
"""

import asyncio
import base64
import json
import string
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from support.known import Known, call_of
from support.raw import connect, parse, request, talk
from support.ward import ACCEPT, Ward, modern_request, serving, text_of
from support.wire import until

LEGACY = "2025-11-25"


def wrapped(text: str) -> str:
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


MISMATCHES: dict[str, dict[str, str | None]] = {
    "no version": {"mcp-protocol-version": None},
    "legacy version": {"mcp-protocol-version": LEGACY},
    "oldest version": {"mcp-protocol-version": "2025-03-26"},
    "unknown version": {"mcp-protocol-version": "2099-01-01"},
    "version with space within": {"mcp-protocol-version": "2026- 07-28"},
    "no method": {"mcp-method": None},
    "other method": {"mcp-method": "tools/list"},
    "method in another case": {"mcp-method": "Tools/Call"},
    "method wrapped": {"mcp-method": wrapped("tools/call")},
    "two methods": {"mcp-method": "tools/call, tools/list"},
    "no name": {"mcp-name": None},
    "other name": {"mcp-name": "echo"},
    "name in another case": {"mcp-name": "Wipe"},
    "two names": {"mcp-name": "wipe, echo"},
    "other name wrapped": {"mcp-name": wrapped("echo")},
    "name wrapped twice": {"mcp-name": wrapped(wrapped("wipe"))},
    "name wrapped without padding": {"mcp-name": wrapped("wipe").replace("==", "")},
    "name wrapped with stray bits": {"mcp-name": "=?base64?d2lwZR==?="},
    "name wrapped in capitals": {"mcp-name": wrapped("wipe").replace("base64", "BASE64")},
    "name as an encoded word": {"mcp-name": "=?utf-8?b?d2lwZQ==?="},
    "name percent-encoded": {"mcp-name": "w%69pe"},
    "name quoted": {"mcp-name": '"wipe"'},
}


@pytest.mark.parametrize("mismatch", MISMATCHES)
def test_attack_59_headers_that_say_something_else_than_the_body_are_refused_and_nothing_runs(
    ward: Ward, mismatch: str
):
    """Before policy and tool: the key may not even use the tool that is named, and mcpward reports the headers."""
    body, headers = modern_request("tools/call", {"name": "wipe", "arguments": {"what": mismatch}}, name="wipe", id=59)
    headers = {name: value for name, value in (headers | MISMATCHES[mismatch]).items() if value is not None}
    response = ward.post(body, headers=headers | {"authorization": f"Bearer {ward.key}"})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == -32020
    assert response.json()["id"] == 59
    assert not (ward.folder / "wiped.txt").exists()


@pytest.mark.parametrize("name", ["Mcp-Method", "Mcp-Name", "MCP-Protocol-Version", "mcp-name"])
def test_attack_59_a_routing_header_that_comes_twice_is_refused_even_when_both_agree(ward: Ward, name: str):
    body, headers = modern_request("tools/call", {"name": "echo", "arguments": {"text": "x"}}, name="echo")
    headers |= {"content-type": "application/json", "accept": ACCEPT, "authorization": f"Bearer {ward.key}"}
    again = (name, headers[name.lower()])
    heard = talk(ward.port, request(ward.port, "POST", "/mcp", [*headers.items(), again], json.dumps(body).encode()))
    assert heard.statuses == [400]
    assert heard.answers[0].json()["error"]["code"] == -32020


def test_attack_59_a_modern_body_is_not_run_by_the_rules_of_an_older_revision(ward: Ward):
    """Trap T1: leave the version header out, and a legacy leg would run the body with fewer checks."""
    body, _ = modern_request("tools/call", {"name": "echo", "arguments": {"text": "x"}})
    for version in (None, LEGACY, "2025-06-18", "2025-03-26"):
        for more in ({}, {"mcp-session-id": session(ward)}):
            headers = more | {"authorization": f"Bearer {ward.key}"}
            if version is not None:
                headers["mcp-protocol-version"] = version
            response = ward.post(body, headers=headers)
            assert response.status_code == 400
            assert response.json()["error"]["code"] == -32020


def test_attack_59_the_name_may_be_wrapped_as_the_specification_says(ward: Ward):
    assert ward.call("echo", {"text": "x"}, headers={"mcp-name": wrapped("echo")}).status_code == 200


@pytest.fixture
def known(ward: Ward) -> Iterator[Known]:
    with Known(ward) as known:
        yield known


@pytest.mark.parametrize("mismatch", MISMATCHES)
def test_attack_59_a_connection_that_is_known_is_not_trusted_more_than_a_new_one(known: Known, mismatch: str):
    body, headers = modern_request("tools/call", {"name": "wipe", "arguments": {"what": mismatch}}, name="wipe", id=59)
    headers = {name: value for name, value in (headers | MISMATCHES[mismatch]).items() if value is not None}
    for _ in range(3):
        answer = known.said(body, headers)
        assert (answer.status, answer.json()["error"]["code"], answer.json()["id"]) == (400, -32020, 59)
    assert not (known.ward.folder / "wiped.txt").exists()


@pytest.mark.parametrize("name", [None, 0, True, ["echo"], {"echo": 1}, "wipe", "Echo", "echo ", ""], ids=repr)
@pytest.mark.parametrize("head", ["the good call's", "one of its own", "a legacy one", "none"])
def test_attack_59_no_other_name_agrees_with_a_head_that_is_known(known: Known, name: object, head: str):
    body, headers = modern_request("tools/call", call_of(name), name="echo", id=59)
    match head:
        case "one of its own":
            headers["mcp-name"] = "other"
        case "a legacy one":
            headers |= {"mcp-protocol-version": LEGACY, "mcp-method": "resources/read"}
        case "none":
            headers = {}
    first, *others = [known.said(body, headers) for _ in range(4)]
    assert first.status == 400
    assert [other.body for other in others] == [first.body] * 3
    assert known.said(*modern_request("tools/call", call_of("echo"), name="echo")).status == 200


def test_attack_59_every_one_of_them_is_on_record(tmp_path: Path):
    """At a site of its own: of a caller's many refusals in a minute five are whole rows."""
    body, headers = modern_request("tools/call", call_of(None), name="echo", id=59)
    with serving(tmp_path / "site") as ward:
        for _ in range(4):
            assert ward.post(body, headers=headers | bearer(ward.key)).status_code == 400
        until(lambda: len(ward.records("--reason", "params-invalid")) == 4)


# ---- 60, 61: sessions ----------------------------------------------------------------------------------------------


def initialize(ward: Ward, key: str | None = None, path: str = "/mcp") -> httpx2.Response:
    params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    return ward.post(body, path=path, headers=bearer(ward.key if key is None else key))


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"} if key else {}


def session(ward: Ward, key: str | None = None, path: str = "/mcp") -> str:
    return initialize(ward, key, path).headers["mcp-session-id"]


def ping(ward: Ward, token: str, key: str | None = None, path: str = "/mcp") -> httpx2.Response:
    headers = {"mcp-session-id": token, "mcp-protocol-version": LEGACY} | bearer(ward.key if key is None else key)
    return ward.post({"jsonrpc": "2.0", "id": 2, "method": "ping"}, path=path, headers=headers)


def end(ward: Ward, token: str, key: str, path: str = "/mcp") -> httpx2.Response:
    with ward.client() as client:
        return client.delete(path, headers={"mcp-session-id": token} | bearer(key))


def test_attack_60_a_session_of_one_caller_is_unknown_to_every_other(street):
    ward = street.ward
    another = ward.create_key("demo", name="another")
    tokens = {
        "key": session(ward, street.demo_key, "/demo/mcp"),
        "other server": session(ward, street.other_key, "/other/mcp"),
        "public": session(ward, "", "/open/mcp"),
        "unlisted": session(ward, "", street.hidden_path),
    }
    doors = {
        "key": (street.demo_key, "/demo/mcp"),
        "another key": (another, "/demo/mcp"),
        "other server": (street.other_key, "/other/mcp"),
        "public": ("", "/open/mcp"),
        "unlisted": ("", street.hidden_path),
    }
    for _ in range(100):  # the new key is known within a second
        if initialize(ward, another, "/demo/mcp").status_code == 200:
            break
    for whose, token in tokens.items():
        for door, (key, path) in doors.items():
            response = ping(ward, token, key, path)
            assert response.status_code == (200 if door == whose else 404), (whose, door)
            if door != whose:
                assert response.json()["error"]["data"]["reason"] == "session-unknown"
                assert end(ward, token, key, path).status_code == 404
        assert ping(ward, token, *doors[whose]).status_code == 200  # no stranger ended it


def test_attack_60_a_session_that_was_ended_is_as_unknown_as_one_that_never_was(ward: Ward):
    token = session(ward)
    assert ping(ward, token).status_code == 200
    assert end(ward, token, ward.key).status_code in (200, 202, 204)
    never = token[:-1] + ("A" if token[-1] != "A" else "B")
    assert ping(ward, token).status_code == ping(ward, never).status_code == 404
    assert ping(ward, token).content == ping(ward, never).content


def test_attack_60_answers_of_parallel_callers_with_equal_ids_never_swap(ward: Ward):
    """Source: CVE-2026-25536: responses routed only by JSON-RPC id."""
    other = ward.create_key(name="second")

    async def one(client: httpx2.AsyncClient, key: str, at: int) -> bool:
        text = f"{key[-6:]}-{at}"
        body, headers = modern_request("tools/call", {"name": "echo", "arguments": {"text": text}}, name="echo", id=1)
        headers |= {"content-type": "application/json", "accept": ACCEPT} | bearer(key)
        response = await client.post("/mcp", content=json.dumps(body).encode(), headers=headers)
        return response.status_code == 401 or text_of(response) == text

    async def all_of_them() -> list[bool]:
        async with httpx2.AsyncClient(base_url=ward.base, timeout=20) as client:
            return await asyncio.gather(*(one(client, key, at) for at in range(100) for key in (ward.key, other)))

    assert all(asyncio.run(all_of_them()))


def test_attack_61_changed_and_made_up_session_ids_are_never_a_hit(ward: Ward):
    """A bounded sample: every character of a real one changed to every neighbour, and 2,000 of the right shape."""
    real = session(ward)
    letters = string.ascii_letters + string.digits + "-_"
    guesses = [real[:at] + letters[(letters.index(real[at]) + 1) % 64] + real[at + 1 :] for at in range(len(real))]
    guesses += [real + "A", real[:-1], real[1:], real + "=", real.swapcase(), real[::-1], "A" * len(real), "1", "null"]
    guesses += ["".join(letters[(at * 40503 + n * 9973 + 7) % 64] for n in range(len(real))) for at in range(2000)]
    guesses += ["x" * 30_000, "\t", "../../x", "' OR 1=1--", "\u00e9" * 20]
    statuses: Counter[int] = Counter()
    headers = [("Authorization", f"Bearer {ward.key}"), ("Content-Type", "application/json"), ("Accept", ACCEPT)]
    with connect(ward.port) as wire:
        for guess in guesses:
            data = request(
                ward.port,
                "POST",
                "/mcp",
                [*headers, ("Mcp-Session-Id", guess)],
                b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}',
            )
            wire.sendall(data)
            received = b""
            while not (found := parse(received)[0]):
                received += wire.recv(65536)
            statuses[found[0].status] += 1
    assert statuses == {404: len(guesses)}
    assert ping(ward, real).status_code == 200


def test_attack_61_a_stale_session_id_counts_against_nobody_and_a_flood_of_guesses_against_its_caller(tmp_path):
    with serving(
        tmp_path / "site", '[limits]\nauth_failures = "10/minute"\nrequests = "40/hour"\n', start=False
    ) as ward:
        ward.key, other = ward.create_key(), ward.create_key(name="other")
        ward.start()
        statuses = [ping(ward, f"guess{at}").status_code for at in range(45)]
        assert statuses == [404] * 40 + [429] * 5
        assert ward.call("echo", {"text": "x"}, key=other).status_code == 200
        assert ward.call("echo", {"text": "x"}, key="wrong").status_code == 401


# ---- 62: ids again -------------------------------------------------------------------------------------------------


def test_attack_62_a_request_id_may_come_again_and_is_a_request_of_its_own(ward: Ward):
    """Finished ids are not remembered, so they cannot be replayed for a stored answer: each is judged and run anew."""
    first = ward.call("echo", {"text": "first"}, id="same")
    second = ward.call("echo", {"text": "second"}, id="same")
    assert (text_of(first), text_of(second)) == ("first", "second")
    refused = ward.call("echo", {"text": "third"}, id="same", key="wrong")
    assert refused.status_code == 401
    assert b"first" not in refused.content


def test_attack_62_one_id_in_parallel_and_a_number_beside_its_text_get_their_own_answers(ward: Ward):
    """Trap T22: ``1`` and ``"1"`` are two ids."""

    async def one(client: httpx2.AsyncClient, id: int | str, at: int) -> bool:
        body, headers = modern_request(
            "tools/call", {"name": "echo", "arguments": {"text": f"{at}"}}, name="echo", id=id
        )
        headers |= {"content-type": "application/json", "accept": ACCEPT} | bearer(ward.key)
        response = await client.post("/mcp", content=json.dumps(body).encode(), headers=headers)
        answer = response.json()
        return answer["id"] == id and type(answer["id"]) is type(id) and text_of(response) == f"{at}"

    async def all_of_them() -> list[bool]:
        async with httpx2.AsyncClient(base_url=ward.base, timeout=20) as client:
            return await asyncio.gather(*(one(client, id, at) for at in range(60) for id in (1, "1")))

    assert all(asyncio.run(all_of_them()))


def test_attack_62_a_replayed_destructive_call_is_charged_and_recorded_again(tmp_path):
    with serving(tmp_path / "site", start=False) as ward:
        key = ward.create_key(name="wiper", **{"class": "destructive"})
        ward.start()
        for _ in range(3):
            assert ward.call("wipe", {"what": "x"}, key=key, id=5).status_code == 200
        ward.stop()
        done = [record for record in ward.records() if record["tool"] == "wipe" and record["status"] == 200]
        assert len(done) == 3
        assert (tmp_path / "site" / "wiped.txt").read_text() == "x\n" * 3
