import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest

from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.egress.client import Client
from mcpward.egress.guard import Guard
from mcpward.identity.jwt.issuer_rules import IssuerRules
from mcpward.identity.oauth.jwks import BUDGET_S, GAP_S, KEEP_S, Jwks
from support.clock import ManualClock
from support.facts import facts_of
from support.mint import AUDIENCE, ISSUER, Mint, key_for, public
from support.outside import http, outside
from support.publisher import Publisher, publisher

OLD, NEW, THIRD = Mint(), Mint(name="b", kid="k2"), Mint("EdDSA", kid="k3")


class Site:
    def __init__(self, there: Publisher, client: Client) -> None:
        self.there, self.clock = there, ManualClock()
        self.jwks = Jwks("main", client, IssuerRules(issuer=ISSUER, audience=AUDIENCE), self.clock)
        self.jwks.move(f"http://127.0.0.1:{there.port}/jwks")

    async def turn(self) -> None:
        if self.jwks.is_due():
            await self.jwks.refresh()

    async def pass_time(self, seconds: float) -> None:
        """Let the background look each second whether anything is due."""
        for _ in range(int(seconds)):
            self.clock.advance(1)
            await self.turn()

    async def knows(self, kid: str) -> bool:
        return await self.jwks.wait_for(kid) is not None


@asynccontextmanager
async def site(timeout_s: float = 5.0) -> AsyncIterator[Site]:
    client = Client(Guard([ip_network("127.0.0.0/8")]), timeout_s=timeout_s)
    async with publisher() as there:
        made = Site(there, client)
        try:
            await made.jwks.refresh()
            yield made
        finally:
            await made.jwks.close()
            await client.close()


async def test_a_published_key_is_found_without_waiting():
    async with site() as here:
        found = here.jwks.find("k1")
        assert found is not None
        assert found.kid == "k1"
        assert await here.jwks.wait_for("k1") is found
        assert here.there.fetches == 1


async def test_everybody_who_asks_shares_one_fetch():
    async with site() as here:
        here.clock.advance(10)
        here.there.publish(OLD, NEW)
        here.there.hold = asyncio.Event()
        askers = [asyncio.create_task(here.knows("k2")) for _ in range(50)]
        await here.there.asked("/jwks", 2)
        here.there.hold.set()
        assert await asyncio.gather(*askers) == [True] * 50
        assert here.there.fetches == 2


async def test_one_who_goes_away_leaves_the_fetch_to_the_others():
    async with site() as here:
        here.clock.advance(10)
        here.there.publish(OLD, NEW)
        here.there.hold = asyncio.Event()
        first, second = (asyncio.create_task(here.knows("k2")) for _ in range(2))
        await here.there.asked("/jwks", 2)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        here.there.hold.set()
        assert await second


async def test_23_ten_thousand_unknown_kids_are_one_fetch_in_thirty_seconds():
    async with site() as here:
        here.clock.advance(60)
        before = here.there.fetches
        for number in range(10_000):
            assert await here.jwks.wait_for(f"made-up-{number}") is None
            here.clock.advance(BUDGET_S / 10_001)
        assert here.there.fetches - before == 1
        assert here.jwks.find("k1") is not None
        here.clock.advance(1)
        assert not await here.knows("made-up-again")
        assert here.there.fetches - before == 2


async def test_23_a_slow_drip_of_unknown_kids_comes_to_the_same_budget():
    async with site() as here:
        here.clock.advance(60)
        before = here.there.fetches
        for number in range(100):
            assert not await here.knows(f"made-up-{number}")
            await here.pass_time(GAP_S + 2)
        # 600 seconds: twenty by the budget, and the two that come first after a quiet time
        assert here.there.fetches - before <= 22


async def test_23_known_keys_do_not_wait_for_a_storm():
    async with site() as here:
        here.clock.advance(60)
        here.there.hold = asyncio.Event()
        storm = [asyncio.create_task(here.jwks.wait_for(f"made-up-{number}")) for number in range(300)]
        await asyncio.sleep(0)
        assert await asyncio.wait_for(here.jwks.wait_for("k1"), 1) is not None
        here.there.hold.set()
        said = await asyncio.gather(*storm, return_exceptions=True)
        # Those beyond the limit of waiting calls must come again: no look was made, so the key is unknown.
        assert {each.reason for each in said if isinstance(each, Refusal)} == {Reason.IDENTITY_UNAVAILABLE}
        assert sum(each is None for each in said) == 256


async def test_24_a_rotated_key_is_found_at_once_after_a_quiet_time():
    async with site() as here:
        for number, mint in enumerate([NEW, THIRD, OLD], start=1):
            here.clock.advance(GAP_S)
            here.there.publish(mint)
            assert await here.knows(mint.kid)
            assert here.jwks.changes == number + 1


async def test_24_a_key_that_is_rotated_a_moment_after_the_keys_were_fetched_is_found_at_once():
    async with site() as here:
        here.there.publish(NEW)
        assert await here.knows("k2")
        here.there.publish(THIRD)
        assert await here.knows("k3")


async def test_24_a_rotated_key_is_found_within_five_seconds_of_a_vain_look():
    async with site() as here:
        here.clock.advance(60)
        assert not await here.knows("made-up")
        here.there.publish(NEW, THIRD)
        assert not await here.knows("k2")  # the provider was asked just now
        assert not await here.knows("k3")
        await here.pass_time(GAP_S)  # no further question is needed
        assert here.jwks.find("k2") is not None
        assert here.jwks.find("k3") is not None


async def test_24_a_look_that_brings_new_keys_costs_nothing_of_the_budget():
    async with site() as here:
        for kid in ("made-up", "made-up-too"):
            here.clock.advance(GAP_S)
            assert not await here.knows(kid)
        here.there.publish(NEW)
        here.clock.advance(BUDGET_S - 1)
        assert not await here.knows("k2")  # two looks were in vain: now the budget counts
        here.clock.advance(1)
        assert await here.knows("k2")
        here.there.publish(THIRD)
        here.clock.advance(GAP_S)
        assert await here.knows("k3")


async def test_24_a_quiet_minute_gives_the_budget_back():
    async with site() as here:
        for kid in ("made-up", "made-up-too"):
            here.clock.advance(GAP_S)
            assert not await here.knows(kid)
        here.clock.advance(2 * BUDGET_S + 1)
        assert not await here.knows("made-up-again")
        here.there.publish(NEW)
        here.clock.advance(GAP_S)
        assert await here.knows("k2")


async def test_24_a_removed_key_is_gone_when_the_document_has_become_old():
    async with site() as here:
        here.there.publish(OLD, NEW, cache_control="public, max-age=120")
        await here.jwks.refresh()
        here.there.publish(NEW)
        await here.pass_time(119)
        assert here.jwks.find("k1") is not None
        await here.pass_time(1)
        assert here.jwks.find("k1") is None
        assert not await here.knows("k1")


@pytest.mark.parametrize(
    "control, seconds",
    [
        ("max-age=0", 60),
        ("max-age=59", 60),
        ("public, max-age=61, must-revalidate", 61),
        ("s-maxage=5, Max-Age=300", 300),
        ("max-age=86400", 3600),
        ("max-age=999999999999", 600),
        ("max-age=-1", 600),
        ("x-max-age=70", 600),
        ("no-cache", 60),
        ("max-age=900, no-store", 60),
        ("private", 600),
    ],
)
async def test_the_age_that_is_announced_counts_from_a_minute_to_an_hour(control: str, seconds: int):
    async with site() as here:
        here.there.publish(OLD, cache_control=control)
        await here.jwks.refresh()
        here.clock.advance(seconds - 0.5)
        assert not here.jwks.is_due()
        here.clock.advance(0.5)
        assert here.jwks.is_due()


async def test_25_known_keys_open_for_a_day_while_the_provider_is_down_and_an_unknown_one_is_simply_unknown():
    async with site() as here:
        await here.there.die()
        await here.pass_time(700)
        assert await here.knows("k1")
        assert not await here.knows("k2")
        here.clock.advance(KEEP_S - 701)
        assert await here.knows("k1")
        here.clock.advance(2)
        assert here.jwks.find("k1") is None
        with pytest.raises(Refusal) as refused:
            await here.jwks.wait_for("k1")
        assert refused.value.reason is Reason.IDENTITY_UNAVAILABLE
        assert facts_of(refused.value)["retry_after_s"] > 0


async def test_25_a_provider_that_comes_back_with_other_keys_is_followed_within_five_seconds(caplog):
    async with site() as here:
        await here.there.die()
        await here.pass_time(620)
        here.there.publish(NEW)
        await here.there.open()
        await here.pass_time(30)  # after a minute without it, mcpward looks every half minute
        assert here.jwks.find("k2") is not None
        assert [record.getMessage().split(":")[0] for record in caplog.records] == [
            "the keys of main cannot be used",
            "the keys of main can be used again",
        ]
        await here.there.die()
        here.clock.advance(700)
        await here.turn()
        here.there.publish(THIRD)
        await here.there.open()
        await here.pass_time(5)
        assert here.jwks.find("k3") is not None


async def test_25_a_slow_provider_holds_up_nobody_whose_key_is_known():
    async with site(timeout_s=0.2) as here:
        here.there.hold = asyncio.Event()
        here.clock.advance(700)
        look = asyncio.create_task(here.turn())
        await asyncio.sleep(0)
        assert await here.knows("k1")
        await asyncio.wait_for(look, 5)
        assert await here.knows("k1")


SYMMETRIC = {"kty": "oct", "k": "AAAA", "kid": "hs"}
POISON = {
    "10 MB": http(b'{"keys": []' + b" " * 10_000_000 + b"}"),
    "10 MB in pieces": b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    b"100000\r\n" + b" " * 0x100000 + b"\r\n",
    "10,000 keys": http(json.dumps({"keys": [{"kty": "EC", "kid": str(n)} for n in range(10_000)]}).encode()),
    "101 keys": http(json.dumps({"keys": [OLD.member | {"kid": str(n)} for n in range(101)]}).encode()),
    "oct": http(json.dumps({"keys": [SYMMETRIC, SYMMETRIC]}).encode()),
    "private": http(json.dumps({"keys": [key_for("ES256").as_dict(private=True) | {"kid": "k1"}]}).encode()),
    "duplicate kid": http(json.dumps({"keys": [NEW.member, Mint(name="c", kid="k2").member]}).encode()),
    "no keys": http(b'{"keys": []}'),
    "no set": http(b"[]"),
    "no object": http(b'"keys"'),
    "duplicate name": http(b'{"keys": [], "keys": ' + json.dumps([NEW.member]).encode() + b"}"),
    "deep": http(b'{"keys": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "html": http(json.dumps(NEW.document).encode(), media="text/html"),
    "no JSON": http(b"<html>sorry</html>"),
    "gzip": http(b"\x1f\x8b", content_encoding="gzip"),
    "204": http(b"", 204),
    "500": http(json.dumps(NEW.document).encode(), 500),
    "404": http(json.dumps(NEW.document).encode(), 404),
    "201": http(json.dumps(NEW.document).encode(), 201),
    "hang up": b"",
    "no HTTP": b"hello\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
@pytest.mark.slow
async def test_26_a_poisoned_document_changes_nothing_and_is_logged_once(poison: bytes, caplog):
    async with site(timeout_s=1.0) as here:
        before = here.jwks.current
        here.there.documents["/jwks"] = poison
        if not poison:
            here.there.documents["/jwks"] = (
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"
            )
        for _ in range(3):
            here.clock.advance(3600)
            assert here.jwks.is_due()
            assert not await here.jwks.refresh()
        assert here.jwks.current is before
        assert await here.knows("k1")
        assert len(caplog.records) == 1
        assert caplog.records[0].levelno == logging.WARNING
        here.there.publish(NEW)
        assert await here.jwks.refresh()
        assert await here.knows("k2")


ODD = {
    "oct": SYMMETRIC,
    "private": key_for("ES256").as_dict(private=True) | {"kid": "odd"},
    "null": None,
    "weak": public(key_for("RS256", "weak"), kid="odd") | {"n": "AQAB"},
    "padded": NEW.member | {"x": NEW.member["x"] + "=", "kid": "odd"},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
async def test_26_an_entry_that_cannot_be_used_is_skipped_and_logged_once(odd: object, caplog):
    async with site() as here:
        document = {"keys": [odd, OLD.member, NEW.member]}
        for number in range(3):
            here.there.documents["/jwks"] = http(json.dumps(document | {"fetch": number}).encode())
            assert await here.jwks.refresh()
        assert await here.knows("k1")
        assert await here.knows("k2")
        assert not await here.knows("odd")
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert record.getMessage().startswith("the keys of main are used, except for skipped entries: ")


async def test_a_key_for_encryption_is_no_reason_to_warn(caplog):
    caplog.set_level(logging.INFO)
    async with site() as here:
        encrypts = public(key_for("RS256"), kid="enc") | {"use": "enc", "alg": "RSA-OAEP"}
        here.there.documents["/jwks"] = http(json.dumps({"keys": [encrypts, NEW.member]}).encode())
        assert await here.jwks.refresh()
        assert [record.levelno for record in caplog.records if "skipped" in record.getMessage()] == [logging.INFO]


async def test_the_same_keys_in_another_order_are_no_change():
    async with site() as here:
        here.there.publish(OLD, NEW)
        await here.jwks.refresh()
        before = here.jwks.changes
        here.there.publish(NEW, OLD)
        await here.jwks.refresh()
        assert here.jwks.changes == before


REPLACED = Mint(name="b", kid="k1")


async def test_24_a_key_that_was_replaced_under_its_name_is_found_by_one_look():
    async with site() as here:
        old = here.jwks.find("k1")
        here.there.publish(REPLACED)
        assert here.jwks.may_doubt()
        await here.jwks.doubt()
        found = here.jwks.find("k1")
        assert old is not None
        assert found is not None
        assert found.thumbprint != old.thumbprint
        assert (here.there.fetches, here.jwks.changes) == (2, 2)
        here.there.publish(OLD)
        assert not here.jwks.may_doubt()
        here.clock.advance(GAP_S)
        await here.jwks.doubt()
        assert here.jwks.changes == 3


async def test_23_ten_thousand_bad_signatures_are_one_look_in_thirty_seconds():
    async with site() as here:
        here.clock.advance(60)
        before = here.there.fetches
        for _ in range(10_000):
            await here.jwks.doubt()
            here.clock.advance(BUDGET_S / 10_001)
        assert here.there.fetches - before == 1
        here.clock.advance(1)
        await here.jwks.doubt()
        assert here.there.fetches - before == 2


async def test_23_bad_signatures_and_unknown_kids_together_come_to_the_same_budget():
    async with site() as here:
        here.clock.advance(60)
        before = here.there.fetches
        for number in range(600):
            await here.jwks.doubt()
            assert not await here.knows(f"made-up-{number}")
            await here.pass_time(1)
        # 600 seconds: twenty by the budget, one for the age of the set, and those that come first after a quiet time
        assert here.there.fetches - before <= 24


async def test_23_two_looks_in_vain_are_enough_whoever_caused_them():
    async with site() as here:
        here.clock.advance(60)
        await here.jwks.doubt()
        here.clock.advance(GAP_S)
        assert not await here.knows("made-up")
        before = here.there.fetches
        await here.pass_time(BUDGET_S - 1)
        await here.jwks.doubt()
        assert not await here.knows("made-up-too")
        assert here.there.fetches == before
        here.clock.advance(1)
        assert not await here.knows("made-up-too")
        assert here.there.fetches == before + 1


async def test_23_all_who_doubt_at_once_share_one_look_and_are_not_kept_in_any_number():
    async with site() as here:
        here.there.hold = asyncio.Event()
        storm = [asyncio.create_task(here.jwks.doubt()) for _ in range(300)]
        await here.there.asked("/jwks", 2)
        here.there.hold.set()
        said = await asyncio.gather(*storm, return_exceptions=True)
        assert sum(isinstance(each, Refusal) for each in said) == 300 - 256
        assert here.there.fetches == 2


async def test_26_a_redirect_is_not_followed():
    async with site() as here, outside(http(json.dumps(NEW.document).encode())) as canary:
        here.there.documents["/jwks"] = http(b"{}", 302, location=canary.url("/jwks"))
        assert not await here.jwks.refresh()
        here.there.documents["/jwks"] = http(b"{}", 307, location="http://169.254.169.254/latest/meta-data/")
        assert not await here.jwks.refresh()
        assert canary.connections == 0
        assert await here.knows("k1")


async def test_26_a_document_of_unforeseen_trouble_is_named_and_not_quoted(caplog, monkeypatch):
    def explode(*_: object) -> None:
        raise RecursionError("of what a stranger wrote")

    async with site() as here:
        monkeypatch.setattr("mcpward.identity.oauth.jwks.KeySet.parse", explode)
        here.there.publish(NEW)
        assert not await here.jwks.refresh()
        assert await here.knows("k1")
        assert "RecursionError" in caplog.text
        assert "stranger" not in caplog.text


async def test_without_any_keys_nobody_is_told_that_a_credential_is_bad():
    async with site() as here:
        await here.there.die()
        empty = Site(here.there, here.jwks._client)
        for _ in range(2):
            with pytest.raises(Refusal) as refused:
                await empty.jwks.wait_for("k1")
            assert refused.value.reason is Reason.IDENTITY_UNAVAILABLE
        assert empty.jwks.current is None


async def test_the_same_document_is_the_same_set():
    async with site() as here:
        before = here.jwks.current
        here.clock.advance(700)
        await here.turn()
        assert here.there.fetches == 2
        assert here.jwks.current is before
        assert here.jwks.changes == 1


async def test_closing_ends_the_fetch_and_those_who_wait_for_it():
    async with site() as here:
        here.clock.advance(60)
        here.there.hold = asyncio.Event()
        asker = asyncio.create_task(here.knows("k2"))
        await here.there.asked("/jwks", 2)
        await here.jwks.close()
        assert not await asyncio.wait_for(asker, 5)
