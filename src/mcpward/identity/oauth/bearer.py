"""OAuth: an access token of a provider that the operator named becomes a principal.

Every bad token has the same refusal. The token's own issuer claim chooses the provider, before any cryptography; the
signature then shows whether the claim holds. Known tokens are answered at once; only a key not seen yet, and an opaque
token, take time.
"""

import logging
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from mcpward.core import authority
from mcpward.core.challenge import Challenge
from mcpward.core.clock import Clock
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import AuthMethod, Principal
from mcpward.identity import credential
from mcpward.identity.jwt.claims import Claims, judge
from mcpward.identity.jwt.compact import MAX_TOKEN_BYTES
from mcpward.identity.jwt.errors import TOO_LONG, KeyDoubtful, KeyUnknown, TokenRefused
from mcpward.identity.jwt.issuer_rules import IssuerRules
from mcpward.identity.jwt.verify import Peeked, check, peek
from mcpward.identity.oauth.outage import unavailable
from mcpward.identity.oauth.pending_verification import PendingVerification
from mcpward.identity.oauth.permissions import Rights, chosen, entitle
from mcpward.identity.oauth.provider import Provider
from mcpward.identity.oauth.token_cache import TokenCache

_log: Final = logging.getLogger(__name__)
_TOO_LONG_EVERY_S: Final = 60.0


class Trusted(Struct, frozen=True, kw_only=True, eq=False):
    """One provider whose tokens a server takes. ``name`` is the operator's for it, ``audience`` its own for the server;
    the rest is named as in :class:`IssuerRules`, and ``roles`` is one more claim. ``others`` are further audiences.
    """

    name: str
    provider: Provider
    audience: str
    others: frozenset[str] = frozenset()
    leeway_s: float = 30.0
    subject: str = "sub"
    scope: str = "scope"
    groups: str = "groups"
    roles: str = "roles"

    def rules(self) -> IssuerRules:
        """Return what tokens must be. The issuer's exact spelling is known once the provider was seen."""
        settings = self.provider.settings
        return IssuerRules(
            issuer=self.provider.issuer,
            audience=self.audience,
            others=self.others,
            algorithms=settings.algorithms,
            token_type=settings.token_type,
            leeway_s=self.leeway_s,
            subject=self.subject,
            scope=self.scope,
            groups=self.groups,
        )


class Bearer:
    """The tokens of one server. ``challenge`` is the advice to the client in every refusal of a credential here."""

    def __init__(
        self,
        server: str,
        trusted: Sequence[Trusted],
        rights: Rights,
        challenge: Challenge,
        clock: Clock,
        proven: TokenCache,
        longest: int = MAX_TOKEN_BYTES,
    ) -> None:
        self.challenge = challenge
        self.longest_header = longest + credential.AROUND_TOKEN
        self._longest = longest
        self._overlong = _Overlong(server, longest, clock)
        self._server = server
        self._trusted = tuple(trusted)
        self._asked = next((one for one in trusted if one.provider.settings.introspection), None)
        self._rights = rights
        self._now = clock.now
        self._proven = proven

    def recall(self, shown: bytes) -> Principal | None:
        """Return the principal of a credential that was proved a moment ago, or None: :meth:`verify` must decide.

        Costs no cryptography but a digest, and no request to a provider.
        """
        principal = self._proven.recall(self._proven.mark(self._server, shown))
        if principal is None and self._asked is not None:
            token = credential.bearer(shown)
            return None if token is None else self._told(token, self._asked)
        return principal

    def verify(self, token: bytes, shown: bytes | None = None) -> Principal | PendingVerification:
        """Return the principal of ``token``, at once or by a verification to be awaited.

        ``shown`` is the header that it came in, for :meth:`recall`; None if it is not to be remembered.

        Raises :class:`Refusal`: credential-invalid, one answer for all bad tokens; identity-unavailable if the provider
        cannot be asked, for an outage says nothing about a token.
        """
        if len(token) > self._longest:
            self.note_too_long(len(token))
            raise self.invalid(TOO_LONG)
        mark = self._proven.mark(self._server, shown or token)
        try:
            if self._asked is not None and not _is_signed(token):
                return self._opaque(token, self._asked, mark)
            peeked = peek(token, self._longest)
            trusted = self._who(peeked.issuer)
            return self._verified(peeked, trusted, mark, is_last=False) or self._later(peeked, trusted, mark)
        except TokenRefused as no:
            raise self.invalid(no.detail) from None

    def invalid(self, detail: str) -> Refusal:
        """Return the one answer for every credential that is not good here; ``detail`` is for the record."""
        return Refusal(Reason.CREDENTIAL_INVALID, detail, self.challenge)

    def note_too_long(self, size: int) -> None:
        """Log that a token of ``size`` bytes was over the limit: else its holder sees the 401 of any bad token only."""
        self._overlong.note(size)

    def missing(self) -> Refusal:
        """Return the answer for a request without any credential."""
        return Refusal(Reason.CREDENTIAL_MISSING, "", self.challenge)

    def _who(self, issuer: str) -> Trusted:
        for trusted in self._trusted:
            if trusted.provider.speaks_for(issuer):
                return trusted
        raise TokenRefused("the token is of an issuer that this server does not trust")

    # ---- signed tokens ----

    def _verified(self, peeked: Peeked, trusted: Trusted, mark: bytes, *, is_last: bool) -> Principal | None:
        """Return the principal by the keys at hand; None if another look at the provider may bring the key."""
        provider, rules = trusted.provider, trusted.rules()
        keys = provider.keys
        try:
            if keys is None:
                raise KeyUnknown("no key set of the issuer is loaded")
            claims = check(peeked, keys, rules, self._now())
        except KeyUnknown:
            if is_last or (keys is not None and peeked.header.kid is None):
                raise
            if provider.metadata is not None:
                judge(peeked.raw, rules, self._now())  # a token that would be refused anyway is not worth a request
            return None
        except KeyDoubtful:
            if is_last or not provider.may_doubt():
                raise
            judge(peeked.raw, rules, self._now())
            return None
        principal = self._principal(claims, trusted)
        self._proven.remember(mark, principal, provider, len(peeked.compact.signed))
        return principal

    def _later(self, peeked: Peeked, trusted: Trusted, mark: bytes) -> PendingVerification:
        async def ask() -> Principal:
            try:
                kid, provider = peeked.header.kid, trusted.provider
                if provider.keys is None or (kid is not None and provider.find(kid) is None):
                    await provider.wait_for(kid or "")
                else:
                    await provider.doubt()
                if principal := self._verified(peeked, trusted, mark, is_last=True):
                    return principal
                raise unavailable("the keys of the issuer are not at hand")
            except TokenRefused as no:
                raise self.invalid(no.detail) from None

        return PendingVerification(mark, ask, asked=authority.provider(trusted.name), is_opaque=False)

    # ---- opaque tokens ----

    def _told(self, token: bytes, trusted: Trusted) -> Principal | None:
        """Return the principal of an opaque token that the provider confirmed a moment ago."""
        if trusted.provider.metadata is None or _is_signed(token):
            return None
        try:
            claims = trusted.provider.recall(token, trusted.rules())
        except TokenRefused:
            return None
        return None if claims is None else self._principal(claims, trusted)

    def _opaque(self, token: bytes, trusted: Trusted, mark: bytes) -> Principal | PendingVerification:
        if trusted.provider.metadata is not None:
            claims = trusted.provider.recall(token, trusted.rules())
            if claims is not None:
                return self._principal(claims, trusted)

        async def ask() -> Principal:
            try:
                return self._principal(await trusted.provider.introspect(token, trusted.rules()), trusted)
            except TokenRefused as no:
                raise self.invalid(no.detail) from None

        return PendingVerification(mark, ask, asked=authority.provider(trusted.name), is_opaque=True)

    # ---- both ----

    def _principal(self, claims: Claims, trusted: Trusted) -> Principal:
        entitled = entitle(claims, self._rights, trusted.name, trusted.roles)
        return Principal(
            key=key_of(claims.issuer, claims.subject),
            way=AuthMethod.OAUTH,
            server=self._server,
            subject=claims.subject,
            issuer=claims.issuer,
            client=claims.client,
            scopes=entitled.scopes,
            access=entitled.access,
            claims=chosen(claims, self._rights.claims),
            expires_at=claims.expires_at,
            waiver="scope" if self._rights.confirm_scope in entitled.scopes else None,
        )


class _Overlong:
    """Logs tokens over the limit of one server: one line a minute for all senders, and never a token."""

    def __init__(self, server: str, longest: int, clock: Clock) -> None:
        self._server = server
        self._longest = longest
        self._now = clock.monotonic
        self._logged_at = float("-inf")
        self._others = 0

    def note(self, size: int) -> None:
        if self._now() - self._logged_at < _TOO_LONG_EVERY_S:
            self._others += 1
            return
        _log.warning(
            "server %s refused a token of %d bytes (and %d more since the last line like this); the limit is %d: "
            "set max_token_bytes in [servers.%s.oauth], or have the provider put less into its tokens",
            self._server, size, self._others, self._longest, self._server,
        )  # fmt: skip
        self._logged_at, self._others = self._now(), 0


def key_of(issuer: str, subject: str) -> str:
    """Return the one spelling of a caller: no two pairs of issuer and subject share it.

    The issuer has no bar of its own after this, so the first one ends it.
    """
    return f"oauth:{issuer.replace('%', '%25').replace('|', '%7C')}|{subject}"


def _is_signed(token: bytes) -> bool:
    """Distinguish a JWT, valid or not, from an opaque token: it begins as ``{"`` does in base64url, and has dots.

    The provider is never asked about one of these: its faults are seen here (attacks 1-22).
    """
    return token.startswith(b"eyJ") and b"." in token
