"""Rules of OAuth mode that look at more than one key: the tokens' issuer, their resource, and no ambiguity anywhere."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from mcpward.config.callable_urls import uncallable
from mcpward.config.endpoint import endpoints
from mcpward.config.model import Server, Settings
from mcpward.config.names import nearest
from mcpward.config.oauth import Issuer
from mcpward.config.violations import Rule, Violation

_DOCUMENT: Final = re.compile(r"/\.well-known/(?:oauth-authorization-server|openid-configuration)(?=/|$)")


def with_tokens(settings: Settings) -> Iterator[tuple[str, Server]]:
    """Return the servers that access tokens open, by name."""
    return ((name, server) for name, server in settings.servers.items() if server.has_tokens)


def named_provider(settings: Settings) -> Iterator[Violation]:
    """A server in OAuth mode names its provider, in one way; other servers name none, for it would never be used."""
    for name, server in settings.servers.items():
        table = f"servers.{name}.oauth"
        if not server.has_tokens:
            if "oauth" in server.model_fields_set:
                yield Violation(
                    (table, f"servers.{name}.mode"),
                    f"{table} is set, but server {name} accepts no tokens",
                    'set mode = "oauth", or remove the table',
                )
        elif bool(server.oauth.metadata) == bool(server.oauth.issuers):
            yield Violation(
                (f"{table}.metadata", f"servers.{name}.mode", f"{table}.issuers"),
                f"server {name} is in mode oauth and needs exactly one of metadata and issuers",
                f'set metadata = "https://…/.well-known/openid-configuration" in [{table}], or issuers = ["…"]',
            )


def tokens_that_fit(settings: Settings) -> Iterator[Violation]:
    """A token comes in a header, so a limit above that of the head would never be reached."""
    for name, server in with_tokens(settings):
        oauth = server.oauth
        if "max_token_bytes" in oauth.model_fields_set and oauth.max_token_bytes >= settings.http.max_header_bytes:
            key = f"servers.{name}.oauth.max_token_bytes"
            yield Violation(
                (key, "http.max_header_bytes"),
                f"{key} is not below http.max_header_bytes: such a token would be refused with its headers",
                "set max_header_bytes in [http] a few KiB higher",
            )
        if oauth.issuer and oauth.metadata is None:
            key = f"servers.{name}.oauth.issuer"
            what = f"{key} is set without metadata"
            yield Violation((key,), what, "set metadata beside it, or write issuer in [issuers.<name>]")


def known_providers(settings: Settings) -> Iterator[Violation]:
    """Names of providers are those of the file; one provider is named once for a server."""
    for name, server in with_tokens(settings):
        key = f"servers.{name}.oauth.issuers"
        seen: set[str] = set()
        for issuer in server.oauth.issuers:
            if issuer not in settings.issuers:
                meant = nearest(issuer, settings.issuers)
                hint = f"did you mean {meant!r}?" if meant else f"write a table [issuers.{issuer}]"
                yield Violation((key, f"issuers.{issuer}"), f"{key}: there is no [issuers.{issuer}]", hint)
            elif (provider := _provider(settings.issuers[issuer])) in seen:
                yield Violation((key,), f"{key}: two of them are the same provider", "name each provider once")
            else:
                seen.add(provider)


def known_resource(settings: Settings) -> Iterator[Violation]:
    """Tokens are made for one URL. It comes from the configuration, never from a request (RFC 9728 §7.6)."""
    site = settings.site
    for name, server in with_tokens(settings):
        if site.public_url is None and not site.address.is_loopback:
            yield Violation(
                ("site.public_url", f"servers.{name}.mode", "site.listen"),
                f"server {name} is in mode oauth, and the URL for its tokens is not set",
                'set [site] public_url = "https://…" (--public-url)',
            )
        if server.hosts:
            yield Violation(
                (f"servers.{name}.hosts", f"servers.{name}.mode"),
                f"server {name} is in mode oauth: clients at another host would get another URL",
                "remove hosts: tokens are for site.public_url and the server's path",
            )


def audience_of_one(settings: Settings) -> Iterator[Violation]:
    """With one audience for two servers, a token for one is a token for the other (RFC 8707 §2).

    However many tables state it, and also if it is the default audience of the other server.
    """
    owner: dict[tuple[str, str], tuple[str, str]] = {}
    for name, server in with_tokens(settings):
        own = endpoints(settings, name)
        named = [(f"issuers.{one}", settings.issuers[one]) for one in server.oauth.issuers if one in settings.issuers]
        trusted = [
            (table, _provider(issuer), audience)
            for table, issuer in named
            for audience in ((issuer.audience,) if issuer.audience else own)
        ]
        if server.oauth.metadata is not None:
            alone = Issuer(metadata=server.oauth.metadata, issuer=server.oauth.issuer)
            trusted += [(f"servers.{name}.oauth", _provider(alone), url) for url in own]
        for table, provider, audience in trusted:
            first, at = owner.setdefault((provider, audience), (name, table))
            if first != name:
                said = table if audience not in own else at  # never a table that does not mention it
                yield Violation(
                    (f"{said}.audience", f"servers.{name}.oauth.issuers"),
                    f"{said}.audience is the same for servers {first} and {name}: tokens for one would be valid at "
                    f"the other",
                    "write a second table [issuers.…] with the same metadata and another audience",
                )


def _provider(issuer: Issuer) -> str:
    """Return what all tables of one provider have in common, whichever document they name: its issuer, but a slash."""
    if issuer.issuer:
        return issuer.issuer.rstrip("/")
    parts = urlsplit(issuer.metadata)
    return f"{parts.scheme}://{parts.netloc.lower()}{_DOCUMENT.sub('', parts.path).rstrip('/')}"


def client_of_provider(settings: Settings) -> Iterator[Violation]:
    """Introspection needs mcpward's own credentials, with a secret; an opaque token does not name its issuer."""
    for name, issuer in settings.issuers.items():
        key = f"issuers.{name}.client_id"
        if bool(issuer.client_id) != bool(issuer.client_secret):
            yield Violation(
                (key, f"issuers.{name}.client_secret"),
                f"issuers.{name}: client_id and client_secret must both be set",
                'write client_secret = "env:NAME"',
            )
        elif issuer.introspection and not issuer.client_id:
            yield Violation(
                (f"issuers.{name}.introspection", key),
                f"issuers.{name}.introspection needs client_id and client_secret",
                "register a confidential client at the provider (RFC 7662 §2.1)",
            )
    for name, server in with_tokens(settings):
        asked = [one for one in server.oauth.issuers if one in settings.issuers and settings.issuers[one].introspection]
        if len(asked) > 1:
            yield Violation(
                (f"servers.{name}.oauth.issuers", *(f"issuers.{one}.introspection" for one in asked)),
                f"server {name} has several providers with introspection, and an opaque token does not name its "
                f"provider",
                "set introspection = true for only one of them",
            )


def scopes_that_can_be_asked_for(settings: Settings) -> Iterator[Violation]:
    """Required scopes must be among those that clients may request: else a slip would admit no caller."""
    for name, server in with_tokens(settings):
        for scope in server.oauth.required:
            if server.oauth.scopes and scope not in server.oauth.scopes:
                key = f"servers.{name}.oauth.required"
                meant = nearest(scope, server.oauth.scopes)
                hint = f"did you mean {meant!r}?" if meant else "add it there"
                yield Violation((key, f"servers.{name}.oauth.scopes"), f"{key}: {scope!r} is not among scopes", hint)


def permissions_of_a_provider(settings: Settings) -> Iterator[Violation]:
    """Each provider has its own admins: if there are several, a permission names its provider."""
    for name, server in with_tokens(settings):
        for group, permission in server.oauth.permissions.items():
            key = f"servers.{name}.oauth.permissions.{group}.issuer"
            known = server.oauth.issuers
            if permission.issuer and permission.issuer not in known:
                yield Violation(
                    (key,), f"{key} is not one of this server's issuers", f"one of: {', '.join(known) or 'none'}"
                )
            elif not permission.issuer and len(known) > 1:
                yield Violation((key,), f"{key} is missing: each provider has its own {group}", 'issuer = "…"')


def callable_provider(settings: Settings) -> Iterator[Violation]:
    """Plain http and addresses that are not public are for networks that the operator named."""
    urls = [(f"issuers.{name}.metadata", issuer.metadata) for name, issuer in settings.issuers.items()]
    urls += [(f"servers.{name}.oauth.metadata", one.oauth.metadata or "") for name, one in with_tokens(settings)]
    for key, url in urls:
        yield from uncallable(settings, key, url)


OAUTH_RULES: Final[tuple[Rule, ...]] = (
    named_provider,
    tokens_that_fit,
    known_providers,
    known_resource,
    audience_of_one,
    client_of_provider,
    scopes_that_can_be_asked_for,
    permissions_of_a_provider,
    callable_provider,
)
