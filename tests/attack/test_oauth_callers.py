"""Limits of a good token, the answers to callers without one, and places where tokens must never go: attacks 27-30, 32.

Sources: RFC 6750 §2, §3 and §5.3, RFC 9728 §3 and §5, MCP authorization (2026-07-28), "token passthrough" of the MCP
security best practices.
"""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from support.guarded import Door, guarded, issuers, oauth_server, send, undated
from support.issuer import Document, Issuer, Listener, listening
from support.leak import leak_in
from support.raw import Answer, request
from support.rpc import initialize
from support.talk import Talker
from support.ward import ACCEPT, LAVISH, Ward, modern_request
from support.wire import until

_CHALLENGE = re.compile(r'Bearer ((?:[a-z_]+="[^"\\]*"(?:, )?)+)')
_FIELD = re.compile(r'([a-z_]+)="([^"\\]*)"')
WRITES = ("store", "count", "wipe")


class Place:
    """Servers side by side: ``demo`` and ``other`` take tokens, ``mixed`` tokens and keys, the rest none."""

    def __init__(self, ward: Ward, issuer: Issuer, upstream: Listener) -> None:
        self.ward, self.issuer, self.upstream = ward, issuer, upstream
        self.demo, self.other, self.mixed = (Door(ward, f"/{name}/mcp") for name in ("demo", "other", "mixed"))

    def token(self, scope: str = "demo:read", door: Door | None = None, **claims: Any) -> str:
        return self.issuer.mint((door or self.demo).resource).token(scope=scope, **claims)

    def metadata_url(self, door: Door) -> str:
        return f"{self.ward.base}/.well-known/oauth-protected-resource{door.path}"


@pytest.fixture(scope="module")
def _place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    issuer, upstream = Issuer(), Listener({"/hook": Document({})})
    servers = oauth_server("demo", "main") + oauth_server("other", "main")
    servers += oauth_server("mixed", "main", mode='["oauth", "api-key"]')
    for name, mode in (("keys", "api-key"), ("open", "public"), ("hidden", "unlisted")):
        servers += f'[servers.{name}]\nsource = "guarded.py"\nmode = "{mode}"\n[servers.{name}.limits]\n{LAVISH}\n'
    with (
        listening(issuer, upstream),
        guarded(tmp_path_factory.mktemp("callers") / "site", servers, issuers(main=issuer.metadata)) as ward,
    ):
        yield Place(ward, issuer, upstream)


@pytest.fixture
def place(_place: Place) -> Iterator[Place]:
    yield _place
    assert _place.demo.lets_in(_place.token())


def challenge(answer: Answer) -> dict[str, str]:
    """Take the one challenge of an answer apart (RFC 9110 §11.6.1)."""
    found = _CHALLENGE.fullmatch(answer.headers["www-authenticate"])
    assert found, answer.headers["www-authenticate"]
    fields = _FIELD.findall(found[1])
    assert len(dict(fields)) == len(fields)
    return dict(fields)


# ---- scopes ----


def test_attack_27_a_missing_scope_is_named_together_with_all_that_the_call_needs(place: Place):
    for tool, arguments, needed in (
        ("store", {"value": "x"}, {"demo:read", "demo:write"}),
        ("count", {"steps": 2}, {"demo:read", "demo:write", "demo:audit"}),
    ):
        answer = place.demo.knock(place.token(), tool, arguments)
        assert answer.status == 403
        said = challenge(answer)
        error = answer.json()["error"]
        assert error["data"] == {"reason": "scope-missing", "scope": said["scope"]}
        assert error["message"].endswith(f": {said['scope']}")
        assert said["error"] == "insufficient_scope"
        assert set(said["scope"].split(" ")) == needed
        assert said["resource_metadata"] == place.metadata_url(place.demo)
        assert leak_in(answer.raw) is None


def test_attack_27_a_call_that_would_stream_is_refused_before_its_stream(place: Place):
    for scope in ("demo:read", "demo:read demo:write", "demo:read demo:audit"):
        answer = place.demo.knock(place.token(scope), "count", {"steps": 2})
        assert answer.status == 403
        assert "event-stream" not in answer.headers.get("content-type", "")
    good = place.demo.knock(place.token("demo:read demo:write demo:audit"), "count", {"steps": 2})
    assert good.status == 200


def test_attack_27_the_scope_opens_what_it_is_for(place: Place):
    answer = place.demo.knock(place.token("demo:read demo:write"), "store", {"value": "xyz"})
    assert answer.status == 200
    assert "stored 3" in answer.body.decode()


@pytest.mark.parametrize(
    "scope",
    [
        "", "demo:read demo:writer", "demo:read DEMO:WRITE", "demo:read xdemo:write", "demo:read demo", "demo:read *",
        "demo:read demo:*", "demo:read demo:write2", "demo:read,demo:write", "demo:read\tdemo:write",
        "demo:read:demo:write",
        "demo:read\u00a0demo:write", "demo:readdemo:write",
    ],
    ids=repr,
)  # fmt: skip
def test_attack_27_a_scope_is_compared_whole(place: Place, scope: str):
    assert place.demo.knock(place.token(scope), "store", {"value": "x"}).status in {401, 403}


def test_attack_27_without_what_every_call_needs_nothing_opens(place: Place):
    token = place.token("openid demo:write")
    listing, headers = modern_request("tools/list")
    bodies = [(listing, headers), modern_request("server/discover")]
    answers = [place.demo.knock(token), place.demo.knock(token, "store", {"value": "x"})]
    for body, own in bodies:
        rows = [*(own | MEDIA).items(), ("Authorization", f"Bearer {token}")]
        answers.append(
            send(place.ward.port, request(place.ward.port, "POST", place.demo.path, rows, json.dumps(body).encode()))
        )
    for answer in answers:
        assert answer.status == 403
        assert "demo:read" in challenge(answer)["scope"].split(" ")
        assert challenge(answer)["error"] == "insufficient_scope"


MEDIA = {"Content-Type": "application/json", "Accept": ACCEPT}


def test_attack_27_a_session_opens_no_more_than_its_token(place: Place):
    """The legacy era: what was said at the start of a session is no permission for later."""
    talker = Talker(place.ward, place.token("demo:read demo:write"), path=place.demo.path)
    params = {"name": "store", "arguments": {"value": "x"}}
    body = {"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params}
    for scope, status in (("demo:read demo:write", 200), ("demo:read", 403), ("demo:read demo:write", 200)):
        headers = talker.headers | {"authorization": f"Bearer {place.token(scope)}"}
        assert place.ward.post(body, path=place.demo.path, headers=headers).status_code == status


def test_attack_27_what_is_listed_is_what_may_be_called(place: Place):
    for scope, hidden in (("demo:read", {"store", "count", "wipe"}), ("demo:read demo:write", {"count", "wipe"})):
        listed = place.ward.modern("tools/list", path=place.demo.path, key=place.token(scope)).json()
        assert {tool["name"] for tool in listed["result"]["tools"]} == {"echo", "whoami", "confess", *WRITES} - hidden


def test_attack_27_what_no_scope_can_open_is_unknown_and_not_asked_for(place: Place):
    """The class "destructive" is open to no caller here: a step-up would send people to request a scope that does not
    exist.
    """
    hidden = place.demo.knock(place.token("demo:read demo:write"), "wipe", {"what": "x"})
    missing = place.demo.knock(place.token("demo:read demo:write"), "nowhere", {"what": "x"})
    assert undated(hidden) == undated(missing)
    assert hidden.status == 400


# ---- callers without a token ----


@pytest.mark.parametrize("verb", ["POST", "GET", "DELETE"])
def test_attack_28_without_a_token_one_is_told_where_to_get_it(place: Place, verb: str):
    for door in (place.demo, place.other):
        rows = [("Accept", ACCEPT), ("Content-Type", "application/json")]
        answer = send(
            place.ward.port, request(place.ward.port, verb, door.path, rows, b"{}" if verb == "POST" else b"")
        )
        assert answer.status == 401
        assert challenge(answer) == {"resource_metadata": place.metadata_url(door), "scope": "demo:read"}
        assert leak_in(answer.raw) is None


def test_attack_28_the_document_says_what_a_client_needs_and_no_more(place: Place):
    for door in (place.demo, place.other, place.mixed):
        with place.ward.client() as browser:
            document = browser.get(place.metadata_url(door))
        assert document.status_code == 200
        assert document.headers["content-type"] == "application/json"
        assert document.headers["access-control-allow-origin"] == "*"
        assert "max-age=3600" in document.headers["cache-control"]
        said = document.json()
        assert said["resource"] == door.resource
        assert said["authorization_servers"] == [place.issuer.issuer]
        assert sorted(said["scopes_supported"]) == ["demo:read", "demo:write"]
        assert said["bearer_methods_supported"] == ["header"]


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/",
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-protected-resource/keys/mcp", "/.well-known/oauth-protected-resource/open/mcp",
        "/.well-known/oauth-protected-resource/hidden/mcp", "/.well-known/oauth-protected-resource/demo/mcp/",
        "/.well-known/oauth-protected-resource/demo", "/demo/mcp/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/demo/mcp/x", "/.well-known/oauth-protected-resource/DEMO/mcp",
        "/.well-known/oauth-protected-resource//demo/mcp", "/.well-known/oauth-protected-resource/%64emo/mcp",
        "/.well-known/oauth-authorization-server/keys/mcp", "/.well-known/oauth-authorization-server/open/mcp",
        "/.well-known/openid-configuration/hidden/mcp", "/register", "/authorize", "/token",
    ],
)  # fmt: skip
def test_attack_28_the_document_is_in_its_one_place_and_nowhere_else(place: Place, path: str):
    answer = send(place.ward.port, request(place.ward.port, "GET", path))
    assert answer.status == 404
    assert b"authorization_servers" not in answer.body


def test_attack_28_no_header_of_a_caller_changes_what_the_document_says(place: Place):
    path = place.metadata_url(place.demo).removeprefix(place.ward.base)
    plain = send(place.ward.port, request(place.ward.port, "GET", path))
    for name in (
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "Forwarded",
        "X-Original-Host",
        "X-Forwarded-Prefix",
        "Origin",
    ):
        other = send(place.ward.port, request(place.ward.port, "GET", path, [(name, "http://evil.example")]))
        assert b"evil" not in other.raw
        if other.status == 200:
            assert other.body == plain.body
    assert send(place.ward.port, request(place.ward.port, "GET", path, host="evil.example")).status == 421
    by_name = send(place.ward.port, request(place.ward.port, "GET", path, host=f"localhost:{place.ward.port}"))
    assert by_name.status in {200, 421}
    assert b"localhost" not in by_name.body


def test_attack_28_what_a_key_is_needed_for_does_not_speak_of_oauth(place: Place):
    rows = [("Accept", ACCEPT), ("Content-Type", "application/json")]
    answer = send(place.ward.port, request(place.ward.port, "POST", "/keys/mcp", rows, b"{}"))
    assert answer.status == 401
    assert "resource_metadata" not in answer.headers["www-authenticate"]


def test_attack_28_where_keys_and_tokens_are_taken_one_is_told_of_tokens(place: Place):
    good_key = place.ward.create_key("mixed")
    bad_key = good_key[:-1] + ("a" if good_key[-1] != "a" else "b")
    assert place.mixed.knock(place.token(door=place.mixed)).status == 200
    until(lambda: place.mixed.knock(good_key).status == 200, pause_s=0.1)
    assert challenge(place.mixed.knock(None)) == {
        "resource_metadata": place.metadata_url(place.mixed),
        "scope": "demo:read",
    }
    place.mixed.require_refused(bad_key)  # exactly the answer to a bad token
    place.mixed.require_refused(place.token(door=place.demo))
    place.demo.require_refused(good_key)


# ---- where a token stands, and where it goes ----


def test_attack_29_a_token_in_the_query_or_in_a_form_is_not_seen_and_not_written_down(place: Place):
    token = place.token()
    for name in ("access_token", "token", "authorization", "bearer_token", "key"):
        target = f"{place.demo.path}?{name}={quote(token)}"
        answer = send(place.ward.port, place.demo.message(target=target))
        assert answer.status in {400, 401, 404}
        assert token.encode() not in answer.raw
        form = f"{name}={token}".encode()
        for media in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            rows = [("Content-Type", media), ("Accept", ACCEPT)]
            answer = send(place.ward.port, request(place.ward.port, "POST", place.demo.path, rows, form))
            assert answer.status in {401, 415}
        body, own = modern_request("tools/call", {"name": "whoami", "arguments": {}, name: token}, name="whoami")
        body[name] = token
        rows = [*(own | MEDIA).items()]
        answer = send(
            place.ward.port, request(place.ward.port, "POST", place.demo.path, rows, json.dumps(body).encode())
        )
        assert answer.status == 401
    for header in (
        "Cookie",
        "X-Access-Token",
        "Proxy-Authorization",
        "X-Authorization",
        "Access-Token",
        "X-Forwarded-Authorization",
    ):
        for value in (token, f"Bearer {token}", f"access_token={token}"):
            assert place.demo.knock(None, lines=[(header, value)]).status == 401
    assert not traces(place.ward, token)


def traces(ward: Ward, token: str) -> list[str]:
    """Return where any of the last two parts of a token was written: log, record, metrics, files of the site."""
    parts = [part.encode() for part in token.split(".")[1:] if len(part) > 8]
    places = {"log": ward.log().encode(), "record": json.dumps(ward.records()).encode()}
    with urlopen(f"http://127.0.0.1:{ward.metrics_port}/metrics", timeout=5) as page:
        places["metrics"] = page.read()
    for path in ward.folder.rglob("*"):
        if path.is_file():
            places[str(path)] = path.read_bytes()
    return [name for name, content in places.items() if any(part in content for part in parts)]


def test_attack_30_nothing_that_a_token_is_made_of_reaches_an_upstream_or_the_disk(place: Place):
    """The tool sends its upstream all it can find: the caller, the context, the environment, every attribute."""
    tokens = [place.token(), place.token(door=place.mixed)]
    for door, token in zip((place.demo, place.mixed), tokens, strict=True):
        answer = door.knock(token, "confess", {"url": f"{place.upstream.base}/hook"})
        assert answer.status == 200, answer.raw
        assert b'"200"' in answer.body
    told = b"".join(one.raw for one in place.upstream.received)
    assert b"ada" in told  # it did tell who is calling
    for token in tokens:
        assert not traces(place.ward, token)
        for part in token.split("."):
            assert part.encode() not in told
    assert all("authorization" not in one.headers for one in place.upstream.received)


def test_attack_30_a_token_that_was_refused_is_not_written_down_either(place: Place):
    """A bad token may be a good one of elsewhere. Tools that fail, and refusals on the way, tell nothing of it too."""
    mint = place.issuer.mint(place.demo.resource)
    bad = [
        mint.token(aud="https://else.where/mcp"), mint.token(exp=1), mint.token(sub=1), mint.headed(typ="JWT"),
        mint.headed(kid="nobody"), mint.token(iss="https://else.where"), mint.token()[:-8], mint.token(claims=b"{"),
    ]  # fmt: skip
    for token in bad:
        place.demo.require_refused(token)
    poor = place.token()
    assert place.demo.knock(poor, "store", {"value": "x"}).status == 403
    assert place.demo.knock(poor, "confess", {"url": "http://127.0.0.1:1/"}).status == 200  # it fails
    for token in (*bad, poor):
        assert not traces(place.ward, token)


def test_attack_30_the_provider_is_not_shown_the_tokens_of_callers(place: Place):
    assert place.demo.knock(place.token()).status == 200
    received = place.issuer.received
    assert received
    for one in received:
        assert "authorization" not in one.headers
        assert "cookie" not in one.headers
        assert one.path in {"/jwks", "/.well-known/oauth-authorization-server"}


# ---- how it is shown ----


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_attack_32_the_scheme_has_no_case(place: Place, scheme: str):
    assert place.demo.knock(None, lines=[("Authorization", f"{scheme} {place.token()}")]).status == 200


@pytest.mark.parametrize("spaces", [1, 2, 7])
def test_attack_32_one_or_more_spaces_follow_the_scheme(place: Place, spaces: int):
    """RFC 6750 §2.1, RFC 9110 §11.4; where keys are taken too, a pasted key is known by its form."""
    bearer = "Bearer" + " " * spaces
    for door in (place.demo, place.mixed):
        for _ in range(2):  # the second time the token is known
            assert door.knock(None, lines=[("Authorization", bearer + place.token(door=door))]).status == 200
    key = place.ward.create_key("mixed", name=f"spaced-{spaces}")
    until(lambda: place.mixed.knock(None, lines=[("Authorization", bearer + key)]).status == 200)
    for form in (key, f'"{key}"', f"{bearer}'{key}'", f"{bearer}Bearer {key}"):
        assert place.mixed.knock(None, lines=[("Authorization", form)]).status == 200
        assert place.demo.knock(None, lines=[("Authorization", form)]).status == 401


@pytest.mark.parametrize(
    "form",
    [
        "Bearer\t{}", "Bearer \t{}", "Bearer {} x", "Bearer {}, Bearer {}", "Bearer {},{}", "Bearer", "Bearer ", "{}",
        "Basic {}",
        "DPoP {}", "Token {}", "Bearer:{}", "Bearer={}", 'Bearer "{}"', "Bearer access_token={}", "Bearer Bearer {}",
        "Bearér {}",
        "Bearer {}\x0b", "Bearer\xa0{}", "Bearer\x00{}", "ApiKey {}", "Bearer {}==x", "Negotiate {}", "xBearer {}",
        "Bearer {};",
    ],
    ids=repr,
)  # fmt: skip
def test_attack_32_any_other_form_is_refused(place: Place, form: str):
    answer = place.demo.knock(None, lines=[("Authorization", form.replace("{}", place.token()))])
    assert answer.status in {400, 401}
    assert place.token().split(".")[0].encode() not in answer.raw


def test_attack_32_two_credentials_are_one_too_many_whichever_is_good(place: Place):
    good, bad, key = place.token(), place.token(aud="x"), place.ward.create_key("mixed")
    for first, second in ((good, bad), (bad, good), (good, good), (good, ""), ("", good), (good, key), (key, good)):
        for door in (place.demo, place.mixed):
            for name in ("Authorization", "authorization", "AUTHORIZATION"):
                pair = [("Authorization", f"Bearer {first}"), (name, f"Bearer {second}")]
                assert door.knock(None, lines=pair).status == 400
            both = [("Authorization", f"Bearer {first}"), ("X-API-Key", second or key)]
            assert door.knock(None, lines=both).status == 400


def test_attack_32_a_token_is_not_taken_as_a_key_nor_a_key_as_a_token(place: Place):
    for door in (place.demo, place.mixed):
        token = place.token(door=door)
        assert door.knock(None, lines=[("X-API-Key", token)]).status == 401


def test_the_first_step_of_a_legacy_client_needs_a_token_too(place: Place):
    assert place.ward.post(initialize(), path=place.demo.path).status_code == 401
