"""A caller's token for another one (RFC 8693): whose, for what, for how long, and what the provider may answer.

Places where the inbound token must never go: attack 30 (MCP security best practices, "token passthrough").
"""

import asyncio
import json
import logging
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qs, unquote_plus

import pytest
from msgspec.structs import replace

from mcpward.core.exchange import ExchangeFailed, NoToken, Token
from mcpward.core.secret import Secret
from mcpward.core.values import AcceptedCall, AuthMethod, Call, Principal
from mcpward.egress.client import Client
from mcpward.egress.guard import Guard
from mcpward.identity.oauth.provider import Provider, ProviderSettings
from mcpward.identity.oauth.token_exchange import EARLY_S, LONGEST_KEPT_S, MOST_KEPT, Exchanges
from mcpward.tasks.detached import unladen
from support.calls import arrival_of, call_of
from support.clock import ManualClock
from support.outside import Outside, http, outside
from support.publisher import CLIENT, Publisher, publisher

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
MINE = "the.inbound-token_of~ann+1/2=="
SHIPPING = "https://shipping.example.com"
GIVEN = {"access_token": "upstream-1", "issued_token_type": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": 300}


class Site:
    """A provider with its token endpoint (``there`` and ``desk``), and the site that exchanges tokens there."""

    def __init__(self, there: Publisher, desk: Outside, client: Client) -> None:
        self.there, self.desk, self.clock, self.client = there, desk, ManualClock(), client
        settings = ProviderSettings(
            name="main", metadata=there.metadata_url, where="issuers.main.metadata", client_id=CLIENT[0],
            client_secret=Secret(CLIENT[1]),
        )  # fmt: skip
        self.provider = Provider(settings, client, self.clock)
        self.exchanges = Exchanges({"orders": [self.provider]}, client, self.clock)

    def call(self, token: str = MINE, subject: str = "ann", server: str = "orders", **changes: Any) -> Call:
        principal = Principal(
            key=f"oauth:{self.there.name}|{subject}", way=AuthMethod.OAUTH, server=server, subject=subject,
            issuer=self.there.name,
        )  # fmt: skip
        arrival = replace(arrival_of(server), headers={b"authorization": b"Bearer " + token.encode()})
        return call_of("ship", principal=principal, arrival=arrival, **changes)

    async def ask(self, call: Call | None = None, audience: str = SHIPPING, *scopes: str) -> Token:
        return await self.exchanges.exchange(call or self.call(), audience, frozenset(scopes))

    async def failed(self, call: Call | None = None, audience: str = SHIPPING, *scopes: str) -> ExchangeFailed:
        with pytest.raises(ExchangeFailed) as failed:
            await self.ask(call, audience, *scopes)
        return failed.value

    def answer(self, status: int = 200, **changed: Any) -> None:
        said = {name: value for name, value in (GIVEN | changed).items() if value is not None}
        self.desk.answer = http(json.dumps(said).encode(), status)

    @property
    def questions(self) -> int:
        return len(self.desk.requests)

    def form(self, number: int = -1) -> dict[str, str]:
        body = self.desk.requests[number].partition(b"\r\n\r\n")[2].decode()
        return {name: values[0] for name, values in parse_qs(body, strict_parsing=True).items()}

    def shown(self, number: int = -1) -> tuple[str, ...]:
        head = self.desk.requests[number].partition(b"\r\n\r\n")[0].decode()
        found = [line.split(" ")[2] for line in head.split("\r\n") if line.lower().startswith("authorization: basic ")]
        return tuple(map(unquote_plus, b64decode(found[0]).decode().split(":"))) if found else ()


@asynccontextmanager
async def site(timeout_s: float = 5.0, **metadata: Any) -> AsyncIterator[Site]:
    client = Client(Guard([ip_network("127.0.0.0/8")]), timeout_s=timeout_s)
    async with publisher() as there, outside() as desk:
        here = Site(there, desk, client)
        there.announce(**({"token_endpoint": desk.url("/token")} | metadata))
        await here.provider.start()
        here.answer()
        try:
            yield here
        finally:
            await here.exchanges.close()
            await here.provider.stop()
            await client.close()


async def test_the_provider_is_asked_as_the_standard_says():
    async with site() as here:
        token = await here.ask(None, SHIPPING, "ship:write", "ship:read")
        assert token.reveal() == "upstream-1"
        assert token.expires_at == here.clock.now() + 300
        assert token.scopes == {"ship:read", "ship:write"}
        assert here.form() == {
            "grant_type": GRANT, "subject_token": MINE, "subject_token_type": ACCESS_TOKEN,
            "requested_token_type": ACCESS_TOKEN, "audience": SHIPPING, "scope": "ship:read ship:write",
        }  # fmt: skip
        assert here.desk.requests[0].startswith(b"POST /token HTTP/1.1\r\n")
        assert here.shown() == CLIENT


async def test_the_house_shows_itself_in_the_way_that_the_token_endpoint_takes():
    async with site(token_endpoint_auth_methods_supported=["private_key_jwt", "client_secret_post"]) as here:
        await here.ask()
        assert here.shown() == ()
        assert (here.form()["client_id"], here.form()["client_secret"]) == CLIENT


async def test_what_is_not_asked_for_is_not_said():
    async with site() as here:
        await here.ask(None, "", "ship:read")
        await here.ask(None, SHIPPING)
        assert "audience" not in here.form(0)
        assert "scope" not in here.form(1)


async def test_a_token_cannot_be_printed():
    async with site() as here:
        token = await here.ask()
        for text in (repr(token), str(token), f"{token}", f"{token:>40}", repr([token]), repr(vars(here.exchanges))):
            assert "upstream-1" not in text
            assert MINE not in text
        with pytest.raises(TypeError):
            token.__reduce__()


async def test_attack_30_the_inbound_token_goes_to_its_own_issuer_alone_and_is_kept_nowhere():
    async with site() as here, publisher() as rival_there, outside() as rival_desk:
        rival_there.announce(token_endpoint=rival_desk.url("/token"))
        settings = replace(here.provider.settings, name="rival", metadata=rival_there.metadata_url)
        rival = Provider(settings, here.client, here.clock)
        await rival.start()
        here.exchanges = Exchanges({"orders": [rival, here.provider]}, here.client, here.clock)
        await here.ask()
        assert (rival_desk.connections, here.questions) == (0, 1)
        assert MINE.encode() not in b"".join(here.exchanges._kept)
        assert MINE not in repr([kept.token.reveal() for kept in here.exchanges._kept.values()])
        assert not here.exchanges._flights
        await rival.stop()


async def test_attack_30_the_callers_own_token_handed_back_is_no_exchange():
    async with site() as here:
        here.answer(access_token=MINE)
        assert (await here.failed()).why is NoToken.UNAVAILABLE


async def test_a_token_is_kept_until_shortly_before_its_end():
    async with site() as here:
        first = await here.ask()
        here.answer(access_token="upstream-2")
        here.clock.advance(300 - EARLY_S - 0.1)
        assert await here.ask() is first
        here.clock.advance(0.1)
        assert (await here.ask()).reveal() == "upstream-2"
        assert here.questions == 2


async def test_a_long_life_is_looked_at_again_after_an_hour():
    async with site() as here:
        here.answer(expires_in=10**9)
        await here.ask()
        here.clock.advance(LONGEST_KEPT_S)
        await here.ask()
        assert here.questions == 2


@pytest.mark.parametrize("expires_in", [None, 1, EARLY_S, 0.5])
async def test_a_token_that_ends_too_soon_or_at_an_unknown_time_is_not_kept(expires_in: float | None):
    async with site() as here:
        here.answer(expires_in=expires_in)
        token = await here.ask()
        await here.ask()
        assert here.questions == 2
        assert (token.expires_at is None) == (expires_in is None)


async def test_a_set_clock_keeps_no_token_longer():
    async with site() as here:
        await here.ask()
        here.clock.shift_wall(-3600)
        here.clock.advance(300 - EARLY_S)
        await here.ask()
        assert here.questions == 2


async def test_each_caller_audience_scope_and_token_has_an_answer_of_its_own():
    async with site() as here:
        here.exchanges = Exchanges({key: [here.provider] for key in ["orders", "other"]}, here.client, here.clock)
        asked: list[tuple[Any, ...]] = [
            (here.call(), SHIPPING), (here.call(), SHIPPING, "a"), (here.call(), SHIPPING, "a", "b"),
            (here.call(), SHIPPING, "ab"), (here.call(), SHIPPING + "a"), (here.call(), "", "a"),
            (here.call(subject="ben"), SHIPPING), (here.call(server="other"), SHIPPING),
            (here.call(token="fewer-rights"), SHIPPING),
        ]  # fmt: skip
        for _ in range(2):
            for call, audience, *scopes in asked:
                await here.ask(call, audience, *scopes)
        assert here.questions == len(asked)


async def test_everybody_who_asks_the_same_shares_one_question():
    async with site() as here:
        given, gate = here.desk.answer, asyncio.Event()

        async def late(_request: bytes, writer: asyncio.StreamWriter) -> None:
            await gate.wait()
            assert isinstance(given, bytes)
            writer.write(given)

        here.desk.answer = late
        first, *others = (asyncio.create_task(here.ask()) for _ in range(20))
        await here.desk.until(1)
        first.cancel()
        gate.set()
        assert {token.reveal() for token in await asyncio.gather(*others)} == {"upstream-1"}
        assert here.questions == 1


async def never(_request: bytes, _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def test_questions_under_way_have_an_end():
    async with site(timeout_s=0.5) as here:
        here.desk.answer = never
        callers = [here.call(f"token-{each}", f"caller-{each}") for each in range(100)]
        failed = await asyncio.gather(*(here.failed(caller) for caller in callers))
        assert {each.why for each in failed} == {NoToken.UNAVAILABLE}
        assert sum("under way" in each.detail for each in failed) == 36


async def test_attack_137_one_caller_takes_a_share_of_them_also_when_it_leaves():
    async with site(timeout_s=0.5) as here:
        here.desk.answer = never
        for number in range(20):
            asked = [asyncio.create_task(here.ask(None, SHIPPING, f"s{number}-{each}")) for each in range(5)]
            await asyncio.sleep(0)
            for one in asked:
                one.cancel()
            await asyncio.wait(asked)
        assert "under way" in (await here.failed(None, SHIPPING, "one-more")).detail
        assert "timeout" in (await here.failed(here.call("another", "bob"))).detail
        await here.desk.until(9)
        here.answer()
        assert (await here.ask()).reveal()


async def test_what_is_kept_is_bounded():
    async with site() as here:
        for number in range(MOST_KEPT + 20):
            token = Token(f"t{number}", expires_at=here.clock.now() + 600, scopes=frozenset())
            here.exchanges._keep(number.to_bytes(4, "big"), token, here.clock.monotonic())
        assert len(here.exchanges._kept) == MOST_KEPT
        here.clock.advance(600)
        await here.ask()
        assert len(here.exchanges._kept) == 1


@pytest.mark.parametrize(
    "status, error, why",
    [
        (400, "invalid_target", NoToken.REFUSED),
        (400, "invalid_scope", NoToken.REFUSED),
        (400, "invalid_grant", NoToken.REFUSED),
        (400, "invalid_request", NoToken.REFUSED),
        (403, "access_denied", NoToken.REFUSED),
        (400, "unsupported_grant_type", NoToken.NOT_SET_UP),
        (400, "unauthorized_client", NoToken.NOT_SET_UP),
        (401, "invalid_client", NoToken.NOT_SET_UP),
        (500, "server_error", NoToken.UNAVAILABLE),
        (503, "temporarily_unavailable", NoToken.UNAVAILABLE),
        (429, "slow_down", NoToken.UNAVAILABLE),
        (401, "something", NoToken.UNAVAILABLE),
    ],
)
async def test_a_no_has_its_own_reason(status: int, error: str, why: NoToken):
    async with site() as here:
        here.answer(status, error=error, error_description=f"canary {MINE}")
        failed = await here.failed()
        assert failed.why is why
        assert failed.error == ("" if why is NoToken.UNAVAILABLE else error)
        assert "canary" not in f"{failed} {failed.detail}"
        here.answer()
        assert (await here.ask()).reveal() == "upstream-1"


async def test_a_word_of_the_providers_own_is_not_repeated():
    async with site() as here:
        here.answer(400, error="<script>canary</script>")
        failed = await here.failed()
        assert (failed.why, failed.error) == (NoToken.REFUSED, "")
        assert "canary" not in failed.detail


@pytest.mark.parametrize(
    "changed",
    [
        {"access_token": None},
        {"access_token": ""},
        {"access_token": 7},
        {"access_token": "two words"},
        {"access_token": "line\r\nX-Admin: 1"},
        {"access_token": "ü"},
        {"access_token": "x" * 20_000},
        {"token_type": None},
        {"token_type": "N_A"},
        {"token_type": "DPoP"},
        {"token_type": 7},
        {"issued_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        {"issued_token_type": "urn:ietf:params:oauth:token-type:id_token"},
        {"issued_token_type": ["x"]},
        {"expires_in": "300"},
        {"expires_in": True},
        {"expires_in": 0},
        {"expires_in": -1},
        {"scope": ["ship:read"]},
    ],
    ids=str,
)
async def test_an_answer_that_is_not_a_token_is_none(changed: dict[str, Any]):
    async with site() as here:
        here.answer(**changed)
        assert (await here.failed()).why is NoToken.UNAVAILABLE
        here.answer()
        assert (await here.ask()).reveal() == "upstream-1"


@pytest.mark.parametrize(
    "answer",
    [
        http(json.dumps(GIVEN).encode(), 302, location="http://127.0.0.1/x"),
        http(json.dumps(GIVEN).encode(), 201),
        http(b"[]"),
        http(b"<html>", media="text/html"),
        http(b'{"access_token": "a", "access_token": "b", "token_type": "Bearer"}'),
        http(b'{"access_token": "' + b"a" * 70_000 + b'"}'),
    ],
)
async def test_an_answer_that_is_no_answer_is_an_outage(answer: bytes):
    async with site() as here:
        here.desk.answer = answer
        assert (await here.failed()).why is NoToken.UNAVAILABLE


async def test_scopes_that_were_granted_are_told():
    async with site() as here:
        here.answer(scope="ship:read")
        assert (await here.ask(None, SHIPPING, "ship:read", "ship:write")).scopes == {"ship:read"}


async def test_a_provider_that_is_out_is_told_as_that_and_once_in_the_log(caplog: pytest.LogCaptureFixture):
    async with site(timeout_s=0.5) as here:
        here.desk.answer = http(b"{}", 500)
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                assert (await here.failed()).why is NoToken.UNAVAILABLE
            here.answer()
            await here.ask()
            here.desk.answer = http(b"{}", 500)
            assert (await here.failed(None, "elsewhere")).why is NoToken.UNAVAILABLE
        assert [record.message for record in caplog.records] == [
            "tokens cannot be exchanged at the identity provider main: the token endpoint answers 500"
        ] * 2


async def test_a_refused_exchange_is_the_callers_own_matter(caplog: pytest.LogCaptureFixture):
    async with site() as here:
        here.answer(400, error="invalid_target")
        with caplog.at_level(logging.DEBUG, logger="mcpward"):
            await here.failed()
        assert not [record for record in caplog.records if record.name.startswith("mcpward")]


@pytest.mark.parametrize("way", [AuthMethod.API_KEY, AuthMethod.UNLISTED, AuthMethod.ANONYMOUS])
async def test_who_came_without_a_token_has_nothing_to_exchange(way: AuthMethod):
    async with site() as here:
        call = here.call()
        call = replace(call, principal=replace(call.principal, way=way))
        assert (await here.failed(call)).why is NoToken.NOTHING_TO_EXCHANGE
        assert here.questions == 0


async def test_a_task_left_the_token_behind():
    async with site() as here:
        await here.ask()
        accepted = AcceptedCall(call=here.call(), tool=None, arguments={})  # type: ignore[arg-type]  # no tool is asked for
        assert (await here.failed(unladen(accepted).call)).why is NoToken.IN_TASK
        assert here.questions == 1


@pytest.mark.parametrize("missing", [{"client_id": ""}, {"client_secret": None}])
async def test_a_house_that_is_no_client_of_the_provider_says_so(missing: dict[str, Any]):
    async with site() as here:
        here.provider.settings = replace(here.provider.settings, **missing)
        failed = await here.failed()
        assert failed.why is NoToken.NOT_SET_UP
        assert "issuers.main" in failed.detail
        assert here.questions == 0


async def test_a_token_endpoint_that_takes_no_secret_is_not_asked():
    async with site(token_endpoint_auth_methods_supported=["private_key_jwt", "none"]) as here:
        assert (await here.failed()).why is NoToken.NOT_SET_UP
        assert here.questions == 0


async def test_a_provider_that_was_not_seen_yet_is_an_outage():
    async with site() as here:
        stranger = here.call()
        stranger = replace(stranger, principal=replace(stranger.principal, issuer=here.there.name + "/"))
        assert (await here.failed(stranger)).why is NoToken.UNAVAILABLE
        here.provider.metadata = None
        assert (await here.failed()).why is NoToken.UNAVAILABLE
        assert here.questions == 0


@pytest.mark.parametrize(
    "audience, scopes",
    [
        ("", ()),
        ("line\nbreak", ()),
        ("ü", ()),
        ("x" * 513, ()),
        ("x", ("two words",)),
        ("x", ("",)),
        ("x", ('quote"',)),
        ("x", ("back\\slash",)),
        ("x", tuple(f"s{number}" for number in range(33))),
    ],
)
async def test_what_cannot_be_asked_for_is_the_authors_mistake(audience: str, scopes: tuple[str, ...]):
    async with site() as here:
        with pytest.raises(ValueError, match=r"audience|scope"):
            await here.ask(None, audience, *scopes)
        assert here.questions == 0


async def test_a_closed_house_keeps_nothing():
    async with site() as here:
        await here.ask()
        await here.exchanges.close()
        assert here.exchanges._kept == {}
