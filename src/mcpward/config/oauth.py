"""The settings of OAuth mode: identity providers, whose tokens a server takes, what these open, and calls to them.

What a provider announces is not known here: that it is fit is seen at the start (RFC 8414).
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mcpward.config.fields import (
    ALGORITHMS,
    Algorithms,
    ClaimName,
    IssuerOrEmpty,
    MetadataUrl,
    MetadataUrlOrNone,
    Names,
    Networks,
    ScopeNames,
    Seconds,
    TokenSize,
)
from mcpward.config.names import check_issuer_name, check_permission_name, check_scope_name, check_secret_name
from mcpward.config.section import Section, key

AccessWord = Literal["read", "write", "destructive"]
IssuerName = Annotated[str, AfterValidator(check_issuer_name)]
PermissionName = Annotated[str, AfterValidator(check_permission_name)]
ScopeName = Annotated[str, AfterValidator(check_scope_name)]
SecretName = Annotated[str, AfterValidator(check_secret_name)]


class Egress(Section):
    """[egress]: calls that mcpward makes itself, to identity providers."""

    allow: Networks = key(
        (),
        "networks that may be called although they are private, loopback or link-local; http:// goes to these alone",
        '["10.20.0.0/16"]',
    )
    timeout_s: Seconds = key(5.0, "seconds that one call may take, to the last byte of its answer", "5.0")


class ClaimNames(Section):
    """[issuers.<name>.claims]: what this provider calls things; a name with dots may be a path into an object."""

    subject: ClaimName = key("sub", "who the caller is; never the same for two people", '"sub"')
    scope: ClaimName = key("scope", "the scopes: words in one text, or a list", '"scp"')
    groups: ClaimName = key("groups", "the groups that `group:…` in permissions looks at", '"cognito:groups"')
    roles: ClaimName = key("roles", "the roles that `role:…` in permissions looks at", '"realm_access.roles"')


class Issuer(Section):
    """[issuers.<name>]: one identity provider of the site."""

    metadata: MetadataUrl = key(
        ...,
        "URL of the provider's metadata: RFC 8414 or OpenID Connect Discovery",
        '"https://id.example.com/.well-known/openid-configuration"',
    )
    issuer: IssuerOrEmpty = key(
        "",
        "the provider's issuer, exactly as its metadata and its tokens spell it, where the metadata URL is at another "
        "address: a provider that mcpward calls by an inside name and clients by an outside one",
        '"https://id.example.com/realms/demo"',
    )
    algorithms: Algorithms = key(
        ALGORITHMS, "signature algorithms that are accepted, as far as a key of the provider takes them", '["RS256"]'
    )
    token_type: Literal["at+jwt", "any"] = key(
        "at+jwt",
        "at+jwt takes tokens that are marked as access tokens (RFC 9068); any is for providers that do not mark them",
        '"any"',
    )
    audience: str = key(
        "",
        "what this provider calls the audience, where that is not the URL of the server; for one server alone",
        '"api://orders"',
    )
    leeway_s: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = key(
        30.0, "seconds that the clocks of the provider and mcpward may be apart", "5.0"
    )
    claims: ClaimNames = Field(ClaimNames(), description="what this provider calls things")
    client_id: str = key("", "what mcpward is called at this provider, where it asks as a client", '"mcpward"')
    client_secret: SecretName = key(
        "",
        "where the client's secret is kept, never the secret itself: `env:NAME`, or the name of one that "
        "`mcpward secret set` took for a server with this provider",
        '"env:OAUTH_CLIENT_SECRET"',
    )
    introspection: bool = key(
        False, "asks the provider what an opaque token means (RFC 7662), and believes the answer for 30 s", "true"
    )


class Permission(Section):
    """[servers.<name>.oauth.permissions.<name>]: what `group:…`, `role:…` or `client:…` may do, beside scopes."""

    access: AccessWord = key("read", "highest class of tools", '"destructive"')
    scopes: ScopeNames = key((), "scopes that count as held", '["orders:write"]')
    issuer: str = key("", "the provider whose word counts; needed where a server has several of them", '"main"')


class OAuth(Section):
    """[servers.<name>.oauth]: whose tokens this server takes, and what they open."""

    metadata: MetadataUrlOrNone = key(
        None,
        "URL of the metadata of this server's provider, where all else about it is as usual; or name issuers",
        '"https://id.example.com/.well-known/oauth-authorization-server"',
    )
    issuer: IssuerOrEmpty = key(
        "",
        "the issuer of the provider at metadata, where that URL is at another address; as in [issuers.<name>]",
        '"https://id.example.com/realms/demo"',
    )
    issuers: Names = key((), "names of [issuers] whose tokens are taken", '["main"]')
    scopes: dict[ScopeName, str] = key(
        {},
        "scopes that clients may ask for, each with what it is for; clients are told of these and of required alone",
        '{ "orders:read" = "Read your orders" }',
    )
    required: ScopeNames = key((), "scopes that every token must have", '["orders:read"]')
    claims: Names = key((), "claims that tools find in caller.claims; no others", '["email"]')
    access: dict[ScopeName, AccessWord] = key(
        {},
        "highest class of tools that a scope opens; a token with none of them opens reading tools",
        '{ "orders:write" = "write" }',
    )
    max_token_bytes: TokenSize = key(
        "16 KiB", "longest access token; one with 200 groups of Entra ID is 11 KiB; at most 64 KiB", '"24 KiB"'
    )
    challenge_scopes: Literal["needed", "all"] = key(
        "needed",
        "scopes that a challenge (401, 403) names: those that are needed, or all of scopes and required, for clients "
        "that ask for nothing else",
        '"all"',
    )
    list_step_up: bool = key(
        False,
        "lists tools, resources and prompts that the caller could use with another scope; calling one is the 403 that "
        "names the scope",
        "true",
    )
    confirm_scope: ScopeName | None = key(
        None,
        "scope whose holders' own client asks its person: their calls of tools with `confirm` run where that client "
        "cannot be asked for consent",
        '"orders:confirm"',
    )
    permissions: dict[PermissionName, Permission] = Field({}, description="what groups, roles and clients may do")
