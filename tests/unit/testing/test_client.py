"""``mcpward.testing.client``: calls pass what they pass in production, and a test sees what came of them."""

import asyncio
import datetime as dt
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import pytest
from pydantic import BaseModel

from mcpward import Caller, Context, DateRange, Header, Limit, Server, ToolError, env
from mcpward.core.errors import Misconfigured
from mcpward.core.values import AuthMethod
from mcpward.sdk.place import place_of
from mcpward.testing import CANCEL, DECLINE, Logged, Progress, Refused, client


@dataclass
class Shop:
    is_open: bool = True


class Order(BaseModel):
    id: int
    owner: str


class Wrapping(BaseModel):
    paper: str = "red"


SHOPS: list[Shop] = []


@asynccontextmanager
async def lifespan() -> AsyncIterator[Shop]:
    shop = Shop()
    SHOPS.append(shop)
    yield shop
    shop.is_open = False


server = Server("Shop_1", lifespan=lifespan)
ORDERS = [Order(id=1, owner="ann"), Order(id=2, owner="bob")]


@server.tool(read_only=True, scopes=["orders:read"])
async def orders(caller: Caller, limit: Annotated[int, Limit(max=5)] = 5) -> list[Order]:
    """The caller's orders."""
    return [order for order in ORDERS if order.owner == caller.subject][:limit]


@server.tool(read_only=True)
def place(shop: Shop) -> bool:
    """Whether the shop is open."""
    return shop.is_open


@server.tool(read_only=True, guards=[DateRange("start", "end", max_days=9)])
def between(start: dt.date, end: dt.date) -> int:
    """Days."""
    return (end - start).days


@server.tool(read_only=True, rate="2/minute")
def rare(region: Annotated[str, Header("Region")]) -> str:
    """Seldom."""
    return region


@server.tool(destructive=True, confirm="This empties the shop. Go on?")
async def empty() -> str:
    """Empty it."""
    return "empty"


@server.tool()
async def wrap(context: Context) -> str:
    """Wrap."""
    form = await context.elicit("How?", Wrapping)
    line = await context.sample("A line for the card.", max_tokens=9, key="line")
    folders = await context.roots()
    page = await context.elicit_url("Pay", "https://shop.example/pay", key="pay")
    return f"{form.action} {form.data and form.data.paper} {line.text} {[root.uri for root in folders]} {page.action}"


@server.tool(read_only=True)
async def count(context: Context) -> str:
    """Count."""
    await context.report_progress(1, 2, "half")
    await context.warning("slow")
    return "counted"


@server.tool(read_only=True)
def crash() -> str:
    """Fail."""
    raise RuntimeError("the private detail")


@server.tool(read_only=True)
def scold() -> str:
    """Refuse."""
    raise ToolError("there is no such order")


@server.tool(read_only=True)
def leak() -> str:
    """Return a secret away."""
    return f"the token is {env.SHOP_TOKEN.reveal()}"


@server.tool(read_only=True)
def claims(caller: Caller) -> dict[str, str]:
    """Claims."""
    return {"team": caller.claims["team"], "way": caller.way.value}


@server.resource("shop://orders/{order}")
def order(order: int, caller: Caller) -> Order:
    """An order."""
    return Order(id=order, owner=caller.subject)


@server.resource("shop://logo", mime_type="image/png")
def logo() -> bytes:
    """The logo."""
    return b"\x89PNG"


@server.prompt(scopes=["orders:read"])
def greet(name: str) -> str:
    """Greet."""
    return f"Say hello to {name}."


@server.completion(prompt="greet", argument="name")
def names(value: str) -> list[str]:
    """Names."""
    return [name for name in ("Ann", "Bob") if name.startswith(value)]


async def test_a_call_gives_its_value_as_text_structured_and_as_what_the_function_returned():
    async with client(server, caller="ann", scopes=["orders:read"]) as shop:
        result = await shop.call("orders", limit=3)
        assert not result.is_error
        assert result.value == [{"id": 1, "owner": "ann"}]
        assert result.structured == {"result": result.value}
        assert result.text == '[{"id":1,"owner":"ann"}]'
        assert (await shop.call("between", {"start": dt.date(2026, 1, 1), "end": "2026-01-03"})).value == 2


async def test_each_caller_has_its_own_rows_and_its_own_limits():
    async with client(server, caller="ann", scopes=["orders:read"]) as ann:
        bob = ann.as_caller("bob", scopes=["orders:read"])
        assert [row["id"] for row in (await bob.call("orders")).value] == [2]
        for _ in range(2):
            assert (await ann.call("rare", region="eu")).value == "eu"
        refused = await ann.call("rare", region="us")
        assert refused.reason == "rate-exceeded"
        assert 0 < (refused.retry_after_s or 0) <= 60
        assert (await bob.call("rare", region="us")).value == "us"
        ann.advance(60)
        assert (await ann.call("rare", region="asia")).value == "asia"


async def test_what_the_caller_may_not_use_is_unknown_and_not_listed():
    async with client(server) as shop:
        assert (await shop.call("orders")).reason == "tool-unknown"
        assert "orders" not in [tool["name"] for tool in await shop.tools()]
        assert await shop.prompts() == []
        reader = shop.as_caller("reader", access="read", tools=["place", "wrap"])
        assert [tool["name"] for tool in await reader.tools()] == ["place"]
        person = Caller(subject="u1", name="u1", server="shop-1", way=AuthMethod.OAUTH, issuer="https://id.example")
        refused = await shop.as_caller(person).call("orders")
        assert refused.reason == "scope-missing"
        with pytest.raises(Refused, match="call orders: scope-missing: "):
            _ = refused.value


async def test_arguments_are_checked_as_they_are_in_production():
    async with client(server, scopes=["orders:read"]) as shop:
        wrong = await shop.call("orders", limit="3")
        assert (wrong.reason, wrong.is_error) == ("arguments-invalid", True)
        assert "limit: an integer of 1 to 5" in wrong.message
        assert (await shop.call("place", shop={"is_open": False})).reason == "arguments-invalid"
        far = await shop.call("between", start="2026-01-01", end="2026-03-01")
        assert far.reason == "argument-dangerous"
        assert "end" in far.text


async def test_a_crash_is_seen_with_its_traceback_by_the_test_and_not_by_the_caller():
    async with client(server) as shop:
        crashed = await shop.call("crash")
        assert crashed.reason == "tool-failed"
        assert "the private detail" not in str(crashed.raw)
        assert "RuntimeError: the private detail" in crashed.detail
        with pytest.raises(Refused, match="RuntimeError: the private detail"):
            _ = crashed.value
        told = await shop.call("scold")
        assert (told.is_error, told.reason, told.text) == (True, None, "there is no such order")
        assert "there is no such order" in repr(told)


async def test_a_secret_that_a_tool_gives_away_is_taken_out():
    async with client(server, secrets={"SHOP_TOKEN": "a-token-of-some-length"}) as shop:
        text = (await shop.call("leak")).text
        assert text.startswith("the token is ")
        assert "a-token-of-some-length" not in text
    with pytest.raises(AttributeError):
        _ = env.SHOP_TOKEN


async def test_a_persons_yes_is_needed_and_a_no_stays_one():
    async with client(server, answers={"confirm": True}) as shop:
        done = await shop.call("empty")
        assert done.value == "empty"
        (asked,) = done.asked
        assert (asked.key, asked.kind) == ("confirm", "confirm")
        assert asked.message.startswith("This empties the shop. Go on?")
        for no in (False, DECLINE, CANCEL):
            refused = await shop.as_caller(f"{no}", answers={"confirm": no}).call("empty")
            assert refused.reason == "consent-missing"
        cannot = await shop.as_caller("deaf").call("empty")
        assert cannot.reason == "consent-missing"
        assert "cannot ask a person" in cannot.message


async def test_questions_are_answered_by_key_or_by_a_function():
    by_key = {"input-1": {"paper": "blue"}, "line": "Yours", "input-2": ["file:///work"], "pay": True}
    async with client(server, answers=by_key) as shop:
        wrapped = await shop.call("wrap")
        assert wrapped.value == "accept blue Yours ['file:///work'] accept"
        assert [question.kind for question in wrapped.asked] == ["form", "sample", "roots", "url"]
        assert wrapped.asked[0].schema["properties"]["paper"]["default"] == "red"

        def answer(question):
            return {"form": DECLINE, "sample": "No", "roots": [], "url": CANCEL}[question.kind]

        assert (await shop.as_caller("two", answers=answer).call("wrap")).value == "decline None No [] cancel"


async def test_a_question_without_an_answer_fails_the_test_and_says_what_to_write():
    async with client(server, answers={}) as shop:
        with pytest.raises(
            AssertionError,
            match=r"no answer is set for the question 'input-1' \(form\): 'How\?'; set ans",
        ):
            await shop.call("wrap")
        with pytest.raises(AssertionError, match="7 is not an answer to the question 'input-1'"):
            await shop.as_caller("two", answers={"input-1": 7}).call("wrap")
    async with client(server) as shop:
        assert (await shop.call("wrap")).reason == "capability-missing"


async def test_progress_and_log_messages_are_seen():
    async with client(server) as shop:
        counted = await shop.call("count")
    assert counted.progress == (Progress(1, 2, "half"),)
    assert counted.logs == (Logged("warning", "slow"),)


async def test_resources_prompts_and_completions_go_the_same_way():
    async with client(server, caller="ann", scopes=["orders:read"]) as shop:
        read = await shop.read("shop://orders/7")
        assert read.text == '{"id":7,"owner":"ann"}'
        assert (await shop.read("shop://logo")).blob == b"\x89PNG"
        assert (await shop.read("shop://logo")).mime_type == "image/png"
        assert (await shop.read("shop://nowhere")).reason == "resource-unknown"
        assert [one["uri"] for one in await shop.resources()] == ["shop://logo"]
        assert [one["uriTemplate"] for one in await shop.templates()] == ["shop://orders/{order}"]
        prompt = await shop.prompt("greet", name="Ann")
        assert prompt.text == "Say hello to Ann."
        assert [one["name"] for one in await shop.prompts()] == ["greet"]
        assert (await shop.complete("name", "A", prompt="greet")).values == ["Ann"]
        stranger = shop.as_caller("stranger")
        assert (await stranger.prompt("greet", name="Ann")).reason == "prompt-unknown"
        with pytest.raises(Refused, match="prompt-unknown"):
            _ = (await stranger.prompt("greet", name="Ann")).text


async def test_a_caller_with_a_token_has_its_claims():
    person = Caller(subject="u1", name="u1", server="shop-1", way=AuthMethod.OAUTH, claims={"team": "north"})
    async with client(server, caller=person) as shop:
        assert (await shop.call("claims")).value == {"team": "north", "way": "oauth"}


async def test_the_lifespan_runs_around_the_block():
    SHOPS.clear()
    async with client(server) as shop:
        assert (await shop.call("place")).value is True
        assert [one.is_open for one in SHOPS] == [True]
    assert [one.is_open for one in SHOPS] == [False]


async def test_a_start_that_fails_is_told_as_it_would_be_in_production(monkeypatch):
    monkeypatch.setenv("SHOP_LOGIN", "hunter2hunter2")
    broken = Server("broken")

    @broken.on_start
    def start() -> None:
        raise OSError(f"no way with {os.environ['SHOP_LOGIN']}")

    said = r"on_start function 'start' failed: OSError: no way with \[redacted\]"
    with pytest.raises(Misconfigured, match=said) as refused:
        async with client(broken):
            pass
    assert place_of(__file__, start.__code__.co_firstlineno + 2) in refused.value.__notes__[0]


async def test_the_operators_settings_hold_where_they_are_given(tmp_path):
    (tmp_path / "tools.py").write_text(
        "from mcpward import Server\nserver = Server('own')\n"
        "@server.tool(read_only=True, budgets=['stripe'])\ndef pay() -> str:\n    'Pay.'\n    return 'paid'\n"
    )
    file = tmp_path / "mcpward.toml"
    file.write_text(
        '[limits]\ncounters = "redis://localhost:1/0"\n[budgets.stripe]\nquota = "1/day"\n'
        '[servers.own]\nsource = "tools.py"\nmode = "public"\n'
    )
    async with client(config=file) as own:
        assert (await own.call("pay")).value == "paid"
        assert (await own.call("pay")).reason == "rate-exceeded"
    with pytest.raises(Misconfigured, match="budget 'stripe'"):
        async with client(tmp_path / "tools.py"):
            pass
    budget = {"budgets.stripe.quota": "2/day"}
    async with client(tmp_path / "tools.py", settings=budget) as own:
        assert [(await own.call("pay")).reason for _ in range(3)] == [None, None, "rate-exceeded"]
    with pytest.raises(Misconfigured, match=r"budgets\.stripe\.qota"):
        async with client(tmp_path / "tools.py", settings={"budgets.stripe.qota": "2/day"}):
            pass


async def test_two_clients_of_one_server_do_not_meet():
    async def one() -> list[str | None]:
        async with client(server) as shop:
            return [(await shop.call("rare", region="eu")).reason for _ in range(3)]

    assert await asyncio.gather(one(), one()) == [[None, None, "rate-exceeded"]] * 2
