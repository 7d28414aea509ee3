"""The keys that an authorization server publishes (RFC 7517 §5), kept in step with it, within a budget.

Any sender can name a key that does not exist, so an unknown name may cause only few fetches (attack 23). Yet mcpward
follows a provider that changes its keys within seconds (attack 24), also if it gives an old name to a new key. Valid
keys stay through outages and through documents that are not fit to be keys (attacks 25 and 26).
"""

import asyncio
import logging
import re
from typing import Any, Final

from mcpward.core.clock import Clock
from mcpward.egress.client import Client
from mcpward.egress.response import Fetched
from mcpward.identity.jwt.issuer_rules import IssuerRules
from mcpward.identity.jwt.key_set import KeySet, Skipped, listed
from mcpward.identity.jwt.public_key import PublicKey
from mcpward.identity.oauth.outage import NoAnswer, outage, unavailable

_log: Final = logging.getLogger(__name__)
LONGEST: Final = 256 * 1024
KEEP_S: Final = 24 * 3600.0
"""For so long the last good keys open through an outage."""
GAP_S: Final = 4.0
"""Between fetches for unknown keys after one in vain: with the time of a fetch, a change is seen within 5 s."""
BUDGET_S: Final = 30.0
"""Between such fetches in a storm, and when they have brought nothing new twice."""
_FEW: Final = 4
"""A provider that changes its keys has one for each algorithm; more different unknown names are a storm."""
_MOST_WAITING: Final = 256
_SHORTEST_S: Final = 60.0
_USUAL_S: Final = 600.0
_LONGEST_S: Final = 3600.0
_ACCEPT: Final = "application/jwk-set+json, application/json"
_MAX_AGE: Final = re.compile(r"(?:^|[,\s])max-age=\"?(\d{1,9})\"?(?=$|[,\s])", re.IGNORECASE | re.ASCII).search


class Jwks:
    """The keys of one issuer, as far as ``rules`` allow them; ``name`` is the issuer's in the log.

    ``url`` is None until the address of the keys is known. ``changes`` counts how often another set has come: tokens
    verified under an earlier one must be checked again.
    """

    def __init__(self, name: str, client: Client, rules: IssuerRules, clock: Clock) -> None:
        self.url: str | None = None
        self.changes = 0
        self._client = client
        self._rules = rules
        self._now = clock.monotonic
        self._name = name
        self._outage = outage(_log, f"the keys of {name}")
        self._demand = _Demand()
        self._keys: KeySet | None = None
        self._skipped: frozenset[Skipped] = frozenset()
        self._document: Any = None
        self._good_at = float("-inf")
        self._fetched_at = float("-inf")
        self._due_at = float("-inf")
        self._flight: asyncio.Task[bool] | None = None
        self._waiting = 0

    @property
    def current(self) -> KeySet | None:
        """The last good set, or None if there is none, or it is from too long ago."""
        return None if self._now() - self._good_at > KEEP_S else self._keys

    def move(self, url: str | None) -> None:
        """Take the keys from ``url`` from now on."""
        if url != self.url:
            self.url = url
            self._due_at = float("-inf")

    def find(self, kid: str) -> PublicKey | None:
        """Return the key of that name at once, or None if it is not in the set: then :meth:`wait_for` must decide."""
        keys = self.current
        return None if keys is None else keys.find(kid)

    async def wait_for(self, kid: str) -> PublicKey | None:
        """Return the key, after a fetch from the provider if the budget has one. None: the provider has no such key.

        While the provider is out, its last good set counts (attack 25). Raises :class:`Refusal` (identity-unavailable)
        if there is no set, or if too many wait for an answer.
        """
        key = self.find(kid)
        if key is not None:
            return key
        self._demand.note(kid)
        if self._flight is not None or self._may_ask():
            await self._await_fetch()
        if self.current is None:
            raise unavailable("the keys of the issuer are not at hand")
        return self.find(kid)

    def may_doubt(self) -> bool:
        """Return whether a signature by no known key may cause a fetch from the provider now.

        Any sender can send such a token, so one fetch in vain must last for :data:`BUDGET_S`.
        """
        return self._flight is not None or (self.url is not None and self._demand.may_doubt(self._now()))

    async def doubt(self) -> None:
        """Look whether the provider assigned a known name to another key, if the budget allows it.

        Raises :class:`Refusal` (identity-unavailable) if too many wait for an answer.
        """
        if not self.may_doubt():
            return
        self._demand.doubt(self._now())
        await self._await_fetch()

    def is_due(self) -> bool:
        """Return whether it is time to fetch: the set has become old, or a caller has asked for a key it lacks."""
        is_old = self._now() >= self._due_at
        return self.url is not None and (is_old or (self._demand.is_open and self._may_ask()))

    async def refresh(self) -> bool:
        """Fetch from the provider now; concurrent callers share the one fetch. True if the document was good."""
        flight = self._flight
        if flight is None:
            flight = self._flight = asyncio.create_task(self._fetch(), name="identity-jwks")
        await asyncio.wait([flight])  # a cancelled waiter leaves the fetch to the others
        return not flight.cancelled() and flight.result()

    def _replace(self, keys: KeySet, document: Any) -> None:
        if self._keys is None or keys.entries != self._keys.entries:
            self.changes += 1
        self._keys, self._document = keys, document
        skipped = frozenset(keys.skipped)
        if skipped and skipped != self._skipped:
            level = logging.WARNING if any(one.is_flaw for one in skipped) else logging.INFO
            _log.log(level, "the keys of %s are used, except for skipped entries: %s",
                     self._name, listed(sorted(skipped)))  # fmt: skip
        self._skipped = skipped

    async def close(self) -> None:
        """Cancel the fetch that is under way."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.wait([self._flight])

    async def _await_fetch(self) -> None:
        if self._waiting >= _MOST_WAITING:
            raise unavailable("too many wait for the keys of the issuer")
        self._waiting += 1
        try:
            await self.refresh()
        finally:
            self._waiting -= 1

    def _may_ask(self) -> bool:
        return self.url is not None and self._now() - self._fetched_at >= self._demand.gap_s

    async def _fetch(self) -> bool:
        try:
            is_good = await self._take()
        finally:
            self._flight = None
            self._fetched_at = self._now()
        return is_good

    async def _take(self) -> bool:
        url, before = self.url, self.changes
        if url is None:
            return False
        try:
            fetched = await self._client.get_json(url, max_bytes=LONGEST, accept=_ACCEPT)
            if fetched.status != 200:
                raise NoAnswer(f"the answer is {fetched.status}")
            if self._keys is None or fetched.value != self._document:
                self._replace(KeySet.parse(fetched.value, self._rules), fetched.value)
        except Exception as error:  # noqa: BLE001 - whatever a document provokes, the last good set stays
            self._due_at = self._now() + self._outage.failed(error)
            self._demand.settle(self._now(), changed=False)
            return False
        self._outage.succeeded()
        self._good_at = self._now()
        self._due_at = self._good_at + lifetime(fetched)
        self._demand.settle(self._good_at, changed=self.changes != before)
        return True


class _Demand:
    """The unknown keys requested since the last fetch, and how long the next one has to wait for that.

    A doubt whether a known name still means the same key draws on the same budget. After two fetches in vain, whatever
    their cause, there is one in :data:`BUDGET_S` for both.
    """

    def __init__(self) -> None:
        self._kids: set[str] = set()
        self._is_doubted = False
        self._doubted_at = float("-inf")
        self._in_vain = 0
        self._in_vain_at = float("-inf")

    @property
    def is_open(self) -> bool:
        return bool(self._kids)

    @property
    def gap_s(self) -> float:
        """A first look waits for nothing: a key may be replaced a moment after the keys were fetched."""
        if self._in_vain >= 2 or len(self._kids) > _FEW:
            return BUDGET_S
        return GAP_S if self._in_vain else 0.0

    def note(self, kid: str) -> None:
        if len(self._kids) <= _FEW:
            self._kids.add(kid)

    def may_doubt(self, now: float) -> bool:
        return now - self._doubted_at >= BUDGET_S and (self._in_vain < 2 or now - self._in_vain_at >= BUDGET_S)

    def doubt(self, now: float) -> None:
        self._is_doubted, self._doubted_at = True, now

    def settle(self, now: float, *, changed: bool) -> None:
        """A fetch is over. One that brought new keys costs nothing: callers cannot make a provider change them."""
        if changed or now - self._in_vain_at > 2 * BUDGET_S:
            self._in_vain = 0
        if changed and self._is_doubted:
            self._doubted_at = now - BUDGET_S + GAP_S
        if not changed and (self._kids or self._is_doubted):
            self._in_vain += 1
            self._in_vain_at = now
        self._kids.clear()
        self._is_doubted = False


def lifetime(fetched: Fetched) -> float:
    """Return the seconds until a look is due: the answer's max-age (RFC 9111 §5.2.2.1), from a minute to an hour."""
    control = fetched.headers.get("cache-control", "")
    if re.search(r"no-(?:store|cache)", control, re.IGNORECASE):
        return _SHORTEST_S
    found = _MAX_AGE(control)
    return _USUAL_S if found is None else min(max(float(found[1]), _SHORTEST_S), _LONGEST_S)
