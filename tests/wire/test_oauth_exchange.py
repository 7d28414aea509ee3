"""A tool that acts for its caller elsewhere: with a token for there, of a real provider (RFC 8693), never the caller's.

Attack 30, token passthrough, where it is most tempting: the tool has to show its upstream something.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.guarded import Door, guarded, issuers, oauth_server
from support.issuer import Document, Listener, listening
from support.provider import SECRET, Provider, providing
from support.tokens import unb64
from support.wire import until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

TOOLS = '''
import asyncio
import urllib.request
from mcpward import Caller, ExchangeRefused, ExchangeUnavailable, Server, ToolError


server = Server("demo", version="1.0")


@server.tool(read_only=True)
async def whoami(caller: Caller) -> dict[str, str]:
    """Say who is calling."""
    return {"subject": caller.subject}


@server.tool(read_only=True)
async def ship(caller: Caller, url: str, scope: str = "orders:read", tell: bool = False) -> str:
    """Ask the upstream, as the caller."""
    try:
        token = await caller.exchange(audience=url, scope=scope)
    except ExchangeRefused:
        raise ToolError("refused") from None
    except ExchangeUnavailable:
        raise ToolError("unavailable") from None
    asked = urllib.request.Request(f"{url}/hook", b"{}", {"authorization": "Bearer " + token.reveal()})
    with await asyncio.to_thread(urllib.request.urlopen, asked, timeout=5):
        return token.reveal() if tell else f"{token} {token!r}"
'''


class Shop:
    """A site that may exchange, its provider, and an upstream that keeps the tokens that it receives."""

    def __init__(self, door: Door, provider: Provider, upstream: Listener) -> None:
        self.door, self.provider, self.upstream = door, provider, upstream

    def ship(self, token: str, **more: Any) -> dict[str, Any]:
        answer = self.door.knock(token, "ship", {"url": self.upstream.base, **more})
        assert answer.status == 200, answer.raw
        return dict(answer.json()["result"])

    def shown(self) -> list[dict[str, Any]]:
        """The claims of all tokens that the upstream was shown, in order."""
        tokens = [one.headers["authorization"].removeprefix("Bearer ") for one in self.upstream.received]
        return [json.loads(unb64(token.split(".")[1])) for token in tokens]


@pytest.fixture(scope="module")
def shop(node: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    upstream = Listener({"/hook": Document({})})
    folder = tmp_path_factory.mktemp("exchange") / "site"
    with providing() as provider, listening(upstream):
        trusted = issuers(main=provider.metadata)
        trusted += 'client_id = "mcpward"\nclient_secret = "env:PROVIDER_SECRET"\n'
        servers = oauth_server("demo", "main", mode='["oauth", "api-key"]')
        with guarded(folder, servers, trusted, env={"PROVIDER_SECRET": SECRET}, start=False) as ward:
            (folder / "guarded.py").write_text(TOOLS)
            ward.start()
            yield Shop(Door(ward), provider, upstream)


def test_attack_30_the_upstream_sees_a_token_for_itself_and_for_the_same_person(shop: Shop):
    for name in ("ada", "ben"):
        own = shop.provider.token(name, shop.door.resource)
        before = len(shop.upstream.received)
        said = shop.ship(own)["content"][0]["text"]
        assert "***" in said
        assert "eyJ" not in said  # however a tool prints it
        (claims,) = shop.shown()[before:]
        assert (claims["sub"], claims["aud"], claims["scope"]) == (name, shop.upstream.base, "orders:read")
        told = b"".join(one.raw for one in shop.upstream.received)
        assert own.split(".")[1].encode() not in told
        assert own.split(".")[2].encode() not in told


def test_a_token_for_the_upstream_is_asked_for_once_and_kept_for_this_token_alone(shop: Shop):
    first, second = (shop.provider.token("ada", shop.door.resource) for _ in range(2))
    before = shop.provider.asked["POST /token"]
    for token, asked in ((first, 1), (first, 1), (second, 2), (first, 2)):
        shop.ship(token)
        assert shop.provider.asked["POST /token"] == before + asked


def test_attack_30_what_the_upstream_is_shown_opens_nothing_here_and_is_not_told(shop: Shop):
    own = shop.provider.token("ada", shop.door.resource)
    said = json.dumps(shop.ship(own, tell=True))
    shown = shop.upstream.received[-1].headers["authorization"].removeprefix("Bearer ")
    assert shown.split(".")[2] not in said
    shop.door.require_refused(shown)
    for path in shop.door.ward.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for token in (own, shown):
                assert token.split(".")[1].encode() not in content, path
                assert token.split(".")[2].encode() not in content, path


def test_who_has_no_token_has_nothing_to_exchange(shop: Shop):
    key = shop.door.ward.create_key("demo", name="machine")
    until(lambda: shop.door.lets_in(key), pause_s=0.1)
    assert shop.ship(key)["content"][0]["text"] == "refused"


def test_what_the_provider_refuses_is_refused_and_an_outage_is_an_outage(shop: Shop):
    own = shop.provider.token("ada", shop.door.resource)
    before = len(shop.upstream.received)
    answer = shop.door.knock(own, "ship", {"url": "http://example.com/api"}).json()["result"]
    assert (answer["isError"], answer["content"][0]["text"]) == (True, "refused")
    shop.provider.kill()
    try:
        assert shop.ship(own)["content"][0]["text"] == "unavailable"
    finally:
        shop.provider.start()
    assert len(shop.upstream.received) == before
