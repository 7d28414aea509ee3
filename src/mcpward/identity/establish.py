"""Establishes the caller of a request. Only the server's mode decides how; no mode falls back to another.

All known credentials are judged without ``async``: their caches are in memory. Called for every request. A credential
that an identity provider or the store of keys must judge first is returned as a verification to be awaited.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final, Protocol

from mcpward.core.authority import STORE
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.values import Arrival, Principal
from mcpward.identity import anonymous, credential
from mcpward.identity.jwt.errors import TOO_LONG
from mcpward.identity.keys.key_cache import KeyCache
from mcpward.identity.keys.key_lookup import KeyLookup, Look
from mcpward.identity.keys.url_cache import UrlCache
from mcpward.identity.mode import Mode
from mcpward.identity.oauth.bearer import Bearer
from mcpward.identity.oauth.outage import unavailable
from mcpward.identity.oauth.pending_verification import PendingVerification, Rechecks

#: Refusals of a credential; in OAuth mode they name the metadata that lead to a valid one.
_CHALLENGED: Final = frozenset({Reason.CREDENTIAL_MISSING, Reason.CREDENTIAL_INVALID, Reason.CREDENTIAL_AMBIGUOUS})
_SCHEME: Final = len("Bearer ")


class Strangers(Protocol):
    """The bounds on look-ups for an address without a valid credential. A port of the limits package."""

    def require_failure(self, bucket: str) -> object:
        """Require that a provider, or the store, may be asked about a credential of its."""
        ...

    async def ask(self, whom: str, bucket: str, question: Callable[[], Awaitable[Principal]]) -> Principal:
        """Have a credential of its looked up, in its turn."""
        ...

    def count_outcome(self, bucket: str, error: BaseException | None) -> None:
        """Count the result of a verification that no request awaits."""
        ...


class Identity:
    """``modes`` maps every server of the site to the modes of its callers: one mode, or both a token and a key.

    ``access`` is the highest class of tools, per server, for callers without a credential of their own; a server that
    is not in it allows them only reading. A key and a token bring their own class. ``bearers`` judges the tokens of
    each server in OAuth mode. ``look`` reads the store of keys for one that is not in the cache.
    """

    def __init__(
        self,
        modes: Mapping[str, Mode | Collection[Mode]],
        keys: KeyCache,
        urls: UrlCache,
        access: Mapping[str, Access] | None = None,
        bearers: Mapping[str, Bearer] | None = None,
        look: Look | None = None,
    ) -> None:
        self._modes = {
            server: frozenset([Mode(mode)] if isinstance(mode, str) else map(Mode, mode))
            for server, mode in modes.items()
        }
        self._access = dict.fromkeys(modes, Access.READ) | dict(access or {})
        self._keys = keys
        self._urls = urls
        self._bearers = dict(bearers or {})
        self._lookup = None if look is None else KeyLookup(look)
        self._rechecks = Rechecks()
        ways: dict[frozenset[Mode], Callable[[Arrival], Principal | PendingVerification]] = {
            frozenset({Mode.API_KEY}): self._by_key,
            frozenset({Mode.OAUTH}): self._by_token,
            frozenset({Mode.OAUTH, Mode.API_KEY}): self._by_either,
            frozenset({Mode.UNLISTED}): self._by_url,
            frozenset({Mode.PUBLIC}): self._by_nothing,
        }
        self._ways = {server: ways[its_modes] for server, its_modes in self._modes.items()}
        # Only cached tokens are cheap; all else costs little to establish.
        cheap = {
            frozenset({Mode.OAUTH}): self._by_known_token,
            frozenset({Mode.OAUTH, Mode.API_KEY}): self._by_known_token_or_key,
        }
        self._cheap = {server: cheap.get(its_modes, self._ways[server]) for server, its_modes in self._modes.items()}
        if any(Mode.OAUTH in its_modes and server not in self._bearers for server, its_modes in self._modes.items()):
            raise ValueError("a server in OAuth mode without a provider")

    def recall(self, arrival: Arrival) -> Principal | PendingVerification | None:
        """Return the result of :meth:`establish` if it costs little; None for a token that must be verified.

        A valid credential that is in a cache is accepted here whatever others at its address do, so it must stay cheap.

        Raises:
            Refusal: as :meth:`establish` does.
        """
        way = self._cheap.get(arrival.server)
        if way is None:
            raise Refusal(Reason.ROUTE_UNKNOWN, "no such server")
        return way(arrival)

    def establish(self, arrival: Arrival) -> Principal | PendingVerification:
        """Return the principal that sent ``arrival``, or a proof of it, which is to be awaited once.

        Raises :class:`Refusal`, as awaiting does: credential-missing, credential-invalid (one answer for unknown,
        expired, revoked and foreign), credential-ambiguous, route-unknown (unlisted: the secret is wrong),
        origin-refused (unlisted: a web page holds the secret), identity-unavailable.
        """
        way = self._ways.get(arrival.server)
        if way is None:
            raise Refusal(Reason.ROUTE_UNKNOWN, "no such server")
        return way(arrival)

    def vouch(self, arrival: Arrival, strangers: Strangers | None = None) -> Refusal | None:
        """Return, without waiting, the refusal that makes reading the body needless; None if it must be read. Admits no
        caller.

        ``strangers`` bounds the look-ups for an address whose credential is not in a cache.

        A token that names a key not seen yet may be anyone's, and so may an API key that is not in the cache: its body
        waits until that is known. So mcpward asks the caller to retry, and looks for the key meanwhile. If there is
        none, the retry is refused as all bad credentials are. Nothing is known of an opaque token without waiting, so
        its body is read. The memory that strangers can occupy with made-up ones stays within their address's share of
        all bodies. Each of them is refused, and counts as a failed credential, when its body is there.
        """
        try:
            found = self.recall(arrival)
            if found is None:
                found = self.establish(arrival)
            if isinstance(found, Principal) or found.is_opaque or found.is_at_hand:
                return None
            if strangers is not None:
                strangers.require_failure(arrival.bucket)
                found = _counted(found, arrival.bucket, strangers)
        except Refusal as no:
            return no
        if self._rechecks.heard(found) is Reason.CREDENTIAL_INVALID:
            bearer = self._bearers.get(arrival.server)
            shown = credential.read(arrival) if bearer is None or credential.is_key(arrival) else None
            if shown is not None:
                return self._no_key(shown.reveal(), arrival.server, arrival.peer)
            return bearer.invalid("there is no such key") if bearer is not None else _invalid()
        return unavailable("the key is not known yet")

    def is_good(self, arrival: Arrival, known: Principal | None = None) -> bool:
        """Return whether a credential that was valid is so still, for streams that are checked every second.

        ``known`` is the principal it was valid for. A credential that has lost some of its rights is not valid (a
        provider's answer on an opaque token may change); its holder may reconnect with the rest. A slow check runs in
        the background: meanwhile the credential counts as valid, and the answer applies to the next check. An outage is
        no answer, so it ends the stream too.
        """
        try:
            found = self.establish(arrival)
        except Refusal:
            return False
        if isinstance(found, Principal):
            return known is None or (found.scopes >= known.scopes and found.access >= known.access)
        return self._rechecks.holds(found)

    async def close(self) -> None:
        """Cancel the verifications in the background."""
        await self._rechecks.close()

    def knows_url(self, server: str, secret: str) -> bool:
        """Return whether ``secret`` is in the URL of ``server``, for requests that are no MCP request.

        Only for the choice of the response: it admits no caller.
        """
        if Mode.UNLISTED not in self._modes.get(server, ()):
            return False
        try:
            return self._urls.verify(secret, server) is not None
        except Refusal:
            return True  # the snapshot is stale, which is reported only to holders of the secret

    def _by_key(self, arrival: Arrival) -> Principal | PendingVerification:
        if arrival.path_secret is not None:
            raise Refusal(Reason.ROUTE_UNKNOWN, "a secret path on a server that has none")
        visit = arrival.visit
        if visit is not None and visit.key_id is not None:
            principal = self._keys.again(visit.key_id, arrival.server, arrival.peer)
            if principal is not None:
                return principal
        value = credential.plain(arrival)
        if value is not None:
            principal = self._keys.recall(value, arrival.server, arrival.peer)
            if principal is not None:
                if visit is not None:
                    visit.key_id = principal.key_id
                return principal
        shown = credential.read(arrival)
        if shown is None:
            raise Refusal(Reason.CREDENTIAL_MISSING)
        text = shown.reveal()
        if self._lookup is not None and not self._keys.is_confirmed:
            if self._keys.has(text):
                return self._confirmed(self._lookup, text, arrival, value)
            return self._later(text, arrival, value)
        principal = self._keys.verify(text, arrival.server, arrival.peer)
        if principal is None:
            return self._later(text, arrival, value)
        if value is not None:
            self._keys.remember(value, principal)
        return principal

    def _confirmed(self, lookup: KeyLookup, text: str, arrival: Arrival, value: bytes | None) -> PendingVerification:
        """Return the verification of a key that is in the cache, by a snapshot that may not know of its revocation.

        An old snapshot proves nothing about the store: this process may have stood still. So the store is asked.

        Raises:
            Refusal: credential-invalid; the key was revoked or has expired, whatever else the store may report.
        """
        mark, server, peer = self._keys.mark(text), arrival.server, arrival.peer
        if self._keys.is_over(text):
            raise self._keys.refused(text, server, peer)

        async def ask() -> Principal:
            await lookup.confirm(mark, lambda: self._keys.is_confirmed)
            principal = self._keys.verify(text, server, peer)
            if principal is None:
                raise self._no_key(text, server, peer)
            if value is not None:
                self._keys.remember(value, principal)
            return principal

        return PendingVerification(mark, ask, asked=STORE, is_opaque=False, is_at_hand=True)

    def _later(self, text: str, arrival: Arrival, value: bytes | None) -> Principal | PendingVerification:
        """Return the proof of a key that may have been made a moment ago; its principal if it has come in meanwhile.

        Raises:
            Refusal: credential-invalid; the text is no key, or one that is known and opens nothing here.
        """
        lookup, mark = self._lookup, self._keys.unknown(text)
        server, peer = arrival.server, arrival.peer
        if mark is None:  # the thread that follows the store may have taken it in since it was looked for
            principal = self._keys.verify(text, server, peer)
            if principal is not None:
                return principal
        if lookup is None or mark is None or lookup.was_refused(mark):
            raise self._keys.refused(text, server, peer)

        async def ask() -> Principal:
            await lookup.look()
            principal = self._keys.verify(text, server, peer)
            if principal is None:
                if self._keys.unknown(text) is not None:
                    lookup.refuse(mark)
                raise self._no_key(text, server, peer)
            if value is not None:
                self._keys.remember(value, principal)
            return principal

        return PendingVerification(mark, ask, asked=STORE, is_opaque=False)

    def _no_key(self, text: str, server: str, peer: str) -> Refusal:
        """Return the refusal of a text that is no key which opens this server: one answer, whatever the cause."""
        no, bearer = self._keys.refused(text, server, peer), self._bearers.get(server)
        return no if bearer is None else _challenged(no, bearer)

    def _by_known_token(self, arrival: Arrival) -> Principal | None:
        if arrival.path_secret is not None:
            return None
        bearer = self._bearers[arrival.server]
        value = credential.plain(arrival, bearer.longest_header)
        return None if value is None else bearer.recall(value)

    def _by_known_token_or_key(self, arrival: Arrival) -> Principal | PendingVerification | None:
        return self._by_either(arrival) if credential.is_key(arrival) else self._by_known_token(arrival)

    def _by_token(self, arrival: Arrival) -> Principal | PendingVerification:
        if arrival.path_secret is not None:
            raise Refusal(Reason.ROUTE_UNKNOWN, "a secret path on a server that has none")
        bearer = self._bearers[arrival.server]
        value = credential.plain(arrival, bearer.longest_header)
        if value is not None and (principal := bearer.recall(value)) is not None:
            return principal
        try:
            shown = credential.read(arrival, bearer.longest_header)
        except Refusal as no:
            if no.detail == TOO_LONG:
                bearer.note_too_long(len(arrival.headers.get(b"authorization", b"")) - _SCHEME)
            raise _challenged(no, bearer) from None
        if shown is None:
            raise bearer.missing()
        if b"x-api-key" in arrival.headers:  # RFC 6750 §2: a token has one place
            raise bearer.invalid("an API key on a server that accepts only tokens")
        return bearer.verify(shown.reveal().encode(), value)

    def _by_either(self, arrival: Arrival) -> Principal | PendingVerification:
        """Judge a text of a key's form as a key, and all else as a token; both are refused with the same words."""
        if not credential.is_key(arrival):
            return self._by_token(arrival)
        try:
            return self._by_key(arrival)
        except Refusal as no:
            raise _challenged(no, self._bearers[arrival.server]) from None

    def _by_url(self, arrival: Arrival) -> Principal | PendingVerification:
        lookup, shown = self._lookup, arrival.path_secret
        if lookup is None or shown is None or self._urls.is_confirmed:
            return self._open_url(arrival)
        if not self.knows_url(arrival.server, shown.reveal()):
            raise Refusal(Reason.ROUTE_UNKNOWN, "the secret path is wrong")

        mark = self._keys.mark(shown.reveal())

        async def ask() -> Principal:
            await lookup.confirm(mark, lambda: self._urls.is_confirmed)
            return self._open_url(arrival)

        return PendingVerification(mark, ask, asked=STORE, is_opaque=False, is_at_hand=True)

    def _open_url(self, arrival: Arrival) -> Principal:
        server, secret = arrival.server, arrival.path_secret
        principal = None if secret is None else self._urls.verify(secret.reveal(), server, self._access[server])
        if principal is None:
            raise Refusal(Reason.ROUTE_UNKNOWN, "the secret path is wrong")
        # A browser that sends Origin got the URL into a web page: from there it leaks.
        if b"origin" in arrival.headers:
            raise Refusal(Reason.ORIGIN_REFUSED, "an origin on an unlisted server")
        return principal

    def _by_nothing(self, arrival: Arrival) -> Principal:
        if arrival.path_secret is not None:
            raise Refusal(Reason.ROUTE_UNKNOWN, "a secret path on a server that has none")
        return anonymous.admit(arrival, self._access[arrival.server])


def _counted(proof: PendingVerification, bucket: str, strangers: Strangers) -> PendingVerification:
    """Return the verification as one that takes its turn, and whose refusal counts even if no request awaits it."""

    async def ask() -> Principal:
        try:
            return await strangers.ask(proof.asked, bucket, proof.ask)
        except Refusal as no:
            strangers.count_outcome(bucket, no)
            raise

    return PendingVerification(proof.mark, ask, asked=proof.asked, is_opaque=proof.is_opaque)


def _invalid() -> Refusal:
    return Refusal(Reason.CREDENTIAL_INVALID, "unknown, expired, revoked or for elsewhere")


def _challenged(no: Refusal, bearer: Bearer) -> Refusal:
    return no.telling(bearer.challenge) if no.reason in _CHALLENGED else no
