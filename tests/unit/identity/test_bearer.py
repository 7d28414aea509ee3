"""Tokens at one server, with a provider that is really asked; time is the test's."""

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any

import pytest
from msgspec.structs import replace

from mcpward.core.authority import STORE
from mcpward.core.challenge import Challenge
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.secret import Secret
from mcpward.core.values import Arrival, AuthMethod, Principal
from mcpward.crypto.digest import Pepper
from mcpward.egress.client import Client
from mcpward.egress.guard import Guard
from mcpward.identity.establish import Identity
from mcpward.identity.jwt.issuer_rules import ANY
from mcpward.identity.keys.api_key import issue
from mcpward.identity.keys.key_cache import KeyCache
from mcpward.identity.keys.url_cache import UrlCache
from mcpward.identity.mode import Mode
from mcpward.identity.oauth import token_cache as proven_module
from mcpward.identity.oauth.bearer import Bearer, Trusted, key_of
from mcpward.identity.oauth.pending_verification import PendingVerification, Rechecks
from mcpward.identity.oauth.permissions import Rights
from mcpward.identity.oauth.provider import Provider, ProviderSettings
from mcpward.identity.oauth.token_cache import KEEP_S, TokenCache
from support.arrivals import arrival
from support.clock import ManualClock
from support.facts import facts_of
from support.mint import AUDIENCE, NOW, Mint
from support.outside import http
from support.publisher import CLIENT, Publisher, publisher
from support.waiting import soon

PEPPER = Pepper(b"p" * 32)
CHALLENGE = Challenge("https://mcp.example.com/.well-known/oauth-protected-resource/orders/mcp", ("orders:read",))
RIGHTS = Rights({"orders:write": Access.WRITE}, (), ("email",))
NEW = Mint(name="b", kid="k2")


class House:
    """One server that takes tokens, and one that takes keys too, with a provider behind them."""

    def __init__(self, there: Publisher, **changed: Any) -> None:
        self.there, self.clock = there, ManualClock(NOW)
        self.client = Client(Guard([ip_network("127.0.0.0/8")]))
        settings = ProviderSettings(name="main", metadata=there.metadata_url, where="issuers.main.metadata")
        self.provider = Provider(replace(settings, **changed), self.client, self.clock, tick_s=3600.0)
        self.proven = TokenCache(self.clock)
        self.keys = KeyCache(PEPPER, self.clock)
        trusted = Trusted(name="main", provider=self.provider, audience=AUDIENCE)
        other = replace(trusted, audience="https://mcp.example.com/both/mcp")
        bearers = {
            name: Bearer(name, [one], RIGHTS, CHALLENGE, self.clock, self.proven)
            for name, one in (("orders", trusted), ("both", other))
        }
        modes: dict[str, Mode | Collection[Mode]] = {"orders": Mode.OAUTH, "both": [Mode.OAUTH, Mode.API_KEY]}
        self.identity = Identity(modes, self.keys, UrlCache(PEPPER, self.clock), bearers=bearers)
        self.keys.mark_fresh(self.clock.monotonic())

    def token(self, mint: Mint | None = None, **claims: Any) -> bytes:
        return (mint or Mint()).token(iss=self.provider.issuer, **claims)

    async def known(self, one: Arrival) -> Principal:
        """Return the caller, who is let in."""
        found = await self.answer(one)
        assert isinstance(found, Principal)
        return found

    def refused(self, one: Arrival) -> Refusal:
        """Return why not even the body of this is read."""
        no = self.identity.vouch(one)
        assert no is not None
        return no

    async def answer(self, one: Arrival) -> Principal | Reason:
        """Return the caller's answer, awaited if needed."""
        try:
            found = self.identity.establish(one)
            return found if isinstance(found, Principal) else await found
        except Refusal as no:
            challenged = facts_of(no) == {"challenge": CHALLENGE}
            return no.reason if challenged or no.reason is Reason.IDENTITY_UNAVAILABLE else Reason.FAULT


def shown(token: bytes, server: str = "orders", scheme: bytes = b"Bearer ") -> Arrival:
    return arrival(server, headers={b"authorization": scheme + token})


@asynccontextmanager
async def house(*, is_down: bool = False, **changed: Any) -> AsyncIterator[House]:
    async with publisher("/tenant") as there:
        here = House(there, **changed)
        if is_down:
            await there.die()
        await here.provider.start()
        try:
            yield here
        finally:
            await here.identity.close()
            await here.provider.stop()
            await here.client.close()


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_a_good_token_is_its_subject_at_once():
    async def work():
        async with house() as here:
            found = here.identity.establish(shown(here.token(email="ann@example.com", name="Ann")))
            assert isinstance(found, Principal)
            assert (found.way, found.server, found.subject, found.client) == (AuthMethod.OAUTH, "orders", "ann", "desk")
            assert (found.issuer, found.key) == (here.provider.issuer, f"oauth:{here.provider.issuer}|ann")
            assert (found.scopes, found.access) == ({"orders:read", "orders:write"}, Access.WRITE)
            assert (dict(found.claims), found.expires_at) == ({"email": "ann@example.com"}, NOW + 300)

    run(work())


def test_no_principal_holds_the_token():
    async def work():
        async with house() as here:
            token = here.token()
            found = await here.known(shown(token))
            assert token.decode()[60:90] not in repr([getattr(found, name) for name in found.__struct_fields__])
            assert token[-20:] not in b"".join(here.proven._entries)

    run(work())


@pytest.mark.parametrize(
    "one,two",
    [
        (("a|b", "c"), ("a", "b|c")), (("a%7C", "b"), ("a|", "b")), (("a", "|b"), ("a|", "b")),
        (("a%", "b"), ("a%25", "b")),
    ],
)  # fmt: skip
def test_no_two_callers_share_a_key(one, two):
    assert key_of(*one) != key_of(*two)


def test_a_proved_token_costs_no_second_proof_until_its_end():
    async def work():
        async with house() as here:
            one = shown(here.token(exp=NOW + 100))
            found = await here.answer(one)
            assert here.identity.establish(one) is found
            here.clock.advance(99)
            assert here.identity.establish(one) is found
            here.clock.advance(2)  # past its end, within the leeway: good, and looked at anew
            again = await here.answer(one)
            assert isinstance(again, Principal)
            assert again is not found
            here.clock.advance(30)
            assert await here.answer(one) is Reason.CREDENTIAL_INVALID

    run(work())


def test_a_proof_is_for_one_server_and_five_minutes():
    async def work():
        async with house() as here:
            token = here.token(exp=NOW + 3600)
            found = await here.answer(shown(token))
            assert await here.answer(shown(token, "both")) is Reason.CREDENTIAL_INVALID
            here.clock.advance(KEEP_S)
            assert await here.answer(shown(token)) is not found

    run(work())


def test_a_change_of_keys_ends_all_that_was_proved_before():
    async def work():
        async with house() as here:
            one = shown(here.token(exp=NOW + 3600))
            assert isinstance(await here.answer(one), Principal)
            here.there.publish(NEW)
            here.clock.advance(5)
            assert isinstance(await here.answer(shown(here.token(NEW))), Principal)
            assert await here.answer(one) is Reason.CREDENTIAL_INVALID

    run(work())


def test_the_oldest_proof_is_forgotten_first(monkeypatch):
    monkeypatch.setattr(proven_module, "MOST_KEPT", 2)

    async def work():
        async with house() as here:
            arrivals = [shown(here.token(jti=str(number))) for number in range(3)]
            found = [await here.answer(one) for one in arrivals]
            assert len(here.proven) == 2
            assert here.identity.establish(arrivals[2]) is found[2]
            assert here.identity.establish(arrivals[0]) is not found[0]

    run(work())


def test_proofs_are_bounded_by_the_bytes_of_their_tokens(monkeypatch):
    monkeypatch.setattr(proven_module, "MOST_BYTES", 30_000)

    async def work():
        async with house() as here:
            arrivals = [shown(here.token(jti=str(number), groups=["g" * 36] * 180)) for number in range(9)]
            found = [await here.answer(one) for one in arrivals]
            assert 2 <= len(here.proven) <= 3
            assert here.identity.establish(arrivals[8]) is found[8]
            small = [shown(here.token(jti=f"small {number}")) for number in range(9)]
            assert [isinstance(await here.answer(one), Principal) for one in small] == [True] * 9
            assert len(here.proven) > 9

    run(work())


def test_a_token_over_the_limit_has_its_own_line_in_the_log_once_a_minute_and_without_the_token(caplog):
    async def work():
        async with house() as here:
            long = here.token(groups=["g" * 36] * 400)
            longer = b"eyJ" + b"a" * 20_000
            assert await here.answer(shown(long)) is Reason.CREDENTIAL_INVALID
            for _ in range(50):
                assert await here.answer(shown(longer)) is Reason.CREDENTIAL_INVALID
            here.clock.advance(61)
            assert await here.answer(shown(longer)) is Reason.CREDENTIAL_INVALID
            first, second = [record.getMessage() for record in caplog.records]
            assert first.startswith(f"server orders refused a token of {len(long)} bytes (and 0 more ")
            assert second.startswith("server orders refused a token of 20003 bytes (and 50 more ")
            assert "the limit is 16384: set max_token_bytes in [servers.orders.oauth]" in first
            assert "aaaa" not in caplog.text
            assert long.decode()[40:80] not in caplog.text

    run(work())


def test_a_key_that_was_replaced_under_its_name_is_found():
    async def work():
        async with house() as here:
            old, replaced = shown(here.token(exp=NOW + 3600)), Mint(name="b", kid="k1")
            assert isinstance(await here.answer(old), Principal)
            here.there.publish(replaced)
            assert isinstance(await here.answer(shown(here.token(replaced))), Principal)
            assert await here.answer(old) is Reason.CREDENTIAL_INVALID
            assert here.there.fetches == 2

    run(work())


def test_a_bad_signature_under_claims_that_are_refused_anyway_asks_nobody():
    async def work():
        async with house() as here:
            forger = Mint(name="b", kid="k1")
            for claims in ({"aud": "x"}, {"exp": NOW - 31}, {"sub": ""}):
                assert await here.answer(shown(here.token(forger, **claims))) is Reason.CREDENTIAL_INVALID
            assert here.there.fetches == 1
            for _ in range(20):
                assert await here.answer(shown(here.token(forger))) is Reason.CREDENTIAL_INVALID
            assert here.there.fetches == 2
            assert isinstance(await here.answer(shown(here.token())), Principal)

    run(work())


def test_every_bad_token_gets_the_same_answer():
    async def work():
        async with house() as here:
            good = here.token()
            bad = [
                b"x", b"..", b"a.b.c", good[:-4], good + b"=", b"e" * 9000, Mint().token(), here.token(aud="x"),
                here.token(exp=NOW - 31), here.token(Mint(name="b")), here.token(NEW), here.token(sub=""), good.upper(),
            ]  # fmt: skip
            for token in bad:
                assert await here.answer(shown(token)) is Reason.CREDENTIAL_INVALID
            assert await here.answer(shown(good, scheme=b"Basic ")) is Reason.CREDENTIAL_INVALID
            assert await here.answer(shown(b"")) is Reason.CREDENTIAL_INVALID
            assert await here.answer(arrival("orders", headers={b"x-api-key": good})) is Reason.CREDENTIAL_INVALID
            assert await here.answer(arrival("orders")) is Reason.CREDENTIAL_MISSING
            two = arrival("orders", headers={b"authorization": b"Bearer " + good, b"x-api-key": b"x"})
            assert await here.answer(two) is Reason.CREDENTIAL_AMBIGUOUS
            twice = replace(shown(good), repeated=frozenset({b"authorization"}))
            assert await here.answer(twice) is Reason.CREDENTIAL_AMBIGUOUS
            with pytest.raises(Refusal) as no:
                here.identity.establish(replace(shown(good), path_secret=Secret("s" * 48)))
            assert no.value.reason is Reason.ROUTE_UNKNOWN

    run(work())


def test_a_token_that_would_be_refused_anyway_costs_the_provider_nothing():
    async def work():
        async with house() as here:
            here.clock.advance(60)
            before = here.there.fetches
            for token in (here.token(NEW, exp=NOW), here.token(NEW, aud="x"), here.token(NEW, sub=None)):
                assert await here.answer(shown(token)) is Reason.CREDENTIAL_INVALID
            assert here.there.fetches == before
            assert await here.answer(shown(here.token(NEW, exp=NOW + 900))) is Reason.CREDENTIAL_INVALID
            assert here.there.fetches == before + 1

    run(work())


def test_a_token_that_names_no_key_of_several_names_none_that_could_be_fetched():
    async def work():
        async with house() as here:
            here.there.publish(Mint(), NEW)
            here.clock.advance(60)
            assert isinstance(await here.answer(shown(here.token(NEW, exp=NOW + 900))), Principal)
            before = here.there.fetches
            here.clock.advance(60)
            nameless = NEW.token({"kid": None}, iss=here.provider.issuer, exp=NOW + 900)
            assert await here.answer(shown(nameless)) is Reason.CREDENTIAL_INVALID
            assert here.there.fetches == before

    run(work())


def test_while_the_provider_was_not_seen_nobody_is_told_that_a_token_is_bad():
    async def work():
        async with house(is_down=True) as here:
            for issuer in (here.provider.issuer, here.provider.issuer + "/"):
                assert await here.answer(shown(Mint().token(iss=issuer))) is Reason.IDENTITY_UNAVAILABLE
                unnamed = Mint().token({"kid": None}, iss=issuer)
                assert await here.answer(shown(unnamed)) is Reason.IDENTITY_UNAVAILABLE
            assert await here.answer(shown(Mint().token())) is Reason.CREDENTIAL_INVALID

    run(work())


# ---- a key beside it ----


def test_a_key_and_a_token_open_the_same_server_and_are_refused_alike():
    async def work():
        async with house() as here:
            secret, record = issue(PEPPER, here.clock, name="batch", servers=["both"])
            here.keys.apply([record])
            key = secret.reveal().encode()
            token = here.token(aud="https://mcp.example.com/both/mcp")
            for one in (
                shown(key, "both"),
                arrival("both", headers={b"x-api-key": key}),
                shown(key, "both", b"bEARER "),
            ):
                found = await here.known(one)
                assert found.way is AuthMethod.API_KEY
            assert (await here.known(shown(token, "both"))).way is AuthMethod.OAUTH
            last = b"0" if key[-1:] != b"0" else b"1"
            for bad in (key[:-1] + last, key[:30], token[:-4], b"x"):
                assert await here.answer(shown(bad, "both")) is Reason.CREDENTIAL_INVALID
            assert await here.answer(arrival("both", headers={b"x-api-key": token})) is Reason.CREDENTIAL_INVALID
            assert await here.answer(arrival("both")) is Reason.CREDENTIAL_MISSING
            assert await here.answer(shown(key)) is Reason.CREDENTIAL_INVALID

    run(work())


# ---- opaque tokens ----

ASKED: dict[str, Any] = {
    "introspection": True,
    "client_id": CLIENT[0],
    "client_secret": Secret(CLIENT[1]),
    "token_type": ANY,
}
MEANING = {
    "active": True,
    "sub": "ann",
    "aud": AUDIENCE,
    "exp": NOW + 3600,
    "scope": "orders:read",
    "client_id": "desk",
}


def test_an_opaque_token_is_asked_about_once_in_half_a_minute():
    async def work():
        async with house(**ASKED) as here:
            here.there.tokens["opaque-1"] = MEANING
            one = shown(b"opaque-1")
            assert (await here.known(one)).subject == "ann"
            assert isinstance(here.identity.establish(one), Principal)
            here.clock.advance(30)
            del here.there.tokens["opaque-1"]
            assert await here.answer(one) is Reason.CREDENTIAL_INVALID
            assert here.there.seen["/introspect"] == 2
            await here.there.die()
            assert await here.answer(shown(b"opaque-2")) is Reason.IDENTITY_UNAVAILABLE

    run(work())


def test_what_looks_like_a_signed_token_is_never_shown_to_the_provider():
    async def work():
        async with house(**ASKED) as here:
            for token in (here.token(exp=NOW - 99), b"eyJhbGciOiJub25lIn0.e30.", b"eyJ.a.b.c.d", Mint().token()):
                assert await here.answer(shown(token)) is Reason.CREDENTIAL_INVALID
            assert here.there.seen["/introspect"] == 0

    run(work())


# ---- without waiting ----


def test_a_body_is_read_for_who_is_known_or_cannot_be_known_yet():
    async def work():
        async with house(**ASKED) as here:
            vouch = here.identity.vouch
            assert vouch(shown(here.token())) is None
            assert vouch(shown(b"opaque")) is None  # only the provider could say; it is asked with the body
            assert here.refused(shown(here.token(aud="x"))).reason is Reason.CREDENTIAL_INVALID
            assert here.refused(arrival("orders")).reason is Reason.CREDENTIAL_MISSING
            assert here.there.seen["/introspect"] == 0

    run(work())


def test_a_body_under_an_unknown_key_has_to_come_again_and_the_key_is_looked_for():
    async def work():
        async with house() as here:
            here.clock.advance(60)
            here.there.publish(Mint(), NEW)
            before = here.there.fetches
            one = shown(here.token(NEW, exp=NOW + 900))
            no = here.refused(one)
            assert (no.reason, facts_of(no)["retry_after_s"] > 0) == (Reason.IDENTITY_UNAVAILABLE, True)
            await soon(lambda: here.identity.vouch(one) is None)
            assert here.there.fetches == before + 1

    run(work())


def test_a_body_under_a_key_that_nobody_has_is_refused_when_that_is_known():
    async def work():
        async with house() as here:
            here.clock.advance(60)
            one = shown(here.token(NEW, exp=NOW + 900))
            assert here.refused(one).reason is Reason.IDENTITY_UNAVAILABLE
            await soon(lambda: here.refused(one).reason is Reason.CREDENTIAL_INVALID)

    run(work())


def test_a_stream_lives_as_long_as_its_token():
    async def work():
        async with house() as here:
            one = shown(here.token(exp=NOW + 400))
            assert here.identity.is_good(one)
            here.clock.advance(429)
            assert here.identity.is_good(one)
            here.clock.advance(1)
            assert not here.identity.is_good(one)
            assert not here.identity.is_good(arrival("orders"))

    run(work())


@pytest.mark.parametrize("end", ["revoked", "out"])
def test_a_stream_with_an_opaque_token_is_looked_at_in_the_background(end):
    async def work():
        async with house(**ASKED) as here:
            here.there.tokens["opaque"] = MEANING
            one = shown(b"opaque")
            await here.answer(one)
            here.clock.advance(31)
            assert here.identity.is_good(one)  # asked now
            await here.there.asked("/introspect", 2)
            await soon(lambda: isinstance(here.identity.establish(one), Principal))
            assert here.identity.is_good(one)
            here.clock.advance(31)
            if end == "revoked":
                del here.there.tokens["opaque"]
            else:
                here.there.documents["/introspect"] = http(b"", 500)
            assert here.identity.is_good(one)
            await soon(lambda: not here.identity.is_good(one))  # whose first looks may still find the last question
            assert here.there.seen["/introspect"] == 3

    run(work())


def test_a_stream_ends_when_its_token_has_lost_what_it_opened():
    async def work():
        async with house(**ASKED) as here:
            here.there.tokens["opaque"] = MEANING
            one = shown(b"opaque")
            known = await here.known(one)
            assert here.identity.is_good(one, known)
            for scope, lives in (("orders:read orders:write more", True), (MEANING["scope"], True), ("", False)):
                here.there.tokens["opaque"] = MEANING | {"scope": scope}
                here.clock.advance(31)
                # The first looks ask, and may still find the last question.
                await soon(lambda: here.identity.is_good(one) and isinstance(here.identity.establish(one), Principal))
                assert here.identity.is_good(one, known) is lives
            assert here.identity.is_good(one)

    run(work())


def test_a_stream_whose_key_is_gone_ends():
    async def work():
        async with house() as here:
            one = shown(here.token(exp=NOW + 3600))
            assert here.identity.is_good(one)
            here.there.publish(NEW)
            here.clock.advance(60)
            assert isinstance(await here.answer(shown(here.token(NEW))), Principal)
            assert here.identity.is_good(one)  # the provider is asked for the key once more
            await soon(lambda: not here.identity.is_good(one))

    run(work())


def test_a_no_is_heard_by_every_stream_of_a_credential(monkeypatch):
    async def work():
        async def ask() -> Principal:
            raise Refusal(Reason.CREDENTIAL_INVALID)

        rechecks = Rechecks()
        proof = PendingVerification(b"one", ask, asked=STORE, is_opaque=False)
        assert all(rechecks.holds(proof) for _ in range(16))
        await soon(lambda: not rechecks.holds(proof))
        assert not any(rechecks.holds(proof) for _ in range(16))
        monkeypatch.setattr("mcpward.identity.oauth.pending_verification.NO_S", 0.0)
        assert rechecks.holds(proof)  # asked anew
        await rechecks.close()

    run(work())


def test_what_is_asked_in_the_background_is_bounded_and_given_up_at_the_end(monkeypatch):
    monkeypatch.setattr("mcpward.identity.oauth.pending_verification._MOST", 2)

    async def work():
        asked = asyncio.Event()

        async def ask() -> Principal:
            await asked.wait()
            raise Refusal(Reason.CREDENTIAL_INVALID)

        rechecks = Rechecks()
        proofs = [PendingVerification(bytes([number]), ask, asked=STORE, is_opaque=True) for number in range(3)]
        assert [rechecks.holds(proof) for proof in proofs] == [True, True, False]
        assert rechecks.begin(proofs[0])
        asked.set()
        await soon(lambda: not rechecks.holds(proofs[0]))
        assert rechecks.holds(proofs[2])
        await rechecks.close()

    run(work())
