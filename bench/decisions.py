"""One decision about one call, again and again in this process: in memory, on Redis, and by the package ``limits``."""

import asyncio
import gc
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import uvloop

from mcpward.config.model import ServerLimits, SiteLimits
from mcpward.core.clock import SystemClock
from mcpward.core.scope import Access
from mcpward.core.secret import Secret
from mcpward.core.values import Arrival, AuthMethod, Budget, Call, Draw, Era, Kind, Period, Principal, Quota, Rate, Tool
from mcpward.limits.concurrency.slots import CallSlots
from mcpward.limits.rates.charge import Limits

CALLS = 50_000
TURNS = 5
CALLERS = 1_000_000
#: Decisions under way at the same time, as connections are in the table of calls.
AT_ONCE = 32
SECONDS = 2.0
OFTEN = "900000000/minute"


def memory_us() -> dict[str, float]:
    """Return the µs of CPU that a call pays for its charge and its slots in memory, for calls of several kinds.

    The least of several turns, as ``timeit`` has it: what is more was somebody else's.
    """
    plain, dear = _tool("add"), _tool("dear", draws=(Draw(budget="stripe"),), rate=Rate(10**9, 60.0, 10**9))
    pooled = _tool("pooled", pools=("orders",))
    budgets = {"stripe": Budget(name="stripe", rate=Rate(10**9, 1.0, 10**9), quota=Quota(10**9, Period.DAY))}
    wide = {"caller": OFTEN}
    many = {"total": OFTEN, "quota": "900000000/day"}
    return {
        "a rate, the loop breaker, slots of server and caller": _charged(_limits(), plain),
        "the same with the loop breaker off": _charged(_limits(server={"repeat_read": ""}), plain),
        "and a place of a pool": _charged(_limits(), pooled),
        "seven limits: class, tool, caller, quota, total, a budget's rate and quota": _charged(
            _limits(site=wide, server=many, budgets=budgets), dear
        ),
        "a refusal": _charged(_limits(server={"read": "1/hour"}), plain),
    }


def callers_mb() -> tuple[float, float]:
    """Return the MB that the first 100,000 of a million callers cost, and that all of them do."""
    limits, tool = _limits()[0], _tool("add")
    gc.collect()
    before, after = _resident(), 0
    for number in range(CALLERS):
        _pay(limits, _call(tool, number, f"api-key:{number:012d}"), tool)
        if number == CALLERS // 10:
            after = _resident()
    return (after - before) / 1e6, (_resident() - before) / 1e6


def shared_rates(port: int) -> dict[str, float]:
    """Return decisions a second, ``AT_ONCE`` at a time: ours and those of ``limits``, in memory and on Redis."""
    return {
        "mcpward, memory": _ours_in_memory(),
        "mcpward, Redis": uvloop.run(_ours(port)),
        "limits moving window, memory": uvloop.run(_theirs("async+memory://")),
        "limits moving window, Redis": uvloop.run(_theirs(f"async+redis://127.0.0.1:{port}", implementation="redispy")),
    }


# ---- in memory ------------------------------------------------------------------------------------------------------


def _limits(
    *, site: Mapping[str, Any] = {}, server: Mapping[str, Any] = {}, budgets: Mapping[str, Budget] = {}
) -> tuple[Limits, CallSlots]:
    from mcpward.core.values import Pool

    rates = {"bench": ServerLimits(**({"read": OFTEN} | dict(server)))}
    limits = Limits(SiteLimits(**site), rates, SystemClock(), budgets=budgets)
    return limits, CallSlots(rates, {"orders": Pool(name="orders", slots=64)})


def _charged(made: tuple[Limits, CallSlots], tool: Tool) -> float:
    limits, slots = made
    principal = _principal("api-key:bench")
    found = []
    for turn in range(TURNS):
        calls = [_call(tool, turn * CALLS + number, principal=principal) for number in range(CALLS)]
        gc.collect()
        gc.disable()
        try:
            bare = _timed(partial(_nothing, calls))
            found.append((_timed(partial(_loop, limits, slots, calls, tool)) - bare) / CALLS * 1e6)
        finally:
            gc.enable()
    return min(found)


def _timed(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _nothing(calls: list[Call]) -> None:
    for _ in calls:
        pass


def _loop(limits: Limits, slots: CallSlots, calls: list[Call], tool: Tool) -> None:
    async def go() -> None:
        for call in calls:
            try:
                limits.charge(call, tool, limits.price(tool, {}) if tool.draws else ())
            except Exception:  # noqa: BLE001 - a refusal is one of the things measured
                continue
            async with slots.lease("bench", call.principal.key, tool):
                pass

    try:
        go().send(None)  # nothing in it waits
    except StopIteration:
        return
    raise AssertionError("something waited")


def _pay(limits: Limits, call: Call, tool: Tool) -> None:
    limits.charge(call, tool)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# ---- shared ---------------------------------------------------------------------------------------------------------


def _ours_in_memory() -> float:
    (limits, _), tool = _limits(), _tool("add")
    principals = [_principal(f"api-key:{number}") for number in range(1000)]
    calls = [_call(tool, number, principal=principals[number % 1000]) for number in range(CALLS)]
    return CALLS / _timed(lambda: [limits.charge(call, tool) for call in calls])


async def _ours(port: int) -> float:
    from mcpward.limits.redis.shared_counters import SharedCounters
    from mcpward.limits.redis.store import SharedStore

    clock, tool = SystemClock(), _tool("add")
    url = Secret(f"redis://127.0.0.1:{port}")
    store = SharedStore(url, namespace="bench", clock=clock, timeout_s=5.0, on_change=lambda *_: None)
    await store.start()
    rates = {"bench": ServerLimits(read=OFTEN)}
    site = SiteLimits(requests=OFTEN)
    common = SharedCounters(store, clock)
    limits = Limits(site, rates, clock, common=common, digest=lambda data: f"{hash(data):x}")
    principals = [_principal(f"api-key:{number}") for number in range(1000)]
    numbers = count()

    async def decide() -> None:
        number = next(numbers)
        await limits.charge(_call(tool, number, principal=principals[number % 1000]), tool)  # type: ignore[misc]

    try:
        return await _rate(decide)
    finally:
        await store.stop()


async def _theirs(url: str, **options: Any) -> float:
    from limits import parse
    from limits.aio.strategies import MovingWindowRateLimiter
    from limits.storage import storage_from_string

    limiter = MovingWindowRateLimiter(storage_from_string(url, **options))  # type: ignore[arg-type]
    limit = parse(OFTEN.replace("/", " per "))
    numbers = count()

    async def decide() -> None:
        if not await limiter.hit(limit, f"api-key:{next(numbers) % 1000}"):
            raise AssertionError("refused")

    return await _rate(decide)


async def _rate(decide: Callable[[], Awaitable[None]]) -> float:
    done = 0

    async def one(until: float) -> None:
        nonlocal done
        while time.perf_counter() < until:
            await decide()
            done += 1

    for seconds in (0.3, SECONDS):
        done, started = 0, time.perf_counter()
        await asyncio.gather(*(one(started + seconds) for _ in range(AT_ONCE)))
        took = time.perf_counter() - started
    return done / took


# ---- calls ----------------------------------------------------------------------------------------------------------


def _principal(key: str) -> Principal:
    return Principal(key=key, way=AuthMethod.API_KEY, server="bench", subject=key, key_id=key)


def _tool(name: str, **more: Any) -> Tool:
    return Tool(server="bench", name=name, access=Access.READ, listing={}, bind=lambda _: {}, run=dict, **more)


_ARRIVAL = Arrival(
    id="0",
    at=0.0,
    started=0.0,
    peer="192.0.2.7",
    bucket="192.0.2.7",
    verb="POST",
    server="bench",
    headers={},
    connection=1,
)


def _call(tool: Tool, number: int, key: str = "", principal: Principal | None = None) -> Call:
    return Call(
        arrival=_ARRIVAL,
        principal=principal or _principal(key),
        era=Era.MODERN,
        version="2026-07-28",
        kind=Kind.TOOL,
        method="tools/call",
        id=1,
        target=tool.name,
        arguments=b'{"a":%d,"b":2,"text":"order %d of customer 17","flag":true}' % (number, number),
    )
