"""The provider's metadata at the site's own origin, for clients that look nowhere else (revision 2025-03-26).

Sources: RFC 8414 §3.1, OpenID Connect Discovery §4, the MCP authorization page of 2025-03-26.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.guarded import TOOLS, Door, guarded, issuers, oauth_server, send
from support.issuer import METADATA, Document, Issuer, listening
from support.ports import free_port
from support.raw import Answer, request
from support.ward import ACCEPT, Ward, modern_request, serving

PLAIN = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")
OPEN = '\n[servers.keys]\nsource = "guarded.py"\n[servers.open]\nsource = "guarded.py"\nmode = "public"\n'
OUTSIDE = "https://id.example.com"


def ask(ward: Ward, path: str, verb: str = "GET", *lines: tuple[str, str], **more: Any) -> Answer:
    return send(ward.port, request(ward.port, verb, path, lines, **more))


def paths(path: str) -> list[str]:
    """Return where clients look for the provider of the server at ``path``."""
    return [*(f"{document}{path}" for document in PLAIN), f"{path}{PLAIN[1]}"]


class Place:
    def __init__(self, ward: Ward, issuer: Issuer) -> None:
        self.ward = ward
        self.issuer = issuer


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Two servers with tokens of one provider, and one each in the other open modes."""
    issuer = Issuer()
    servers = oauth_server("demo", "main", "second") + oauth_server("mixed", "main", mode='["oauth", "api-key"]') + OPEN
    second = Issuer(name="second-")
    trusted = issuers(main=issuer.metadata, second=second.metadata)
    with listening(issuer, second), guarded(tmp_path_factory.mktemp("documents"), servers, trusted) as ward:
        yield Place(ward, issuer)


@pytest.mark.parametrize("path", [*PLAIN, *paths("/demo/mcp"), *paths("/mixed/mcp")])
def test_the_first_providers_document_stands_where_clients_look_for_it(place: Place, path: str):
    answer = ask(place.ward, path)
    assert answer.status == 200
    assert answer.json() == place.issuer.announcement()
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=600"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [*paths("/keys/mcp"), *paths("/open/mcp"), f"{PLAIN[0]}/demo", f"{PLAIN[0]}/demo/mcp/x", f"{PLAIN[0]}/DEMO/mcp",
     f"/demo{PLAIN[1]}", "/register", "/authorize", "/token"],
)  # fmt: skip
def test_it_stands_nowhere_else(place: Place, path: str):
    answer = ask(place.ward, path)
    assert answer.status == 404
    assert b"issuer" not in answer.body


def test_it_is_read_and_nothing_else_by_pages_of_any_origin(place: Place):
    for path in (PLAIN[0], "/demo/mcp" + PLAIN[1]):
        origin = ("Origin", "https://page.example")
        assert ask(place.ward, path, "GET", origin).headers["access-control-allow-origin"] == "*"
        preflight = ask(place.ward, path, "OPTIONS", origin, ("Access-Control-Request-Method", "GET"))
        assert (preflight.status, preflight.headers["access-control-allow-methods"]) == (204, "GET")
        with place.ward.client() as browser:
            head = browser.head(f"{place.ward.base}{path}")
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(ask(place.ward, path).body)))
        refused = ask(place.ward, path, "POST", ("Content-Type", "application/json"), body=b"{}")
        assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


def test_nothing_of_a_request_is_in_it(place: Place):
    plain = ask(place.ward, PLAIN[0]).body
    for name in ("X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "Origin"):
        assert ask(place.ward, PLAIN[0], "GET", (name, "https://evil.example")).body == plain
    assert ask(place.ward, f"{PLAIN[0]}?issuer=https://evil.example").body == plain
    assert ask(place.ward, PLAIN[0], host="evil.example").status == 421


def test_callers_cause_no_question_to_the_provider(place: Place):
    before = place.issuer.asked(METADATA)
    for _ in range(200):
        assert ask(place.ward, PLAIN[0]).status == 200
    assert place.issuer.asked(METADATA) == before


def test_servers_of_different_providers_have_each_its_own_and_no_plain_one(tmp_path: Path):
    one, two = Issuer(), Issuer(name="two-")
    trusted = issuers(one=one.metadata, two=two.metadata)
    servers = oauth_server("a", "one") + oauth_server("b", "two")
    with listening(one, two), guarded(tmp_path / "site", servers, trusted) as ward:
        assert ask(ward, f"{PLAIN[0]}/a/mcp").json()["issuer"] == one.issuer
        assert ask(ward, f"{PLAIN[0]}/b/mcp").json()["issuer"] == two.issuer
        assert [ask(ward, path).status for path in PLAIN] == [404, 404]


def test_without_a_server_in_oauth_mode_there_is_none(tmp_path: Path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "guarded.py").write_text(TOOLS)
    with serving(tmp_path / "site", servers=OPEN) as ward:
        for path in (*PLAIN, *paths("/keys/mcp"), *paths("/open/mcp")):
            answer = ask(ward, path)
            assert (answer.status, answer.headers["content-type"]) == (404, "application/json")


def test_while_the_provider_was_not_seen_there_is_an_outage(tmp_path: Path):
    trusted = issuers(main=f"http://127.0.0.1:{free_port()}{METADATA}")
    with guarded(tmp_path / "site", oauth_server("demo", "main"), trusted) as ward:
        for path in (*PLAIN, *paths("/mcp")):
            answer = ask(ward, path)
            assert (answer.status, answer.headers["cache-control"]) == (503, "no-store")
            assert answer.headers["retry-after"]
            assert answer.headers["access-control-allow-origin"] == "*"


def apart(issuer: Issuer, **changes: Any) -> None:
    """Have a provider name an outside issuer: as Keycloak does that is called by an inside name."""
    said = issuer.announcement(issuer=OUTSIDE, authorization_endpoint=f"{OUTSIDE}/auth") | changes
    issuer.documents[METADATA] = Document(said)
    issuer.issuer = OUTSIDE


def with_issuer(metadata: str, name: str) -> str:
    return f'{issuers(main=metadata)}issuer = "{name}"\n'


def test_a_provider_inside_with_its_issuer_outside_is_taken_by_the_operators_word(tmp_path: Path):
    issuer = Issuer()
    apart(issuer)
    trusted = with_issuer(issuer.metadata, OUTSIDE)
    with listening(issuer), guarded(tmp_path / "site", oauth_server("demo", "main"), trusted) as ward:
        door = Door(ward)
        assert door.who(issuer.mint(door.resource).token())["issuer"] == OUTSIDE
        issuer.issuer = issuer.base
        door.require_refused(issuer.mint(door.resource).token())
        resource = ask(ward, "/.well-known/oauth-protected-resource/mcp").json()
        assert resource["authorization_servers"] == [OUTSIDE]
        told = ask(ward, PLAIN[0])
        assert told.json()["issuer"] == OUTSIDE
        assert told.json()["authorization_endpoint"] == f"{OUTSIDE}/auth"
        assert issuer.base.encode() not in told.body  # no inside address is for clients
        assert "write issuer" not in ward.log()


@pytest.mark.parametrize("named", ["https://id.example.com/", "https://other.example", "https://id.example.com/realm"])
def test_the_document_must_have_exactly_the_issuer_that_the_operator_wrote(tmp_path: Path, named: str):
    issuer = Issuer()
    apart(issuer)
    trusted = with_issuer(issuer.metadata, named)
    with listening(issuer), guarded(tmp_path / "site", oauth_server("demo", "main"), trusted, start=False) as ward:
        with pytest.raises(AssertionError, match="ended with 2"):
            ward.start()
        assert f"issuer is '{OUTSIDE}'" in ward.log()
        assert named in ward.log()


def test_without_a_word_an_outside_issuer_is_taken_from_an_inside_http_document_alone_and_said(tmp_path: Path):
    issuer = Issuer()
    apart(issuer)
    servers = oauth_server("demo", "main")
    with listening(issuer), guarded(tmp_path / "site", servers, issuers(main=issuer.metadata)) as ward:
        door = Door(ward)
        assert door.lets_in(issuer.mint(door.resource).token())
        assert f'write issuer = \\"{OUTSIDE}\\" beside the URL' in ward.log()


def test_attack_22_no_provider_takes_the_issuer_of_another(tmp_path: Path):
    """Mix-up: with the other's name, its own keys would speak for the other's people."""
    main, evil = Issuer(), Issuer(name="evil-")
    apart(main)
    apart(evil)
    trusted = with_issuer(main.metadata, OUTSIDE) + issuers(evil=evil.metadata)
    servers = oauth_server("demo", "main", "evil")
    with listening(main, evil), guarded(tmp_path / "site", servers, trusted, start=False) as ward:
        with pytest.raises(AssertionError, match="ended with 2"):
            ward.start()
        assert "is the issuer of another provider of this site" in ward.log()


def test_attack_22_of_several_providers_none_names_an_outside_issuer_without_the_operators_word(tmp_path: Path):
    """Whichever document comes first could take the other's name, and keep the other out."""
    main, evil = Issuer(), Issuer(name="evil-")
    apart(evil)
    servers = oauth_server("demo", "main", "evil")
    trusted = issuers(main=main.metadata, evil=evil.metadata)
    with listening(main, evil), guarded(tmp_path / "site", servers, trusted, start=False) as ward:
        with pytest.raises(AssertionError, match="ended with 2"):
            ward.start()
        assert f'write issuer = "{OUTSIDE}" beside the URL' in ward.log()


def test_a_token_that_was_never_seen_is_judged_while_strangers_at_its_address_ask_too_much(tmp_path: Path):
    issuer = Issuer()
    servers = oauth_server("demo", "main")
    limits = '[limits]\nauth_failures = "3/hour"\nrequests = "5/hour"\n'
    with listening(issuer), guarded(tmp_path / "site", servers, limits + issuers(main=issuer.metadata)) as ward:
        door = Door(ward)
        told = {door.knock("sk-mcpward-wrong").status for _ in range(12)}
        assert told == {401, 429}
        assert door.knock("sk-mcpward-wrong").status == 429
        assert all(door.lets_in(issuer.mint(door.resource).token(sub=f"person-{at}")) for at in range(8))


def test_every_scope_can_be_named_in_a_challenge(tmp_path: Path):
    issuer = Issuer()
    servers = oauth_server("demo", "main", more='challenge_scopes = "all"')
    with listening(issuer), guarded(tmp_path / "site", servers, issuers(main=issuer.metadata)) as ward:
        door = Door(ward)
        for token in (None, "nonsense"):
            assert 'scope="demo:read demo:write"' in door.knock(token).headers["www-authenticate"]
        missing = door.knock(issuer.mint(door.resource).token(scope="demo:read"), "count", {"steps": 1})
        assert missing.status == 403
        assert 'scope="demo:audit demo:read demo:write"' in missing.headers["www-authenticate"]


def listed(ward: Ward, door: Door, token: str) -> list[str]:
    body, headers = modern_request("tools/list", {})
    media = {"Content-Type": "application/json", "Accept": ACCEPT, "Authorization": f"Bearer {token}"}
    rows = [*(headers | media).items()]
    answer = send(ward.port, request(ward.port, "POST", door.path, rows, json.dumps(body).encode()))
    return sorted(tool["name"] for tool in answer.json()["result"]["tools"])


@pytest.mark.parametrize("more, lists", [("", False), ("list_step_up = true", True)])
def test_attack_67_what_a_step_up_could_open_is_listed_by_the_operators_word_and_nothing_else_is(
    tmp_path: Path, more: str, lists: bool
):
    issuer = Issuer()
    servers = oauth_server("demo", "main", more=more)
    with listening(issuer), guarded(tmp_path / "site", servers, issuers(main=issuer.metadata)) as ward:
        door = Door(ward)
        token = issuer.mint(door.resource).token(scope="demo:read")
        names = listed(ward, door, token)
        assert names == (["confess", "count", "echo", "store", "whoami"] if lists else ["confess", "echo", "whoami"])
        assert door.knock(token, "store", {"value": "x"}).status == 403
        assert door.knock(token, "wipe", {"what": "x"}).status == 400  # no scope opens its class: it stays unknown
        assert listed(ward, door, issuer.mint(door.resource).token(scope="demo:read demo:write demo:audit")) == [
            "confess", "count", "echo", "store", "whoami"
        ]  # fmt: skip


def test_a_token_with_two_hundred_groups_is_let_in_and_one_over_the_limit_is_told_in_the_log(tmp_path: Path):
    issuer = Issuer()
    with (
        listening(issuer),
        guarded(tmp_path / "site", oauth_server("demo", "main"), issuers(main=issuer.metadata)) as ward,
    ):
        door = Door(ward)
        mint = issuer.mint(door.resource)
        large = mint.token(groups=[f"{number:08}-0000-4000-8000-000000000000" for number in range(200)])
        assert 10_500 < len(large) < 16_384
        for _ in range(3):
            assert door.lets_in(large)
        longer = mint.token(groups=["x" * 36] * 400)
        for _ in range(3):
            door.require_refused(longer)
        (line,) = [line for line in ward.log().splitlines() if "max_token_bytes" in line]
        assert f"server demo refused a token of {len(longer)} bytes" in line
        assert longer[:60] not in ward.log()
