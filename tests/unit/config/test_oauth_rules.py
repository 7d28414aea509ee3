import pytest

from mcpward.config.fields import ALGORITHMS
from mcpward.config.load import load
from mcpward.config.rules import breaches
from mcpward.core.errors import Misconfigured
from mcpward.identity.jwt import algorithm

MAIN = "https://id.example.com/.well-known/oauth-authorization-server/tenant"
OTHER = "https://other.example/tenant/.well-known/openid-configuration"
ONE = {"servers.a.source": "m:a", "servers.a.mode": "oauth", "servers.a.oauth.metadata": MAIN}
NAMED = {
    "servers.a.source": "m:a", "servers.a.mode": ["oauth", "api-key"], "servers.a.oauth.issuers": ["main"],
    "issuers.main.metadata": MAIN,
}  # fmt: skip
TWO = NAMED | {"servers.a.oauth.issuers": ["main", "other"], "issuers.other.metadata": OTHER}
CLIENT = {"issuers.main.client_id": "ward", "issuers.main.client_secret": "env:SECRET"}


def whats(overrides):
    with pytest.raises(Misconfigured) as caught:
        load(None, {}, overrides)
    return [finding.what + " | " + finding.hint for finding in caught.value.findings]


def without(key):
    return {one: value for one, value in NAMED.items() if one != key}


@pytest.mark.parametrize("given", [ONE, NAMED, TWO, NAMED | CLIENT], ids=["one", "named", "two", "client"])
def test_what_is_whole_is_taken(given):
    settings = load(None, {}, given)
    assert settings.servers["a"].has_tokens
    assert not breaches(settings)


@pytest.mark.parametrize(
    "value,mode,modes",
    [
        ("oauth", "oauth", {"oauth"}),
        (["oauth"], "oauth", {"oauth"}),
        (["api-key", "oauth"], ("oauth", "api-key"), {"oauth", "api-key"}),
    ],
)
def test_a_token_and_a_key_may_stand_side_by_side(value, mode, modes):
    server = load(None, {}, ONE | {"servers.a.mode": value}).servers["a"]
    assert (server.mode, server.modes) == (mode, modes)


@pytest.mark.parametrize(
    "value", [["oauth", "public"], ["public", "unlisted"], [], ["oauth", "oauth"], ["oauth", "api-key", "public"],
              "oauth,api-key", ["none"], "basic", 1, None, [["oauth"]]],
)  # fmt: skip
def test_no_other_modes_go_together(value):
    (told,) = whats(ONE | {"servers.a.mode": value})
    assert told.startswith('must be "api-key"')


@pytest.mark.parametrize(
    "given", [ONE | {"servers.a.oauth.metadata": None}, NAMED | {"servers.a.oauth.metadata": MAIN}]
)
def test_a_provider_is_named_in_one_way(given):
    given = {key: value for key, value in given.items() if value is not None}
    (told,) = whats(given)
    assert "needs exactly one of metadata and issuers" in told


@pytest.mark.parametrize("mode", ["api-key", "public", "unlisted"])
def test_a_provider_that_nobody_would_ask_is_told(mode):
    (told,) = whats(ONE | {"servers.a.mode": mode})
    assert "server a accepts no tokens" in told


@pytest.mark.parametrize(
    "change,told",
    [
        ({"servers.a.oauth.issuers": ["mian"]}, "did you mean 'main'?"),
        ({"servers.a.oauth.issuers": ["main", "main"]}, "the same provider"),
        ({"servers.a.oauth.issuers": ["main", "x"], "issuers.x.metadata": MAIN}, "the same provider"),
        ({"servers.a.hosts": ["a.example"]}, "remove hosts"),
        ({"issuers.main.client_id": "ward"}, "must both be set"),
        ({"issuers.main.client_secret": "NAME"}, "must both be set"),
        ({"issuers.main.introspection": True}, "needs client_id and client_secret"),
        ({"servers.a.oauth.scopes": {"a:read": ""}, "servers.a.oauth.required": ["a:raed"]}, "did you mean 'a:read'?"),
        ({"servers.a.oauth.permissions": {"group:admins": {"issuer": "x"}}}, "is not one of this server's issuers"),
        ({"issuers.main.metadata": "http://id.example.com/.well-known/openid-configuration"}, "[egress] allow"),
        ({"issuers.main.metadata": "https://10.1.2.3/.well-known/openid-configuration"}, 'allow = ["10.1.2.3/32"]'),
        ({"issuers.main.metadata": "http://[::1]:9/.well-known/openid-configuration"}, 'allow = ["::1/128"]'),
    ],
)  # fmt: skip
def test_a_slip_is_told_before_anything_starts(change, told):
    (said,) = whats(NAMED | change)
    assert told in said


def test_where_several_providers_have_admins_a_permission_says_whose():
    admins = {"servers.a.oauth.permissions": {"group:admins": {"access": "write"}}}
    assert load(None, {}, NAMED | admins)
    (told,) = whats(TWO | admins)
    assert "each provider has its own group:admins" in told
    assert load(None, {}, TWO | {"servers.a.oauth.permissions": {"group:admins": {"issuer": "other"}}})


def test_an_opaque_token_has_one_provider():
    asked = CLIENT | {"issuers.main.introspection": True}
    assert load(None, {}, TWO | asked)
    again = {key.replace("main", "other"): value for key, value in asked.items()}
    (told,) = whats(TWO | asked | again)
    assert "several providers with introspection" in told


def test_one_audience_is_for_one_server():
    shared = NAMED | {"issuers.main.audience": "api://a"}
    assert load(None, {}, shared)
    (told,) = whats(
        shared | {"servers.b.source": "m:b", "servers.b.mode": "oauth", "servers.b.oauth.issuers": ["main"]}
    )
    assert "would be valid at the other" in told


@pytest.mark.parametrize("path", ["oauth-authorization-server/tenant", "oauth-authorization-server/tenant/"])
def test_two_tables_of_one_provider_do_not_share_an_audience(path):
    second = {
        "servers.b.source": "m:b", "servers.b.mode": "oauth", "servers.b.oauth.issuers": ["again"],
        "issuers.again.metadata": f"https://ID.example.com/.well-known/{path}",
    }  # fmt: skip
    named = NAMED | second | {"issuers.main.audience": "api://a"}
    assert load(None, {}, named | {"issuers.again.audience": "api://b"})
    (told,) = whats(named | {"issuers.again.audience": "api://a"})
    assert "would be valid at the other" in told
    elsewhere = {"issuers.again.audience": "api://a", "issuers.again.metadata": OTHER}
    assert load(None, {}, named | elsewhere)


def test_two_tables_of_one_issuer_are_one_provider_wherever_their_documents_are():
    inside = {"issuers.inside.metadata": "https://keycloak.inside.example/.well-known/openid-configuration"}
    named = TWO | inside | {"servers.a.oauth.issuers": ["main", "inside"]}
    assert load(None, {}, named)
    (told,) = whats(named | {"issuers.inside.issuer": "https://id.example.com/tenant"})
    assert "the same provider" in told


@pytest.mark.parametrize("issuer", ["https://id.example.com/", "https://id.example.com/a", "http://127.0.0.1:8080/r"])
def test_an_issuer_is_kept_as_it_is_written(issuer):
    assert load(None, {}, NAMED | {"issuers.main.issuer": issuer}).issuers["main"].issuer == issuer


@pytest.mark.parametrize(
    "issuer", ["id.example.com", "https://", "https://u@id.example.com", "https://id.example.com/?x", "ftp://a/",
               "https://id.example.com/#x", "https://id.example.com/a b", "https://id.example.com/\n"],
)  # fmt: skip
def test_what_can_be_no_issuer_is_refused(issuer):
    assert whats(NAMED | {"issuers.main.issuer": issuer})


def test_an_issuer_without_a_document_says_nothing():
    (told,) = whats(NAMED | {"servers.a.oauth.issuer": "https://id.example.com"})
    assert "servers.a.oauth.issuer is set without metadata" in told


def test_a_token_fits_into_the_head():
    assert load(None, {}, ONE | {"http.max_header_bytes": "8 KiB"})  # the limit that no file sets gives way
    given = ONE | {"servers.a.oauth.max_token_bytes": "40 KiB"}
    (told,) = whats(given)
    assert "not below http.max_header_bytes" in told
    assert load(None, {}, given | {"http.max_header_bytes": "48 KiB"})
    for size in ("512", "65 KiB"):
        assert whats(ONE | {"servers.a.oauth.max_token_bytes": size, "http.max_header_bytes": "1 MiB"})


def test_an_audience_is_not_the_url_of_another_server():
    second = {"servers.b.source": "m:b", "servers.b.mode": "oauth", "servers.b.oauth.metadata": MAIN}
    (told,) = whats(NAMED | second | {"issuers.main.audience": "http://127.0.0.1:8000/b/mcp"})
    assert "would be valid at the other" in told


@pytest.mark.parametrize("path", ["/b/mcp", "/mcp"])
def test_an_audience_is_no_url_of_the_default_server(path):
    second = {"servers.b.source": "m:b", "servers.b.mode": "oauth", "servers.b.oauth.metadata": MAIN}
    site = NAMED | second | {"site.default_server": "b", "issuers.main.audience": f"http://127.0.0.1:8000{path}"}
    (told,) = whats(site)
    assert "would be valid at the other" in told
    assert path == "/b/mcp" or load(None, {}, site | {"site.default_server": "a"})


def test_one_provider_is_named_once_however_its_metadata_are_spelt():
    (told,) = whats(TWO | {"issuers.other.metadata": "https://id.example.com/tenant/.well-known/openid-configuration"})
    assert "the same provider" in told


def test_on_the_network_the_url_must_be_known():
    outside = {"site.listen": "192.0.2.1:8000", "site.behind_tls_proxy": True, "site.trusted_proxies": ["192.0.2.9"]}
    (told,) = whats(ONE | outside)
    assert "--public-url" in told
    assert load(None, {}, ONE | outside | {"site.public_url": "https://mcp.example.com"})
    assert any("in clear" in told for told in whats(ONE | outside | {"site.behind_tls_proxy": False}))


def test_a_named_network_may_be_called_and_then_without_tls():
    inside = {"egress.allow": ["127.0.0.0/8"]}
    for host in ("127.0.0.1:9", "localhost:9"):
        url = f"http://{host}/.well-known/openid-configuration"
        assert load(None, {}, NAMED | {"issuers.main.metadata": url} | inside)
    assert whats(NAMED | {"issuers.main.metadata": "https://10.0.0.1/.well-known/openid-configuration"} | inside)


@pytest.mark.parametrize(
    "url",
    [
        "https://id.example.com", "https://id.example.com/.well-known/other", "ftp://a/.well-known/openid-configuration",
        "https://u:p@id.example/.well-known/openid-configuration", "https://id.example/.well-known/openid-configuration?a",
        "https://id.example/.well-known/openid-configuration#a", "//id.example/.well-known/openid-configuration", "",
        "https://id.example:x/.well-known/openid-configuration", "https://i d/.well-known/openid-configuration",
    ],
)  # fmt: skip
def test_what_is_no_metadata_url_is_refused(url):
    for key in ("issuers.main.metadata", "servers.a.oauth.metadata"):
        given = NAMED if key.startswith("issuers") else ONE
        (told,) = whats(given | {key: url})
        assert told.startswith(key)


@pytest.mark.parametrize(
    "key,value",
    [
        ("algorithms", ["none"]), ("algorithms", ["HS256"]), ("algorithms", []), ("algorithms", "RS256"),
        ("algorithms", ["rs256"]), ("leeway_s", 61), ("leeway_s", -1), ("token_type", "jwt"), ("claims.subject", ""),
        ("client_secret", "hunter2-canary"), ("client_secret", "env:"), ("client_secret", "env:A B"),
    ],
)  # fmt: skip
def test_what_would_let_in_more_than_meant_cannot_be_written(key, value):
    told = whats(NAMED | {f"issuers.main.{key}": value})
    assert len(told) == 1
    assert "canary" not in told[0]


@pytest.mark.parametrize(
    "key,value",
    [
        ("scopes", {"*": "All"}), ("scopes", {"a b": "x"}), ("required", ["*"]), ("required", ["a\\b"]),
        ("access", {"a:write": "admin"}), ("permissions", {"admins": {}}), ("permissions", {"group:": {}}),
        ("permissions", {"group:a": {"scopes": ["*"]}}), ("permissions", {"group:a": {"acess": "read"}}),
        ("claims", [""]),
    ],
)  # fmt: skip
def test_what_is_no_scope_and_no_permission_is_refused(key, value):
    assert len(whats(NAMED | {f"servers.a.oauth.{key}": value})) == 1


def test_the_environment_says_it_too():
    env = {
        "MCPWARD_SERVERS__MY_ORDERS__SOURCE": "m:a",
        "MCPWARD_SERVERS__MY_ORDERS__MODE": "oauth,api-key",
        "MCPWARD_SERVERS__MY_ORDERS__OAUTH__ISSUERS": "my-own",
        "MCPWARD_SERVERS__MY_ORDERS__OAUTH__SCOPES": '{"a:read": "Read"}',
        "MCPWARD_ISSUERS__MY_OWN__METADATA": MAIN,
        "MCPWARD_ISSUERS__MY_OWN__ALGORITHMS": "RS256, ES256",
        "MCPWARD_ISSUERS__MY_OWN__TOKEN_TYPE": "any",
    }
    settings = load(None, env)
    server, issuer = settings.servers["my-orders"], settings.issuers["my-own"]
    assert server.modes == {"oauth", "api-key"}
    assert server.oauth.scopes == {"a:read": "Read"}
    assert (issuer.algorithms, issuer.token_type) == (("RS256", "ES256"), "any")
    with pytest.raises(Misconfigured):
        load(None, env | {"MCPWARD_SERVERS__MY_ORDERS__OAUTH__SCOPES": "a:read"})


def test_every_algorithm_that_can_be_named_is_one_that_can_be_verified():
    assert set(ALGORITHMS) == set(algorithm.ALGORITHMS)
