"""What a request costs, and who pays: the address for knocking, the verified caller for everything else.

Rates count per caller and class of tool; a key's own rate and a tool's own rate come on top, and a call is charged
to all of its buckets or to none. Nothing that a request claims about itself chooses a bucket (attack 107): only the
address that ingress saw and ``Principal.key``. All times are monotonic, so a set clock opens no window (attack 105).
"""

from collections.abc import Mapping
from typing import Final

from mcpward.core.clock import Clock
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.scope import Access
from mcpward.core.values import Call, Kind, Principal, Rate, Tool, Way
from mcpward.limits.gcra import SECOND, moved, retry_after_s
from mcpward.limits.lease import Lease
from mcpward.limits.memory import MemoryCounters
from mcpward.limits.rate import Charge, Limit, ServerRates, SiteRates, fields
from mcpward.limits.repeat import Repeats

_MAX_OWN_LIMITS: Final = 10_000
#: Not only looking around: an author's function runs, so these count as reading.
_READS: Final = frozenset({"resources/read", "prompts/get"})


class _Plan:
    """The limits of one server, made ready."""

    __slots__ = ("classes", "discovery", "lease", "lifecycle", "repeats")

    def __init__(self, name: str, rates: ServerRates, clock: Clock, max_callers: int) -> None:
        # In the order of Access: a tool's class is the index.
        self.classes = (
            Limit("read", name, rates.read),
            Limit("write", name, rates.write),
            Limit("destructive", name, rates.destructive),
        )
        self.discovery = Limit("discovery", name, rates.discovery)
        self.lifecycle = Limit("lifecycle", name, rates.lifecycle)
        self.lease = Lease(rates.concurrency, rates.queue, rates.queue_timeout_s)
        self.repeats = None if rates.repeat is None else Repeats(rates.repeat, clock, max_callers)

    def of(self, call: Call) -> Limit:
        """Give the limit of what is no tool call.

        Lists must not use up what keeps a conversation going: a client that gets 429 for ``server/discover`` falls
        back to the other era and asks twice as much (trap T7), and one whose cancellation is refused cannot cancel.
        """
        if call.kind is Kind.CATALOGUE:
            return self.classes[Access.READ] if call.method in _READS else self.discovery
        return self.discovery if call.kind is Kind.STREAM else self.lifecycle


class Limits:
    """All limits of the site.

    Knocks, arrivals, strangers and verified callers are counted in stores of their own, so that a flood of made-up
    addresses makes no caller's bucket forgotten.
    """

    def __init__(self, site: SiteRates, servers: Mapping[str, ServerRates], clock: Clock) -> None:
        self._monotonic = clock.monotonic
        self._knock = Limit("knocks", "", site.knocks)
        self._arrival = Limit("arrivals", "", site.arrivals)
        self._knocks = MemoryCounters(clock, site.max_callers)
        self._arrivals = MemoryCounters(clock, site.max_callers)
        self._strangers = MemoryCounters(clock, site.max_callers)
        self._callers = MemoryCounters(clock, site.max_callers)
        self._plans = {name: _Plan(name, rates, clock, site.max_callers) for name, rates in servers.items()}
        self._own: dict[tuple[str, Rate], Limit] = {}

    def admit(self, bucket: str) -> None:
        """Let a request of this address in, before anything is looked up for it.

        Raises:
            Refusal: too-many-knocks, with ``retry_after_s``: too many failed credentials, or too many requests.
        """
        now = int(self._monotonic() * SECOND)
        tat = self._knocks.get(bucket)
        limit = self._knock
        if tat - now + limit.interval > limit.tolerance:
            raise _too_many(limit, self._knocks.heal(bucket, tat, now, limit.gcra), now)
        tat = self._arrivals.get(bucket)
        limit = self._arrival
        ahead = (tat - now if tat > now else 0) + limit.interval
        if ahead > limit.tolerance:
            raise _too_many(limit, self._arrivals.heal(bucket, tat, now, limit.gcra), now)
        self._arrivals.put(bucket, now + ahead)

    def knock(self, bucket: str) -> None:
        """Count a failed credential against the address."""
        now = int(self._monotonic() * SECOND)
        limit, tat = self._knock, self._knocks.get(bucket)
        after = moved(tat, now, limit.gcra)
        if after - now <= limit.tolerance:
            self._knocks.put(bucket, after)

    def charge(self, call: Call, tool: Tool | None) -> Charge:
        """Charge the caller: a tool call to the class of its tool, anything else as :meth:`_Plan.of` says.

        Raises:
            Refusal: rate-exceeded, with ``retry_after_s``, ``policy`` (the limit's name) and ``headers``, and nothing
                is charged; repeated-call, and the call counts, so a loop that does not listen runs into its rate.
        """
        now = int(self._monotonic() * SECOND)
        principal = call.principal
        plan = self._plans[principal.server]
        limit = plan.classes[tool.access] if tool is not None else plan.of(call)
        store = self._strangers if principal.way is Way.ANONYMOUS else self._callers
        if principal.rate is not None or (tool is not None and tool.rate is not None):
            charge = self._charge_all(self._all(limit, principal, tool), store, principal.key, now)
        else:
            key = limit.prefix + principal.key
            tat = store.get(key)
            ahead = (tat - now if tat > now else 0) + limit.interval
            if ahead > limit.tolerance:
                tat = store.heal(key, tat, now, limit.gcra)
                raise _exceeded(limit, tat, now, [(limit, tat)])
            store.put(key, now + ahead)
            charge = limit.charged(ahead)
        if tool is not None and plan.repeats is not None:
            plan.repeats.require(call, now)
        return charge

    def lease(self, server: str) -> Lease:
        """Give the places of a server: ``async with limits.lease(name):``."""
        return self._plans[server].lease

    def _all(self, limit: Limit, principal: Principal, tool: Tool | None) -> list[Limit]:
        """Every limit of this call: its class, its key's own, its tool's own."""
        limits = [limit]
        if principal.rate is not None:
            limits.append(self._ready("key", "", principal.rate))
        if tool is not None and tool.rate is not None:
            limits.append(self._ready("tool", f"{tool.server}\0{tool.name}", tool.rate))
        return limits

    def _ready(self, name: str, scope: str, rate: Rate) -> Limit:
        limit = self._own.get((scope, rate))
        if limit is None:
            if len(self._own) >= _MAX_OWN_LIMITS:
                self._own.clear()
            limit = self._own[scope, rate] = Limit(name, scope, rate)
        return limit

    def _charge_all(self, limits: list[Limit], store: MemoryCounters, caller: str, now: int) -> Charge:
        keys = [limit.prefix + caller for limit in limits]
        before = [
            (limit, store.heal(key, store.get(key), now, limit.gcra)) for limit, key in zip(limits, keys, strict=True)
        ]
        after = [(limit, moved(tat, now, limit.gcra)) for limit, tat in before]
        # The one that takes longest is named: coming back any sooner would be in vain.
        limit, latest = max(after, key=lambda pair: pair[1] - pair[0].tolerance)
        if latest - now > limit.tolerance:
            raise _exceeded(limit, latest - limit.interval, now, before)
        for key, (_, tat) in zip(keys, after, strict=True):
            store.put(key, tat)
        return Charge(fields(after, now))


def _too_many(limit: Limit, tat: int, now: int) -> Refusal:
    wait_s = retry_after_s(moved(tat, now, limit.gcra), now, limit.gcra)
    return Refusal(Reason.TOO_MANY_KNOCKS, limit.name, retry_after_s=wait_s)


def _exceeded(limit: Limit, tat: int, now: int, standing: list[tuple[Limit, int]]) -> Refusal:
    return Refusal(
        Reason.RATE_EXCEEDED,
        limit.name,
        retry_after_s=retry_after_s(moved(tat, now, limit.gcra), now, limit.gcra),
        policy=limit.name,
        headers=fields(standing, now),
    )
