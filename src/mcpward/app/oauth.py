"""OAuth mode, made of the settings: the client for the outside, the providers, and what each server makes of tokens."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from msgspec import Struct

from mcpward import __version__
from mcpward.config.address import Address
from mcpward.config.endpoint import endpoints, metadata_at
from mcpward.config.model import Settings
from mcpward.config.oauth import Issuer, OAuth
from mcpward.core.challenge import Challenge
from mcpward.core.clock import Clock
from mcpward.core.errors import Finding, Misconfigured
from mcpward.core.scope import Access
from mcpward.core.secret import Secret, value_of
from mcpward.egress.client import Client
from mcpward.egress.guard import Guard
from mcpward.identity.oauth.bearer import Bearer, Trusted
from mcpward.identity.oauth.metadata import Issuers
from mcpward.identity.oauth.permissions import Grant, Rights
from mcpward.identity.oauth.provider import Provider, ProviderSettings
from mcpward.identity.oauth.token_cache import TokenCache
from mcpward.identity.oauth.token_exchange import Exchanges
from mcpward.ingress.discovery import Discovery, Resource
from mcpward.policy.step_up import Demand

_ENVIRONMENT: Final = "env:"
ByServer = Mapping[str, Mapping[str, Secret]]


class OAuthParts(Struct, frozen=True, eq=False):
    """The parts that OAuth mode adds to mcpward; all empty if no server is in it.

    ``providers`` by the operator's name, that of a server with a provider of its own by :func:`own_name`.
    """

    bearers: Mapping[str, Bearer]
    demands: Mapping[str, Demand]
    discovery: Discovery
    providers: Mapping[str, Provider]
    client: Client | None = None


class ConfiguredIssuer(Struct, frozen=True):
    """One provider of the settings: its name, the table that states it, and the key to point at."""

    name: str
    issuer: Issuer
    where: str


def own_name(server: str) -> str:
    """Return the name of a provider that a server names only by its metadata. No operator can write such a name."""
    return f"servers.{server}"


def providers_of(settings: Settings, server: str) -> Iterator[ConfiguredIssuer]:
    """Return the providers whose tokens a server takes."""
    oauth = settings.servers[server].oauth
    if oauth.metadata is not None:
        where = f"servers.{server}.oauth.metadata"
        yield ConfiguredIssuer(
            own_name(server), Issuer(metadata=oauth.metadata, issuer=oauth.issuer), settings.place(where)
        )
    for name in oauth.issuers:
        yield ConfiguredIssuer(name, settings.issuers[name], settings.place(f"issuers.{name}.metadata"))


def client_secrets(settings: Settings, vault: ByServer) -> dict[str, Secret]:
    """Find the secret by which mcpward authenticates at each provider, by the provider's name.

    Raises:
        Misconfigured: one is not where the settings say. They name the place; neither it nor the value is shown.
    """
    found: dict[str, Secret] = {}
    findings: list[Finding] = []
    for name, issuer in settings.issuers.items():
        users = [server for server, one in settings.servers.items() if one.has_tokens and name in one.oauth.issuers]
        if not issuer.client_secret or not users:
            continue
        values = _values(issuer.client_secret, [vault.get(server, {}) for server in users])
        key = f"issuers.{name}.client_secret"
        if len(values) == 1:
            found[name] = Secret(value_of(values[0]), name=key)
        else:
            what = "names a missing secret" if not values else "names secrets of several servers, which differ"
            findings.append(Finding(f"{key} {what}", key, f"mcpward secret set NAME --server {users[0]}, or env:NAME"))
    if findings:
        raise Misconfigured(settings.placed(findings))
    return found


def _values(place: str, vaults: list[Mapping[str, Secret]]) -> list[Secret]:
    """Return the different values at a place."""
    if place.startswith(_ENVIRONMENT):
        value = os.environ.get(place.removeprefix(_ENVIRONMENT), "")
        return [Secret(value)] if value else []
    values: list[Secret] = []
    for vault in vaults:
        secret = vault.get(place)
        if secret and secret not in values:
            values.append(secret)
    return values


@asynccontextmanager
async def open_oauth(
    settings: Settings, bound: Address, secrets: Mapping[str, Secret], clock: Clock
) -> AsyncIterator[OAuthParts]:
    """Read every provider once, and keep in step with them until the end of the block.

    ``bound`` is the address really bound, ``secrets`` are those of :func:`client_secrets`.

    Raises:
        Misconfigured: with the findings of all providers that answer and are not fit, or may not be called. One that
            cannot be reached is a warning in the log: mcpward tries again, and asks its callers to retry.
    """
    servers = [name for name, server in settings.servers.items() if server.has_tokens]
    if not servers:
        yield OAuthParts({}, {}, Discovery({}), {})
        return
    async with AsyncExitStack() as stack:
        client = Client(
            Guard(settings.egress.allow), timeout_s=settings.egress.timeout_s, user_agent=f"mcpward/{__version__}"
        )
        stack.push_async_callback(client.close)
        named = {one.name: one for server in servers for one in providers_of(settings, server)}
        providers = await _started(stack, named, client, secrets, clock)
        proven = TokenCache(clock)
        places = {server: _Place(settings, server, bound, providers) for server in servers}
        yield OAuthParts(
            bearers={server: place.bearer(clock, proven) for server, place in places.items()},
            demands={server: place.demand() for server, place in places.items()},
            discovery=Discovery({server: place.resource() for server, place in places.items()}),
            providers=providers,
            client=client,
        )


def exchanges_of(settings: Settings, guarded: OAuthParts, clock: Clock) -> Exchanges | None:
    """Return what exchanges callers' tokens for those of upstreams; None if no caller has one."""
    if guarded.client is None:
        return None
    providers = {
        server: [guarded.providers[one.name] for one in providers_of(settings, server)]
        for server, its in settings.servers.items()
        if its.has_tokens
    }
    return Exchanges(providers, guarded.client, clock)


async def _started(
    stack: AsyncExitStack,
    named: Mapping[str, ConfiguredIssuer],
    client: Client,
    secrets: Mapping[str, Secret],
    clock: Clock,
) -> dict[str, Provider]:
    """Make all providers and look at them at the same time, so that one that is out makes the start no longer."""
    providers: dict[str, Provider] = {}
    wrong: list[BaseException | None] = []
    issuers = Issuers()
    for one in named.values():
        try:
            providers[one.name] = Provider(_settings(one, secrets.get(one.name)), client, clock, issuers=issuers)
            stack.push_async_callback(providers[one.name].stop)
        except Misconfigured as told:
            wrong.append(told)
    wrong += await asyncio.gather(*(provider.start() for provider in providers.values()), return_exceptions=True)
    for error in wrong:
        if error is not None and not isinstance(error, Misconfigured):
            raise error
    findings = [finding for error in wrong if isinstance(error, Misconfigured) for finding in error.findings]
    if findings:
        raise Misconfigured(findings)
    return providers


def _settings(one: ConfiguredIssuer, secret: Secret | None) -> ProviderSettings:
    issuer = one.issuer
    return ProviderSettings(
        name=one.name,
        metadata=issuer.metadata,
        where=one.where,
        issuer=issuer.issuer,
        algorithms=frozenset(issuer.algorithms),
        token_type=issuer.token_type,
        introspection=issuer.introspection,
        client_id=issuer.client_id,
        client_secret=secret,
    )


class _Place:
    """One server in OAuth mode, and what it makes of tokens."""

    def __init__(self, settings: Settings, server: str, bound: Address, providers: Mapping[str, Provider]) -> None:
        self._server = server
        self._oauth: OAuth = settings.servers[server].oauth
        self._url, *self._others = endpoints(settings, server, bound)
        self._scopes = sorted({*self._oauth.scopes, *self._oauth.required})
        named = self._scopes if self._oauth.challenge_scopes == "all" else sorted(self._oauth.required)
        self._challenge = Challenge(
            metadata_at(self._url), tuple(named), {url: metadata_at(url) for url in self._others}
        )
        self._named = [(one, providers[one.name]) for one in providers_of(settings, server)]
        self._access = {scope: Access.parse(word) for scope, word in self._oauth.access.items()}

    def bearer(self, clock: Clock, proven: TokenCache) -> Bearer:
        trusted = [self._trusted(one, provider) for one, provider in self._named]
        longest = self._oauth.max_token_bytes
        return Bearer(self._server, trusted, self._rights(), self._challenge, clock, proven, longest)

    def demand(self) -> Demand:
        oauth = self._oauth
        always = frozenset(self._scopes if oauth.challenge_scopes == "all" else ())
        return Demand(self._challenge, frozenset(oauth.required), self._access, always, oauth.list_step_up)

    def resource(self) -> Resource:
        """Scopes that may be asked for: the minimal set, in an order that does not change between workers."""
        return Resource(self._url, self._scopes, self._issuers, self._document)

    def _document(self) -> bytes | None:
        """Return the metadata of the first provider: a client that looks for them here knows of one."""
        return self._named[0][1].document

    def _issuers(self) -> list[str | None]:
        return [None if one.metadata is None else one.metadata.issuer for _, one in self._named]

    def _trusted(self, one: ConfiguredIssuer, provider: Provider) -> Trusted:
        issuer = one.issuer
        return Trusted(
            name=one.name,
            provider=provider,
            audience=issuer.audience or self._url,
            others=frozenset() if issuer.audience else frozenset(self._others),
            leeway_s=issuer.leeway_s,
            subject=issuer.claims.subject,
            scope=issuer.claims.scope,
            groups=issuer.claims.groups,
            roles=issuer.claims.roles,
        )

    def _rights(self) -> Rights:
        grants = []
        for name, permission in self._oauth.permissions.items():
            kind, _, who = name.partition(":")
            access, scopes = Access.parse(permission.access), frozenset(permission.scopes)
            grants.append(Grant(kind, who, access, scopes, permission.issuer))
        return Rights(self._access, tuple(grants), self._oauth.claims, self._oauth.confirm_scope)
