"""What a request costs, and who pays: the address for knocking, the verified caller for everything else.

A call is charged to all of its limits or to none: its class, its key's own rate, its tool's own, the caller's quota,
the server's total, the budgets behind the tool. Nothing that a request claims about itself chooses a bucket
(attack 107): only the address that ingress saw and ``Principal.key``. Times are monotonic, here or at the shared
counters, so a set clock opens no window (attack 105).

A call that draws on its class alone, as nearly all do, is charged in place; all else is a list of draws.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from mcpward.core.clock import Clock
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import AcceptedCall, Budget, Call, Principal, Rate, Ruling, Tool, Way
from mcpward.limits.address import Addresses, require_admitted
from mcpward.limits.counters import Common, StoreDown
from mcpward.limits.gcra import SECOND
from mcpward.limits.limit import Charge, Drawn, Limit, Loop, Standing, fields
from mcpward.limits.memory import MemoryCounters, take_all
from mcpward.limits.plan import READS, Budgets, Plan
from mcpward.limits.rate import ServerRates, SiteRates
from mcpward.limits.repeat import REPEAT
from mcpward.limits.share import Shares
from mcpward.limits.usage import Shelf
from mcpward.limits.use import Match, Use

_MAX_OWN_LIMITS: Final = 10_000
_AWAY_S: Final = 1
_NO_ARGUMENTS: Final[Mapping[str, Any]] = {}
Digest = Callable[[bytes], str]
"""A keyed digest of bytes, the same at every worker of the site, as text."""


class Limits:
    """All rates and quotas of the site.

    Knocks, arrivals, strangers and verified callers are counted in stores of their own, so that a flood of made-up
    addresses makes no caller's bucket forgotten. With ``common`` counters (and ``digest`` for the loop breaker) the
    process counts by itself only while they are away.
    """

    def __init__(
        self,
        site: SiteRates,
        servers: Mapping[str, ServerRates],
        clock: Clock,
        *,
        budgets: Mapping[str, Budget] = {},
        workers: int = 1,
        common: Common | None = None,
        digest: Digest | None = None,
    ) -> None:
        self._monotonic = clock.monotonic
        self._common = common
        self._digest = digest
        self._ruling = Ruling(on_store_failure=site.on_store_failure)
        self._addresses = Addresses(site, clock, common)
        self.admit, self.knock = self._addresses.admit, self._addresses.knock
        self.knock_soon = self._addresses.knock_soon
        self._caller = None if site.caller is None else Limit("caller", "", site.caller.rate, site.caller.ruling)
        # What all callers share is counted by each worker on its own, unless the counters are common.
        part = 1.0 if common is not None else 1 / workers
        self._shares = Shares(site.fallback_share / workers)
        self._strangers, self._callers, self._totals = self._stores = tuple(
            MemoryCounters(clock, site.max_callers) for _ in range(3)
        )
        self._budgets = Budgets(budgets, part)
        self._plans = {name: Plan(name, rates, clock, site.max_callers, part) for name, rates in servers.items()}
        self._own: dict[tuple[str, Rate], Limit] = {}

    def charge(
        self, call: Call, tool: Tool | None, accepted: AcceptedCall | None = None, *, budgets: bool = True
    ) -> Charge | Awaitable[Charge]:
        """Charge the caller; what has to be asked of the common counters is awaited.

        ``accepted`` has the arguments, for budgets whose cost depends on them. Without ``budgets`` they are left alone:
        the call's arguments are wrong, so it will not run.

        Raises:
            Refusal: rate-exceeded, with ``retry_after_s``, ``policy`` (the limit's name) and ``headers``;
                repeated-call; busy, where a limit is closed while the common counters are away; arguments-invalid for
                a cost above its budget. Nothing is charged then, not even awaited things.
        """
        principal = call.principal
        plan = self._plans[principal.server]
        limit = plan.classes[tool.access] if tool is not None else plan.of(call)
        common = self._common
        if common is not None:
            drawn = self._drawn(plan, limit, call, tool) + self._drawn_of(tool, accepted, budgets=budgets)
            if common.is_up:
                return self._charge_there(common, drawn, call, tool)
            return self._charge_alone(drawn, call, tool)
        if not plan.is_plain or self._has_more(principal, tool):
            drawn = self._drawn(plan, limit, call, tool) + self._drawn_of(tool, accepted, budgets=budgets)
            return self._charge_here(drawn, plan, call, tool)
        now = int(self._monotonic() * SECOND)
        store = self._strangers if principal.way is Way.ANONYMOUS else self._callers
        key = limit.prefix + principal.key
        tat = store.get(key, 0)
        ahead = (tat - now if tat > now else 0) + limit.interval
        if ahead > limit.tolerance:
            store.heal(key, tat, now, limit.gcra)
            raise _exceeded([store.look(limit, key, 1)])
        would = tool is not None and plan.repeats.require(call, tool.access, now)
        store.put(key, now + ahead)
        charge = limit.charged(ahead)
        return charge if not would else Charge(charge.headers, (REPEAT,))

    def give_back(
        self, call: Call, tool: Tool | None, accepted: AcceptedCall | None = None, *, budgets_only: bool = False
    ) -> None:
        """Undo a charge, or what it drew on budgets alone: the call did not run."""
        plan = self._plans[call.principal.server]
        limit = plan.classes[tool.access] if tool is not None else plan.of(call)
        drawn = [] if budgets_only else self._drawn(plan, limit, call, tool)
        drawn += self._drawn_of(tool, accepted)
        common = self._common
        if common is not None and common.is_up:
            common.give_back(drawn)
        else:
            for store, each, key, cost in self._slots(call.principal, drawn if common is None else self._parts(drawn)):
                store.add(each, key, -cost)

    # ---- for the operator -----------------------------------------------------------------------------------------

    async def uses(self, match: Match) -> list[Use]:
        """Give the standing of every bucket that is meant and in use: of the site, or of this process alone."""
        if self._common is not None and self._common.is_up:
            return await self._common.uses(match)
        return await self._shelf().uses(match)

    async def reset(self, match: Match) -> int:
        """Make every bucket full that is meant, and let loops begin anew; gives how many buckets there were."""
        found = 0 if self._common is None or not self._common.is_up else await self._common.reset(match)
        for name, plan in self._plans.items():
            if match.limit in {None, REPEAT} and match.server in {None, name}:
                plan.repeats.forget()
        return found + self._shelf().reset(match)

    def _shelf(self) -> Shelf:
        addresses = self._addresses
        limits = [*self._own.values(), *self._budgets.all()]
        limits += [limit for plan in self._plans.values() for limit in plan.all()]
        limits += [] if self._caller is None else [self._caller]
        limits = limits if self._common is None else [self._shares.of(limit) for limit in limits]
        return Shelf((*addresses.stores, *self._stores), [addresses.knocks, addresses.arrivals, *limits])

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _has_more(self, principal: Principal, tool: Tool | None) -> bool:
        more = principal.rate is not None or self._caller is not None
        return more or (tool is not None and (tool.rate is not None or bool(tool.draws)))

    def _drawn(self, plan: Plan, limit: Limit, call: Call, tool: Tool | None) -> list[Drawn]:
        """Every rate and quota that this call draws on, with its bucket and cost."""
        principal = call.principal
        limits = [limit]
        if principal.rate is not None:
            limits.append(self._ready("key", "", principal.rate))
        if tool is not None and tool.rate is not None:
            limits.append(self._ready("tool", f"{tool.server}\0{tool.name}", tool.rate))
        if tool is not None or call.method in READS:
            limits += [more for more in (self._caller, plan.quota, plan.total) if more is not None]
        return [(each, each.prefix if each.is_common else each.prefix + principal.key, 1) for each in limits]

    def _drawn_of(self, tool: Tool | None, accepted: AcceptedCall | None, *, budgets: bool = True) -> list[Drawn]:
        """Every budget that this call draws on."""
        if tool is None or not tool.draws or not budgets:
            return []
        arguments = _NO_ARGUMENTS if accepted is None else accepted.arguments
        return [(each, each.prefix, cost) for each, cost in self._budgets.priced(tool, arguments)]

    def _ready(self, name: str, scope: str, rate: Rate) -> Limit:
        limit = self._own.get((scope, rate))
        if limit is None:
            if len(self._own) >= _MAX_OWN_LIMITS:
                self._own.clear()
            limit = self._own[scope, rate] = Limit(name, scope, rate, self._ruling)
        return limit

    def _slots(self, principal: Principal, drawn: Sequence[Drawn]) -> list[tuple[MemoryCounters, Limit, str, int]]:
        own = self._strangers if principal.way is Way.ANONYMOUS else self._callers
        return [(self._totals if limit.is_common else own, limit, key, cost) for limit, key, cost in drawn]

    def _charge_here(self, drawn: Sequence[Drawn], plan: Plan, call: Call, tool: Tool | None) -> Charge:
        """Charge in memory. Nothing else runs meanwhile, so looking and taking are one."""
        slots = self._slots(call.principal, drawn)
        standings = [store.look(limit, key, cost) for store, limit, key, cost in slots]
        _require(standings)
        now = int(self._monotonic() * SECOND)
        would = tool is not None and plan.repeats.require(call, tool.access, now)
        charge = _charged(take_all(slots))
        return charge if not would else Charge(charge.headers, (*charge.would_refuse, REPEAT))

    def _charge_alone(self, drawn: Sequence[Drawn], call: Call, tool: Tool | None) -> Charge:
        """The common counters are away: each limit holds as its ruling says."""
        loop = None if tool is None else self._plans[call.principal.server].loops[tool.access]
        limits = [limit for limit, _, _ in (*drawn, *self._addresses.drawn(""))]
        for limit in limits if loop is None else (*limits, loop):
            if limit.ruling.on_store_failure == "closed" and limit.ruling.enforce:
                detail = f"the counters are away, and {limit.name} is closed without them"
                raise Refusal(Reason.BUSY, detail, retry_after_s=_AWAY_S, policy=limit.name)
        is_open = loop is not None and loop.ruling.on_store_failure == "open"
        plan = self._plans[call.principal.server]
        return self._charge_here(self._parts(drawn), plan, call, None if is_open else tool)

    def _parts(self, drawn: Sequence[Drawn]) -> list[Drawn]:
        """Give the draws that this process counts while the common counters are away, on its parts of the limits."""
        return [
            (self._shares.of(limit), key, cost)
            for limit, key, cost in drawn
            if limit.ruling.on_store_failure == "local"
        ]

    async def _charge_there(self, common: Common, drawn: list[Drawn], call: Call, tool: Tool | None) -> Charge:
        mine, theirs = drawn, self._addresses.drawn(call.arrival.bucket)
        again, loop = [], None
        if tool is not None and (limit := self._plans[call.principal.server].loops[tool.access]) is not None:
            repeat, loop = self._loop(call, limit)
            again.append(repeat)
        try:
            standings = await common.take([*mine, *theirs, *again], loop)
        except StoreDown:
            return self._charge_alone(mine, call, tool)
        first, last = len(mine), len(mine) + len(theirs)
        require_admitted(standings[first:last])
        _require(standings[:first])
        for standing in standings[last:]:
            if standing.refuses:
                raise Refusal(Reason.REPEATED_CALL, REPEAT, retry_after_s=standing.wait_s, policy=REPEAT)
        return Charge(_charged(standings[:first]).headers, _shadows(standings))

    def _loop(self, call: Call, limit: Limit) -> tuple[Drawn, Loop]:
        """Give what the call draws on as a repetition of itself, and what it draws on where it goes round."""
        assert self._digest is not None  # comes with the common counters
        caller, raw = call.principal.key, call.arguments
        digest = self._digest(call.target.encode() + b"\0" + (b"" if raw is None else bytes(raw)))
        key = f"{limit.prefix}{caller}"
        # One ring for all classes: a circle may read and write.
        loop = Loop(f"{call.principal.server}\0{caller}", digest, (limit, key, 1))
        return (limit, f"{key}\0{digest}", 1), loop


def _charged(standings: Sequence[Standing]) -> Charge:
    shown = [standing for standing in standings if not standing.limit.is_common]
    return Charge(fields(shown), _shadows(standings))


def _shadows(standings: Sequence[Standing]) -> tuple[str, ...]:
    """Give the names of limits that would refuse a call which passed."""
    return tuple(dict.fromkeys(standing.limit.name for standing in standings if standing.wait_s))


def _require(standings: Sequence[Standing]) -> None:
    if any(standing.refuses for standing in standings):
        raise _exceeded(standings)


def _exceeded(standings: Sequence[Standing]) -> Refusal:
    """The limit that takes longest is named: coming back any sooner would be in vain."""
    worst = max((standing for standing in standings if standing.refuses), key=lambda standing: standing.wait_s)
    shown = [standing for standing in standings if not standing.limit.is_common or standing is worst]
    name = worst.limit.name
    return Refusal(Reason.RATE_EXCEEDED, name, retry_after_s=worst.wait_s, policy=name, headers=fields(shown))
