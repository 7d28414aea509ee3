"""Why a credential was refused is in the record and in the log, with the key's id; its holder learns none of it."""

import asyncio
import json
from functools import partial
from typing import Any

import pytest

from mcpward.config.load import read
from mcpward.config.model import Settings
from mcpward.core.clock import SystemClock
from mcpward.identity.keys.api_key import PREFIX, checksum, issue, reissue
from mcpward.identity.keys.records import KeyRecord
from mcpward.operations.site import open_site
from support.ward import Ward
from support.wire import rows, site, until

CLOCK = SystemClock()


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    with site(tmp_path_factory.mktemp("refused"), servers=("bench", "notes")) as ward:
        yield ward


def id_of(key: str) -> str:
    return key[len(PREFIX) : len(PREFIX) + 12]


def refused(ward: Ward, **headers: str) -> tuple[int, str, list[str]]:
    """The status, the body and the names of the fields of a refusal."""
    answer = ward.post({}, path="/bench/mcp", headers=headers)
    assert answer.status_code == 401
    return answer.status_code, answer.text, sorted(answer.headers)


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def details(ward: Ward) -> set[str]:
    return {row["detail"] for row in rows(ward, "reason = 'credential-invalid'")}


def is_refused(ward: Ward, key: str) -> bool:
    return ward.post({}, path="/bench/mcp", headers=bearer(key)).status_code == 401


@pytest.fixture(scope="module")
def keys(ward):
    """Keys that open nothing at ``bench``, by the cause."""
    made = asyncio.run(make_keys(load(ward)))
    for cause in ("revoked", "rotated"):  # the worker may have seen them while they were good: it knows within a second
        until(partial(is_refused, ward, made[cause]))
    return made


def load(ward: Ward) -> Settings:
    return read(ward.folder / "mcpward.toml", {"MCPWARD_SITE__DATA": str(ward.folder / ".mcpward")}, {}, None).settings


async def make_keys(settings: Settings) -> dict[str, str]:
    now = CLOCK.now()
    async with open_site(settings, CLOCK) as opened:

        async def made(**more: Any) -> tuple[str, KeyRecord]:
            secret, record = issue(opened.pepper_keys, CLOCK, **{"name": "test", "servers": ["bench"]} | more)
            await opened.store.keys.add(record)
            return secret.reveal(), record

        revoked, rotated = await made(), await made()
        await opened.store.keys.revoke(revoked[1].id, now)
        await opened.store.keys.rotate(rotated[1].id, reissue(opened.pepper_keys, CLOCK, rotated[1])[1], now - 1)
        return {
            "revoked": revoked[0],
            "rotated": rotated[0],
            "expired": (await made(expires_at=now - 1))[0],
            "server": (await made(servers=["notes"]))[0],
            "network": (await made(networks=["203.0.113.0/24"]))[0],
        }


CAUSES = {
    "revoked": "the key was revoked at 20",
    "rotated": "the key was rotated, and its grace period ended at 20",
    "expired": "the key expired at 20",
    "server": "the key is for the server notes, not for bench",
    "network": "the key is for the network 203.0.113.0/24, and the caller is not in it",
}


@pytest.mark.parametrize("cause", CAUSES)
def test_the_cause_for_which_a_known_key_is_refused_is_in_the_record_and_the_log(ward, keys, cause):
    key = keys[cause]
    refused(ward, **bearer(key))
    row = until(lambda: rows(ward, "reason = 'credential-invalid' AND key_id = ?", id_of(key)))[-1]
    assert row["detail"].startswith(CAUSES[cause])
    assert (row["principal"], row["outcome"]) == (None, "refused")
    until(lambda: f"key {id_of(key)} was refused at 'bench', from '127.0.0.1': {CAUSES[cause]}" in ward.log())


def test_whoever_shows_only_an_id_is_not_put_on_record_as_its_key(ward, keys):
    body = f"{PREFIX}{id_of(keys['server'])}_{'A' * 43}"
    refused(ward, **bearer(body + checksum(body)))
    said = f"the id is that of key {id_of(keys['server'])}, but the secret is not"
    until(lambda: said in details(ward))
    assert not rows(ward, "detail = ? AND key_id IS NOT NULL", said)


@pytest.mark.parametrize(
    "headers,said",
    [
        (bearer(f"{PREFIX}{'x' * 12}_{'y' * 20}"), f"a mistyped or cut key, whose id would be {'x' * 12}"),
        (bearer("hunter2-of-another-product"), "it is no API key, which begins with sk-mcpward-"),
        ({"authorization": "hunter2-without-scheme"}, "Authorization has no scheme: Bearer stands before the key"),
        ({"authorization": "Basic aHVudGVyMg=="}, "the scheme of Authorization is Basic, not Bearer"),
        ({"authorization": "Bearer"}, "nothing follows Bearer"),
        ({"x-api-key": "hunter2 with blanks"}, "X-API-Key has characters that no key has"),
    ],
)
def test_what_is_wrong_with_a_malformed_credential_is_said_and_the_credential_is_not(ward, headers, said):
    refused(ward, **headers)
    until(lambda: f"malformed: {said}" in details(ward))
    until(lambda: f"malformed: {said}" in ward.log())
    assert "hunter2" not in json.dumps(rows(ward), default=str) + ward.log()
    assert "aHVudGVyMg" not in json.dumps(rows(ward), default=str) + ward.log()


def test_every_cause_is_one_answer_to_the_caller(ward, keys):
    body = f"{PREFIX}{'z' * 12}_{'A' * 43}"
    shown = [*keys.values(), body + checksum(body), f"{body}000000", "hunter2"]
    answers = {json.dumps(refused(ward, **bearer(key))) for key in shown}
    answers |= {json.dumps(refused(ward, authorization=key)) for key in ("Basic aHVudGVyMg==", "none")}
    assert len(answers) == 1


def test_a_refused_key_that_comes_again_and_again_is_one_line_in_the_log_and_keeps_its_id(ward, keys):
    before = ward.log().count(f"key {id_of(keys['network'])} was refused")
    for _ in range(20):
        refused(ward, **bearer(keys["network"]))
    assert ward.log().count(f"key {id_of(keys['network'])} was refused") <= before + 1
