"""People and programs with tokens of a real identity provider, at the shipped process and at the orders example."""

import json
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support.guarded import Door, guarded, issuers, oauth_server
from support.issuer import Issuer, listening
from support.ports import free_port
from support.provider import ALGORITHMS, SECRET, Provider, providing
from support.tokens import signer, unb64
from support.ward import Ward
from support.wire import until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

FIRST, SECOND = "ben.berg.1@example.com", "chen.costa.2@example.com"
ACCOUNTS = {
    "ada": {"email": "ada@example.com", "name": "Ada", "groups": ["admins"], "salary": 1},
    "ben": {"email": "ben@example.com", "name": "Ben", "groups": ["people"], "salary": 2},
    FIRST: {"email": FIRST, "name": "First"},
    SECOND: {"email": SECOND, "name": "Second"},
}
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "orders"
YEAR = [(f"2026-{month:02}-01T00:00:00Z", f"2026-{month + 1:02}-28T00:00:00Z") for month in range(1, 12, 2)]


@pytest.fixture(scope="module")
def provider(node: Path) -> Iterator[Provider]:
    with providing(accounts=ACCOUNTS) as provider:
        yield provider


@pytest.fixture(scope="module")
def door(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    more = '[servers.demo.oauth.permissions]\n"group:admins" = { access = "destructive", scopes = ["demo:write"] }\n'
    servers = oauth_server("demo", "main", mode='["oauth", "api-key"]', more=more)
    folder = tmp_path_factory.mktemp("users") / "site"
    with guarded(folder, servers, issuers(main=provider.metadata)) as ward:
        yield Door(ward)


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_person_gets_in_with_each_algorithm(door: Door, provider: Provider, alg: str):
    who = door.who(provider.token("ben", door.resource, client=f"app-{alg}"))
    assert who == {
        "subject": "ben", "issuer": provider.issuer, "client": f"app-{alg}", "scopes": ["demo:read"], "way": "oauth",
        "claims": {"email": "ben@example.com", "name": "Ben"},
    }  # fmt: skip


def test_a_program_gets_in_as_itself(door: Door, provider: Provider):
    who = door.who(provider.machine_token(door.resource))
    assert (who["subject"], who["client"]) == ("machine-RS256", "machine-RS256")


def test_people_programs_and_keys_share_a_server(door: Door, provider: Provider):
    key = door.ward.create_key("demo", name="machine")
    until(lambda: door.lets_in(key), pause_s=0.1)
    assert [door.who(one)["way"] for one in (provider.token("ben", door.resource), key)] == ["oauth", "api-key"]


def test_a_group_opens_what_the_operator_says(door: Door, provider: Provider):
    ada, ben = (provider.token(name, door.resource) for name in ("ada", "ben"))
    assert door.knock(ada, "wipe", {"what": "x"}).status == 200
    assert door.knock(ada, "store", {"value": "x"}).status == 200
    assert door.knock(ben, "wipe", {"what": "x"}).status == 400
    assert door.knock(ben, "store", {"value": "x"}).status == 403


def test_an_id_token_of_the_provider_opens_nothing(door: Door, provider: Provider):
    given = provider.tokens("ben", door.resource, "openid demo:read")
    assert door.lets_in(given["access_token"])
    for other in ("id_token", "refresh_token"):
        door.require_refused(given[other])


def test_a_token_for_another_resource_opens_nothing(door: Door, provider: Provider):
    for resource in (f"{door.ward.base}/other/mcp", door.ward.base, f"{door.resource}/", "http://127.0.0.1:1/mcp"):
        door.require_refused(provider.token("ben", resource))


def test_attack_31_a_token_that_the_provider_bound_to_a_key_is_no_bearer_token(door: Door, provider: Provider):
    bound = provider.machine_token(door.resource, bound_to=signer("ES256", "of-the-client"))
    assert json.loads(unb64(bound.split(".")[1]))["cnf"].keys() == {"jkt"}
    door.require_refused(bound)
    assert door.knock(None, lines=[("Authorization", f"DPoP {bound}")]).status == 401


def test_the_record_says_who_called_and_not_with_what(door: Door, provider: Provider):
    token = provider.token("ben", door.resource)
    door.who(token)
    records = door.ward.records()
    assert any("ben" in json.dumps(record) for record in records)
    assert token.split(".")[2] not in json.dumps(records)


# ---- opaque tokens ----


@pytest.fixture
def opaque(node: Path, tmp_path: Path) -> Iterator[tuple[Door, Provider]]:
    """A provider whose tokens for this server mean nothing by themselves."""
    port = free_port()
    resource = f"http://127.0.0.1:{port}/mcp"
    with providing(accounts=ACCOUNTS, formats={resource: "opaque"}) as provider:
        trusted = issuers(main=provider.metadata)
        trusted += 'introspection = true\nclient_id = "mcpward"\nclient_secret = "env:PROVIDER_SECRET"\n'
        with guarded(
            tmp_path / "site", oauth_server("demo", "main"), trusted, env={"PROVIDER_SECRET": SECRET}, start=False
        ) as ward:
            config = ward.folder / "mcpward.toml"
            config.write_text(config.read_text().replace(f"127.0.0.1:{ward.port}", f"127.0.0.1:{port}"))
            ward.port, ward.base = port, f"http://127.0.0.1:{port}"
            ward.start()
            yield Door(ward), provider


def test_an_opaque_token_is_asked_about_once_and_means_what_the_provider_says(opaque: tuple[Door, Provider]):
    door, provider = opaque
    token = provider.token("ben", door.resource)
    assert token.count(".") == 0
    before = provider.asked["POST /token/introspection"]
    for _ in range(5):
        who = door.who(token)
    assert provider.asked["POST /token/introspection"] == before + 1
    assert (who["subject"], who["issuer"], who["scopes"]) == ("ben", provider.issuer, ["demo:read"])
    assert door.knock(token, "store", {"value": "x"}).status == 403


def test_opaque_tokens_that_are_made_up_foreign_or_withdrawn_are_refused_alike(opaque: tuple[Door, Provider]):
    door, provider = opaque
    good = provider.token("ben", door.resource)
    withdrawn = provider.token("ben", door.resource)
    with httpx2.Client(verify=False) as http:
        form = {"token": withdrawn, "client_id": "app-RS256"}
        assert http.post(f"{provider.issuer}/token/revocation", data=form).status_code == 200
    foreign = provider.tokens("ben", door.resource, "openid demo:read")["refresh_token"]
    for token in ("A" * 43, good[:-1] + ("A" if good[-1] != "A" else "B"), withdrawn, foreign):
        door.require_refused(token)
    assert door.lets_in(good)


def test_attack_31_an_opaque_token_that_is_bound_to_a_key_is_no_bearer_token(opaque: tuple[Door, Provider]):
    door, provider = opaque
    door.require_refused(provider.machine_token(door.resource, bound_to=signer("ES256", "of-the-client")))
    assert door.lets_in(provider.token("ben", door.resource))


def test_an_opaque_token_whose_subject_the_provider_does_not_tell_names_nobody(opaque: tuple[Door, Provider]):
    """This provider names the client of a program and no subject. A client's id is not taken for one: who registers
    clients could choose that of a person (RFC 9068 §5).
    """
    door, provider = opaque
    door.require_refused(provider.machine_token(door.resource))


def test_while_the_provider_cannot_be_asked_opaque_tokens_are_an_outage(opaque: tuple[Door, Provider]):
    door, provider = opaque
    known, unseen = provider.token("ben", door.resource), provider.token("ada", door.resource)
    assert door.lets_in(known)
    provider.kill()
    assert door.lets_in(known)
    answer = door.knock(unseen)
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "www-authenticate" not in answer.headers
    provider.start()
    until = time.monotonic() + 15  # it has forgotten its tokens: now it can say so
    while (status := door.knock(unseen).status) != 401:
        assert status == 503
        assert time.monotonic() < until
        time.sleep(0.1)


# ---- several providers ----


def test_two_providers_on_one_server_are_kept_apart(provider: Provider, tmp_path: Path):
    other = Issuer()
    trusted = issuers(main=provider.metadata, other=other.metadata)
    with listening(other), guarded(tmp_path / "site", oauth_server("demo", "main", "other"), trusted) as ward:
        door = Door(ward)
        ours = door.who(provider.token("ben", door.resource))
        theirs = door.who(other.mint(door.resource, subject="ben").token())
        assert (ours["issuer"], theirs["issuer"]) == (provider.issuer, other.issuer)
        other.stop()
        try:
            assert door.lets_in(provider.token("ada", door.resource))
        finally:
            other.reopen()


# ---- the orders example ----


@pytest.fixture(scope="module")
def shop(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The example in OAuth mode, as it is shipped but for its address and its provider's."""
    folder = tmp_path_factory.mktemp("shop") / "orders"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("*.db", ".mcpward", "__pycache__"))
    ward = Ward(folder, free_port(), free_port())
    text = (folder / "mcpward.oauth.toml").read_text()
    text, found = re.subn(r'^(metadata\s*=\s*)".*"', rf'\1"{provider.metadata}"', text, flags=re.MULTILINE)
    assert found == 1
    text = re.sub(r"^listen\s*=.*$", f'listen = "127.0.0.1:{ward.port}"', text, flags=re.MULTILINE)
    text = re.sub(r"^public_url\s*=.*$", f'public_url = "{ward.base}"', text, flags=re.MULTILINE)
    if "[egress]" not in text:
        text += '\n[egress]\nallow = ["127.0.0.0/8"]\n'
    (folder / "mcpward.toml").write_text(text)
    try:
        yield Door(ward.start())
    finally:
        ward.stop()


def orders(shop: Door, token: str, **more: Any) -> list[dict[str, Any]]:
    """All orders of the year that one person sees, a hundred at most of each two months."""
    rows: list[dict[str, Any]] = []
    for start, end in YEAR:
        answer = shop.knock(token, "query_orders", {"from_date": start, "to_date": end, "limit": 100, **more})
        assert answer.status == 200, answer.raw
        result = answer.json()["result"]
        assert not result.get("isError"), result
        rows += result["structuredContent"]["result"]
    return rows


def owned(shop: Door, email: str) -> set[int]:
    with closing(sqlite3.connect(shop.ward.folder / "orders.db")) as db:
        query = "SELECT o.id FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.email = ?"
        return {row[0] for row in db.execute(query, (email,))}


def test_two_people_at_the_orders_example_see_their_own_orders_alone(shop: Door, provider: Provider):
    seen = {}
    for email in (FIRST, SECOND):
        rows = orders(shop, provider.token(email, shop.resource, "orders:read"))
        assert {row["customer"] for row in rows} == {email}
        seen[email] = {row["id"] for row in rows}
        assert seen[email] <= owned(shop, email)
        assert len(seen[email]) > 50
    assert not seen[FIRST] & seen[SECOND]


@pytest.mark.parametrize(
    "name", ["user", "customer", "subject", "caller", "email", "user_id", "customer_id", "sub", "is_staff"]
)
def test_naming_the_other_person_in_a_call_is_refused(shop: Door, provider: Provider, name: str):
    """The owner of the orders is no argument of the tool: an undeclared argument is refused, and named."""
    start, end = YEAR[0]
    token = provider.token(FIRST, shop.resource, "orders:read")
    for value in (SECOND, {"subject": SECOND}, True):
        answer = shop.knock(token, "query_orders", {"from_date": start, "to_date": end, name: value})
        result = answer.json()["result"]
        assert result["isError"]
        assert name in result["content"][0]["text"]
        assert SECOND not in answer.body.decode()


def test_somebody_the_shop_does_not_know_sees_nothing(shop: Door, provider: Provider):
    assert orders(shop, provider.token("stranger@example.com", shop.resource, "orders:read")) == []


def test_nobody_cancels_the_order_of_another(shop: Door, provider: Provider):
    with closing(sqlite3.connect(shop.ward.folder / "orders.db")) as db:
        query = "SELECT o.id, o.status FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.email = ?"
        before = db.execute(query, (SECOND,)).fetchall()
        paid = [number for number, status in before if status == "paid"]
        token = provider.token(FIRST, shop.resource, "orders:read orders:write")
        for number in paid[:3]:
            answer = shop.knock(token, "cancel_order", {"order_id": number})
            assert answer.status in {400, 403} or answer.json()["result"]["isError"]
        assert paid
        assert db.execute(query, (SECOND,)).fetchall() == before


def test_a_token_without_the_scope_is_told_which_one_it_needs(shop: Door, provider: Provider):
    answer = shop.knock(provider.token(FIRST, shop.resource, "openid"), "query_orders", {})
    assert answer.status in {401, 403}
    if answer.status == 403:
        assert "orders:read" in answer.headers["www-authenticate"]
