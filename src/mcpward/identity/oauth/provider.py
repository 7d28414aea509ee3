"""One identity provider of the site: its metadata, its keys, its answers on opaque tokens; kept in step with it.

If a provider is down when mcpward opens, mcpward waits for it, and tells its callers so. If it answers but is unfit,
mcpward names it and does not open. One background task per provider and worker.
"""

import asyncio
import logging
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from mcpward.core.clock import Clock
from mcpward.core.errors import Finding, Misconfigured
from mcpward.core.retry import Retry, every
from mcpward.core.secret import Secret
from mcpward.egress.client import Client
from mcpward.egress.failures import EgressFailed, EgressRefused
from mcpward.identity.jwt.algorithm import DEFAULT
from mcpward.identity.jwt.claims import Claims
from mcpward.identity.jwt.issuer_rules import ACCESS_TOKEN, IssuerRules
from mcpward.identity.jwt.key_set import KeySet
from mcpward.identity.jwt.public_key import PublicKey
from mcpward.identity.oauth import introspection
from mcpward.identity.oauth.introspection import IntrospectionClient, Introspector
from mcpward.identity.oauth.jwks import Jwks
from mcpward.identity.oauth.metadata import Issuers, Metadata, MetadataRequest, issuer_of, published, read
from mcpward.identity.oauth.outage import NoAnswer, outage, unavailable

_log: Final = logging.getLogger(__name__)
REFRESH_S: Final = 3600.0
_LONGEST: Final = 128 * 1024


class ProviderSettings(Struct, frozen=True, kw_only=True):
    """The operator's settings of a provider. ``metadata`` is a URL; ``where`` names the setting that it comes from.

    ``issuer`` is set if the URL is not at the issuer.
    """

    name: str
    metadata: str
    where: str
    issuer: str = ""
    algorithms: frozenset[str] = DEFAULT
    token_type: str = ACCESS_TOKEN
    introspection: bool = False
    client_id: str = ""
    client_secret: Secret | None = None


class Provider:
    """``find`` and ``recall`` answer from memory, ``wait_for`` and ``introspect`` may ask the provider.

    Raises :class:`Misconfigured` for settings that no provider could make good.
    """

    def __init__(
        self,
        settings: ProviderSettings,
        client: Client,
        clock: Clock,
        *,
        tick_s: float = 0.5,
        issuers: Issuers | None = None,
    ) -> None:
        by_url = issuer_of(settings.metadata)
        expected = settings.issuer or by_url
        if expected is None or by_url is None:
            hint = "https://…/.well-known/oauth-authorization-server or …/.well-known/openid-configuration"
            what = "the URL does not look like authorization-server metadata"
            raise Misconfigured([Finding(what, settings.where, hint)])
        self.settings = settings
        self.metadata: Metadata | None = None
        self.document: bytes | None = None
        self._issuers = issuers or Issuers()
        self._issuers.add(expected)
        self._expected = expected
        self._wanted = MetadataRequest(
            url=settings.metadata,
            where=settings.where,
            issuer=settings.issuer,
            signed=not settings.introspection,
            opaque=settings.introspection,
            is_lax=settings.token_type != ACCESS_TOKEN,
        )
        self._client = client
        self._clock = clock
        self._tick_s = tick_s
        self._outage = outage(_log, f"the identity provider {settings.name}")
        # Keys are judged only by their algorithms: the audience of tokens is a matter of each server.
        rules = IssuerRules(issuer=expected, audience=expected, algorithms=settings.algorithms)
        self._jwks = Jwks(settings.name, client, rules, clock)
        self._introspector = Introspector(settings.name, client, clock)
        self._due_at = float("-inf")
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def issuer(self) -> str:
        """The issuer, exactly as its tokens must name it; before the provider was seen, as its URL suggests."""
        return self._expected if self.metadata is None else self.metadata.issuer

    @property
    def keys(self) -> KeySet | None:
        """The keys to verify with now; None if there are none to be trusted."""
        return self._jwks.current

    @property
    def changes(self) -> int:
        """How often the provider's keys were replaced by others."""
        return self._jwks.changes

    @property
    def is_ready(self) -> bool:
        """Whether callers can be admitted: the provider was seen, and its keys are in the cache if it has any."""
        return self.metadata is not None and (self.metadata.jwks_uri is None or self.keys is not None)

    def speaks_for(self, issuer: str) -> bool:
        """Return whether tokens of ``issuer`` are this provider's to judge. Until it was seen, of either spelling."""
        if self.metadata is None:
            return issuer == self._expected or (not self.settings.issuer and issuer == self._expected + "/")
        return issuer == self.metadata.issuer

    def find(self, kid: str) -> PublicKey | None:
        """Return the key of that name at once, or None if :meth:`wait_for` must decide."""
        return self._jwks.find(kid)

    async def wait_for(self, kid: str) -> PublicKey | None:
        """Return the key of that name, after a fetch from the provider if the budget has one; None: there is none.

        Raises :class:`Refusal` (identity-unavailable) if that cannot be decided.
        """
        if self.metadata is None:
            raise unavailable("the provider was not seen yet")
        return None if self.metadata.jwks_uri is None else await self._jwks.wait_for(kid)

    def may_doubt(self) -> bool:
        """Return whether a signature that no known key made may cause a look at the provider now."""
        return self.metadata is not None and self._jwks.may_doubt()

    async def doubt(self) -> None:
        """Look whether the provider assigned a known name to another key, if the budget allows it.

        Raises :class:`Refusal` (identity-unavailable) if too many wait for that.
        """
        await self._jwks.doubt()

    def recall(self, token: bytes, rules: IssuerRules) -> Claims | None:
        """Return the known meaning of an opaque token, or None if :meth:`introspect` must decide.

        Raises :class:`TokenRefused` for one that is known and not valid.
        """
        return self._introspector.recall(token, rules)

    async def introspect(self, token: bytes, rules: IssuerRules) -> Claims:
        """Return the meaning of an opaque token by ``rules``.

        Raises :class:`TokenRefused` for one that is not valid here, :class:`Refusal` (identity-unavailable) if the
        provider does not answer.
        """
        return await self._introspector.introspect(token, rules)

    async def start(self) -> None:
        """Read the provider once, then keep in step with it.

        Raises :class:`Misconfigured` with every finding if it answers and is not fit, or may not be called. One that
        cannot be reached, or has no good keys, is a warning in the log: it is tried again every few seconds.
        """
        try:
            await self._learn()
        except EgressRefused as refused:
            what = f"{self._wanted.url} may not be called: {refused.why.value} ({refused.detail})"
            raise Misconfigured([Finding(what, self._wanted.where, "see [egress] allow")]) from None
        except (EgressFailed, NoAnswer) as failed:
            self._due_at = self._clock.monotonic() + self._outage.failed(failed)
        await self._keep_keys()
        self._task = asyncio.create_task(self._run(), name="identity-provider")

    async def stop(self) -> None:
        """Stop keeping in step, and cancel the work under way."""
        self._stopping.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        await self._jwks.close()
        await self._introspector.close()

    async def turn(self) -> None:
        """Do the work that is due: the metadata every hour, the keys when they are old or a caller needs a new one."""
        if self._clock.monotonic() >= self._due_at:
            try:
                await self._learn()
            except (EgressFailed, EgressRefused, NoAnswer, Misconfigured) as failed:
                self._due_at = self._clock.monotonic() + self._outage.failed(failed)  # the last good metadata stays
        await self._keep_keys()

    async def _keep_keys(self) -> None:
        if self._jwks.is_due():
            await self._jwks.refresh()

    async def _learn(self) -> None:
        fetched = await self._client.get_json(self._wanted.url, max_bytes=_LONGEST)
        if fetched.status != 200:
            raise NoAnswer(f"{self._wanted.url} answers {fetched.status}")
        metadata = read(fetched.value, self._wanted)
        self._require_own(metadata.issuer)
        self._introspector.asker = self._asker(metadata)
        self.metadata = metadata
        self.document = published(fetched.value, metadata, self._wanted)
        self._jwks.move(metadata.jwks_uri)
        self._due_at = self._clock.monotonic() + REFRESH_S
        self._outage.succeeded()

    def _require_own(self, issuer: str) -> None:
        """Raises :class:`Misconfigured` if the issuer is the one of another provider.

        An issuer that is not the one of the URL stays as it was when the provider was seen first.
        """
        url, where = self._wanted.url, self._wanted.where
        if not self._issuers.claim(issuer, self._expected):
            what = f"{url}: issuer is {issuer!r}, which is the issuer of another provider of this site"
            raise Misconfigured(
                [Finding(what, where, "two providers with one issuer would speak for each other's people")]
            )
        if self._wanted.issuer or issuer.rstrip("/") == self._expected:
            return
        if self._issuers.has_several:  # any of them could name another's issuer, and be read first
            what = f"{url}: issuer is {issuer!r}, at another address"
            raise Misconfigured([Finding(what, where, f'write issuer = "{issuer}" beside the URL if that is right')])
        _log.warning(
            'the identity provider %s: the document at %s is of the issuer %s, at another address; write issuer = "%s" '
            "beside the URL if that is right",
            self.settings.name, url, issuer, issuer,
        )  # fmt: skip
        self._wanted = replace(self._wanted, issuer=issuer)

    def _asker(self, metadata: Metadata) -> IntrospectionClient | None:
        """Raises :class:`Misconfigured` if opaque tokens are accepted and no endpoint could answer for them."""
        settings, url = self.settings, metadata.introspection_endpoint
        if not settings.introspection or url is None:
            return None
        if not settings.client_id or not settings.client_secret:
            hint = "register a confidential client at the provider (RFC 7662 §2.1)"
            raise Misconfigured([Finding("introspection needs client_id and client_secret", settings.where, hint)])
        method = next((each for each in introspection.METHODS if each in metadata.introspection_methods), None)
        if method is None:
            names = "introspection_endpoint_auth_methods_supported"
            what = f"{settings.metadata}: {names} has none of {introspection.METHODS}"
            raise Misconfigured([Finding(what, settings.where, "only client_secret authentication is supported")])
        return IntrospectionClient(
            url=url, client_id=settings.client_id, client_secret=settings.client_secret, method=method
        )

    async def _run(self) -> None:
        name = self.settings.name
        turns = Retry(lambda error: _log.error("the identity provider %s cannot be kept in step", name, exc_info=error))
        await every(self._tick_s, self._stopping, lambda: turns.attempt(self.turn))
