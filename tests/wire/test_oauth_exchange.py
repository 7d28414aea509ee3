"""Tools that act upstream for their caller, at the shipped process, with a real identity provider (RFC 8693).

The upstream is a second server of the same site: it takes tokens that are made for it, and no others.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.guarded import Door, guarded, oauth_server
from support.provider import SECRET, Provider, providing
from support.ward import ACCEPT, modern_request

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

TOOLS = '''
import asyncio
from urllib.request import Request, urlopen
from mcpward import Caller, Context, ExchangeRefused, Server

server = Server("front")


def _post(url: str, body: str, headers: dict[str, str], token: str) -> str:
    request = Request(url, body.encode(), headers | {"Authorization": f"Bearer {token}"})
    with urlopen(request, timeout=10) as answer:
        return answer.read().decode()


@server.tool(read_only=True)
async def forward(caller: Caller, url: str, audience: str, body: str, headers: dict[str, str]) -> str:
    """Call the upstream for the caller."""
    token = await caller.exchange(audience=audience, scope="demo:read")
    return await asyncio.to_thread(_post, url, body, headers, token.reveal())


@server.tool(read_only=True)
def forward_in_thread(context: Context, url: str, audience: str, body: str, headers: dict[str, str]) -> str:
    """Call the upstream for the caller."""
    token = context.run(context.caller.exchange(audience=audience, scope=["demo:read"]))
    return _post(url, body, headers, token.reveal())


@server.tool(read_only=True)
async def show(caller: Caller, audience: str) -> dict[str, object]:
    """Say what can be said of a token."""
    token = await caller.exchange(audience=audience, scope="demo:read demo:write")
    return {"printed": f"{token} {token!r}", "scopes": sorted(token.scopes), "ends": token.expires_at}


@server.tool(read_only=True)
async def leak(caller: Caller, audience: str) -> str:
    """Give away what must not leave."""
    return f"the token is {(await caller.exchange(audience=audience)).reveal()}"
'''


@pytest.fixture(scope="module")
def provider(node: Path) -> Iterator[Provider]:
    with providing() as provider:
        yield provider


def servers() -> str:
    front = oauth_server("front", "main", mode='["oauth", "api-key"]', source="front.py")
    plain = oauth_server("plain", "plain", source="front.py")
    return front + plain + oauth_server("shipping", "main")


@pytest.fixture(scope="module")
def site(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Door]]:
    folder = tmp_path_factory.mktemp("exchange") / "site"
    trusted = f'[issuers.main]\nmetadata = "{provider.metadata}"\nclient_id = "mcpward"\n'
    trusted += f'client_secret = "env:EXCHANGE_SECRET"\n[issuers.plain]\nmetadata = "{provider.metadata}"\n'
    with guarded(folder, servers(), trusted, env={"EXCHANGE_SECRET": SECRET}, start=False) as ward:
        (folder / "front.py").write_text(TOOLS)
        ward.start()
        yield {name: Door(ward, f"/{name}/mcp") for name in ("front", "plain", "shipping")}
        assert "Traceback" not in ward.log()


def onward(site: dict[str, Door]) -> dict[str, Any]:
    """The arguments that have the front call whoami at the upstream."""
    body, headers = modern_request("tools/call", {"name": "whoami", "arguments": {}}, name="whoami")
    media = {"Content-Type": "application/json", "Accept": ACCEPT}
    url = site["shipping"].resource
    return {"url": url, "audience": url, "body": json.dumps(body), "headers": headers | media}


def told(door: Door, token: str, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    answer = door.knock(token, tool, arguments)
    assert answer.status == 200, answer.raw
    return dict(answer.json()["result"])


def words(result: dict[str, Any]) -> str:
    return str(result["content"][0]["text"])


@pytest.mark.parametrize("tool", ["forward", "forward_in_thread"])
def test_a_tool_acts_upstream_as_its_caller(site: dict[str, Door], provider: Provider, tool: str):
    for user in ("ada", "ben"):
        token = provider.token(user, site["front"].resource)
        result = told(site["front"], token, tool, onward(site))
        assert not result.get("isError"), result
        who = json.loads(result["structuredContent"]["result"])["result"]["structuredContent"]
        assert (who["subject"], who["issuer"], who["client"]) == (user, provider.issuer, "mcpward")
        assert who["scopes"] == ["demo:read"]


def test_attack_30_the_callers_own_token_opens_no_upstream(site: dict[str, Door], provider: Provider):
    token = provider.token("ada", site["front"].resource)
    assert site["shipping"].knock(token).status == 401
    assert not told(site["front"], token, "forward", onward(site)).get("isError")


def test_a_token_is_asked_for_once_and_never_shared(site: dict[str, Door], provider: Provider):
    ada, again, ben = (provider.token(user, site["front"].resource) for user in ("ada", "ada", "ben"))
    before = provider.asked["POST /token"]
    for _ in range(3):
        for token in (ada, again, ben):
            assert not told(site["front"], token, "forward", onward(site)).get("isError")
    assert provider.asked["POST /token"] == before + 3


def test_what_a_tool_can_say_of_a_token(site: dict[str, Door], provider: Provider):
    token = provider.token("ada", site["front"].resource)
    said = told(site["front"], token, "show", {"audience": site["shipping"].resource})["structuredContent"]
    assert said["printed"] == "*** Token(***)"
    assert said["scopes"] == ["demo:read", "demo:write"]
    assert said["ends"] > 0


def test_attack_30_a_result_with_the_token_in_it_does_not_leave(site: dict[str, Door], provider: Provider):
    token = provider.token("ada", site["front"].resource)
    result = told(site["front"], token, "leak", {"audience": site["shipping"].resource})
    assert result["isError"]
    assert "eyJ" not in json.dumps(result)
    ward = site["front"].ward
    assert "output-refused" in json.dumps(ward.records())
    for text in (ward.log(), json.dumps(ward.records())):
        assert "eyJ" not in text
        assert SECRET not in text


def test_what_the_provider_refuses_is_told_as_that(site: dict[str, Door], provider: Provider):
    token = provider.token("ada", site["front"].resource)
    result = told(site["front"], token, "leak", {"audience": "https://bank.example.com"})
    assert result["isError"]
    assert "gives the caller no token" in words(result)
    assert "invalid_target" in words(result)


def test_an_outage_is_told_as_that_and_ends(site: dict[str, Door], provider: Provider):
    token, arguments = provider.token("cyd", site["front"].resource), {"audience": site["shipping"].resource}
    for answer in ({"status": 500}, {"status": 302, "location": "/elsewhere"}, {"type": "text/html", "body": "<p>"}):
        provider.behave(answers={"/token": answer})
        try:
            result = told(site["front"], token, "show", arguments)
            assert result["isError"]
            assert "try again later" in words(result)
        finally:
            provider.behave()
    assert not told(site["front"], token, "show", arguments).get("isError")


def test_the_callers_own_token_handed_back_is_not_passed_on(site: dict[str, Door], provider: Provider):
    token = provider.token("dan", site["front"].resource)
    given = {
        "access_token": token, "token_type": "Bearer", "expires_in": 60,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }  # fmt: skip
    provider.behave(answers={"/token": {"body": json.dumps(given)}})
    try:
        assert "try again later" in words(told(site["front"], token, "forward", onward(site)))
    finally:
        provider.behave()


def test_who_came_with_a_key_has_nothing_to_exchange(site: dict[str, Door]):
    key = site["front"].ward.create_key("front")
    assert "no access token" in words(told(site["front"], key, "forward", onward(site)))


def test_a_server_that_is_no_client_of_its_provider_says_so(site: dict[str, Door], provider: Provider):
    token = provider.token("ada", site["plain"].resource)
    assert "may not exchange" in words(told(site["plain"], token, "forward", onward(site)))
    assert "client_id and client_secret are not set" in site["plain"].ward.log()
