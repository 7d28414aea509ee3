"""The counters that all processes of a site share: how they are opened and watched."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog
from msgspec import Struct

from mcpward.config.model import Settings
from mcpward.core.clock import Clock
from mcpward.crypto.digest import fingerprint
from mcpward.crypto.keyring import KeyRing
from mcpward.ingress.health import Probe
from mcpward.limits.concurrency.slot_request import SharedSlots
from mcpward.limits.rates.shared_port import Common
from mcpward.operations.counters_url import counters_url
from mcpward.traffic.metrics import Metrics

_log: Final = structlog.get_logger("mcpward")


class Counters(Struct, frozen=True):
    """The common counters and slots, and the keyed digest by which the loop breaker compares calls there.

    ``probes`` report whether the counters answer; without them mcpward continues, unless its limits are closed then.
    ``on_change`` is called whenever they have gone or come back.
    """

    common: Common | None = None
    slots: SharedSlots | None = None
    digest: Callable[[bytes], str] | None = None
    probes: tuple[Probe, ...] = ()
    on_change: list[Callable[[], None]] = []


@asynccontextmanager
async def open_counters(settings: Settings, clock: Clock, ring: KeyRing, metrics: Metrics) -> AsyncIterator[Counters]:
    """Open the counters of the site. If Redis does not answer, mcpward reports that and keeps trying.

    Raises:
        Misconfigured: its URL cannot be had.
    """
    url = counters_url(settings)
    if url is None:
        yield Counters()
        return
    from mcpward.limits.redis.shared_counters import SharedCounters
    from mcpward.limits.redis.shared_slots import RedisSlots
    from mcpward.limits.redis.store import SharedStore

    limits = settings.limits
    on_change: list[Callable[[], None]] = []

    def tell(is_up: bool, why: str) -> None:
        _tell(is_up, why)
        for hear in on_change:
            hear()

    store = SharedStore(
        url, namespace=limits.namespace, clock=clock, timeout_s=limits.counters_timeout_s, on_change=tell
    )
    metrics.gauges["mcpward_limit_store_up"] = lambda: float(store.is_up)
    metrics.counters["mcpward_limit_store_failures"] = lambda: float(store.failures)
    await store.start()
    try:
        yield Counters(
            common=SharedCounters(store, clock),
            slots=RedisSlots(store),
            digest=fingerprint(ring.derive_all("limits digests")[0]),
            probes=(Probe("counters", lambda: store.is_up, needed=limits.on_store_failure == "closed"),),
            on_change=on_change,
        )
    finally:
        await store.stop()


def _tell(is_up: bool, why: str) -> None:
    if is_up:
        _log.info("the shared counters answer")
    else:
        _log.warning("the shared counters are away: each limit holds as its on_store_failure says", why=why)
