"""Opaque tokens: the authorization server states the meaning of one (RFC 7662), which holds for half a minute.

Its answer is judged as the claims of a signed token are. A provider that cannot be asked is an outage, never a bad
token; so is one that rejects mcpward's own credentials.
"""

import asyncio
import logging
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from mcpward.core.clock import Clock
from mcpward.core.ids import base62
from mcpward.core.jsonio import spell
from mcpward.core.secret import Secret
from mcpward.egress.client import Client
from mcpward.identity.jwt.claims import Claims, judge
from mcpward.identity.jwt.compact import MOST_TOKEN_BYTES
from mcpward.identity.jwt.errors import TOO_LONG, TokenRefused
from mcpward.identity.jwt.issuer_rules import ANY, IssuerRules
from mcpward.identity.jwt.token_type import require_access_token
from mcpward.identity.oauth.outage import NoAnswer, outage, unavailable

_log: Final = logging.getLogger(__name__)
KEEP_S: Final = 30.0
"""How late a revocation at the provider may be noticed."""
LONGEST: Final = 64 * 1024
MOST_KEPT: Final = 4000
MOST_BYTES: Final = 16 * 1024 * 1024
"""Of all answers of one provider that are kept, as JSON."""
_MOST_ASKED: Final = 32
"""Questions under way at once. Callers have half of them in fair shares, see ``limits.rates.credential_lookups``;
the others are for streams whose tokens are looked at again.
"""
_DIGEST: Final = 32
METHODS: Final = ("client_secret_basic", "client_secret_post")
"""The methods by which this client can authenticate."""


class Introspected(Struct, frozen=True, eq=False):
    """The provider's answer, and until when it holds (monotonic). ``raw`` is None for "not active"."""

    raw: Mapping[str, Any] | None
    until: float
    size: int = 0

    def __repr__(self) -> str:
        return "Answer(***)"


class IntrospectionClient(Struct, frozen=True, kw_only=True):
    """The endpoint, and mcpward's credentials there: ``method`` is one of :data:`METHODS`."""

    url: str
    client_id: str
    client_secret: Secret
    method: str = METHODS[0]


class Introspector:
    """Asks one provider. ``asker`` is None until the endpoint is known."""

    def __init__(self, name: str, client: Client, clock: Clock) -> None:
        self.asker: IntrospectionClient | None = None
        self._client = client
        self._clock = clock
        self._outage = outage(_log, f"token introspection at {name}")
        self._salt = base62(_DIGEST).encode()
        self._active = _Answers()
        self._inactive = _Answers()  # kept apart: made-up tokens do not displace those of callers
        self._flights: dict[bytes, asyncio.Task[Introspected | None]] = {}

    def recall(self, token: bytes, rules: IssuerRules) -> Claims | None:
        """Return the known meaning of ``token`` without a request, or None: then :meth:`introspect` must decide.

        Raises :class:`TokenRefused` for a token that is known and not valid.
        """
        if len(token) > MOST_TOKEN_BYTES:
            raise TokenRefused(TOO_LONG)
        answer = self._known(self._mark(token))
        return None if answer is None else self._judge(answer, rules)

    async def introspect(self, token: bytes, rules: IssuerRules) -> Claims:
        """Return the meaning of ``token`` by ``rules``; concurrent callers with the same token share one request.

        Raises :class:`TokenRefused` for one that is not active, or not valid here. Raises :class:`Refusal`
        (identity-unavailable) if the provider does not answer, or too many requests are under way.
        """
        claims = self.recall(token, rules)
        if claims is not None:
            return claims
        mark = self._mark(token)
        flight = self._flights.get(mark)
        if flight is None:
            asker = self.asker
            if asker is None or len(self._flights) >= _MOST_ASKED:
                raise unavailable("the provider cannot be asked for a token now")
            flight = asyncio.create_task(self._ask(asker, token, mark), name="identity-introspect")
            self._flights[mark] = flight
        await asyncio.wait([flight])
        answer = None if flight.cancelled() else flight.result()
        if answer is None:
            raise unavailable("the provider does not answer about a token")
        return self._judge(answer, rules)

    async def close(self) -> None:
        """Cancel all requests that are under way."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        if flights:
            await asyncio.wait(flights)

    def _mark(self, token: bytes) -> bytes:
        return blake2b(token, digest_size=_DIGEST, key=self._salt).digest()

    def _known(self, mark: bytes) -> Introspected | None:
        answer = self._active.get(mark) or self._inactive.get(mark)
        return None if answer is None or self._clock.monotonic() >= answer.until else answer

    def _judge(self, answer: Introspected, rules: IssuerRules) -> Claims:
        if answer.raw is None:
            raise TokenRefused("the provider says that the token is not active")
        # RFC 7662 §2.2: "iss" may be left out. The answer came from this issuer's own endpoint.
        raw = {"iss": rules.issuer, **answer.raw}
        scheme = raw.get("token_type", "Bearer")
        if not isinstance(scheme, str) or scheme.lower() != "bearer":
            raise TokenRefused("the token is of another kind")
        require_access_token(None, raw, replace(rules, token_type=ANY))
        return judge(raw, rules, self._clock.now())

    async def _ask(self, asker: IntrospectionClient, token: bytes, mark: bytes) -> Introspected | None:
        asked_at = self._clock.monotonic()  # a slow answer is as old as its question
        try:
            raw = await self._fetch(asker, token)
        except Exception as error:  # noqa: BLE001 - whatever the answer provokes, it is no answer
            self._outage.failed(error)
            return None
        finally:
            del self._flights[mark]
        self._outage.succeeded()
        answer = Introspected(raw, asked_at + KEEP_S, 0 if raw is None else len(spell(raw)))
        kept, other = (self._inactive, self._active) if raw is None else (self._active, self._inactive)
        other.forget(mark)  # or an earlier answer would hide the present one
        kept.keep(mark, answer, asked_at)
        return answer

    async def _fetch(self, asker: IntrospectionClient, token: bytes) -> Mapping[str, Any] | None:
        fields: dict[str, str | Secret] = {
            "token": Secret(token.decode("ascii"), "token"),
            "token_type_hint": "access_token",
        }
        auth: tuple[str, Secret] | None = (asker.client_id, asker.client_secret)
        if asker.method != METHODS[0]:
            fields |= {"client_id": asker.client_id, "client_secret": asker.client_secret}
            auth = None
        fetched = await self._client.post_form(asker.url, fields, auth=auth, max_bytes=LONGEST)
        value = fetched.value
        # Only true is yes: "true", 1 and an answer without the member come from a provider that does not know.
        if fetched.status != 200 or not isinstance(value, Mapping) or not isinstance(value.get("active"), bool):
            raise NoAnswer(f"the answer is {fetched.status} and does not say whether the token is active")
        return value if value["active"] is True else None


class _Answers:
    """Answers by the mark of their token, bounded by number and by bytes. All are kept equally long."""

    def __init__(self) -> None:
        self._answers: dict[bytes, Introspected] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, mark: bytes) -> Introspected | None:
        return self._answers.get(mark)

    def forget(self, mark: bytes) -> None:
        answer = self._answers.pop(mark, None)
        if answer is not None:
            self._bytes -= answer.size

    def keep(self, mark: bytes, answer: Introspected, now: float) -> None:
        """Keep an answer; the oldest make room, and so do those that hold no longer."""
        self.forget(mark)
        while self._answers:
            oldest = next(iter(self._answers))
            is_full = len(self._answers) >= MOST_KEPT or self._bytes + answer.size > MOST_BYTES
            if not is_full and self._answers[oldest].until > now:
                break
            self.forget(oldest)
        self._answers[mark] = answer
        self._bytes += answer.size
