"""The settings of OAuth mode: identity providers, the accepted tokens of a server, their rights, and calls to
providers.

The provider's metadata are not known here: mcpward checks them at the start (RFC 8414).
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
    """[egress]: calls that leave mcpward, to identity providers and from tools by `mcpward.http`."""

    allow: Networks = key(
        (),
        "private, loopback or link-local networks that mcpward and mcpward.http may call; http:// is allowed only for "
        "these",
        '["10.20.0.0/16"]',
    )
    timeout_s: Seconds = key(5.0, "seconds that one call of mcpward itself may take, to the end of its answer", "5.0")


class ClaimNames(Section):
    """[issuers.<name>.claims]: names of this provider's claims; a name with dots may be a path into an object."""

    subject: ClaimName = key("sub", "the caller's id; never the same for two people", '"sub"')
    scope: ClaimName = key("scope", "the scopes: words in one text, or a list", '"scp"')
    groups: ClaimName = key("groups", "the groups for `group:…` in permissions", '"cognito:groups"')
    roles: ClaimName = key("roles", "the roles for `role:…` in permissions", '"realm_access.roles"')


class Issuer(Section):
    """[issuers.<name>]: one identity provider of the site."""

    metadata: MetadataUrl = key(
        ...,
        "URL of the provider's metadata: RFC 8414 or OpenID Connect Discovery",
        '"https://id.example.com/.well-known/openid-configuration"',
    )
    issuer: IssuerOrEmpty = key(
        "",
        "the provider's issuer, exactly as in its metadata and tokens, if the metadata URL has another address. For a "
        "provider with an inside name for mcpward and an outside name for clients",
        '"https://id.example.com/realms/demo"',
    )
    algorithms: Algorithms = key(
        ALGORITHMS, "accepted signature algorithms, as far as a key of the provider supports them", '["RS256"]'
    )
    token_type: Literal["at+jwt", "any"] = key(
        "at+jwt",
        "at+jwt accepts only tokens marked as access tokens (RFC 9068); any is for providers that do not mark them",
        '"any"',
    )
    audience: str = key(
        "",
        "the audience at this provider, if it is not the URL of the server; only for one server",
        '"api://orders"',
    )
    leeway_s: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = key(
        30.0, "seconds by which the clocks of the provider and mcpward may differ", "5.0"
    )
    claims: ClaimNames = Field(ClaimNames(), description="names of this provider's claims")
    client_id: str = key("", "mcpward's client id at this provider", '"mcpward"')
    client_secret: SecretName = key(
        "",
        "the place of the client's secret, never the secret itself: `env:NAME`, or a name from `mcpward secret set` "
        "for a server with this provider",
        '"env:OAUTH_CLIENT_SECRET"',
    )
    introspection: bool = key(
        False, "asks the provider about opaque tokens (RFC 7662), and caches the answer for 30 s", "true"
    )


class Permission(Section):
    """[servers.<name>.oauth.permissions.<name>]: rights of `group:…`, `role:…` or `client:…`, beside scopes."""

    access: AccessWord = key("read", "highest class of tools", '"destructive"')
    scopes: ScopeNames = key((), "scopes that count as held", '["orders:write"]')
    issuer: str = key("", "the provider of the group, role or client; needed with several providers", '"main"')


class OAuth(Section):
    """[servers.<name>.oauth]: the tokens that this server accepts, and their rights."""

    metadata: MetadataUrlOrNone = key(
        None,
        "URL of the metadata of this server's provider, if it needs no other setting; or use issuers",
        '"https://id.example.com/.well-known/oauth-authorization-server"',
    )
    issuer: IssuerOrEmpty = key(
        "",
        "the issuer of the provider at metadata, if that URL has another address; as in [issuers.<name>]",
        '"https://id.example.com/realms/demo"',
    )
    issuers: Names = key((), "names of [issuers] whose tokens are accepted", '["main"]')
    scopes: dict[ScopeName, str] = key(
        {},
        "scopes that clients may ask for, each with its description; only these and required are sent to clients",
        '{ "orders:read" = "Read your orders" }',
    )
    required: ScopeNames = key((), "scopes that every token must have", '["orders:read"]')
    claims: Names = key((), "claims that tools get in caller.claims", '["email"]')
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
        "scopes in a challenge (401, 403): the needed ones, or all of scopes and required, for clients that request "
        "only these",
        '"all"',
    )
    list_step_up: bool = key(
        False,
        "lists tools, resources and prompts that the caller could use with another scope; a call gets a 403 that "
        "names the scope",
        "true",
    )
    confirm_scope: ScopeName | None = key(
        None,
        "scope that waives `confirm` for clients that cannot ask, because the holder's own client asks its person",
        '"orders:confirm"',
    )
    permissions: dict[PermissionName, Permission] = Field({}, description="what groups, roles and clients may do")
