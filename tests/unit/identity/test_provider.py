import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any

import pytest
from msgspec.structs import replace

from mcpward.core.errors import Misconfigured, Refusal
from mcpward.core.reasons import Reason
from mcpward.core.secret import Secret
from mcpward.egress.client import Client
from mcpward.egress.guard import Guard
from mcpward.identity.jwt.issuer_rules import ANY, IssuerRules
from mcpward.identity.jwt.verify import check, peek
from mcpward.identity.oauth.provider import REFRESH_S, Provider, ProviderSettings
from support.clock import ManualClock
from support.mint import AUDIENCE, NOW, Mint
from support.outside import http
from support.publisher import CLIENT, Publisher, publisher

NEVER = 3600.0
NEW = Mint(name="b", kid="k2")


class Site:
    def __init__(self, there: Publisher, **changed: Any) -> None:
        self.there, self.clock = there, ManualClock(NOW)
        allow = changed.pop("allow", ["127.0.0.0/8"])
        tick_s = changed.pop("tick_s", NEVER)
        self.client = Client(Guard(list(map(ip_network, allow))), timeout_s=changed.pop("timeout_s", 5.0))
        settings = ProviderSettings(name="main", metadata=there.metadata_url, where="issuers.main.metadata")
        self.provider = Provider(replace(settings, **changed), self.client, self.clock, tick_s=tick_s)

    async def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            await self.provider.turn()

    async def lets_in(self, mint: Mint) -> bool:
        """As the holder of a token would be let in."""
        token = peek(mint.token(iss=self.provider.issuer))
        assert token.header.kid is not None
        await self.provider.wait_for(token.header.kid)
        keys = self.provider.keys
        assert keys is not None
        rules = IssuerRules(issuer=self.provider.issuer, audience=AUDIENCE)
        return token.header.kid in keys.kids and check(token, keys, rules, NOW).subject == "ann"


@asynccontextmanager
async def site(path: str = "/tenant", *, is_down: bool = False, **changed: Any) -> AsyncIterator[Site]:
    async with publisher(path) as there:
        here = Site(there, **changed)
        if is_down:
            await there.die()
        try:
            yield here
        finally:
            await here.provider.stop()
            await here.client.close()


async def findings(here: Site) -> list[str]:
    with pytest.raises(Misconfigured) as refused:
        await here.provider.start()
    assert all(finding.where == "issuers.main.metadata" for finding in refused.value.findings)
    return [finding.what for finding in refused.value.findings]


async def test_one_url_is_all_that_it_needs():
    async with site() as here:
        await here.provider.start()
        assert here.provider.is_ready
        assert here.provider.issuer == here.there.name
        assert here.provider.find("k1") is not None
        assert await here.lets_in(Mint())


async def test_only_its_own_issuer_is_its_to_judge():
    async with site(is_down=True) as here:
        name = here.there.name
        assert here.provider.speaks_for(name)
        assert here.provider.speaks_for(name + "/")  # the provider was not asked yet which of the two it is
        await here.there.open()
        here.there.announce(issuer=name + "/")
        await here.provider.start()
        assert here.provider.issuer == name + "/"
        assert here.provider.speaks_for(name + "/")
        assert not any(map(here.provider.speaks_for, [name, name + "//", name.upper(), name[:-1], name + "/x", ""]))


async def test_an_outside_issuer_stays_what_it_was_when_the_provider_was_seen_first(caplog):
    async with site() as here:
        here.there.announce(issuer="https://id.example.com/tenant")
        await here.provider.start()
        assert here.provider.issuer == "https://id.example.com/tenant"
        assert "write issuer" in caplog.text
        assert here.provider.document is not None
        here.there.announce(issuer="https://evil.example/tenant")
        await here.pass_time(int(REFRESH_S) + 5)
        assert here.provider.issuer == "https://id.example.com/tenant"
        assert b"evil" not in here.provider.document
        assert "evil.example" in caplog.text


async def test_before_it_was_seen_a_provider_speaks_for_the_issuer_that_the_operator_wrote_alone():
    async with site(is_down=True, issuer="https://id.example.com/tenant") as here:
        assert here.provider.issuer == "https://id.example.com/tenant"
        assert here.provider.speaks_for("https://id.example.com/tenant")
        assert not here.provider.speaks_for("https://id.example.com/tenant/")
        assert not here.provider.speaks_for(here.there.name)


async def test_every_piece_that_is_missing_is_named_before_the_house_opens():
    async with site() as here:
        here.there.announce(issuer="https://evil.example", jwks_uri=None, code_challenge_methods_supported=["plain"])
        said = " ".join(await findings(here))
        assert "'https://evil.example'" in said
        assert "jwks_uri is missing" in said
        assert "S256" in said


@pytest.mark.parametrize("url", ["https://id.example.com", "ftp://id.example.com/.well-known/openid-configuration", ""])
async def test_a_url_that_is_no_metadata_url_is_named_before_anything_is_sent(url: str):
    async with publisher() as there:
        with pytest.raises(Misconfigured) as refused:
            Site(there, metadata=url)
        assert "well-known" in refused.value.findings[0].hint


async def test_80_a_provider_on_a_network_that_was_not_allowed_is_a_finding():
    async with site(allow=[]) as here:
        (what,) = await findings(here)
        assert "address-refused" in what
        assert not here.there.seen


async def test_26_keys_at_an_address_that_was_not_allowed_are_not_fetched(caplog):
    async with site() as here:
        here.there.announce(jwks_uri="https://169.254.169.254/latest/meta-data/")
        await here.provider.start()
        assert not here.provider.is_ready
        assert "address-refused" in caplog.text
        with pytest.raises(Refusal) as refused:
            await here.provider.wait_for("k1")
        assert refused.value.reason is Reason.IDENTITY_UNAVAILABLE


async def test_25_a_provider_that_is_down_at_the_start_is_waited_for(caplog):
    async with site(is_down=True) as here:
        await here.provider.start()
        assert not here.provider.is_ready
        assert "the identity provider main cannot be used: unreachable" in caplog.text
        with pytest.raises(Refusal) as refused:
            await here.provider.wait_for("k1")
        assert refused.value.reason is Reason.IDENTITY_UNAVAILABLE
        await here.pass_time(10)
        assert len(caplog.records) == 1
        await here.there.open()
        await here.pass_time(5)
        assert here.provider.is_ready
        assert await here.lets_in(Mint())
        assert "can be used again" in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        http(b"", 404),
        http(b"{}", 503),
        http(b"<html>", media="text/html"),
        http(b"no"),
        http(b"{}", 301, location="/x"),
    ],
    ids=["404", "503", "html", "no json", "redirect"],
)
async def test_25_a_provider_that_answers_nonsense_at_the_start_is_waited_for(answer: bytes):
    async with site() as here:
        here.there.documents["/.well-known/oauth-authorization-server/tenant"] = answer
        await here.provider.start()
        assert not here.provider.is_ready
        here.there.announce()
        await here.pass_time(5)
        assert here.provider.is_ready


async def test_a_provider_that_comes_late_and_is_not_fit_lets_nobody_in(caplog):
    async with site(is_down=True) as here:
        await here.provider.start()
        here.there.announce(issuer="https://evil.example")
        await here.there.open()
        await here.pass_time(10)
        assert not here.provider.is_ready
        assert "evil.example" in caplog.text
        assert here.there.fetches == 0


async def test_26_poisoned_keys_at_the_start_are_an_outage_and_no_crash(caplog):
    async with site() as here:
        here.there.documents["/jwks"] = http(json.dumps({"keys": [{"kty": "oct", "k": "AAAA"}]}).encode())
        await here.provider.start()
        assert "symmetric-key" in caplog.text
        with pytest.raises(Refusal) as refused:
            await here.provider.wait_for("k1")
        assert refused.value.reason is Reason.IDENTITY_UNAVAILABLE
        here.there.publish(Mint())
        await here.pass_time(5)
        assert await here.lets_in(Mint())


async def test_the_metadata_is_read_again_each_hour_and_the_keys_follow_it():
    async with site() as here:
        await here.provider.start()
        here.there.documents["/other"] = http(json.dumps(NEW.document).encode())
        here.there.announce(jwks_uri=f"http://127.0.0.1:{here.there.port}/other")
        here.clock.advance(REFRESH_S - 1)
        await here.provider.turn()
        assert here.provider.find("k1") is not None
        here.clock.advance(1)
        await here.provider.turn()
        assert here.provider.find("k1") is None
        assert await here.lets_in(NEW)


async def test_metadata_that_has_gone_bad_changes_nothing(caplog):
    async with site() as here:
        await here.provider.start()
        here.there.announce(issuer="https://evil.example", jwks_uri="https://evil.example/jwks")
        for _ in range(3):
            here.clock.advance(REFRESH_S)
            await here.provider.turn()
        assert here.provider.issuer == here.there.name
        assert await here.lets_in(Mint())
        assert len(caplog.records) == 1


async def test_24_the_background_finds_a_rotated_key_without_being_called():
    async with site(tick_s=0.01) as here:
        await here.provider.start()
        assert not await here.lets_in(NEW)  # not published yet: a look in vain
        here.there.publish(NEW)
        assert not await here.lets_in(NEW)  # asked a moment ago
        here.clock.advance(5)
        await here.there.asked("/jwks", 3)
        assert await here.lets_in(NEW)


async def test_stopping_does_not_wait_for_a_provider_that_does_not_answer():
    async with site(tick_s=0.01) as here:
        await here.provider.start()
        here.there.hold = asyncio.Event()
        here.clock.advance(REFRESH_S)
        await here.there.asked("/.well-known/oauth-authorization-server/tenant", 2)
        await asyncio.wait_for(here.provider.stop(), 2)


async def test_the_background_survives_what_nobody_foresaw(caplog, monkeypatch):
    async with site(tick_s=0.001) as here:
        await here.provider.start()
        broken = asyncio.Event()
        turns = 0

        async def turn() -> None:
            nonlocal turns
            turns += 1
            if turns >= 3:
                broken.set()
            raise ZeroDivisionError

        monkeypatch.setattr(here.provider, "turn", turn)
        await asyncio.wait_for(broken.wait(), 5)
        assert len(caplog.records) == 1


async def test_opaque_tokens_need_a_client_to_ask_as():
    async with site(introspection=True) as here:
        assert await findings(here) == ["introspection needs client_id and client_secret"]
    async with site(introspection=True, client_id="x", client_secret=Secret("y")) as here:
        here.there.announce(introspection_endpoint_auth_methods_supported=["private_key_jwt"])
        assert "private_key_jwt" not in (await findings(here))[0]


async def test_a_provider_of_opaque_tokens_alone_has_no_keys_and_is_ready():
    async with site(introspection=True, client_id=CLIENT[0], client_secret=Secret(CLIENT[1]), token_type=ANY) as here:
        here.there.announce(jwks_uri=None, code_challenge_methods_supported=None)
        await here.provider.start()
        assert here.provider.is_ready
        assert await here.provider.wait_for("k1") is None
        rules = IssuerRules(issuer=here.provider.issuer, audience=AUDIENCE)
        here.there.tokens["opaque"] = {"active": True, "sub": "ann", "aud": AUDIENCE, "exp": NOW + 60}
        assert here.provider.recall(b"opaque", rules) is None
        assert (await here.provider.introspect(b"opaque", rules)).subject == "ann"
        assert here.provider.recall(b"opaque", rules) is not None


async def test_a_provider_whose_tokens_are_not_to_be_asked_about_is_not_asked():
    async with site(client_id=CLIENT[0], client_secret=Secret(CLIENT[1])) as here:
        await here.provider.start()
        with pytest.raises(Refusal):
            await here.provider.introspect(b"opaque", IssuerRules(issuer=here.provider.issuer, audience=AUDIENCE))
        assert here.there.seen["/introspect"] == 0
