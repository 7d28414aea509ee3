"""Charges requests: failed credentials to the address, everything else to the verified caller.

A call is charged to all of its limits or to none. They are its class, its key's own rate, its tool's own, the caller's
quota, the server's total, and the budgets behind the tool. Nothing that a request claims about itself chooses a bucket
(attack 107): only the address that ingress saw and ``Principal.key``. Times are monotonic, here or at the shared
counters, so a set clock opens no window (attack 105).

A call that draws only on its class, as nearly all do, is charged in place; all else is a list of draws.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from mcpward.config import limits as settings
from mcpward.core.clock import Clock
from mcpward.core.errors import Refusal
from mcpward.core.facts import RetryAfter
from mcpward.core.reasons import Reason
from mcpward.core.values import AuthMethod, Budget, Call, Enforcement, Principal, Rate, Tool
from mcpward.limits.rates.address import Addresses, require_admitted
from mcpward.limits.rates.bucket_report import BucketReport
from mcpward.limits.rates.bucket_usage import BucketFilter, BucketUsage
from mcpward.limits.rates.conversation import conversation_of
from mcpward.limits.rates.limit import Charge, Drawn, Fields, Limit, Loop, Standing, fields
from mcpward.limits.rates.loop_detector import OVER, REPEAT, repeated
from mcpward.limits.rates.memory import MemoryCounters, look_all, take_all
from mcpward.limits.rates.server_limits import READS, Budgets, ServerLimits
from mcpward.limits.rates.share import Shares
from mcpward.limits.rates.shared_port import Common, StoreDown

_MAX_OWN_LIMITS: Final = 10_000
_COMMON: Final = 10_000
_AWAY_S: Final = 1
_ANONYMOUS: Final = AuthMethod.ANONYMOUS
Digest = Callable[[bytes], str]
"""A keyed digest of bytes, the same at every worker of the site, as text."""


class Limits:
    """All rates and quotas of the site.

    Failed credentials, requests, strangers and verified callers are counted in stores of their own. So a flood of
    made-up addresses evicts no caller's bucket. With ``common`` counters (and ``digest`` for the loop breaker) the
    process counts by itself only while they are away.
    """

    def __init__(
        self,
        site: settings.SiteLimits,
        servers: Mapping[str, settings.ServerLimits],
        clock: Clock,
        *,
        budgets: Mapping[str, Budget] = {},
        workers: int = 1,
        common: Common | None = None,
        digest: Digest | None = None,
    ) -> None:
        self._now = clock.monotonic_ns
        self._common = common
        self._digest = digest
        self._ruling = Enforcement(on_store_failure=site.on_store_failure)
        self.addresses = Addresses(site, clock, common)
        self.admit = self.addresses.admit
        self._caller = None if site.caller is None else Limit("caller", "", site.caller.rate, site.caller.ruling)
        # Each worker counts the shared limits on its own, unless the counters are common.
        part = 1.0 if common is not None else 1 / workers
        self._shares = Shares(site.fallback_share / workers)
        self._strangers, self._callers, self._totals = self._stores = tuple(
            # There are as many buckets of shared limits as are set, and none of them may be evicted for another.
            MemoryCounters(clock, most)
            for most in (site.max_callers, site.max_callers, max(site.max_callers, _COMMON))
        )
        self._budgets = Budgets(budgets, part)
        self._plans = {
            name: ServerLimits(name, rates, clock, site.max_callers, part) for name, rates in servers.items()
        }
        #: Servers whose calls draw only on their class, unless the caller or the tool has a rate of its own.
        plain = {name: plan for name, plan in self._plans.items() if plan.is_plain}
        self._plain = plain if common is None and self._caller is None else {}
        self._own: dict[tuple[str, Rate], Limit] = {}

    def price(self, tool: Tool, arguments: Mapping[str, Any]) -> list[Drawn]:
        """Return the cost of a call of the tool for each of its budgets. Charges nothing.

        Raises:
            Refusal: arguments-invalid; the call would cost more than a budget ever grants at once.
            Fault: the author's function for a cost failed, or returned no whole number from 0 on.
        """
        return [(each, each.prefix, cost) for each, cost in self._budgets.priced(tool, arguments)]

    def require(self, call: Call, tool: Tool) -> None:
        """Refuse a call that its caller's limits would refuse, as far as that is known without a request.

        For calls whose arguments are looked at before they are charged: a flood must not have that for nothing.

        Raises:
            Refusal: rate-exceeded, as :meth:`charge` does.
        """
        plan, common = self._plans[call.principal.server], self._common
        drawn = self._drawn(plan, plan.classes[tool.access], call, tool)
        if common is not None and common.is_up:
            standings = common.recall(drawn)
        else:
            standings = look_all(self._slots(call.principal, drawn if common is None else self._parts(drawn)))
        _require(standings)

    def charge(self, call: Call, tool: Tool | None, budgets: Sequence[Drawn] = ()) -> Charge | Awaitable[Charge]:
        """Charge the caller; draws on the common counters are awaited.

        ``budgets`` is the result of :meth:`price`; none for a call whose arguments are wrong, because it will not run.

        Raises:
            Refusal: rate-exceeded, with a ``RetryAfter`` that names the limit and has ``headers``; repeated-call; busy,
                if a limit is closed while the common counters are away. Then nothing is charged, not even awaited
                draws.
        """
        principal = call.principal
        plan = self._plain.get(principal.server)
        if plan is None or budgets or principal.rate is not None or (tool is not None and tool.rate is not None):
            return self._charge_all(call, tool, budgets)
        limit = plan.classes[tool.access] if tool is not None else plan.of(call)
        store = self._strangers if principal.way is _ANONYMOUS else self._callers
        key = limit.prefix + principal.key
        young = store.young
        tat = young[key]
        now = self._now()
        ahead = (tat - now if tat > now else 0) + limit.interval
        spare = limit.tolerance - ahead
        if spare < 0:
            raise _exceeded([store.look(limit, key, 1)])
        repeats = tool is not None and plan.repeats.require(call, tool.access, now)
        young[key] = now + ahead
        charge = limit.charges.get(spare // limit.cell) or limit.charged(spare)
        return charge if not repeats else Charge(charge.headers, _loops(repeats), is_again=True)

    def give_back(
        self,
        call: Call,
        tool: Tool | None,
        charge: Charge,
        *,
        rates: bool = True,
        budgets: bool = True,
        loop: bool = True,
    ) -> None:
        """Undo a charge, or a part of it: its draws on rates and on budgets, and its count in the loop breaker.

        Each draw is returned where it was taken, even if the counters, the tool or its costs have changed since.
        """
        plan = self._plans[call.principal.server]
        taken = charge.taken
        if taken is None:
            limit = plan.classes[tool.access] if tool is not None else plan.of(call)
            taken = ((limit, limit.prefix + call.principal.key, 1),)
        taken = tuple(
            each for each in taken if (loop if each[0].name == REPEAT else budgets if each[0].is_budget else rates)
        )
        if charge.is_common:
            if self._common is not None:
                self._common.give_back(taken, charge.loop if loop else None)
            return
        for store, each, key, cost in self._slots(call.principal, taken):
            store.add(each, key, -cost)
        if loop and tool is not None and REPEAT not in charge.would_refuse:
            plan.repeats.give_back(call, tool.access)

    def note(self, call: Call, *, answered: bool) -> None:
        """Note whether a call that was made again (``Charge.is_again``) ran to an answer."""
        self._plans[call.principal.server].repeats.note(call, answered=answered)

    # ---- for the operator -----------------------------------------------------------------------------------------

    async def uses(self, match: BucketFilter) -> list[BucketUsage]:
        """Return the standing of every selected bucket in use: of the site, or only of this process."""
        if self._common is not None and self._common.is_up:
            return await self._common.uses(match)
        return await self._report().uses(match)

    async def reset(self, match: BucketFilter) -> int:
        """Make every selected bucket full, and let loops begin anew; returns how many buckets there were."""
        found = 0 if self._common is None or not self._common.is_up else await self._common.reset(match)
        for name, plan in self._plans.items():
            if match.limit in {None, REPEAT} and match.server in {None, name}:
                plan.repeats.forget()
        return found + self._report().reset(match)

    def _report(self) -> BucketReport:
        addresses = self.addresses
        limits = [*self._own.values(), *self._budgets.all()]
        limits += [limit for plan in self._plans.values() for limit in plan.all()]
        limits += [] if self._caller is None else [self._caller]
        limits = limits if self._common is None else [self._shares.of(limit) for limit in limits]
        return BucketReport(self._stores, limits, addresses.stores)

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _drawn(self, plan: ServerLimits, limit: Limit, call: Call, tool: Tool | None) -> list[Drawn]:
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

    def _ready(self, name: str, scope: str, rate: Rate) -> Limit:
        limit = self._own.get((scope, rate))
        if limit is None:
            if len(self._own) >= _MAX_OWN_LIMITS:
                self._own.clear()
            limit = self._own[scope, rate] = Limit(name, scope, rate, self._ruling)
        return limit

    def _slots(self, principal: Principal, drawn: Sequence[Drawn]) -> list[tuple[MemoryCounters, Limit, str, int]]:
        own = self._strangers if principal.way is _ANONYMOUS else self._callers
        return [(self._totals if limit.is_common else own, limit, key, cost) for limit, key, cost in drawn]

    def _charge_all(self, call: Call, tool: Tool | None, budgets: Sequence[Drawn]) -> Charge | Awaitable[Charge]:
        """Charge a call that draws on more than its class, or is counted in common."""
        plan, common = self._plans[call.principal.server], self._common
        limit = plan.classes[tool.access] if tool is not None else plan.of(call)
        drawn = [*self._drawn(plan, limit, call, tool), *budgets]
        if common is None:
            return self._charge_here(drawn, plan, call, tool)
        if common.is_up:
            return self._charge_there(common, drawn, call, tool)
        return self._charge_alone(drawn, call, tool)

    def _charge_here(self, drawn: Sequence[Drawn], plan: ServerLimits, call: Call, tool: Tool | None) -> Charge:
        """Charge in memory. Nothing else runs meanwhile, so looking and taking are one."""
        slots = self._slots(call.principal, drawn)
        _require(look_all(slots))
        now = self._now()
        repeats = tool is not None and plan.repeats.require(call, tool.access, now)
        standings = take_all(slots)
        would = (*_shadows(standings), *_loops(repeats))
        return Charge(_shown(standings), would, _taken(drawn, standings), is_again=bool(repeats))

    def _charge_alone(self, drawn: Sequence[Drawn], call: Call, tool: Tool | None) -> Charge:
        """The common counters are away: each limit follows its enforcement."""
        loop = None if tool is None else self._plans[call.principal.server].loops[tool.access]
        limits = [limit for limit, _, _ in (*drawn, *self.addresses.drawn(call.principal, ""))]
        for limit in limits if loop is None else (*limits, loop):
            if limit.ruling.on_store_failure == "closed" and limit.ruling.enforce:
                detail = f"the counters are away, and {limit.name} is closed without them"
                raise Refusal(Reason.BUSY, detail, RetryAfter(_AWAY_S, policy=limit.name))
        is_open = loop is not None and loop.ruling.on_store_failure == "open"
        plan = self._plans[call.principal.server]
        return self._charge_here(self._parts(drawn), plan, call, None if is_open else tool)

    def _parts(self, drawn: Sequence[Drawn]) -> list[Drawn]:
        """Return the draws that this process counts while the common counters are away, on its parts of the limits."""
        return [
            (self._shares.of(limit), key, cost)
            for limit, key, cost in drawn
            if limit.ruling.on_store_failure == "local"
        ]

    async def _charge_there(self, common: Common, drawn: list[Drawn], call: Call, tool: Tool | None) -> Charge:
        mine, theirs = drawn, self.addresses.drawn(call.principal, call.arrival.bucket)
        plan = self._plans[call.principal.server]
        again, loop = ([], None) if tool is None else self._again(call, plan, tool)
        try:
            standings = await common.take([*mine, *theirs, *again], loop)
        except StoreDown:
            return self._charge_alone(mine, call, tool)
        first, last = len(mine), len(mine) + len(theirs)
        require_admitted(standings[first:last])
        _require(standings[:first])
        for standing in standings[last:]:
            if standing.refuses:
                raise repeated(standing.wait_s, plan.repeats.answered(call))
        # A request is one whether or not the call runs. If the call was part of a cycle, the cycle's draw stands last.
        round_ = [loop.drawn] if loop is not None and len(standings) > last + len(again) else []
        taken = _taken([*mine, *again, *round_], [*standings[:first], *standings[last:]])
        repeats = bool(again) and standings[last].remaining < again[0][0].most - 1
        return Charge(_shown(standings[:first]), _shadows(standings), taken, True, repeats, loop)

    def _again(self, call: Call, plan: ServerLimits, tool: Tool) -> tuple[list[Drawn], Loop | None]:
        """Return the loop detector's buckets for this call: exact repeats, and cycles.

        In its conversation first, if that is known, and then for its caller as a whole.
        """
        limit, wide = plan.loops[tool.access], plan.wide_loops[tool.access]
        if limit is None or wide is None:
            return [], None
        assert self._digest is not None  # comes with the common counters
        caller, raw = call.principal.key, call.arguments
        state = b"" if call.state is None else call.state.encode("utf-8", "surrogatepass")
        said = (call.target.encode(), state, b"" if raw is None else raw)  # no NUL is in the first and the last
        digest = self._digest(b"\0".join(said))
        total = (wide, f"{wide.prefix}{caller}\0{digest}", 1)
        spoken = conversation_of(call)
        if spoken is None:
            return [total], None
        key = f"{limit.prefix}{caller}\0{spoken}"
        # One ring for all classes: a cycle may read and write.
        loop = Loop(f"{call.principal.server}\0{caller}\0{spoken}", digest, (limit, key, 1))
        return [(limit, f"{key}\0{digest}", 1), total], loop


def _loops(repeats: int) -> tuple[str, ...]:
    return (REPEAT,) if repeats == OVER else ()


def _shown(standings: Sequence[Standing], worst: Standing | None = None) -> Fields:
    """Encode the limits that the caller may know. Omit shared limits, and limits that are not enforced."""
    own = [each for each in standings if each is worst or (each.limit.ruling.enforce and not each.limit.is_common)]
    return fields(own)


def _taken(drawn: Sequence[Drawn], standings: Sequence[Standing]) -> tuple[Drawn, ...]:
    """Return the draws that were taken: a limit that is not enforced takes nothing if it would refuse."""
    return tuple(each for each, standing in zip(drawn, standings, strict=False) if each[2] and not standing.wait_s)


def _shadows(standings: Sequence[Standing]) -> tuple[str, ...]:
    """Return the names of limits that would refuse a call which passed."""
    return tuple(dict.fromkeys(standing.limit.name for standing in standings if standing.wait_s))


def _require(standings: Sequence[Standing]) -> None:
    if any(standing.refuses for standing in standings):
        raise _exceeded(standings)


def _exceeded(standings: Sequence[Standing]) -> Refusal:
    """The limit that takes longest is named: coming back any sooner would be in vain."""
    worst = max((standing for standing in standings if standing.refuses), key=lambda standing: standing.wait_s)
    name = worst.limit.name
    headers = _shown(standings, worst)
    return Refusal(Reason.RATE_EXCEEDED, name, RetryAfter(worst.wait_s, policy=name, headers=headers))
