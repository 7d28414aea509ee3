"""Follows the external secret manager while a worker serves; its health is one of the worker's probes and metrics."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcpward.ingress.health import Probe
from mcpward.traffic.metrics import MANAGER_FAILURES, MANAGER_UP, Metrics
from mcpward.vault.managed_follower import ManagedFollower


@asynccontextmanager
async def follow_manager(manager: ManagedFollower | None, metrics: Metrics) -> AsyncIterator[tuple[Probe, ...]]:
    """Keep the secrets in step until the end of the block; returns the probes, none without a manager."""
    if manager is None:
        yield ()
        return
    metrics.gauges[MANAGER_UP] = lambda: float(manager.is_whole)
    metrics.counters[MANAGER_FAILURES] = lambda: float(manager.failures)
    await manager.start()
    try:
        yield (Probe("secrets", lambda: manager.is_whole, needed=False),)
    finally:
        await manager.stop()
