"""A server has two URLs, and both are its names: its tokens open it at either, and no other server at any.

Sources: RFC 8707 §2 and RFC 9068 §4 (one audience, one resource). RFC 9728 §§3.3, 7.6 (a client uses the resource in
the metadata, which comes from no request).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.guarded import Door, guarded, issuers, oauth_server, send
from support.issuer import Issuer, listening
from support.raw import Answer, request
from support.ward import ACCEPT, Ward

PRM = "/.well-known/oauth-protected-resource"
BOTH = '["oauth", "api-key"]'
MEDIA = [("Content-Type", "application/json"), ("Accept", ACCEPT)]
DEFAULT = "MCPWARD_SITE__DEFAULT_SERVER"


class House:
    """``demo`` is at the short URL too; ``other`` trusts the same provider."""

    def __init__(self, ward: Ward, issuer: Issuer) -> None:
        self.ward = ward
        self.issuer = issuer
        self.long, self.short, self.other = (Door(ward, path) for path in ("/demo/mcp", "/mcp", "/other/mcp"))

    def token(self, door: Door, **claims: Any) -> str:
        return self.issuer.mint(door.resource).token(**claims)

    def opened(self, door: Door) -> list[bool]:
        """Return which of the three servers a token for one URL opens."""
        token = self.token(door)
        return [each.lets_in(token) for each in (self.long, self.short, self.other)]

    def challenge(self, path: str, body: bytes = b"{}", *lines: tuple[str, str]) -> str:
        answer = send(self.ward.port, request(self.ward.port, "POST", path, [*MEDIA, *lines], body))
        assert answer.status in {401, 403}
        return str(answer.headers["www-authenticate"])

    def get(self, path: str, **options: Any) -> Answer:
        return send(self.ward.port, request(self.ward.port, "GET", path, **options))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    issuer = Issuer()
    servers = oauth_server("demo", "main", mode=BOTH) + oauth_server("other", "main")
    folder = tmp_path_factory.mktemp("urls") / "site"
    with listening(issuer), guarded(folder, servers, issuers(main=issuer.metadata), env={DEFAULT: "demo"}) as ward:
        yield House(ward, issuer)


def test_attack_20_a_token_for_one_url_of_a_server_opens_it_at_both_and_opens_no_other_server(house: House):
    assert house.opened(house.long) == [True, True, False]
    assert house.opened(house.short) == [True, True, False]
    assert house.opened(house.other) == [False, False, True]
    for spoiled in ("/mcp/", "/demo/mcp/", "/MCP", "", "/demo", "/other"):
        token = house.issuer.mint(f"{house.ward.base}{spoiled}").token()
        assert not any(door.lets_in(token) for door in (house.long, house.short, house.other)), spoiled


def test_attack_20_the_audience_moves_with_the_short_url(tmp_path: Path):
    issuer = Issuer()
    servers = oauth_server("demo", "main") + oauth_server("other", "main")
    with listening(issuer), guarded(tmp_path, servers, issuers(main=issuer.metadata), env={DEFAULT: "demo"}) as ward:
        place = House(ward, issuer)
        assert place.opened(place.short) == [True, True, False]
        ward.stop()
        ward.extra_env = {DEFAULT: "other"}
        ward.start()
        assert place.opened(place.short) == [False, True, True]
        assert place.opened(place.long) == [True, False, False]
        ward.stop()
        ward.extra_env = {}
        ward.start()
        token = place.token(place.short)
        assert place.short.knock(token).status == 404
        assert not place.long.lets_in(token)
        assert not place.other.lets_in(token)


def test_attack_20_an_audience_that_the_operator_names_is_the_only_one(tmp_path: Path):
    issuer = Issuer()
    trusted = issuers(main=issuer.metadata) + 'audience = "api://demo"\n'
    with listening(issuer), guarded(tmp_path, oauth_server("demo", "main"), trusted) as ward:
        for door in (Door(ward, "/mcp"), Door(ward, "/demo/mcp")):
            assert door.lets_in(issuer.mint("api://demo").token())
            assert not door.lets_in(issuer.mint(f"{ward.base}/mcp").token())
            assert not door.lets_in(issuer.mint(f"{ward.base}/demo/mcp").token())


@pytest.mark.parametrize("path", ["/demo/mcp", "/mcp", "/other/mcp"])
def test_attack_19_each_url_has_metadata_of_its_own_and_every_challenge_names_them(house: House, path: str):
    known = f"{house.ward.base}{PRM}{path}"
    document = house.get(f"{PRM}{path}")
    assert document.json()["resource"] == f"{house.ward.base}{path}"
    assert document.json()["authorization_servers"] == [house.issuer.issuer]
    bad = [("Authorization", "Bearer nonsense")]
    two = [("Authorization", f"Bearer {name}") for name in "ab"]
    told = [house.challenge(path), house.challenge(path, b"{}", *bad), house.challenge(path, b" " * 100_000)]
    if path != "/other/mcp":
        told.append(house.challenge(path, b"{}", ("X-API-Key", "sk-mcpward-nonsense")))
    door = Door(house.ward, path)
    told.append(
        str(door.knock(house.token(door, scope="demo:read"), "store", {"value": "a"}).headers["www-authenticate"])
    )
    for challenge in told:
        assert f'resource_metadata="{known}"' in challenge
    assert send(house.ward.port, request(house.ward.port, "POST", path, [*MEDIA, *two], b"{}")).status == 400


def test_attack_41_the_metadata_do_not_follow_the_host_header(tmp_path: Path):
    issuer = Issuer()
    env = {"MCPWARD_SITE__PUBLIC_URL": "https://x.example/ai", "MCPWARD_SITE__TRUSTED_PROXIES": "127.0.0.1/32"}
    with (
        listening(issuer),
        guarded(tmp_path, oauth_server("demo", "main"), issuers(main=issuer.metadata), env=env) as ward,
    ):
        place = House(ward, issuer)
        for own in ("/demo/mcp", "/mcp"):
            known = f"https://x.example{PRM}/ai{own}"
            for host in ("x.example", f"127.0.0.1:{ward.port}"):
                for path in (f"{PRM}/ai{own}", f"{PRM}{own}"):  # as it is, and behind a proxy that takes /ai away
                    assert place.get(path, host=host).json()["resource"] == f"https://x.example/ai{own}"
                for path in (f"/ai{own}", own):
                    raw = request(ward.port, "POST", path, MEDIA, b"{}", host=host)
                    told = send(ward.port, raw).headers["www-authenticate"]
                    assert f'resource_metadata="{known}"' in told
            token = issuer.mint(f"https://x.example/ai{own}").token()
            assert [Door(ward, path).lets_in(token) for path in ("/ai/demo/mcp", "/demo/mcp", "/ai/mcp", "/mcp")] == [
                True
            ] * 4
        assert place.get(f"{PRM}/ai/demo/mcp", host="evil.example").status == 421
        for aud in ("https://x.example/demo/mcp", "https://x.example/mcp", f"http://127.0.0.1:{ward.port}/mcp"):
            assert not Door(ward, "/mcp").lets_in(issuer.mint(aud).token())
        assert json.loads(place.get(f"{PRM}/ai/demo/mcp").body)["bearer_methods_supported"] == ["header"]
