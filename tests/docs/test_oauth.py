"""docs/oauth.md: each file on the page is taken, and tokens in the shapes that providers document go through it.

The shapes are those of the providers' own pages (Auth0, Okta, Entra ID), and what Keycloak issues.
"""

import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from mcpward.config.endpoint import endpoint
from mcpward.config.load import load
from mcpward.config.model import Settings
from mcpward.core.errors import Misconfigured
from mcpward.core.scope import Access
from mcpward.identity.jwt.claims import Claims
from mcpward.identity.jwt.errors import TokenRefused
from mcpward.identity.jwt.issuer_rules import IssuerRules
from mcpward.identity.jwt.key_set import KeySet
from mcpward.identity.jwt.verify import check, peek
from mcpward.identity.oauth.metadata import MetadataRequest, read
from mcpward.identity.oauth.permissions import Entitled, Grant, Rights, entitle
from support.mint import NOW, Mint
from support.sources import ROOT

PAGE = (ROOT / "docs" / "oauth.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```toml\n(.*?)```", re.DOTALL)
SITE = '[site]\npublic_url = "https://mcp.example.com"\ntrusted_proxies = ["127.0.0.1/32"]\n'
RESOURCE = "https://mcp.example.com/orders/mcp"
GUID = "11111111-2222-3333-4444-555555555555"

METADATA: dict[str, dict[str, Any]] = {
    "Auth0": {
        "issuer": "https://TENANT.eu.auth0.com/", "code_challenge_methods_supported": ["S256", "plain"],
    },
    "Okta": {
        "issuer": "https://ORG.okta.com/oauth2/AUTHORIZATION_SERVER_ID", "code_challenge_methods_supported": ["S256"],
    },
    "Keycloak": {
        "issuer": "https://id.example.com/realms/REALM", "code_challenge_methods_supported": ["plain", "S256"],
    },
    "Entra ID": {"issuer": "https://login.microsoftonline.com/TENANT_ID/v2.0"},
    "Self-hosted": {
        "issuer": "https://id.internal.example.com", "code_challenge_methods_supported": ["S256"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
    },
}  # fmt: skip

#: Header and claims of an access token, and how its ID token differs.
TOKENS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "Auth0": (
        {"typ": "at+jwt"},
        {"sub": "auth0|6553da60a54af58e29493993", "aud": [RESOURCE, "https://TENANT.eu.auth0.com/userinfo"],
         "client_id": "K1AUPh", "azp": None, "scope": "openid profile orders:read", "permissions": ["orders:write"]},
        {"typ": "JWT", "aud": "K1AUPh", "nonce": "n", "scope": None},
    ),
    "Okta": (
        {"typ": None},
        {"ver": 1, "jti": "AT.x", "sub": "jane@corp.example", "uid": "00u1", "cid": "0oa1", "client_id": None,
         "aud": RESOURCE, "scope": None, "scp": ["openid", "orders:read"], "auth_time": int(NOW) - 60},
        {"aud": "0oa1", "at_hash": "x", "amr": ["pwd"], "scp": None, "uid": None, "sub": "00u1"},
    ),
    "Keycloak": (
        {"typ": "JWT"},
        {"typ": "Bearer", "azp": "desk", "client_id": None, "aud": [RESOURCE, "account"],
         "scope": "profile orders:read", "realm_access": {"roles": ["shop", "offline_access"]},
         "sid": "s", "acr": "1", "allowed-origins": ["/*"]},
        {"typ": "ID", "aud": "desk", "at_hash": "x"},
    ),
    "Entra ID": (
        {"typ": "JWT"},
        {"aud": GUID, "oid": "a-person", "sub": "pairwise", "azp": "a-client", "azpacr": "0", "client_id": None,
         "scope": None, "scp": "orders.read orders.write", "tid": "TENANT_ID", "ver": "2.0", "uti": "u", "rh": "r"},
        {"aud": "a-client", "nonce": "n", "scp": None, "azp": None},
    ),
    "Self-hosted": (
        {"typ": "at+jwt"},
        {"aud": RESOURCE, "client_id": "desk", "scope": "orders:read"},
        {"typ": "JWT", "aud": "desk", "at_hash": "x"},
    ),
}  # fmt: skip
WHO = {
    "Auth0": ("auth0|6553da60a54af58e29493993", "K1AUPh"),
    "Okta": ("00u1", "0oa1"),
    "Keycloak": ("ann", "desk"),
    "Entra ID": ("a-person", "a-client"),
    "Self-hosted": ("ann", "desk"),
}


def recipe(name: str) -> str:
    chapter = PAGE[PAGE.index(f"\n### {name}\n") :].split("\n##", 2)[1]
    found = BLOCK.search(chapter)
    assert found is not None
    return found[1]


def settings_of(text: str, folder: Path) -> Settings:
    path = folder / "mcpward.toml"
    path.write_text(text if "[site]" in text else SITE + text, encoding="utf-8")
    return load(path, {})


@pytest.fixture
def settings(provider: str, tmp_path: Path) -> Settings:
    return settings_of(recipe(provider).replace('"APP_ID"', f'"{GUID}"'), tmp_path)


def rules_of(settings: Settings, issuer: str) -> IssuerRules:
    (one,) = settings.issuers.values()
    return IssuerRules(
        issuer=issuer,
        audience=one.audience or endpoint(settings, "orders", settings.site.address),
        algorithms=frozenset(one.algorithms),
        token_type=one.token_type,
        leeway_s=one.leeway_s,
        subject=one.claims.subject,
        scope=one.claims.scope,
        groups=one.claims.groups,
    )


def checked(settings: Settings, provider: str, header: dict[str, Any], claims: dict[str, Any]) -> Claims:
    issuer = METADATA[provider]["issuer"]
    mint = Mint("RS256")
    rules = rules_of(settings, issuer)
    token = mint.token(header=header, **({"iss": issuer} | claims))
    return check(peek(token), KeySet.parse(mint.document, rules), rules, NOW)


def rights_of(settings: Settings, claims: Claims) -> Entitled:
    oauth = settings.servers["orders"].oauth
    grants = [
        Grant(claim, value, access=Access.parse(one.access), scopes=frozenset(one.scopes))
        for (claim, _, value), one in ((name.partition(":"), one) for name, one in oauth.permissions.items())
    ]
    (issuer,) = settings.issuers.values()
    access = {scope: Access.parse(word) for scope, word in oauth.access.items()}
    return entitle(claims, Rights(access, tuple(grants)), roles=issuer.claims.roles)


@pytest.mark.parametrize("text", BLOCK.findall(PAGE), ids=lambda text: text.split("\n")[0])
def test_every_file_on_the_page_is_taken(text: str, tmp_path: Path):
    assert settings_of(text, tmp_path).servers["orders"].has_tokens


@pytest.mark.parametrize("provider", TOKENS)
def test_the_metadata_of_a_provider_are_taken(provider: str, settings: Settings):
    (issuer,) = settings.issuers.values()
    base = METADATA[provider]["issuer"].rstrip("/")
    document = {
        "jwks_uri": f"{base}/keys", "authorization_endpoint": f"{base}/authorize", "token_endpoint": f"{base}/token",
    } | METADATA[provider]  # fmt: skip
    wanted = MetadataRequest(issuer.metadata, "issuers", is_lax=issuer.token_type == "any")
    assert read(document, wanted).issuer == METADATA[provider]["issuer"]
    with pytest.raises(Misconfigured):
        read(document | {"issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"}, wanted)


@pytest.mark.parametrize("provider", TOKENS)
def test_an_access_token_of_a_provider_is_taken(provider: str, settings: Settings):
    header, said, _ = TOKENS[provider]
    claims = checked(settings, provider, header, said)
    assert (claims.subject, claims.client) == WHO[provider]
    assert set(settings.servers["orders"].oauth.required) <= claims.scopes


@pytest.mark.parametrize("provider", TOKENS)
def test_attack_21_an_id_token_of_a_provider_is_refused(provider: str, settings: Settings):
    header, said, other = TOKENS[provider]
    typ = {"typ": other["typ"]} if other.get("typ") == "JWT" else header
    claims = said | {name: value for name, value in other.items() if name != "typ" or value != "JWT"}
    with pytest.raises(TokenRefused):
        checked(settings, provider, typ, claims)
    with pytest.raises(TokenRefused):  # distinguished by more than the audience: mcpward may be a client, too
        checked(settings, provider, typ, claims | {"aud": said["aud"]})


@pytest.mark.parametrize("provider", TOKENS)
def test_attack_20_a_token_for_something_else_at_the_same_provider_is_refused(provider: str, settings: Settings):
    header, said, _ = TOKENS[provider]
    for audience in ("https://mcp.example.com", RESOURCE + "/", "account", f"api://{GUID}", None):
        with pytest.raises(TokenRefused):
            checked(settings, provider, header, said | {"aud": audience})


def test_a_token_of_auth0s_own_profile_needs_the_word_for_it(tmp_path: Path):
    text = recipe("Auth0")
    _, said, _ = TOKENS["Auth0"]
    older = said | {"client_id": None, "azp": "K1AUPh", "gty": "authorization-code"}
    with pytest.raises(TokenRefused):
        checked(settings_of(text, tmp_path), "Auth0", {"typ": "JWT"}, older)
    lax = text.replace("algorithms =", 'token_type = "any"\nalgorithms =')
    assert checked(settings_of(lax, tmp_path), "Auth0", {"typ": "JWT"}, older).client == "K1AUPh"


def test_roles_and_short_scopes_open_what_the_recipes_say(tmp_path: Path):
    header, said, _ = TOKENS["Keycloak"]
    keycloak = settings_of(recipe("Keycloak"), tmp_path)
    assert rights_of(keycloak, checked(keycloak, "Keycloak", header, said)).access is Access.DESTRUCTIVE
    other = said | {"realm_access": {"roles": ["offline_access"]}}
    assert rights_of(keycloak, checked(keycloak, "Keycloak", header, other)).access is Access.READ
    header, said, _ = TOKENS["Entra ID"]
    entra = settings_of(recipe("Entra ID").replace('"APP_ID"', f'"{GUID}"'), tmp_path)
    claims = checked(entra, "Entra ID", header, said)
    assert rights_of(entra, claims).access is Access.WRITE
    assert rights_of(entra, replace(claims, scopes=frozenset({"orders.read"}))).access is Access.READ


def test_the_example_of_the_page_is_the_one_that_is_shipped(tmp_path: Path):
    folder = ROOT / "examples" / "orders"
    shipped = load(folder / "mcpward.oauth.toml", {})
    assert shipped.servers["orders"].mode == "oauth"
    assert "orders:read" in shipped.servers["orders"].oauth.required
    assert "mcpward.oauth.toml" in PAGE
