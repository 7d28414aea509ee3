from typing import Any

import pytest

from mcpward.identity.jwt.claim_forms import find
from mcpward.identity.jwt.claims import Claims, judge
from mcpward.identity.jwt.errors import TokenRefused
from mcpward.identity.jwt.issuer_rules import IssuerRules
from support.mint import AUDIENCE, CLAIMS, ISSUER, NOW

RULES = IssuerRules(issuer=ISSUER, audience=AUDIENCE)


def read(rules: dict[str, Any] | None = None, **claims: Any) -> Claims:
    return judge(CLAIMS | claims, IssuerRules(**{"issuer": ISSUER, "audience": AUDIENCE} | (rules or {})), NOW)


@pytest.mark.parametrize(
    "said, scopes",
    [
        ("a b", {"a", "b"}),
        ("a", {"a"}),
        (" a  b ", {"a", "b"}),
        ("", set()),
        (["a", "b"], {"a", "b"}),
        (["a b"], set()),
        (["a", "Domain Users", "b\n", "c\t", 'd"', "e\\", "é", "\u200bf", ""], {"a"}),
        ([], set()),
        ("https://www.googleapis.com/auth/drive", {"https://www.googleapis.com/auth/drive"}),
        ("a\tb", set()),
        ("a\nb", set()),
    ],
)
def test_scopes_are_words_in_one_text_or_in_a_list(said: Any, scopes: set[str]):
    assert read(scope=said).scopes == scopes


@pytest.mark.parametrize("issuer", [ISSUER + "/", "", None, [ISSUER]], ids=ascii)
def test_claims_that_came_without_a_signature_are_of_their_issuer_too(issuer: Any):
    with pytest.raises(TokenRefused, match="issuer"):
        read(iss=issuer)


def test_a_token_need_not_have_scopes():
    rest = {name: value for name, value in CLAIMS.items() if name != "scope"}
    assert judge(rest, RULES, NOW).scopes == frozenset()


@pytest.mark.parametrize("said", [1, True, {"a": 1}, ["a", 1], [["a"]], [None]])
def test_scopes_of_another_form_refuse_the_token(said: Any):
    with pytest.raises(TokenRefused, match="scopes"):
        read(scope=said)


def test_names_of_claims_are_the_issuer_s():
    rules = {"subject": "oid", "scope": "scp", "groups": "realm_access.roles"}
    claims = read(rules, oid="o-1", scp=["x"], realm_access={"roles": ["admin", "night shift"]})
    assert (claims.subject, claims.scopes, claims.groups) == ("o-1", {"x"}, {"admin", "night shift"})


def test_a_name_with_dots_is_a_claim_before_it_is_a_path():
    url = "https://example.com/groups"
    assert find({url: ["a"]}, url) == ["a"]
    assert find({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert find({"a": {"b": {"c": 3}}}, "a.b.c") == 3
    assert find({"a": {"b": 2}}, "a.b.c") is None
    assert find({"a": "text"}, "a.b") is None
    assert find({"a": [1]}, "a.0") is None
    assert find({}, "") is None


@pytest.mark.parametrize(
    "said, groups",
    [
        (["a", "b c"], {"a", "b c"}),
        ("b c", {"b c"}),
        (["a", 1, None, {"name": "x"}, "", "c\0", "d" * 256], {"a"}),
        ({"a": True}, set()),
        (7, set()),
        (None, set()),
    ],
)
def test_groups_are_names_and_what_is_no_name_gives_no_right(said: Any, groups: set[str]):
    assert read(groups=said).groups == groups


@pytest.mark.parametrize("subject", [None, "", 1, True, ["ann"], {"sub": "ann"}, "a\0b", "a\nb", "x" * 256, "\u202ea"])
def test_a_subject_is_a_short_text_that_can_be_printed(subject: Any):
    with pytest.raises(TokenRefused, match="subject"):
        read(sub=subject)


def test_a_subject_is_kept_as_it_is():
    for subject in ("Ann", "auth0|5f7c8ec7", "ann@example.com", "Jörg", "a b", "x" * 255):
        assert read(sub=subject).subject == subject


@pytest.mark.parametrize(
    "said, client",
    [
        ({"client_id": "a", "azp": "b", "cid": "c", "appid": "d"}, "a"),
        ({"azp": "b", "cid": "c"}, "b"),
        ({"cid": "c"}, "c"),
        ({"appid": "d"}, "d"),
        ({}, ""),
    ],
)
def test_a_client_has_one_of_the_names_that_providers_use(said: dict[str, str], client: str):
    rest = {name: value for name, value in CLAIMS.items() if name != "client_id"}
    assert judge(rest | said, RULES, NOW).client == client


def test_a_client_may_be_the_url_of_its_metadata_document():
    url = "https://app.example.com/" + "c" * 4072
    assert (len(url), read(client_id=url).client) == (4096, url)
    with pytest.raises(TokenRefused, match="client"):
        read(client_id=url + "c")


@pytest.mark.parametrize("client", [None, "", 1, ["desk"], "a\0"])
def test_a_client_that_is_no_name_refuses_the_token(client: Any):
    with pytest.raises(TokenRefused, match="client"):
        read(client_id=client)


@pytest.mark.parametrize(
    "rules",
    [
        {"issuer": ""},
        {"audience": ""},
        {"algorithms": frozenset()},
        {"algorithms": frozenset({"RS256", "none"})},
        {"algorithms": frozenset({"HS256"})},
        {"algorithms": frozenset({"rs256"})},
        {"token_type": "jwt"},
        {"token_type": ""},
        {"leeway_s": 61.0},
        {"leeway_s": -1.0},
        {"leeway_s": float("nan")},
    ],
    # A set's text has another order in another process, and tests that are shared out need one name.
    ids=lambda rules: next(f"{name}={sorted(x) if isinstance(x, frozenset) else x}" for name, x in rules.items()),
)
def test_rules_that_would_let_anything_in_cannot_be_made(rules: dict[str, Any]):
    with pytest.raises(ValueError):
        read(rules)
