"""OAuth mode as far as it stands without a provider: challenges, documents, and configurations that do not start."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcpward.core.reasons import Reason
from support.guarded import Door, guarded, issuers, oauth_server, send
from support.leak import leak_in
from support.ports import free_port
from support.raw import request
from support.tokens import Mint, signer
from support.ward import ACCEPT, SERVER, Ward
from support.wire import bare_error, until

MEDIA = [("Content-Type", "application/json"), ("Accept", ACCEPT)]
PRM = "/.well-known/oauth-protected-resource"
METADATA = "/.well-known/oauth-authorization-server"
BOTH = '["oauth", "api-key"]'
CANARY = "hunter2-canary-7d1f"
EVIL = [("Origin", "https://evil.example")]


class Lonely:
    """A site whose provider is not there."""

    def __init__(self, ward: Ward, provider: str) -> None:
        self.ward = ward
        self.provider = provider
        self.demo, self.mixed = (Door(ward, f"/{name}/mcp") for name in ("demo", "mixed"))

    def token(self, door: Door, **claims: Any) -> str:
        return Mint(self.provider, door.resource, signer("ES256", "lonely")).token(**claims)

    def ask(self, verb: str, path: str, *lines: tuple[str, str], body: bytes = b"") -> Any:
        return send(self.ward.port, request(self.ward.port, verb, path, lines, body))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lonely]:
    base = f"http://127.0.0.1:{free_port()}"
    trusted = issuers(main=f"{base}{METADATA}")
    servers = oauth_server("demo", "main") + oauth_server("mixed", "main", mode=BOTH)
    with guarded(tmp_path_factory.mktemp("lonely"), servers, trusted) as ward:
        yield Lonely(ward, base)


def test_the_start_warns_of_the_provider_and_says_whose_tokens_are_taken(place: Lonely):
    log = place.ward.log()
    assert re.search(r"identity provider main cannot be used", log)
    assert f"oauth, tokens of {place.provider.removeprefix('http://')}" in log
    assert "sk-mcpward-" not in log


def test_attack_28_the_challenge_does_not_depend_on_the_provider(place: Lonely):
    for door in (place.demo, place.mixed):
        answer = place.ask("POST", door.path, *MEDIA, body=b"{}")
        assert answer.status == 401
        told = f'Bearer resource_metadata="{place.ward.base}{PRM}{door.path}", scope="demo:read"'
        assert answer.headers["www-authenticate"] == told
        assert answer.json() == bare_error(Reason.CREDENTIAL_MISSING)


def test_a_bad_token_is_told_so_and_a_token_that_may_be_good_is_asked_to_come_again(place: Lonely):
    bad = place.demo.knock("nonsense")
    assert bad.status == 401
    assert bad.headers["www-authenticate"].startswith('Bearer error="invalid_token", error_description="')
    place.demo.require_refused(Mint("https://other.example", place.demo.resource, signer("ES256", "x")).token())
    for issuer in (place.provider, place.provider + "/"):
        answer = place.demo.knock(Mint(issuer, place.demo.resource, signer("ES256", "lonely")).token())
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) > 0
        assert "www-authenticate" not in answer.headers
        assert leak_in(answer.raw) is None


def test_a_key_works_while_the_provider_is_out(place: Lonely):
    key = place.ward.create_key("mixed")
    until(lambda: place.mixed.knock(key).status == 200, pause_s=0.1)
    assert place.mixed.knock(None, lines=[("X-API-Key", key)]).status == 200
    place.mixed.require_refused(key[:-1] + ("a" if key[-1] != "a" else "b"))
    place.demo.require_refused(key)


@pytest.mark.parametrize(
    "lines",
    [
        [("Authorization", "Bearer a.b.c"), ("Authorization", "Bearer a.b.c")],
        [("Authorization", "Bearer a.b.c"), ("X-API-Key", "x")],
    ],
)
def test_attack_32_two_credentials_are_one_too_many(place: Lonely, lines: list[tuple[str, str]]):
    for door in (place.demo, place.mixed):
        answer = place.ask("POST", door.path, *MEDIA, *lines, body=b"{}")
        assert answer.status == 400
        assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_request"')


def test_the_document_waits_for_the_providers_exact_name(place: Lonely):
    answer = place.ask("GET", f"{PRM}/demo/mcp")
    assert answer.status == 503
    assert answer.headers["retry-after"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["access-control-allow-origin"] == "*"


def test_pages_of_any_origin_may_read_the_document_and_nothing_else(place: Lonely):
    path = f"{PRM}/demo/mcp"
    assert place.ask("GET", path, *EVIL).status == 503
    preflight = place.ask("OPTIONS", path, *EVIL, ("Access-Control-Request-Headers", "mcp-protocol-version"))
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert preflight.headers["access-control-allow-headers"] == "*"
    for other in (place.demo.path, f"{PRM}/demo/mcp/", PRM, f"{PRM}/demo"):
        answer = place.ask("GET", other, *EVIL)
        assert answer.status == 403
        assert "access-control-allow-origin" not in answer.headers


def test_the_document_is_only_read(place: Lonely):
    answer = place.ask("POST", f"{PRM}/demo/mcp", *MEDIA, body=b"{}")
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert place.ask("GET", f"{PRM}/demo/mcp?x=1").status == 503
    assert send(place.ward.port, request(place.ward.port, "GET", f"{PRM}/demo/mcp", host="evil.example")).status == 421


def test_a_large_body_is_not_read_for_a_token_that_cannot_be_good(place: Lonely):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"_": "x" * 1_000_000}}).encode()
    for token, status in (("nonsense", 401), (place.token(place.demo), 503)):
        head = request(place.ward.port, "POST", place.demo.path, [*MEDIA, ("Authorization", f"Bearer {token}")], body)
        answer = send(place.ward.port, head[:200_000])  # the rest never comes: the answer does
        assert answer.status == status


def test_the_record_names_the_reason_and_holds_no_token(place: Lonely):
    token = place.token(place.demo)
    assert place.demo.knock(token).status == 503
    records = place.ward.records("--server", "demo")
    assert {"identity-unavailable", "credential-invalid"} <= {record["reason"] for record in records}
    assert token[40:80] not in json.dumps(records) + place.ward.log()


# ---- what does not start ----


def refused(folder: Path, servers: str, trusted: str, *, toml: str = "", env: dict[str, str] | None = None) -> str:
    """Return what a start says that comes to nothing."""
    with guarded(folder, servers, trusted, toml=toml, env=env, start=False) as ward:
        done = ward.cli("serve", "--config", "mcpward.toml", check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert "Traceback" not in done.stderr
        assert CANARY not in done.stderr
        return done.stderr


def client_of(name: str, secret: str) -> str:
    return f'[issuers.{name}]\nmetadata = "https://id.example{METADATA}"\nclient_id = "x"\nclient_secret = "{secret}"\n'


@pytest.mark.parametrize("workers", ["", "workers = 2"])
def test_an_address_that_may_not_be_called_is_told_at_the_start(tmp_path: Path, workers: str):
    trusted = issuers(main=f"https://localhost:{free_port()}{METADATA}")
    with guarded(tmp_path, oauth_server("demo", "main"), trusted, start=False) as ward:
        text = (tmp_path / "mcpward.toml").read_text().replace('allow = ["127.0.0.0/8"]', "allow = []")
        (tmp_path / "mcpward.toml").write_text(text.replace("[site]\n", f"[site]\n{workers}\n"))
        done = ward.cli("serve", "--config", "mcpward.toml", check=False)
    assert done.returncode == 2
    assert "may not be called: address-refused" in done.stderr
    assert "[egress] allow" in done.stderr


@pytest.mark.parametrize("secret,told", [("env:NOT_THERE", "missing secret"), ("NOT_THERE", "missing secret")])
def test_a_secret_that_is_not_there_is_told_at_the_start(tmp_path: Path, secret: str, told: str):
    said = refused(tmp_path, oauth_server("demo", "main"), client_of("main", secret))
    assert "issuers.main.client_secret names a missing secret" in said
    assert told in said


def test_a_secret_in_the_file_itself_is_refused_and_not_repeated(tmp_path: Path):
    said = refused(tmp_path, oauth_server("demo", "main"), client_of("main", CANARY))
    assert "write the place of the secret" in said


@pytest.mark.parametrize(
    "servers,trusted,told",
    [
        (oauth_server("demo"), "", "needs exactly one of metadata and issuers"),
        (oauth_server("demo", "mian"), issuers(main=f"https://id.example{METADATA}"), "did you mean 'main'?"),
        (oauth_server("demo", "main", mode='"api-key"'), issuers(main=f"https://id.example{METADATA}"), "no tokens"),
        (oauth_server("demo", "main"), issuers(main="https://id.example/"), "the URL of the metadata itself"),
        (oauth_server("demo", "main"), issuers(main=f"https://10.0.0.1{METADATA}"), 'allow = ["10.0.0.1/32"]'),
        (oauth_server("demo", "main", more="require = []"), issuers(main=f"https://id.example{METADATA}"), "required"),
    ],
)
def test_a_slip_does_not_start(tmp_path: Path, servers: str, trusted: str, told: str):
    assert told in refused(tmp_path, servers, trusted)


def test_on_the_network_the_site_must_know_its_name(tmp_path: Path):
    proxied = '[site]\nbehind_tls_proxy = true\ntrusted_proxies = ["10.0.0.0/8"]\n'
    with guarded(
        tmp_path, oauth_server("demo", "main"), issuers(main=f"https://id.example{METADATA}"), start=False
    ) as ward:
        text = (tmp_path / "mcpward.toml").read_text().replace("[site]\n", proxied)
        (tmp_path / "mcpward.toml").write_text(text.replace(f"127.0.0.1:{ward.port}", f"192.0.2.1:{ward.port}"))
        done = ward.cli("config", "check", check=False)
    assert done.returncode == 2
    assert "--public-url" in done.stderr


def test_without_oauth_nothing_of_it_is_there(tmp_path: Path):
    with guarded(tmp_path, SERVER.replace("tools.py", "guarded.py"), "") as ward:
        for path in (f"{PRM}/mcp", PRM, METADATA):
            assert send(ward.port, request(ward.port, "GET", path)).status == 404


def test_a_provider_that_hangs_up_delays_the_start_no_longer_than_its_time(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        trusted = issuers(main=f"http://127.0.0.1:{silent.getsockname()[1]}{METADATA}")
        with guarded(tmp_path, oauth_server("demo", "main"), trusted) as ward:
            assert "cannot be used: timeout" in ward.log()
            assert Door(ward).knock("nonsense").status == 401
