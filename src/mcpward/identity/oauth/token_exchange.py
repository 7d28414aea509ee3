"""A caller's token exchanged for one that is valid elsewhere (RFC 8693): the way to act upstream for a user.

The inbound token itself goes nowhere but to the provider that issued it, and is kept nowhere. It is read from the
call's own headers at the moment of the exchange (attack 30). The new token is kept until shortly before it ends, for
the very token it was issued for: two tokens of one person may have rights that differ.
"""

import asyncio
import logging
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, TypeAlias

from msgspec import Struct

from mcpward.core.clock import Clock
from mcpward.core.errors import Refusal
from mcpward.core.exchange import ExchangeFailed, NoToken, Token
from mcpward.core.ids import base62
from mcpward.core.secret import Secret
from mcpward.core.values import Arrival, AuthMethod, Call
from mcpward.egress.client import Client
from mcpward.egress.failures import EgressFailed, EgressRefused
from mcpward.identity import credential
from mcpward.identity.jwt.compact import MOST_TOKEN_BYTES
from mcpward.identity.oauth.introspection import METHODS
from mcpward.identity.oauth.provider import Provider

_log: Final = logging.getLogger(__name__)
_GRANT: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a type, no secret
_JWT: Final = "urn:ietf:params:oauth:token-type:jwt"
EARLY_S: Final = 30.0
"""A kept token is returned no longer than this before its end: the tool still has to use it."""
LONGEST_KEPT_S: Final = 3600.0
MOST_KEPT: Final = 2000
_MOST_ASKED: Final = 64
_MOST_OF_ONE: Final = 8
"""Exchanges of one caller under way: it may leave, and they continue."""
_LONGEST: Final = 64 * 1024
_LONGEST_TOKEN: Final = 16 * 1024
_LONGEST_NAME: Final = 512
_MOST_SCOPES: Final = 32
_DIGEST: Final = 32
# RFC 6749 §3.3 for scopes, RFC 6750 §2.1 for bearer tokens; an audience is a URI or a name (RFC 8693 §2.1).
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,255}")
_AUDIENCE: Final = re.compile(rf"[\x20-\x7e]{{1,{_LONGEST_NAME}}}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
#: Error codes of RFC 6749 §5.2, RFC 8693 §2.2.2: those for the operator to mend, and those of the caller's rights.
_OURS: Final = frozenset({"invalid_client", "unauthorized_client", "unsupported_grant_type"})
_THEIRS: Final = frozenset({"invalid_request", "invalid_grant", "invalid_scope", "invalid_target", "access_denied"})

_Mark: TypeAlias = bytes


class _Kept(Struct, frozen=True, eq=False):
    token: Token
    until: float


class _ExchangeKey(Struct, frozen=True, eq=False):
    """One question to a provider. Lives as long as its answer takes."""

    provider: Provider
    caller: str
    subject: Secret
    audience: str
    scopes: frozenset[str]


class Exchanges:
    """Implements :class:`~mcpward.core.exchange.Exchange`. ``providers`` are those of each server, by its name."""

    def __init__(self, providers: Mapping[str, Sequence[Provider]], client: Client, clock: Clock) -> None:
        self._providers = providers
        self._client = client
        self._clock = clock
        self._salt = base62(_DIGEST).encode()
        self._kept: dict[_Mark, _Kept] = {}
        self._flights: dict[_Mark, asyncio.Task[Token | ExchangeFailed]] = {}
        self._callers: Counter[str] = Counter()
        self._told: set[str] = set()

    async def exchange(self, call: Call, audience: str, scopes: frozenset[str]) -> Token:
        """Return a token for ``audience`` that acts for the caller; concurrent equal requests share one exchange.

        Raises:
            ExchangeFailed: there is none; a cause for the operator to mend is logged once.
            ValueError: the audience or a scope is not one that could be requested.
        """
        _require_askable(audience, scopes)
        subject = _subject(call)
        mark = self._mark(call, subject, audience, scopes)
        kept = self._kept.get(mark)
        if kept is not None and self._clock.monotonic() < kept.until:
            return kept.token
        flight = self._flights.get(mark)
        if flight is None:
            asked = _ExchangeKey(self._provider_of(call), call.principal.key, subject, audience, scopes)
            if len(self._flights) >= _MOST_ASKED or self._callers[asked.caller] >= _MOST_OF_ONE:
                raise ExchangeFailed(NoToken.UNAVAILABLE, "too many exchanges are under way")
            self._callers[asked.caller] += 1
            flight = asyncio.create_task(self._fly(asked, mark), name="identity-exchange")
            self._flights[mark] = flight
        await asyncio.wait([flight])  # a cancelled waiter does not end it for the others
        given = ExchangeFailed(NoToken.UNAVAILABLE, "mcpward stops") if flight.cancelled() else flight.result()
        if isinstance(given, ExchangeFailed):
            raise ExchangeFailed(given.why, given.detail, given.error)  # a separate error for each waiter
        return given

    async def close(self) -> None:
        """Cancel the exchanges under way, and forget every token."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        if flights:
            await asyncio.wait(flights)
        self._kept.clear()

    def _mark(self, call: Call, subject: Secret, audience: str, scopes: frozenset[str]) -> _Mark:
        """Return the key of an exchange, unambiguous. The token is in it only as a salted digest.

        With the token in it, rights that one token of a person has do not reach a second one that has fewer.
        """
        digest = blake2b(digest_size=_DIGEST, key=self._salt)
        for part in (call.arrival.server, call.principal.key, subject.reveal(), audience, *sorted(scopes)):
            data = part.encode()
            digest.update(len(data).to_bytes(4, "big") + data)
        return digest.digest()

    def _provider_of(self, call: Call) -> Provider:
        """Return the caller's own provider: a token is sent only to its issuer."""
        principal = call.principal
        for provider in self._providers.get(call.arrival.server, ()):
            if provider.metadata is not None and provider.metadata.issuer == principal.issuer:
                return provider
        raise ExchangeFailed(NoToken.UNAVAILABLE, "the caller's provider was not seen yet")

    async def _fly(self, asked: _ExchangeKey, mark: _Mark) -> Token | ExchangeFailed:
        since = self._clock.monotonic()  # a slow answer is as old as its question
        try:
            token = await self._ask(asked)
        except Exception as error:  # noqa: BLE001 - whatever the answer provokes, it is no token
            failed = _failure(error)
            self._tell(asked.provider, failed)
            return failed
        finally:
            del self._flights[mark]
            self._callers[asked.caller] -= 1
            if not self._callers[asked.caller]:
                del self._callers[asked.caller]
        self._told.discard(asked.provider.settings.name)
        self._keep(mark, token, since)
        return token

    async def _ask(self, asked: _ExchangeKey) -> Token:
        url, client_id, client_secret, method = _way_in(asked.provider)
        fields: dict[str, str | Secret] = {
            "grant_type": _GRANT,
            "subject_token": asked.subject,
            "subject_token_type": _ACCESS_TOKEN,
            "requested_token_type": _ACCESS_TOKEN,
        }
        if asked.audience:
            fields["audience"] = asked.audience
        if asked.scopes:
            fields["scope"] = " ".join(sorted(asked.scopes))
        auth: tuple[str, Secret] | None = (client_id, client_secret)
        if method != METHODS[0]:
            fields |= {"client_id": client_id, "client_secret": client_secret}
            auth = None
        asked_at = self._clock.now()
        fetched = await self._client.post_form(url, fields, auth=auth, max_bytes=_LONGEST)
        if fetched.status != 200:
            raise _refused(fetched.status, fetched.value)
        return _read(fetched.value, asked, asked_at)

    def _keep(self, mark: _Mark, token: Token, since: float) -> None:
        """Keep a token until shortly before its end. One without an end is not kept: its lifetime is unknown."""
        if token.expires_at is None:
            return
        now = self._clock.monotonic()
        left = token.expires_at - self._clock.now()
        until = min(now + left - EARLY_S, since + LONGEST_KEPT_S)
        if until <= now:
            return
        self._kept.pop(mark, None)
        if len(self._kept) >= MOST_KEPT:
            self._kept = {each: kept for each, kept in self._kept.items() if kept.until > now}
        while len(self._kept) >= MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[mark] = _Kept(token, until)

    def _tell(self, provider: Provider, failed: ExchangeFailed) -> None:
        """Log what is not the caller's own matter, once until an exchange goes well again."""
        name = provider.settings.name
        if failed.why is NoToken.REFUSED or name in self._told:
            return
        self._told.add(name)
        _log.warning("tokens cannot be exchanged at the identity provider %s: %s", name, failed.detail)


def _require_askable(audience: str, scopes: Iterable[str]) -> None:
    wanted = list(scopes)
    if not audience and not wanted:
        raise ValueError("an exchange is for an audience, a scope, or both")
    if audience and not _AUDIENCE.fullmatch(audience):
        raise ValueError("an audience is printable ASCII, at most 512 characters")
    if len(wanted) > _MOST_SCOPES or not all(_SCOPE.fullmatch(scope) for scope in wanted):
        raise ValueError("scopes are words of printable ASCII, at most 32 of them")


def _subject(call: Call) -> Secret:
    """Read the caller's token from the header that it came in."""
    if call.principal.way is not AuthMethod.OAUTH:
        raise ExchangeFailed(NoToken.NOTHING_TO_EXCHANGE)
    shown = _shown(call.arrival)
    if shown is None:  # only the headers of a task were left behind: no other call of this way comes without one
        raise ExchangeFailed(NoToken.IN_TASK)
    return shown


def _shown(arrival: Arrival) -> Secret | None:
    try:
        return credential.read(arrival, MOST_TOKEN_BYTES + credential.AROUND_TOKEN)
    except Refusal:  # it let the caller in a moment ago
        return None


def _way_in(provider: Provider) -> tuple[str, str, Secret, str]:
    """Return the token endpoint, and mcpward's credentials and method there."""
    settings, metadata = provider.settings, provider.metadata
    if metadata is None or metadata.token_endpoint is None:
        raise ExchangeFailed(NoToken.UNAVAILABLE, "the provider was not seen yet")
    if not settings.client_id or not settings.client_secret:
        raise ExchangeFailed(NoToken.NOT_SET_UP, f"{settings.where}: client_id and client_secret are not set")
    method = next((each for each in METHODS if each in metadata.token_methods), None)
    if method is None:
        raise ExchangeFailed(NoToken.NOT_SET_UP, "the token endpoint takes no client secret")
    return metadata.token_endpoint, settings.client_id, settings.client_secret, method


def _refused(status: int, value: Any) -> ExchangeFailed:
    """Read OAuth's error (RFC 6749 §5.2). A word that is not on our lists is not repeated: a stranger wrote it."""
    word = value.get("error") if isinstance(value, Mapping) else None
    if status in {400, 401, 403} and isinstance(word, str):
        if word in _OURS:
            return ExchangeFailed(NoToken.NOT_SET_UP, f"the provider says {word}", word)
        if word in _THEIRS:
            return ExchangeFailed(NoToken.REFUSED, f"the provider says {word}", word)
        if status != 401:
            return ExchangeFailed(NoToken.REFUSED, f"the provider refuses with {status}")
    return ExchangeFailed(NoToken.UNAVAILABLE, f"the token endpoint answers {status}")


def _read(value: Any, asked: _ExchangeKey, asked_at: float) -> Token:
    """Take over a token that was given (RFC 8693 §2.2.1)."""
    if not isinstance(value, Mapping):
        raise _strange("is no JSON object")
    text, kind = value.get("access_token"), value.get("token_type")
    if not isinstance(text, str) or len(text) > _LONGEST_TOKEN or not _TOKEN.fullmatch(text):
        raise _strange("has no access token")
    if text == asked.subject.reveal():
        # Nothing was exchanged. Given to an upstream it would be the caller's token, passed on.
        raise _strange("is the caller's own token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise _strange("has a token that is no bearer token")
    if value.get("issued_token_type", _ACCESS_TOKEN) not in (_ACCESS_TOKEN, _JWT):
        raise _strange("has a token of another type than was asked for")
    return Token(text, expires_at=_end(value.get("expires_in"), asked_at), scopes=_granted(value, asked.scopes))


def _end(seconds: Any, asked_at: float) -> float | None:
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds) or seconds <= 0:
        raise _strange("has a token whose life is no number of seconds")
    return asked_at + seconds


def _granted(value: Mapping[str, Any], wanted: frozenset[str]) -> frozenset[str]:
    """RFC 8693 §2.2.1: if the scope is left out, it is the requested one."""
    scope = value.get("scope")
    if scope is None:
        return wanted
    if not isinstance(scope, str):
        raise _strange("has scopes that are no text")
    return frozenset(word for word in scope.split(" ") if _SCOPE.fullmatch(word))


def _failure(error: Exception) -> ExchangeFailed:
    """Show only the name of an unexpected exception: its text may quote the answer, and the token in it."""
    if isinstance(error, ExchangeFailed):
        return error
    if isinstance(error, EgressFailed | EgressRefused):
        return ExchangeFailed(NoToken.UNAVAILABLE, f"{error.why.value} ({error.detail})")
    return ExchangeFailed(NoToken.UNAVAILABLE, type(error).__name__)


def _strange(what: str) -> ExchangeFailed:
    return ExchangeFailed(NoToken.UNAVAILABLE, f"the answer of the token endpoint {what}")
