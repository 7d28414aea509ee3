"""An author's function with a caller's token: what it knows of the caller, and how it gets a token for an upstream."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import BaseModel

from mcpward import Caller, Context, ExchangeRefused, ExchangeUnavailable, Message, Server, Text, ToolError, ToolResult
from mcpward.core.clock import SystemClock
from mcpward.core.errors import Refusal
from mcpward.core.exchange import ExchangeFailed, NoToken, Token
from mcpward.core.reasons import Reason
from mcpward.core.values import AcceptedCall, AuthMethod, Call, Principal, RawResult
from mcpward.tools.registry import Registry
from mcpward.tools.run import Runner
from support.back import Letterbox
from support.calls import PRINCIPAL, arrival_of, call_of

INBOUND = "inbound.token.canary"
VALUE = "upstream.token.canary"
ANN = Principal(
    key="oauth:https://id.example|ann", way=AuthMethod.OAUTH, server="orders", subject="ann", issuer="https://id.example",
    client="desk", scopes=frozenset({"orders:read"}), claims={"email": "ann@example.com"},
)  # fmt: skip


class Bureau:
    """An exchange that gives one token, or fails."""

    def __init__(self) -> None:
        self.asked: list[tuple[Call, str, frozenset[str]]] = []
        self.failure: Exception | None = None

    async def exchange(self, call: Call, audience: str, scopes: frozenset[str]) -> Token:
        self.asked.append((call, audience, scopes))
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        return Token(VALUE, expires_at=1_800_000_300.0, scopes=scopes)


@pytest.fixture
def bureau() -> Bureau:
    return Bureau()


@pytest.fixture
async def runner(bureau: Bureau) -> AsyncIterator[Runner]:
    runner = Runner(2, SystemClock(), bureau)
    yield runner
    await runner.close()


def call_by(principal: Principal, target: str = "tool", **changes: Any) -> Call:
    arrival = replace(arrival_of(), headers={b"authorization": f"Bearer {INBOUND}".encode()})
    return call_of(target, principal=principal, arrival=arrival, progress_token=1, log_level="debug", **changes)


async def run(
    runner: Runner, function: Callable[..., Any], principal: Principal = ANN, channel: Letterbox | None = None
) -> RawResult:
    server = Server("shop")
    server.tool("tool")(function)
    tool = Registry("orders", server).tools[0]
    accepted = AcceptedCall(call=call_by(principal), tool=tool, arguments={})
    return await runner.run(accepted, channel or Letterbox())


def text_of(result: RawResult) -> str:
    return str(result.content[0]["text"])


async def test_the_caller_is_who_the_token_says(runner: Runner):
    async def who(caller: Caller, context: Context) -> str:
        assert context.caller is caller
        return f"{caller.subject} {caller.issuer} {caller.client} {sorted(caller.scopes)} {dict(caller.claims)}"

    assert text_of(await run(runner, who)) == (
        "ann https://id.example desk ['orders:read'] {'email': 'ann@example.com'}"
    )


async def test_a_client_does_not_choose_the_callers_name(runner: Runner):
    async def who(caller: Caller) -> str:
        return caller.name

    assert text_of(await run(runner, who, replace(ANN, client="ben.berg.1@example.com"))) == "ann"


async def test_a_key_is_no_client(runner: Runner):
    async def who(caller: Caller) -> str:
        return f"{caller.name} {caller.client!r} {caller.issuer} {dict(caller.claims)}"

    assert text_of(await run(runner, who, PRINCIPAL)) == "laptop '' mcpward {}"


async def test_a_token_is_exchanged_for_the_callers_own_call(runner: Runner, bureau: Bureau):
    async def ship(caller: Caller) -> str:
        token = await caller.exchange(audience="https://shipping.example.com", scope="ship:read ship:write")
        assert token.reveal() == VALUE
        assert token.expires_at == 1_800_000_300.0
        return f"{token} {token!r} {sorted(token.scopes)}"

    assert text_of(await run(runner, ship)) == "*** Token(***) ['ship:read', 'ship:write']"
    ((call, audience, scopes),) = bureau.asked
    assert call.principal is ANN
    assert (audience, scopes) == ("https://shipping.example.com", {"ship:read", "ship:write"})


@pytest.mark.parametrize("scope", ["a b", "b  a", ["a", "b"], frozenset({"a", "b"})])
async def test_scopes_are_said_in_either_way(runner: Runner, bureau: Bureau, scope: Any):
    async def ship(caller: Caller) -> None:
        await caller.exchange(audience="x", scope=scope)

    await run(runner, ship)
    assert bureau.asked[0][2] == {"a", "b"}


async def test_a_function_without_async_exchanges_by_its_context(runner: Runner):
    def ship(context: Context) -> str:
        return context.run(context.caller.exchange(audience="x")).reveal()[:8]

    assert text_of(await run(runner, ship)) == "upstream"


async def test_nothing_that_the_function_can_look_at_shows_a_token(runner: Runner):
    async def look(caller: Caller, context: Context) -> str:
        token = await caller.exchange(audience="x")
        seen = [repr(caller), str(caller), repr(context), repr(token), repr(vars(caller))]
        seen += [repr(getattr(one, name, None)) for one in (caller, context) for name in dir(one)]
        return "\n".join(seen)

    told = text_of(await run(runner, look))
    assert INBOUND not in told
    assert VALUE not in told


async def test_the_way_to_exchange_is_no_fact_about_the_caller(runner: Runner):
    async def who(caller: Caller):
        return {"caller": caller}

    result = await run(runner, who)
    assert "subject" in text_of(result)
    assert "exchang" not in text_of(result)


async def test_when_the_call_is_over_nothing_is_exchanged(runner: Runner, bureau: Bureau):
    kept: list[Caller] = []

    async def keep(caller: Caller) -> None:
        kept.append(caller)

    await run(runner, keep)
    with pytest.raises(RuntimeError, match="while the call runs"):
        await kept[0].exchange(audience="x")
    assert not bureau.asked
    held = kept[0].__dict__["_exchanger"]
    assert not any(isinstance(getattr(held, name), Call) for name in held.__slots__)


async def test_another_event_loop_is_not_the_calls_own(runner: Runner, bureau: Bureau):
    def ship(caller: Caller) -> str:
        with pytest.raises(RuntimeError, match=r"context\.run"):
            asyncio.run(caller.exchange(audience="x"))
        return "refused"

    assert text_of(await run(runner, ship)) == "refused"
    assert not bureau.asked


@pytest.mark.parametrize(
    "why, raised, words",
    [
        (NoToken.IN_TASK, ExchangeRefused, "a task runs without"),
        (NoToken.NOT_SET_UP, ExchangeRefused, "may not exchange"),
        (NoToken.REFUSED, ExchangeRefused, "refuses the caller a token"),
        (NoToken.UNAVAILABLE, ExchangeUnavailable, "try again later"),
    ],
)
async def test_a_no_is_told_in_words_of_our_own(
    runner: Runner, bureau: Bureau, why: NoToken, raised: type[ToolError], words: str
):
    bureau.failure = ExchangeFailed(why, "canary detail", "invalid_target" if why is NoToken.REFUSED else "")

    async def ship(caller: Caller) -> None:
        with pytest.raises(raised) as told:
            await caller.exchange(audience="x")
        assert told.value.__cause__ is None
        raise told.value

    result = await run(runner, ship)
    assert result.is_error
    assert words in text_of(result)
    assert "canary" not in text_of(result)
    assert ("invalid_target" in text_of(result)) is (why is NoToken.REFUSED)


async def test_an_author_may_go_another_way(runner: Runner, bureau: Bureau):
    bureau.failure = ExchangeFailed(NoToken.REFUSED, error="invalid_scope")

    async def ship(caller: Caller) -> str:
        try:
            await caller.exchange(audience="x")
        except ExchangeRefused as no:
            return f"{no.why} {no.error}"
        return ""

    assert text_of(await run(runner, ship)) == "refused invalid_scope"


@pytest.mark.parametrize("way", [AuthMethod.API_KEY, AuthMethod.UNLISTED, AuthMethod.ANONYMOUS])
async def test_who_came_without_a_token_is_told_so(runner: Runner, bureau: Bureau, way: AuthMethod):
    async def ship(caller: Caller) -> None:
        await caller.exchange(audience="x")

    result = await run(runner, ship, replace(PRINCIPAL, way=way))
    assert result.is_error
    assert "no access token" in text_of(result)
    assert not bureau.asked


async def test_a_house_without_exchange_says_so():
    async def ship(caller: Caller) -> None:
        await caller.exchange(audience="x")

    runner = Runner(1, SystemClock())
    assert "may not exchange" in text_of(await run(runner, ship))
    await runner.close()


class Answer(BaseModel):
    body: str


QUOTING: list[Callable[[str], Any]] = [
    lambda quoted: quoted,
    lambda quoted: {"sent": [{"authorization": f"Bearer {quoted}"}]},
    lambda quoted: {quoted: 1},
    lambda quoted: [Answer(body=quoted)],
    Text,
    lambda quoted: [Text("x"), Text(quoted)],
    lambda quoted: ToolResult("x", meta={"sent": quoted}),
    lambda quoted: ToolResult([Text(quoted)]),
]


@pytest.mark.parametrize("quote", QUOTING)
async def test_a_result_that_quotes_the_token_is_withheld(runner: Runner, quote: Callable[[str], Any]):
    async def ship(caller: Caller):
        return quote(f"upstream said: bad token {(await caller.exchange(audience='x')).reveal()}")

    with pytest.raises(Refusal) as refused:
        await run(runner, ship)
    assert refused.value.reason is Reason.OUTPUT_REFUSED
    assert VALUE not in refused.value.detail


async def test_words_that_quote_the_token_are_withheld(runner: Runner):
    async def ship(caller: Caller) -> None:
        raise ToolError(f"upstream said: bad token {(await caller.exchange(audience='x')).reveal()}")

    with pytest.raises(Refusal) as refused:
        await run(runner, ship)
    assert refused.value.reason is Reason.OUTPUT_REFUSED


async def test_messages_that_quote_the_token_are_not_sent(runner: Runner):
    async def ship(caller: Caller, context: Context) -> None:
        token = await caller.exchange(audience="x")
        await context.info(f"sent {token.reveal()}")
        await context.report_progress(1, 2, token.reveal())
        await context.info("sent")

    channel = Letterbox()
    await run(runner, ship, channel=channel)
    assert [message["params"].get("data") for message in channel.messages] == ["sent"]


async def test_a_resource_and_a_prompt_exchange_and_withhold_alike(runner: Runner):
    server = Server("shop")

    @server.resource("shop://parcel")
    async def parcel(caller: Caller) -> str:
        return (await caller.exchange(audience="x")).reveal()[:8]

    @server.resource("shop://leak")
    async def leak(caller: Caller) -> str:
        return (await caller.exchange(audience="x")).reveal()

    @server.prompt()
    async def talk(caller: Caller) -> list[Message]:
        return [Message((await caller.exchange(audience="x")).reveal())]

    registry, channel = Registry("orders", server), Letterbox()
    parcels, leaks, prompt = (
        registry.find_resource("shop://parcel"), registry.find_resource("shop://leak"), registry.find_prompt("talk")
    )  # fmt: skip
    assert parcels is not None
    assert leaks is not None
    assert prompt is not None
    read = await runner.read(call_by(ANN), parcels, channel)
    assert read["contents"][0]["text"] == "upstream"
    with pytest.raises(Refusal) as leaked:
        await runner.read(call_by(ANN), leaks, channel)
    with pytest.raises(Refusal) as told:
        await runner.render(call_by(ANN), prompt, {}, channel)
    assert VALUE not in leaked.value.detail + told.value.detail
