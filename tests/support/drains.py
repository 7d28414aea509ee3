"""Limits to draw on, and draws until nothing passes."""

import asyncio
import time

from mcpward.core.values import Enforcement, Period, Quota, Rate
from mcpward.limits.rates.limit import Limit

ANN = "api-key:ann"
BEN = "api-key:ben"


def rate(count=50, per_s=3600.0, name="read", scope="orders", **ruling):
    return Limit(name, scope, Rate(count, per_s, count), Enforcement(**ruling))


def quota(count=50, period=Period.DAY, name="quota-day", scope="orders", **ruling):
    return Limit(name, scope, Quota(count, period), Enforcement(**ruling))


def draw(limit, caller=ANN, cost=1):
    return (limit, limit.prefix + caller, cost)


async def passes(counters, *draws) -> bool:
    """Whether a call with these draws passes."""
    return not any(standing.refuses for standing in await counters.take(draws))


async def passing(counters, calls, *draws) -> int:
    """How many of so many parallel calls pass."""
    return sum(await asyncio.gather(*(passes(counters, *draws) for _ in range(calls))))


async def until_up(counters, within_s: float = 10.0) -> float:
    """Wait until the store is up; returns how long that took, in seconds."""
    began = time.monotonic()
    while not counters.is_up:
        assert time.monotonic() - began < within_s, "not up again"
        await asyncio.sleep(0.01)
    return time.monotonic() - began
