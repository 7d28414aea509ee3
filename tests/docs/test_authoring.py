"""docs/authoring.md is a server that runs as it is written there."""

import asyncio
import re
import sqlite3
from contextlib import closing
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from mcpward.core.client_channel import InputRequired
from mcpward.core.clock import SystemClock
from mcpward.core.errors import Refusal
from mcpward.core.exchange import NoToken, Token
from mcpward.core.values import AuthMethod, RawResult
from mcpward.sdk.context import Caller
from mcpward.sdk.server import Server
from mcpward.testing import client
from mcpward.tools.local import load_server
from mcpward.tools.registry import Registry
from mcpward.tools.run import Runner
from mcpward.validation.accept import accept, accept_prompt, accept_variables
from support.back import Letterbox
from support.calls import PRINCIPAL, call_of
from support.generated import require_takes_what_it_publishes
from support.outside import http, outside
from support.sources import ROOT

PAGE = (ROOT / "docs" / "authoring.md").read_text(encoding="utf-8")
CODE = "\n\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture
def server(tmp_path, monkeypatch) -> Server:
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect("shop.db")) as connection, connection:
        connection.execute("CREATE TABLE products (id INTEGER, name TEXT)")
        connection.execute("INSERT INTO products VALUES (1, 'lamp')")
    (tmp_path / "tools.py").write_text(CODE)
    return load_server("tools.py")


@pytest.fixture
async def call(server):
    registry, runner = Registry("orders", server), Runner(2, SystemClock())

    async def call(name: str, /, back: Letterbox | None = None, **arguments: Any) -> RawResult:
        tool = registry.find(name)
        assert tool is not None
        accepted = accept(call_of(name, msgspec.json.encode(arguments), progress_token=1, log_level="info"), tool)
        return await runner.run(accepted, back or Letterbox())

    yield call
    await runner.close()


def text(result: RawResult) -> str:
    return result.content[0]["text"]


async def test_a_parameter_from_the_caller_is_the_callers_own(call):
    assert text(await call("my_shelf", contains="plat")) == '["plate"]'
    with pytest.raises(Refusal, match="arguments-invalid"):
        await call("my_shelf", owner="k2")


async def test_a_row_of_another_does_not_leave(call):
    assert text(await call("parcel", parcel_id=1)) == '{"id":1,"user_id":"k1"}'
    with pytest.raises(Refusal, match="output-refused"):
        await call("parcel", parcel_id=2)


async def test_every_tool_of_the_page_does_what_it_says(call):
    assert text(await call("orders", limit=1)).startswith('[{"id":2')
    assert text(await call("orders", status="paid")).startswith('[{"id":1')
    assert text(await call("size")) == '{"width":1,"height":1}'
    assert [block["type"] for block in (await call("picture")).content] == ["text", "image", "resource"]
    assert (await call("cancel", order_id=9)).is_error
    assert text(await call("lamps", colour="red")) == "a red lamp"
    assert text(await call("whoami")) == "k1, by api-key"
    assert text(await call("between", start="2026-01-01", end="2026-01-31")) == "30"
    assert text(await call("products", name="lamp")) == '[{"id":1,"name":"lamp"}]'


class Bureau:
    """An identity provider's exchange, as far as a page of examples needs one."""

    async def exchange(self, call, audience, scopes):
        assert audience
        assert scopes == {"parcels:read"}
        return Token(f"for-{call.principal.subject}", expires_at=None, scopes=scopes)


async def test_the_tool_that_calls_upstream_shows_the_exchanged_token_there(server, monkeypatch):
    tool, runner = Registry("orders", server).find("parcels"), Runner(1, SystemClock(), Bureau())
    assert tool is not None
    ann = replace(PRINCIPAL, way=AuthMethod.OAUTH, subject="ann", issuer="https://id.example", key_id=None)
    async with outside(http(b'["a lamp"]')) as shipping:
        page = next(one.function for one in server.tools if one.name == "parcels").__globals__
        monkeypatch.setitem(page, "SHIPPING", shipping.url(""))
        given = await runner.run(accept(call_of("parcels", b"{}", principal=ann), tool), Letterbox())
        told = await runner.run(accept(call_of("parcels", b"{}"), tool), Letterbox())
    assert text(given) == '["a lamp"]'
    assert b"Bearer for-ann\r\n" in shipping.requests[0]
    assert told.is_error
    assert "no access token" in text(told)
    assert len(shipping.requests) == 1
    await runner.close()


def test_what_a_caller_has_is_on_the_page():
    chapter = PAGE[PAGE.index("## Who calls") : PAGE.index("## The running call")]
    assert [name for name in Caller.__struct_fields__ if f"`{name}`" not in chapter] == []
    assert [why.value for why in NoToken if why is not NoToken.UNAVAILABLE and why.value not in chapter] == []


async def test_progress_and_messages_go_out(call):
    back = Letterbox()
    assert text(await call("count", back)) == "3"
    assert [message["method"].rpartition("/")[2] for message in back.messages] == [
        *["progress"] * 3,
        "message",
    ]


async def test_the_tools_that_ask_do_so(call):
    paper = {"action": "accept", "content": {"paper": "b", "card": "hi"}}
    assert text(await call("wrap", Letterbox(**{"input-1": paper}), order_id=1)) == "order 1 in paper 'b'"
    assert text(await call("wrap", Letterbox(**{"input-1": {"action": "cancel"}}), order_id=1)) == "not wrapped: cancel"
    said = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "La la."}}
    roots = {"roots": [{"uri": "file:///a"}]}
    back = Letterbox(name={"action": "decline"}, verse=said, folders=roots)
    assert text(await call("verse", back, about="lamps")) == "La la. (1 folders)"
    assert text(await call("places", Letterbox(**{"input-1": roots}))) == '["file:///a"]'
    with pytest.raises(InputRequired):
        await call("wrap", order_id=1)


async def test_a_result_by_hand_keeps_its_meta(call):
    assert (await call("shelf")).meta == {"shop.example/counted": "2026-01-02"}


def test_the_tool_that_needs_a_yes_says_so_to_the_house(server):
    tool = Registry("orders", server).find("empty")
    assert tool is not None
    assert (tool.confirm, tool.question) == (True, "This empties the shop. Go on?")


@pytest.mark.parametrize(
    "name,arguments",
    [
        ("orders", {"limit": "1"}),
        ("orders", {"limit": 101}),
        ("orders", {"more": 1}),
        ("between", {"start": "2026-01-01", "end": "2026-12-31"}),
        ("whoami", {"caller": "root"}),
        ("lamps", {}),
        ("lamps", {"size": 1, "more": 1}),
    ],
)
async def test_what_the_page_says_is_refused_is_refused(call, name, arguments):
    with pytest.raises(Refusal):
        await call(name, **arguments)


async def test_the_resource_and_the_prompt_are_served(server):
    registry, runner = Registry("orders", server), Runner(1, SystemClock())
    read = await runner.read(call_of("shop://terms"), registry.resources[0], Letterbox())
    assert read["contents"][0]["text"] == "No refunds."
    prompt = registry.prompts[0]
    arguments = accept_prompt(call_of("review", b'{"week": "7"}'), prompt.bind)
    made = await runner.render(call_of("review"), prompt, arguments, Letterbox())
    assert made["messages"][0]["content"]["text"] == "Look at the orders of week 7 (all), short."
    await runner.close()


@pytest.mark.parametrize(
    "uri,content",
    [
        ("shop://orders/7/lines", '{"order":7,"part":"lines"}'),
        ("shop://manual/lamps/red%20ones", "# lamps/red ones"),
    ],
)
async def test_the_templates_of_the_page_are_read(server, uri, content):
    runner = Runner(1, SystemClock())
    resource = Registry("orders", server).find_resource(uri)
    assert resource is not None
    ready = resource.filled(accept_variables(resource.bind))
    assert (await runner.read(call_of(uri), ready, Letterbox()))["contents"][0]["text"] == content
    await runner.close()


@pytest.mark.parametrize(
    "uri", ["shop://orders/../lines", "shop://orders/1%2F2/lines", "shop://manual/a//b", "shop://manual/"]
)
def test_a_uri_that_the_page_calls_refused_finds_nothing(server, uri):
    assert Registry("orders", server).find_resource(uri) is None


@pytest.mark.parametrize(
    "argument,value,values",
    [("product", "lamp", ["lamp", "lampshade"]), ("tone", "th", ["thorough"]), ("week", "1", [])],
)
async def test_the_prompt_of_the_page_completes(server, argument, value, values):
    runner = Runner(1, SystemClock())
    params = {"ref": {"type": "ref/prompt", "name": "review"}, "argument": {"name": argument, "value": value}}
    asked = call_of("review", method="completion/complete", params=params)
    completion = Registry("orders", server).complete(asked)
    assert completion is not None
    assert (await runner.complete(asked, completion, Letterbox()))["completion"]["values"] == values
    await runner.close()


async def test_the_shop_of_the_page_closes_and_opens(server):
    registry, runner = Registry("orders", server), Runner(1, SystemClock())
    for closed, there in [(True, False), (False, True)]:
        tool = registry.find("close_shop")
        assert tool is not None
        given = msgspec.json.encode({"closed": closed})
        await runner.run(accept(call_of("close_shop", given), tool), Letterbox())
        assert (registry.find("cancel") is not None) is there
    await runner.close()


def test_every_option_of_a_resource_and_a_prompt_is_on_the_page():
    import inspect

    chapter = PAGE[PAGE.index("## Resources and prompts") :]
    for declare in (Server.resource, Server.prompt):
        options = set(inspect.signature(declare).parameters) - {"self", "uri"}
        assert [name for name in options if f"`{name}`" not in chapter] == []


def test_every_option_of_a_tool_is_on_the_page():
    import inspect

    table = "\n".join(line for line in PAGE.splitlines() if line.startswith("| `"))
    options = [name for name in inspect.signature(Server.tool).parameters if name != "self"]
    assert [name for name in options if f"`{name}" not in table] == []


async def test_a_tool_tells_what_stands_behind_it(call, server):
    assert text(await call("describe", names=["lamp", "chair"])) == "lamp"
    describe = Registry("orders", server).find("describe")
    assert describe is not None
    assert describe.pools == ("shop",)
    given = {"names": ["lamp", "chair"], "max_tokens": 700}
    assert {draw.budget: draw.cost_of(given) for draw in describe.draws if draw.cost_of is not None} == {
        "openai": 700,
        "stripe": 2,
    }


def test_what_the_schemas_of_the_page_allow_is_accepted(server):
    require_takes_what_it_publishes(Registry("orders", server).tools)


RATES = "".join(re.findall(r"```py\n(.*?)```", PAGE, re.DOTALL))


async def test_the_server_with_a_lifespan_runs_as_it_is_written(tmp_path, capsys):
    (tmp_path / "rates.py").write_text(RATES)
    told = []

    async def bank(reader, writer):
        told.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"EUR":1.1}')
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(bank, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    secrets = {"BANK_URL": f"http://127.0.0.1:{port}", "BANK_TOKEN": "a-token-of-the-bank"}
    async with listening, client(tmp_path / "rates.py", secrets=secrets) as rates:
        assert (await rates.call("rate", currency="EUR")).value == 1.1
        assert (await rates.call("rate", currency="XXX")).reason == "tool-failed"
        (tool,) = await rates.tools()
        assert list(tool["inputSchema"]["properties"]) == ["currency"]
    assert len(told) == 1
    assert b"authorization: bearer a-token-of-the-bank" in told[0].lower()
    assert capsys.readouterr().out == "no more rates\n"
