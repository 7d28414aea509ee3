import json

import pytest

from mcpward.core.challenge import Challenge
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.ingress import render
from mcpward.ingress.discovery import Discovery, Resource
from mcpward.ingress.gates import Head, Rules, judge_place, judge_shape
from mcpward.ingress.routes import Address, Place, Route, Routes
from support.facts import facts_of

URL = "https://h.example/mcp"
PATH = b"/.well-known/oauth-protected-resource/mcp"
ROUTES = Routes([Address("a", "/mcp", metadata=PATH.decode()), Address("b", "/b/mcp")])
RULES = Rules(frozenset({b"h.example"}), frozenset(), 1024, 50, 8192, public=ROUTES.public)
CHALLENGE = Challenge("https://h.example/.well-known/oauth-protected-resource/mcp", ("a:read", "a:write"))


def answer(*issuers: str | None, scopes: tuple[str, ...] = ("a:read",)) -> bytes:
    discovery = Discovery({"a": Resource(URL, scopes, lambda: issuers)})
    return render.response(discovery.answer("a"), date=b"date: x\r\n", close=False)


def head(verb: bytes = b"GET", target: bytes = PATH, **fields: bytes) -> Head:
    named = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    return Head(verb, target, {b"host": b"h.example"} | named, frozenset(), "1.1")


def test_a_document_may_be_kept_and_read_by_all():
    said, _, body = answer("https://id.example/").partition(b"\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 200 ")
    assert said.count(b"cache-control") == 1
    assert b"\r\ncache-control: public, max-age=3600\r\n" in said
    assert b"\r\naccess-control-allow-origin: *\r\n" in said
    assert said.count(b"content-type: application/json") == 1
    assert json.loads(body) == {
        "resource": URL, "authorization_servers": ["https://id.example/"], "scopes_supported": ["a:read"],
        "bearer_methods_supported": ["header"],
    }  # fmt: skip


def test_without_scopes_none_are_named():
    assert b"scopes_supported" not in answer("https://id.example", scopes=())


def test_a_provider_whose_exact_name_is_not_known_is_not_named():
    partly = answer("https://id.example", None)
    assert json.loads(partly.partition(b"\r\n\r\n")[2])["authorization_servers"] == ["https://id.example"]
    assert b"\r\ncache-control: no-store\r\n" in partly  # more will be known soon
    none = answer(None, None)
    assert none.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 5\r\n" in none
    assert b"\r\naccess-control-allow-origin: *\r\n" in none


def test_only_the_one_path_is_the_documents():
    assert ROUTES.find(b"h.example", PATH) == Route(Place.RESOURCE, "a")
    for path in (PATH + b"/", PATH[:-4], PATH.replace(b"/mcp", b"/b/mcp"), PATH.upper(), b"/" + PATH):
        assert ROUTES.find(b"h.example", path) is None


def test_the_document_is_for_every_origin_and_nothing_else_is():
    assert judge_place(head(origin=b"https://evil.example"), RULES) is None
    assert judge_place(head(target=PATH + b"?a", origin=b"null"), RULES) is None
    for target in (b"/mcp", PATH + b"/", PATH[:-1], b"/x" + PATH, b"/mcp?" + PATH):
        no = judge_place(head(target=target, origin=b"https://evil.example"), RULES)
        assert no is not None
        assert no.reason is Reason.ORIGIN_REFUSED


def test_all_other_gates_stand_before_the_document():
    evil = {"origin": b"https://evil.example"}
    host = judge_place(head(host=b"evil.example", **evil), RULES)
    framing = judge_place(head(content_length=b"5", transfer_encoding=b"chunked", **evil), RULES)
    assert host is not None
    assert framing is not None
    assert (host.reason, framing.reason) == (Reason.HOST_REFUSED, Reason.REQUEST_MALFORMED)


@pytest.mark.parametrize("verb", [b"POST", b"PUT", b"DELETE", b"PATCH", b"TRACE", b"OPTIONS"])
def test_the_document_is_only_read(verb):
    no = judge_shape(head(verb), Route(Place.RESOURCE, "a"), RULES)
    assert no is not None
    assert (no.reason, facts_of(no)["allow"]) == (Reason.VERB_REFUSED, "GET, HEAD, OPTIONS")
    assert judge_shape(head(b"OPTIONS", origin=b"https://a.example"), Route(Place.RESOURCE, "a"), RULES) is None


@pytest.mark.parametrize(
    "reason,told",
    [
        (Reason.CREDENTIAL_MISSING, ""),
        (Reason.CREDENTIAL_INVALID, 'error="invalid_token", error_description="the credential is not valid here", '),
        (Reason.CREDENTIAL_AMBIGUOUS, 'error="invalid_request", error_description="send exactly one credential", '),
        (
            Reason.SCOPE_MISSING,
            'error="insufficient_scope", error_description="the credential lacks a scope that this operation needs", ',
        ),
    ],
)
def test_a_challenge_says_what_is_wrong_where_to_look_and_what_to_ask_for(reason, told):
    headers = dict(render.refusal(Refusal(reason, "private", CHALLENGE)).headers)
    end = f'resource_metadata="{CHALLENGE.metadata}", scope="a:read a:write"'
    assert headers[b"www-authenticate"].decode() == f"Bearer {told}{end}"


def test_without_scopes_a_challenge_has_none_and_quotes_cannot_end_it():
    no = Refusal(Reason.CREDENTIAL_MISSING, "", Challenge('https://h.example/"x\\'))
    headers = dict(render.refusal(no).headers)
    assert headers[b"www-authenticate"] == b'Bearer resource_metadata="https://h.example/\\"x\\\\"'
