"""Opaque tokens: whatever the provider's introspection endpoint says (RFC 7662), only a clear yes for us opens.

Attacks 18-20, 25 and 31 by way of the answer instead of the token. A clear no is 401; what is neither is an outage.
"""

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from support.guarded import Door, guarded, issuers, oauth_server, send
from support.issuer import Canary, Document, Issuer, listening
from support.load import Crowd, show, statuses
from support.tokens import ABSENT
from support.ward import Ward

ASK = "/introspect"
SECRET = "the secret that the house shows to its provider"
_numbers = count()


class Office:
    """A site that asks, and a provider that says what a test wants."""

    def __init__(self, ward: Ward, issuer: Issuer) -> None:
        self.door = Door(ward)
        self.issuer = issuer

    def answer(self, **changes: Any) -> dict[str, Any]:
        """A good answer, changed."""
        return {"active": True} | self.issuer.mint(self.door.resource).claims(**changes)

    def knock(self, document: Any, **headers: Any) -> int:
        """Show a token that was never seen, while the provider says this; give the status."""
        self.issuer.documents[ASK] = document if isinstance(document, Document) else Document(document, **headers)
        return self.door.knock(fresh()).status


def fresh() -> str:
    return f"opaque-{next(_numbers):036d}"


@pytest.fixture(scope="module")
def _office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    issuer = Issuer()
    trusted = issuers(main=issuer.metadata)
    trusted += 'introspection = true\nclient_id = "mcpward"\nclient_secret = "env:PROVIDER_SECRET"\n'
    folder = tmp_path_factory.mktemp("opaque") / "site"
    servers = oauth_server("demo", "main")
    with listening(issuer), guarded(folder, servers, trusted, env={"PROVIDER_SECRET": SECRET}) as ward:
        yield Office(ward, issuer)


@pytest.fixture
def office(_office: Office) -> Iterator[Office]:
    yield _office
    assert _office.knock(_office.answer()) == 200
    assert SECRET not in _office.door.ward.log()


def test_a_clear_yes_for_this_server_opens(office: Office):
    assert office.knock(office.answer()) == 200
    assert office.knock(office.answer(iss=ABSENT)) == 200  # RFC 7662 §2.2: it may be left out
    assert office.knock(office.answer(token_type="bearer")) == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"active": False}, {"aud": "https://else.where/mcp"}, {"aud": ABSENT}, {"aud": []}, {"iss": "https://else.where"},
        {"exp": 1}, {"exp": ABSENT}, {"exp": "9999999999"}, {"exp": True}, {"nbf": 9999999999},
        {"sub": ABSENT}, {"sub": 1},
        {"sub": ""}, {"cnf": {"jkt": "x"}}, {"cnf": None}, {"token_type": "DPoP"}, {"token_type": "mac"},
        {"token_type": 1},
        {"scope": 1}, {"client_id": 1},
    ],
    ids=str,
)  # fmt: skip
def test_attack_20_an_answer_for_somebody_else_or_about_a_bad_token_is_a_no(office: Office, changes: dict[str, Any]):
    """Also attacks 17, 18, 19 and 31. The rest of the answer is good; the refusal is that of all bad tokens."""
    active = changes.get("active", True)
    said = office.answer(**{name: value for name, value in changes.items() if name != "active"}) | {"active": active}
    office.issuer.documents[ASK] = Document(said)
    office.door.require_refused(fresh())


@pytest.mark.parametrize(
    "said",
    [
        {"active": "true"}, {"active": 1}, {"active": None}, {"active": []}, {}, [], "active", True, None,
        b"", b"{", b"<html>", b'{"active":true,"active":true}', b"\xff",
    ],
    ids=repr,
)  # fmt: skip
def test_attack_25_an_answer_that_is_neither_yes_nor_no_is_an_outage(office: Office, said: Any):
    """Never a bad token, and above all never a good one."""
    body = office.answer() | said if isinstance(said, dict) else said
    if said == {}:
        del body["active"]
    assert office.knock(body) == 503


@pytest.mark.parametrize("status", [201, 204, 301, 302, 307, 400, 401, 403, 404, 429, 500, 503])
def test_attack_25_a_provider_that_does_not_say_is_an_outage(office: Office, status: int):
    """Also one that does not know the site (401), and one that redirects it: mcpward calls no other host."""
    canary = Canary()
    try:
        headers = {"content-type": "application/json", "location": canary.url}
        assert office.knock(Document(b"" if status == 204 else office.answer(), status, headers)) == 503
        assert canary.connections == 0
    finally:
        canary.close()


def test_attack_25_a_provider_that_is_slow_about_one_token_holds_up_nobody_else(office: Office):
    known = fresh()
    office.issuer.documents[ASK] = Document(office.answer())
    assert office.door.knock(known).status == 200
    office.issuer.documents[ASK] = Document(office.answer(), delay_s=4.0)
    message = office.door.message(lines=[("Authorization", f"Bearer {known}")])
    with Crowd(office.door.ward.port, lambda _: message, per_s=40) as crowd:
        started = time.monotonic()
        assert office.door.knock(fresh()).status == 503
        took = time.monotonic() - started
    show(
        f"a token that the provider is silent about was told 503 after {took:.2f} s; meanwhile {statuses(crowd.seen())}"
    )
    assert took < 4
    assert statuses(crowd.seen()).keys() == {200}
    assert max(one.seconds for one in crowd.seen()) < 1


def test_the_house_shows_itself_to_the_provider_and_the_token_to_nobody_else(office: Office):
    before = len(office.issuer.received)
    token = fresh()
    office.issuer.documents[ASK] = Document(office.answer())
    assert office.door.knock(token).status == 200
    (asked,) = office.issuer.received[before:]
    assert (asked.verb, asked.path) == ("POST", ASK)
    assert asked.headers["authorization"].startswith("Basic ")
    assert token.encode() in asked.body
    for path in Path(office.door.ward.folder).rglob("*"):
        if path.is_file():
            assert token.encode() not in path.read_bytes(), path


def test_attack_23_made_up_opaque_tokens_cost_the_provider_one_question_each_and_callers_nothing(office: Office):
    known = fresh()
    office.issuer.documents[ASK] = Document(office.answer())
    assert office.door.knock(known).status == 200
    office.issuer.documents[ASK] = Document({"active": False}, delay_s=0.05)
    good = office.door.message(lines=[("Authorization", f"Bearer {known}")])
    same = office.door.message(lines=[("Authorization", f"Bearer {fresh()}")])
    before = office.issuer.asked(ASK)
    with Crowd(office.door.ward.port, lambda _: good, callers=2, per_s=40) as callers:
        with Crowd(office.door.ward.port, lambda _: same, callers=4, per_s=200) as flood:
            time.sleep(2)
        assert statuses(flood.seen()).keys() == {401}
        assert office.issuer.asked(ASK) == before + 1
    assert statuses(callers.seen()).keys() == {200}


def test_attack_40_good_tokens_are_served_whatever_fails_beside_them_and_nobody_is_asked_about_more(tmp_path: Path):
    """Failures of an address decide the answer to the next failure, and whether the provider is asked."""
    issuer = Issuer()
    trusted = issuers(main=issuer.metadata)
    trusted += 'introspection = true\nclient_id = "mcpward"\nclient_secret = "env:PROVIDER_SECRET"\n'
    limits = '[limits]\nauth_failures = "5/hour"\nrequests = "1000000/minute"\n'
    servers, env = oauth_server("demo", "main"), {"PROVIDER_SECRET": SECRET}
    with listening(issuer), guarded(tmp_path / "site", servers, trusted, toml=limits, env=env) as ward:
        office = Office(ward, issuer)
        signed, opaque = issuer.mint(office.door.resource).token(), fresh()
        issuer.documents[ASK] = Document(office.answer())
        assert [office.door.knock(token).status for token in (signed, opaque)] == [200, 200]
        assert [office.knock({"active": False}) for _ in range(8)] == [401] * 5 + [429] * 3
        assert [office.door.knock(token).status for token in (signed, opaque) * 3] == [200] * 6
        assert office.door.knock(issuer.mint(office.door.resource).token(jti="another")).status == 200
        assert office.knock(office.answer()) == 429  # a token that only the provider knows
        assert office.door.knock("eyJ.not.signed").status == 429
        assert issuer.asked(ASK) == 6


@pytest.mark.parametrize("before", ["", "Basic ", "Basic eDp5 ", "Bearer a ", 'Digest a="b", ', "Bearer\t"])
def test_attack_32_a_token_that_is_known_has_one_spelling_too(office: Office, before: str):
    token = fresh()
    office.issuer.documents[ASK] = Document(office.answer())
    assert office.door.knock(token).status == 200
    message = office.door.message(lines=[("Authorization", f"{before}{token}")])
    assert send(office.door.ward.port, message).status == 401
