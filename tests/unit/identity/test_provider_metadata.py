import json
from typing import Any

import pytest
from msgspec.structs import replace

from mcpward.core.errors import Misconfigured
from mcpward.identity.oauth.metadata import Issuers, MetadataRequest, is_outside, issuer_of, published, read

URL = "https://id.example.com/.well-known/oauth-authorization-server/tenant"
WANTED = MetadataRequest(url=URL, where="issuers.main.metadata")
DOCUMENT: dict[str, Any] = {
    "issuer": "https://id.example.com/tenant",
    "jwks_uri": "https://keys.example.net/jwks?v=1",
    "authorization_endpoint": "https://id.example.com/tenant/authorize",
    "token_endpoint": "https://id.example.com/tenant/token",
    "introspection_endpoint": "https://id.example.com/tenant/introspect",
    "code_challenge_methods_supported": ["plain", "S256"],
    "token_endpoint_auth_methods_supported": ["client_secret_post", 7],
}


def without(*names: str, **changed: Any) -> dict[str, Any]:
    return {name: value for name, value in (DOCUMENT | changed).items() if name not in names}


def findings(document: Any, wanted: MetadataRequest = WANTED) -> list[str]:
    with pytest.raises(Misconfigured) as refused:
        read(document, wanted)
    assert all(finding.where == "issuers.main.metadata" and finding.hint for finding in refused.value.findings)
    return [finding.what.removeprefix(f"{wanted.url}: ") for finding in refused.value.findings]


@pytest.mark.parametrize(
    "url, issuer",
    [
        (URL, "https://id.example.com/tenant"),
        ("https://id.example.com/.well-known/oauth-authorization-server", "https://id.example.com"),
        ("https://id.example.com/.well-known/openid-configuration", "https://id.example.com"),
        ("https://id.example.com/.well-known/openid-configuration/a/b", "https://id.example.com/a/b"),
        ("https://id.example.com/realms/r/.well-known/openid-configuration", "https://id.example.com/realms/r"),
        ("https://id.example.com/oauth2/d/.well-known/oauth-authorization-server", "https://id.example.com/oauth2/d"),
        ("http://127.0.0.1:8080/.well-known/openid-configuration", "http://127.0.0.1:8080"),
        ("https://id.example.com/v2.0/.well-known/openid-configuration?appid=1", "https://id.example.com/v2.0"),
        ("https://id.example.com", None),
        ("https://id.example.com/.well-known/jwks.json", None),
        ("https://id.example.com/.well-known/", None),
        ("https://id.example.com/a/.well-known/openid-configuration/b", None),
        ("https://id.example.com/.well-known/openid-configuration/.well-known/openid-configuration", None),
        ("https://user@id.example.com/.well-known/openid-configuration", None),
        ("https://id.example.com/.well-known/openid-configuration#x", None),
        ("file:///.well-known/openid-configuration", None),
        ("/.well-known/openid-configuration", None),
        ("", None),
    ],
)
def test_a_metadata_url_names_its_issuer(url: str, issuer: str | None):
    assert issuer_of(url) == issuer


def test_what_is_announced_is_taken_over():
    metadata = read(DOCUMENT, WANTED)
    assert metadata.issuer == "https://id.example.com/tenant"
    assert metadata.jwks_uri == "https://keys.example.net/jwks?v=1"
    assert metadata.token_endpoint == "https://id.example.com/tenant/token"
    assert metadata.token_methods == ("client_secret_post",)
    assert metadata.introspection_methods == ("client_secret_basic",)


def test_a_slash_at_the_end_is_the_providers_choice_and_kept():
    assert read(without(issuer="https://id.example.com/tenant/"), WANTED).issuer == "https://id.example.com/tenant/"


@pytest.mark.parametrize(
    "issuer",
    [
        None,
        "",
        7,
        ["https://id.example.com/tenant"],
        "https://id.example.com",
        "https://id.example.com/tenant//",
        "https://id.example.com/Tenant",
        "https://id.example.com/tenant/other",
        "https://ID.example.com/tenant",
        "http://id.example.com/tenant",
        "https://id.example.com:443/tenant",
        "https://id.example.com/{tenantid}",
    ],
)
def test_a_document_of_another_issuer_is_refused(issuer: Any):
    (what,) = findings(without(issuer=issuer))
    assert what.startswith("issuer is ")


OUTSIDE = "https://id.example.com/realms/demo"
INSIDE = "http://10.0.0.5:8080/realms/demo/.well-known/openid-configuration"


def test_the_issuer_that_the_operator_wrote_is_the_only_one():
    wanted = MetadataRequest(url="https://keycloak.inside.example/.well-known/openid-configuration", where=WANTED.where)
    wanted = replace(wanted, issuer=OUTSIDE)
    assert read(without(issuer=OUTSIDE), wanted).issuer == OUTSIDE
    for issuer in (OUTSIDE + "/", "https://keycloak.inside.example", "https://id.example.com", OUTSIDE.upper(), None):
        (what,) = findings(without(issuer=issuer), wanted)
        assert what.startswith("issuer is ")


@pytest.mark.parametrize(
    "issuer, url, is_taken",
    [
        (OUTSIDE, INSIDE, True),
        (OUTSIDE + "/", INSIDE, True),
        ("https://id.example.com", "http://10.0.0.5/.well-known/oauth-authorization-server", True),
        ("https://id.example.com/realms/other", INSIDE, False),
        ("https://id.example.com/realms/demo/more", INSIDE, False),
        ("https://id.example.com/realms/demo//", INSIDE, False),
        ("https://id.example.com/", INSIDE, False),
        ("http://id.example.com/realms/demo", INSIDE, False),
        ("https://id.example.com/realms/demo?x", INSIDE, False),
        ("https://user@id.example.com/realms/demo", INSIDE, False),
        ("https://id.example.com/realms/demo#x", INSIDE, False),
        (OUTSIDE, INSIDE.replace("http://", "https://"), False),
        ("https://evil.example/tenant", URL, False),
    ],
)
def test_attack_22_an_outside_issuer_is_taken_without_a_word_from_an_http_document_of_the_same_path_alone(
    issuer: str, url: str, is_taken: bool
):
    assert is_outside(issuer, url) is is_taken


def test_attack_22_two_providers_have_two_issuers():
    issuers = Issuers()
    assert issuers.claim("https://a.example", "https://a.example")
    assert issuers.claim("https://a.example/", "https://a.example/")  # two tables of one provider
    assert not issuers.claim("https://a.example", "http://10.0.0.5")
    assert not issuers.claim("https://a.example/", "http://10.0.0.5")
    assert issuers.claim("https://b.example", "http://10.0.0.5")


def test_clients_get_the_document_as_the_provider_says_it():
    document = without(extra={"any": ["thing"]}, op_policy_uri="https://id.example.com/policy")
    assert json.loads(published(document, read(document, WANTED), WANTED)) == document


def test_no_inside_address_is_for_clients_where_the_issuer_is_outside():
    near = MetadataRequest(url=INSIDE, where=WANTED.where)
    inside = "http://10.0.0.5:8080/x"
    document = without(
        issuer=OUTSIDE, jwks_uri=inside, token_endpoint=inside, mtls_endpoint_aliases={"token_endpoint": inside},
        introspection_endpoint="https://10.0.0.5/x", service_documentation="http://10.0.0.5/", list=[inside],
    )  # fmt: skip
    told = json.loads(published(document, read(document, near), near))
    assert told["authorization_endpoint"] == document["authorization_endpoint"]
    assert told["issuer"] == OUTSIDE
    assert "10.0.0.5" not in json.dumps(told)


def test_a_document_that_is_too_long_is_handed_on_as_far_as_clients_need_it():
    document = without(claims_supported=["x" * 100] * 1000, scopes_supported=["s" * 100] * 100)
    told = json.loads(published(document, read(document, WANTED), WANTED))
    needed = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "code_challenge_methods_supported")
    assert told == {name: document[name] for name in (*needed, "token_endpoint_auth_methods_supported")}


def test_everything_that_is_missing_is_named_at_once():
    assert findings({}) == [
        "issuer is missing",
        "jwks_uri is missing",
        "authorization_endpoint is missing",
        "token_endpoint is missing",
        "code_challenge_methods_supported does not have S256",
    ]
    assert findings([]) == findings("text") == ["the metadata is no JSON object"]


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example.com/jwks",
        "http://127.0.0.1/jwks",
        "//id.example.com/jwks",
        "/jwks",
        "file:///etc/passwd",
        "https://user:word@id.example.com/jwks",
        "https://id.example.com/jwks#frag",
        "https://2130706433/jwks",
        "https://id.example.com/a b",
        "https://id.example.com\\@evil.example/",
        "https://" + "a" * 3000,
        "javascript:alert(1)",
        7,
        {"url": "https://id.example.com/jwks"},
        "",
    ],
)
@pytest.mark.parametrize("name", ["jwks_uri", "token_endpoint", "authorization_endpoint", "introspection_endpoint"])
def test_26_an_endpoint_that_is_no_https_url_is_refused(name: str, url: Any):
    (what,) = findings(without(**{name: url}))
    assert what.startswith(f"{name} is not ")


def test_http_is_for_the_host_that_the_operator_took_the_metadata_from_by_http():
    near = MetadataRequest(url="http://127.0.0.1:9000/.well-known/openid-configuration", where=WANTED.where)
    local = {name: f"http://127.0.0.1:9000/{name}" for name in DOCUMENT if name.endswith(("_uri", "_endpoint"))}
    document = DOCUMENT | local | {"issuer": "http://127.0.0.1:9000"}
    assert read(document, near).jwks_uri == "http://127.0.0.1:9000/jwks_uri"
    (what,) = findings(document | {"jwks_uri": "http://169.254.169.254/latest"}, near)
    assert what == "jwks_uri is not https"


@pytest.mark.parametrize("methods", [["plain"], [], "S256", None, {"S256": True}])
def test_pkce_with_s256_must_be_announced(methods: Any):
    assert findings(without(code_challenge_methods_supported=methods)) == [
        "code_challenge_methods_supported does not have S256"
    ]


def test_a_provider_known_as_lax_may_be_silent_about_pkce_and_not_contrary():
    lax = replace(WANTED, is_lax=True)
    assert read(without("code_challenge_methods_supported"), lax).issuer
    assert findings(without(code_challenge_methods_supported=["plain"]), lax)


def test_a_provider_for_machines_alone_needs_no_page_to_log_in_at():
    document = without("authorization_endpoint", "code_challenge_methods_supported")
    assert read(document | {"grant_types_supported": ["client_credentials"]}, WANTED).authorization_endpoint is None
    assert len(findings(document | {"grant_types_supported": ["authorization_code"]})) == 2
    assert len(findings(document)) == 2


def test_opaque_tokens_need_the_endpoint_that_explains_them_and_no_keys():
    opaque = replace(WANTED, signed=False, opaque=True)
    assert read(without("jwks_uri"), opaque).jwks_uri is None
    assert findings(without("introspection_endpoint"), opaque) == ["introspection_endpoint is missing"]
