"""Clients that we did not write log their people in at a provider that we did not write, and call.

They get only the server's URL. The challenge leads to the metadata, that to the provider, where they register, log in
with PKCE, and get tokens only for this server. The person and the browser are scripted.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from support.clients import environment, mcp_remote
from support.guarded import guarded, issuers, oauth_server
from support.provider import REDIRECT, SECRET, Provider, log_in, providing
from support.tokens import unb64
from support.tours import text_of
from support.ward import Ward

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120), pytest.mark.xdist_group("oauth-clients")]

BACK = AnyUrl(REDIRECT)
MODES = ("auto", "legacy", "2026-07-28")
ACCOUNTS = {name: {"email": f"{name}@example.com", "name": name.title()} for name in ("ada", "ben")}
_AUTHORIZE = re.compile(r"http://127\.0\.0\.1:\d+/auth\?\S+")


@pytest.fixture(scope="module")
def provider(node: Path) -> Iterator[Provider]:
    with providing(accounts=ACCOUNTS) as provider:
        yield provider


@pytest.fixture(scope="module")
def ward(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("oauth") / "site"
    with guarded(folder, oauth_server("demo", "main"), issuers(main=provider.metadata)) as ward:
        yield ward


class Wallet:
    """The place where a client keeps its tokens."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Person:
    """A person at a browser: goes where the client sends them, logs in, agrees, and comes back."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[dict[str, list[str]]] = []
        self._arrived = ""

    async def go(self, url: str) -> None:
        self.asked.append(parse_qs(urlsplit(url).query))
        self._arrived = await asyncio.to_thread(log_in, url, self.name)

    async def back(self) -> AuthorizationCodeResult:
        said = parse_qs(urlsplit(self._arrived).query)
        assert "error" not in said, said
        return AuthorizationCodeResult(code=said["code"][0], state=said["state"][0], iss=said["iss"][0])

    def provider(self, url: str, wallet: Wallet) -> OAuthClientProvider:
        """Return the client's own way to authorize, with this person in front of it."""
        about = OAuthClientMetadata(client_name="test", redirect_uris=[BACK], token_endpoint_auth_method="none")
        return OAuthClientProvider(url, about, wallet, self.go, self.back)


def wanted(asked: dict[str, list[str]]) -> set[str]:
    """The scopes that a client asked for; a refresh token it asks for by itself where the provider has them."""
    return set(asked["scope"][0].split()) - {"offline_access"}


@asynccontextmanager
async def connected(url: str, auth: httpx2.Auth, mode: str = "auto") -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(auth=auth, timeout=20, verify=False) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode, read_timeout_seconds=20) as client,
    ):
        yield client


async def told(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    return text_of(*result.content)


@pytest.mark.parametrize("mode", MODES)
async def test_the_official_client_registers_logs_in_and_calls(ward: Ward, provider: Provider, mode: str):
    wallet, ada, registered = Wallet(), Person("ada"), provider.asked["POST /reg"]
    url = f"{ward.base}/mcp"
    async with connected(url, ada.provider(url, wallet), mode) as client:
        who = json.loads(await told(client, "whoami"))
    assert provider.asked["POST /reg"] == registered + 1
    assert wallet.client is not None
    assert who["subject"] == "ada"
    assert who["issuer"] == provider.issuer
    assert who["client"] == wallet.client.client_id
    assert who["claims"] == {"email": "ada@example.com", "name": "Ada"}
    (asked,) = ada.asked
    assert asked["resource"] == [url]
    assert asked["code_challenge_method"] == ["S256"]
    assert wanted(asked) == {"demo:read"}  # what the challenge named, not all that there is


@pytest.mark.parametrize("mode", MODES)
async def test_the_official_client_asks_for_more_when_a_tool_needs_more(ward: Ward, provider: Provider, mode: str):
    """As a client that the provider knows: one that registers by itself does so for what it knew to ask for then."""
    wallet, ada, url = Wallet(), Person("ada"), f"{ward.base}/mcp"
    wallet.client = OAuthClientInformationFull(
        client_id="app-RS256", redirect_uris=[BACK], token_endpoint_auth_method="none", issuer=provider.issuer
    )
    async with connected(url, ada.provider(url, wallet), mode) as client:
        assert "ada" in await told(client, "whoami")
        assert await told(client, "store", value="four") == "stored 4"
        assert "ada" in await told(client, "whoami")
    assert [wanted(asked) for asked in ada.asked] == [{"demo:read"}, {"demo:read", "demo:write"}]


async def test_the_official_client_comes_back_with_what_it_kept(ward: Ward):
    wallet, ada, url = Wallet(), Person("ada"), f"{ward.base}/mcp"
    for _ in range(2):
        async with connected(url, ada.provider(url, wallet)) as client:
            assert "ada" in await told(client, "whoami")
    assert len(ada.asked) == 1


async def test_two_people_with_the_same_client_are_two_people(ward: Ward):
    url = f"{ward.base}/mcp"
    for name in ("ada", "ben"):
        person = Person(name)
        async with connected(url, person.provider(url, Wallet())) as client:
            assert json.loads(await told(client, "whoami"))["subject"] == name


async def test_the_official_client_gets_in_as_a_program(ward: Ward, provider: Provider):
    url = f"{ward.base}/mcp"
    auth = ClientCredentialsOAuthProvider(
        url, Wallet(), "machine-RS256", SECRET, scope="demo:read", issuer=provider.issuer
    )
    async with connected(url, auth) as client:
        who = json.loads(await told(client, "whoami"))
    assert (who["subject"], who["client"]) == ("machine-RS256", "machine-RS256")


async def test_a_token_for_another_server_is_fetched_anew_and_not_shown_here(provider: Provider, tmp_path: Path):
    """Two servers of one site: the official client gets a token for each."""
    servers = oauth_server("demo", "main") + oauth_server("other", "main")
    with guarded(tmp_path / "site", servers, issuers(main=provider.metadata)) as ward:
        audiences = []
        for name in ("demo", "other"):
            wallet, ada, url = Wallet(), Person("ada"), f"{ward.base}/{name}/mcp"
            async with connected(url, ada.provider(url, wallet)) as client:
                assert "ada" in await told(client, "whoami")
            assert wallet.tokens is not None
            audiences.append(json.loads(unb64(wallet.tokens.access_token.split(".")[1]))["aud"])
        assert audiences == [f"{ward.base}/demo/mcp", f"{ward.base}/other/mcp"]


@asynccontextmanager
async def bridged(command: list[str], home: Path) -> AsyncIterator[tuple[Client, Path]]:
    """Start mcp-remote as a desktop client does, with what it says to people in a file."""
    said = home / "said.txt"
    with said.open("w") as errors:
        server = StdioServerParameters(command=command[0], args=command[1:], env=environment(home), cwd=str(home))
        async with Client(stdio_client(server, errlog=errors), mode="legacy", read_timeout_seconds=60) as client:
            yield client, said


async def test_mcp_remote_gets_in_as_a_program(ward: Ward, provider: Provider, tmp_path: Path):
    who = json.dumps({"client_id": "machine-ES256", "client_secret": SECRET})
    words = ["--client-credentials", "--static-oauth-client-info", who, "--allow-http"]
    async with bridged([*mcp_remote(f"{ward.base}/mcp"), *words], tmp_path) as (client, _):
        seen = json.loads(await told(client, "whoami"))
    assert (seen["subject"], seen["issuer"]) == ("machine-ES256", provider.issuer)


async def test_mcp_remote_registers_sends_its_person_to_log_in_and_calls(ward: Ward, tmp_path: Path):
    async def browse() -> None:
        """Open the address that mcp-remote shows, and follow it back to the port that mcp-remote holds open."""
        for _ in range(300):
            await asyncio.sleep(0.1)
            said = tmp_path / "said.txt"
            found = _AUTHORIZE.search(said.read_text()) if said.exists() else None
            if found:
                back = await asyncio.to_thread(log_in, found[0], "ben")
                async with httpx2.AsyncClient(verify=False, timeout=20) as browser:
                    assert (await browser.get(back)).status_code == 200
                return
        raise AssertionError("mcp-remote showed no address")

    browsing = asyncio.create_task(browse())
    try:
        async with bridged([*mcp_remote(f"{ward.base}/mcp"), "--allow-http"], tmp_path) as (client, _):
            seen = json.loads(await told(client, "whoami"))
        await browsing
    finally:
        browsing.cancel()
    assert seen["subject"] == "ben"
    assert "demo:read" in seen["scopes"]
