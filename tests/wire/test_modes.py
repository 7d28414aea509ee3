"""The three modes side by side in one process, each refusing in its own way."""

import re

import pytest

from mcpward.core.reasons import Reason
from support.ward import Ward, modern_request, text_of
from support.wire import (
    KEY,
    SECRET_URL,
    bare_error,
    exchange,
    first_credentials,
    handed_out,
    reason_of,
    secret_in,
    site,
    undated,
)

ORIGIN = "https://app.example"
SERVERS = ("open", "hidden", "keyed", "other")
MODES = {"servers.open.mode": "public", "servers.hidden.mode": "unlisted", "site.allowed_origins": [ORIGIN]}


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    with site(tmp_path_factory.mktemp("modes"), MODES, servers=SERVERS) as ward:
        ward.credentials["other key"] = KEY.findall(first_credentials(ward))[1]
        ward.credentials["secret"] = secret_in(first_credentials(ward))
        yield ward


def path_of(ward: Ward, server: str) -> str:
    return f"/{server}/mcp/{ward.credentials['secret']}" if server == "hidden" else f"/{server}/mcp"


def key_of(ward: Ward, server: str) -> str:
    return {"keyed": ward.key, "other": ward.credentials["other key"]}.get(server, "")


def request(
    ward: Ward, path: str, verb: str = "POST", *fields: str, host: str | None = None, body: str = "{}"
) -> bytes:
    head = [f"{verb} {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{ward.port}'}", "Content-Type: application/json"]
    head += [
        "Accept: application/json, text/event-stream",
        "Connection: close",
        f"Content-Length: {len(body)}",
        *fields,
    ]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


@pytest.mark.parametrize("server,way", [("open", "anonymous"), ("hidden", "unlisted"), ("keyed", "api-key")])
def test_each_server_serves_its_own_callers(ward, server, way):
    answer = ward.call("whoami", path=path_of(ward, server), key=key_of(ward, server))
    assert answer.status_code == 200
    assert answer.json()["result"]["structuredContent"]["way"] == way


@pytest.mark.parametrize("server", ["open", "hidden"])
def test_where_no_key_is_asked_for_none_is_looked_at(ward, server):
    for headers in ({"authorization": "Bearer nonsense"}, {"authorization": "Basic eDp5", "x-api-key": "sk-mcpward-x"}):
        answer = ward.call("echo", {"text": "a"}, path=path_of(ward, server), key="", headers=headers)
        assert text_of(answer) == "a"


def test_a_key_may_come_in_either_header(ward):
    answer = ward.call("echo", {"text": "a"}, path="/keyed/mcp", key="", headers={"x-api-key": ward.key})
    assert text_of(answer) == "a"
    answer = ward.call(
        "echo", {"text": "a"}, path="/keyed/mcp", key="", headers={"authorization": f"bEARER {ward.key}"}
    )
    assert text_of(answer) == "a"


def test_without_a_key_the_challenge_names_no_error_and_no_metadata(ward):
    answer = ward.call("echo", {"text": "a"}, path="/keyed/mcp", key="")
    assert (answer.status_code, reason_of(answer)) == (401, "credential-missing")
    assert answer.headers["www-authenticate"] == 'Bearer realm="mcpward"'


def test_every_wrong_key_gets_the_same_answer_to_the_byte(ward):
    last = "A" if ward.key[-1] != "A" else "B"
    fresh = "sk-mcpward-" + "0" * 12 + "_" + "0" * 49
    wrong = [*ward.credentials.values(), ward.key[:-1] + last, ward.key[:-1], ward.key + "A", fresh, "x", "é" * 9]
    answers = {
        undated(exchange(ward, request(ward, "/keyed/mcp", "POST", f"Authorization: Bearer {key}"))) for key in wrong
    }
    assert len(answers) == 1
    (answer,) = answers
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b'"credential-invalid"' in answer
    assert ward.key.encode() not in answer


@pytest.mark.parametrize(
    "fields",
    [
        ["Authorization: Bearer {key}", "X-API-Key: {key}"],
        ["Authorization: Bearer {key}", "Authorization: Bearer {key}"],
        ["X-API-Key: {key}", "X-API-Key: {key}"],
    ],
)
def test_two_credentials_are_one_too_many(ward, fields):
    answer = exchange(ward, request(ward, "/keyed/mcp", "POST", *(field.format(key=ward.key) for field in fields)))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"credential-ambiguous"' in answer


def wrong_paths(ward: Ward) -> list[str]:
    secret = ward.credentials["secret"]
    other = ("A" if secret[0] != "A" else "B") + secret[1:]
    return [
        f"/hidden/mcp/{other}",
        f"/hidden/mcp/{secret[:-1]}" + ("A" if secret[-1] != "A" else "B"),
        f"/hidden/mcp/{secret[:-1]}", f"/hidden/mcp/{secret}0",
        f"/hidden/mcp/{other}/", f"/hidden/mcp/{secret}//", f"/hidden/mcp/{secret}/x",
        f"/hidden/mcp/{secret[0].swapcase()}{secret[1:]}" if secret[0].isalpha() else f"/hidden/mcp/{'0' * 48}",
        f"/hidden/mcp/%{ord(secret[0]):02x}{secret[1:]}",
        f"/hidden/mcp/./{secret}", f"//hidden/mcp/{secret}", f"/Hidden/mcp/{secret}",
        "/hidden/mcp", "/hidden/mcp/", "/hidden", f"/mcp/{secret}", "/mcp", "/", f"/{secret}",
        f"/open/mcp/{secret}", f"/keyed/mcp/{secret}", f"/nobody/mcp/{secret}",
        "/metrics", "/favicon.ico", "/robots.txt", "/../etc/passwd", "/.env",
    ]  # fmt: skip


@pytest.mark.parametrize("verb", ["POST", "GET", "DELETE", "PUT", "OPTIONS", "BREW"])
def test_a_wrong_secret_is_an_unknown_path_to_the_byte(ward, verb):
    # BREW is no method that the parser knows: refused before the path is looked at, the right one as well.
    paths = wrong_paths(ward) + [f"/hidden/mcp/{ward.credentials['secret']}"] * (verb == "BREW")
    answers = {undated(exchange(ward, request(ward, path, verb))): path for path in paths}
    assert len(answers) == 1, answers
    (answer,) = answers
    assert answer.startswith(b"HTTP/1.1 400 " if verb == "BREW" else b"HTTP/1.1 404 ")
    assert b"\r\ncontent-type: application/json\r\n" in answer
    assert ward.credentials["secret"].encode() not in answer


def test_a_head_request_for_a_wrong_secret_is_as_silent_as_any_other(ward):
    assert len({undated(exchange(ward, request(ward, path, "HEAD", body=""))) for path in wrong_paths(ward)}) == 1


def test_what_the_body_holds_makes_no_difference_to_a_wrong_secret(ward):
    message, _ = modern_request("tools/list")
    bodies = ["{}", "", "not json", str(message).replace("'", '"'), "[" * 5000]
    answers = {undated(exchange(ward, request(ward, wrong_paths(ward)[0], body=body))) for body in bodies}
    answers |= {undated(exchange(ward, request(ward, "/nothing", body=body))) for body in bodies}
    assert len(answers) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/keyed/mcp", "/.well-known/openid-configuration",
        "/keyed/mcp/.well-known/oauth-protected-resource", "/register", "/authorize", "/token",
    ],
)  # fmt: skip
def test_clients_that_look_for_an_authorization_server_find_json_404(ward, path):
    with ward.client() as client:
        for answer in (client.get(path), client.post(path, json={"redirect_uris": []})):
            assert answer.status_code == 404
            assert answer.headers["content-type"] == "application/json"
            assert answer.json() == bare_error(Reason.ROUTE_UNKNOWN)


@pytest.mark.parametrize("server", SERVERS)
def test_a_foreign_host_is_refused_before_anything_else(ward, server):
    hosts = ["evil.example", f"evil.example:{ward.port}", "127.0.0.1", "localhost", f"127.0.0.1:{ward.port + 1}"]
    hosts += [f"127.0.0.1.evil.example:{ward.port}", f"127.0.0.1:{ward.port}@evil.example", f"0.0.0.0:{ward.port}"]
    key = f"Authorization: Bearer {key_of(ward, server) or 'x'}"
    answers = {undated(exchange(ward, request(ward, path_of(ward, server), "POST", key, host=host))) for host in hosts}
    answers |= {undated(exchange(ward, request(ward, "/nothing", "POST", key, host=host))) for host in hosts}
    assert len(answers) == 1
    assert answers.pop().startswith(b"HTTP/1.1 421 ")


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1", f"{ORIGIN}.evil.example", ""])
def test_a_foreign_origin_is_refused(ward, server, origin):
    answer = ward.call(
        "echo", {"text": "a"}, path=path_of(ward, server), key=key_of(ward, server), headers={"origin": origin}
    )
    assert (answer.status_code, reason_of(answer)) == (403, "origin-refused")
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("server", ["open", "keyed"])
def test_an_allowed_origin_is_answered_by_name(ward, server):
    answer = ward.call(
        "echo", {"text": "a"}, path=path_of(ward, server), key=key_of(ward, server), headers={"origin": ORIGIN}
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "Origin" in answer.headers["vary"]


def test_no_web_page_may_use_a_secret_url(ward):
    refused = ward.call("echo", {"text": "a"}, path=path_of(ward, "hidden"), key="", headers={"origin": ORIGIN})
    assert (refused.status_code, reason_of(refused)) == (403, "origin-refused")
    wrong = [undated(exchange(ward, request(ward, path, "POST", f"Origin: {ORIGIN}"))) for path in wrong_paths(ward)]
    assert len(set(wrong)) == 1
    assert wrong[0].startswith(b"HTTP/1.1 404 ")


def test_public_must_be_typed(ward):
    with site(ward.folder.parent / "untyped") as plain:
        assert reason_of(plain.call("echo", {"text": "a"}, key="")) == "credential-missing"
        assert KEY.fullmatch(plain.key)
        assert handed_out(plain, SECRET_URL) == ""


OUTSIDE = {
    "site.listen": "0.0.0.0:9999", "site.public_url": "https://mcp.example.com",
    "site.trusted_proxies": ["10.0.0.0/8"],
}  # fmt: skip


@pytest.mark.parametrize(
    "settings,hint",
    [
        ({}, "behind_tls_proxy = true"),
        ({"servers.bench.mode": "unlisted"}, "behind_tls_proxy = true"),
        ({"servers.bench.mode": "public"}, "allow_unauthenticated = true"),
        ({"servers.bench.mode": "public", "site.behind_tls_proxy": True}, "allow_unauthenticated = true"),
        ({"site.behind_tls_proxy": True, "site.public_url": None}, "public_url"),
        ({"site.behind_tls_proxy": True, "site.trusted_proxies": []}, 'trusted_proxies = ["127.0.0.1/32"'),
        ({"site.behind_tls_proxy": True, "site.metrics_listen": "0.0.0.0:9998"}, "allow_open_metrics = true"),
        ({"site.listen": "[::]:9999"}, "behind_tls_proxy = true"),
        ({"site.listen": "192.0.2.1:9999"}, "behind_tls_proxy = true"),
    ],
)
def test_what_others_can_reach_does_not_start_without_a_word_from_the_operator(tmp_path, settings, hint):
    with site(tmp_path, OUTSIDE | settings, start=False) as ward:
        refused = ward.cli("serve", "--config", "mcpward.toml", check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert re.search(r"^error: mcpward\.toml:\d+: ", refused.stderr, re.MULTILINE)
    assert hint in refused.stderr.partition("hint: ")[2]
    assert not (tmp_path / ".mcpward").exists()


@pytest.mark.parametrize(
    "settings",
    [{"site.behind_tls_proxy": True}, {"servers.bench.mode": "public", "site.allow_unauthenticated": True}],
)
def test_the_line_that_the_hint_names_allows_it(tmp_path, settings):
    with site(tmp_path, OUTSIDE | settings, start=False) as ward:
        ward.cli("config", "check")
