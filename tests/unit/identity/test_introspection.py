import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any

import pytest
from msgspec.structs import replace

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.secret import Secret
from mcpward.egress.client import Client
from mcpward.egress.guard import Guard
from mcpward.identity.jwt.claims import Claims
from mcpward.identity.jwt.compact import MOST_TOKEN_BYTES
from mcpward.identity.jwt.errors import TokenRefused
from mcpward.identity.jwt.issuer_rules import IssuerRules
from mcpward.identity.oauth.introspection import KEEP_S, IntrospectionClient, Introspector
from support.clock import ManualClock
from support.facts import facts_of
from support.mint import AUDIENCE, ISSUER, NOW
from support.outside import http
from support.publisher import CLIENT, Publisher, publisher

RULES = IssuerRules(issuer=ISSUER, audience=AUDIENCE)
GOOD = {
    "active": True,
    "sub": "ann",
    "aud": AUDIENCE,
    "client_id": "desk",
    "scope": "orders:read",
    "exp": NOW + 300,
    "token_type": "Bearer",
}


class Site:
    def __init__(self, there: Publisher, client: Client) -> None:
        self.there, self.clock = there, ManualClock(NOW)
        self.introspector = Introspector("main", client, self.clock)
        url = f"http://127.0.0.1:{there.port}/introspect"
        self.introspector.asker = IntrospectionClient(url=url, client_id=CLIENT[0], client_secret=Secret(CLIENT[1]))
        self.there.tokens["good"] = GOOD

    @property
    def questions(self) -> int:
        return self.there.seen["/introspect"]

    async def ask(self, token: str = "good", rules: IssuerRules = RULES) -> Claims:
        return await self.introspector.introspect(token.encode(), rules)


@asynccontextmanager
async def site(timeout_s: float = 5.0) -> AsyncIterator[Site]:
    client = Client(Guard([ip_network("127.0.0.0/8")]), timeout_s=timeout_s)
    async with publisher() as there:
        here = Site(there, client)
        try:
            yield here
        finally:
            await here.introspector.close()
            await client.close()


async def assert_out(here: Site, token: str = "good") -> None:
    with pytest.raises(Refusal) as refused:
        await here.ask(token)
    assert refused.value.reason is Reason.IDENTITY_UNAVAILABLE
    assert facts_of(refused.value)["retry_after_s"] > 0


async def test_the_provider_says_what_a_token_means():
    async with site() as here:
        claims = await here.ask()
        assert (claims.issuer, claims.subject, claims.client) == (ISSUER, "ann", "desk")
        assert claims.scopes == {"orders:read"}
        assert claims.expires_at == NOW + 300


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_the_house_shows_itself_in_the_way_that_the_provider_takes(method: str):
    async with site() as here:
        assert here.introspector.asker is not None
        here.introspector.asker = replace(here.introspector.asker, method=method)
        assert (await here.ask()).subject == "ann"
        here.introspector.asker = replace(here.introspector.asker, client_secret=Secret("wrong"))
        await assert_out(here, "another")


@pytest.mark.parametrize(
    "changed",
    [
        {"active": False},
        {"iss": ISSUER + "/"},
        {"iss": None},
        {"aud": None},
        {"aud": AUDIENCE + "/"},
        {"aud": [AUDIENCE + "2"]},
        {"aud": []},
        {"exp": NOW - 31},
        {"exp": "never"},
        {"exp": True},
        {"exp": None},
        {"nbf": NOW + 31},
        {"sub": None},
        {"sub": ""},
        {"sub": ["ann"]},
        {"token_type": "DPoP"},
        {"token_type": 7},
        {"cnf": {"jkt": "x"}},
        {"typ": "Refresh"},
        {"token_use": "id"},
        {"scope": {"orders:read": True}},
    ],
    ids=str,
)
async def test_what_the_provider_says_is_judged_as_a_signed_token_is(changed: dict[str, Any]):
    async with site() as here:
        said = GOOD | changed
        here.there.tokens["good"] = {name: value for name, value in said.items() if value is not None or name == "iss"}
        for _ in range(2):
            with pytest.raises(TokenRefused):
                await here.ask()
        assert here.questions == 1


async def test_20_one_answer_is_judged_for_each_server_by_its_own_rules():
    async with site() as here:
        assert (await here.ask()).subject == "ann"
        with pytest.raises(TokenRefused):
            await here.ask(rules=replace(RULES, audience=AUDIENCE + "/other"))
        assert here.questions == 1


@pytest.mark.parametrize(
    "answer",
    [
        http(b'{"active": "true", "sub": "ann"}'),
        http(b'{"active": 1, "sub": "ann"}'),
        http(b'{"active": null}'),
        http(b'{"sub": "ann"}'),
        http(b"[true]"),
        http(b"true"),
        http(b'{"active": false, "active": true}'),
        http(b'{"active": true}', 201),
        http(b'{"active": true}', 400),
        http(b'{"error": "invalid_client"}', 401),
        http(b'{"active": true}', 500),
        http(b'{"active": true}', 302, location="http://127.0.0.1/x"),
        http(b'{"active": true}', media="application/token-introspection+jwt"),
        http(b'{"active": true, "x": "' + b"x" * 70_000 + b'"}'),
        http(b"<html>"),
    ],
)
async def test_only_a_plain_yes_is_yes_and_only_a_plain_no_is_no(answer: bytes):
    async with site() as here:
        here.there.documents["/introspect"] = answer
        await assert_out(here)
        del here.there.documents["/introspect"]
        assert (await here.ask()).subject == "ann"


async def test_an_answer_is_believed_for_half_a_minute():
    async with site() as here:
        await here.ask()
        here.there.tokens["good"] = {"active": False}
        here.clock.advance(KEEP_S - 0.5)
        assert here.introspector.recall(b"good", RULES) is not None
        assert (await here.ask()).subject == "ann"
        here.clock.advance(0.5)
        assert here.introspector.recall(b"good", RULES) is None
        with pytest.raises(TokenRefused):
            await here.ask()
        assert here.questions == 2


async def test_18_an_answer_is_not_believed_beyond_the_tokens_own_end():
    async with site() as here:
        here.there.tokens["good"] = GOOD | {"exp": NOW + 5}
        await here.ask()
        here.clock.advance(5 + RULES.leeway_s - 10.5)
        assert (await here.ask()).subject == "ann"
        here.clock.shift_wall(10.5)
        with pytest.raises(TokenRefused):
            await here.ask()
        assert here.questions == 1


async def test_a_token_that_is_not_active_is_not_asked_about_again_and_again():
    async with site() as here:
        for _ in range(20):
            with pytest.raises(TokenRefused):
                await here.ask("made-up")
        assert here.questions == 1


async def test_a_token_that_was_active_is_not_asked_about_again_and_again_either():
    async with site() as here:
        await here.ask()
        here.there.tokens["good"] = {"active": False}
        here.clock.advance(KEEP_S)
        for _ in range(20):
            with pytest.raises(TokenRefused):
                await here.ask()
        assert here.questions == 2
        here.there.tokens["good"] = GOOD
        here.clock.advance(KEEP_S)
        assert (await here.ask()).subject == "ann"
        assert here.introspector.recall(b"good", RULES) is not None


async def test_everybody_who_shows_a_token_shares_one_question():
    async with site() as here:
        here.there.hold = asyncio.Event()
        first, *others = (asyncio.create_task(here.ask()) for _ in range(20))
        await here.there.asked("/introspect", 1)
        first.cancel()
        here.there.hold.set()
        assert {claims.subject for claims in await asyncio.gather(*others)} == {"ann"}
        assert here.questions == 1


async def test_23_a_storm_of_made_up_tokens_has_an_end_and_displaces_nobody():
    async with site() as here:
        await here.ask()
        here.there.hold = asyncio.Event()
        storm = [asyncio.create_task(here.ask(f"made-up-{number}")) for number in range(500)]
        await asyncio.sleep(0)
        assert (await asyncio.wait_for(here.ask(), 1)).subject == "ann"
        here.there.hold.set()
        said = await asyncio.gather(*storm, return_exceptions=True)
        assert sum(isinstance(each, TokenRefused) for each in said) == here.questions - 1 == 32
        assert {each.reason for each in said if isinstance(each, Refusal)} == {Reason.IDENTITY_UNAVAILABLE}


async def test_what_is_kept_is_bounded_in_number_and_time(monkeypatch):
    monkeypatch.setattr("mcpward.identity.oauth.introspection.MOST_KEPT", 60)
    async with site() as here:
        shelf = here.introspector._inactive
        for number in range(5):
            tokens = [f"made-up-{number}-{each}" for each in range(20)]
            await asyncio.gather(*map(here.ask, tokens), return_exceptions=True)
        assert len(shelf) == 60
        assert len(here.introspector._active) == 0
        here.clock.advance(KEEP_S)
        with pytest.raises(TokenRefused):
            await here.ask("made-up")
        assert len(shelf) == 1


async def test_what_is_kept_is_bounded_in_bytes(monkeypatch):
    monkeypatch.setattr("mcpward.identity.oauth.introspection.MOST_BYTES", 40_000)
    async with site() as here:
        for number in range(20):
            here.there.tokens[f"large-{number}"] = GOOD | {"groups": ["g" * 36 for _ in range(200)]}
            await here.ask(f"large-{number}")
        assert 1 < len(here.introspector._active) < 6
        here.there.tokens.clear()
        assert (await here.ask("large-19")).subject == "ann"
        with pytest.raises(TokenRefused):
            await here.ask("large-0")


async def test_25_a_provider_that_is_down_or_slow_is_an_outage_and_never_a_bad_token(caplog):
    async with site(timeout_s=0.2) as here:
        here.there.hold = asyncio.Event()
        await assert_out(here)
        here.there.hold.set()
        await here.there.die()
        await assert_out(here)
        await assert_out(here, "made-up")
        await here.there.open()
        assert (await here.ask()).subject == "ann"
        messages = [record.getMessage() for record in caplog.records]
        assert [message.partition(": ")[2].partition(" ")[0] for message in messages] == ["timeout", "unreachable", ""]
        assert all(record.levelno == logging.WARNING for record in caplog.records)


async def test_16_a_token_that_is_too_long_is_not_asked_about():
    async with site() as here:
        with pytest.raises(TokenRefused):
            await here.ask("x" * (MOST_TOKEN_BYTES + 1))
        assert here.questions == 0


async def test_before_it_is_known_where_to_ask_nobody_is_told_that_a_token_is_bad():
    async with site() as here:
        here.introspector.asker = None
        await assert_out(here)


async def test_neither_token_nor_secret_is_shown_or_kept(caplog):
    async with site() as here:
        here.there.tokens["t0ken-canary"] = GOOD | {"email": "canary@example.com"}
        await here.ask("t0ken-canary")
        here.there.documents["/introspect"] = http(b'{"error": "t0ken-canary"}', 400)
        await assert_out(here, "t0ken-canary-2")
        kept = here.introspector
        shown = f"{kept._active!r} {kept._inactive!r} {kept.asker!r} {vars(kept)!r} {caplog.text}"
        assert "canary" not in shown
        assert CLIENT[1] not in shown


async def test_closing_ends_the_questions_and_those_who_wait_are_told():
    async with site() as here:
        here.there.hold = asyncio.Event()
        asker = asyncio.create_task(here.ask())
        await here.there.asked("/introspect", 1)
        await here.introspector.close()
        with pytest.raises(Refusal):
            await asyncio.wait_for(asker, 5)
