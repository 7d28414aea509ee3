"""Serving until told to stop: binds the addresses, announces them, runs one process or several."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from math import ceil
from types import FrameType
from typing import Final

import uvicorn
from msgspec import Struct

from mcpward.app.inherited import READY, Inherited
from mcpward.app.lifespan import Lifespan
from mcpward.app.listeners import bind, bind_metrics
from mcpward.app.logs import LogRedaction, set_up
from mcpward.app.metric_snapshots import clear, folder_of
from mcpward.app.oauth import client_secrets, open_oauth
from mcpward.app.stopping import Server
from mcpward.app.supervisor import Supervisor
from mcpward.config.address import Address
from mcpward.config.model import Settings
from mcpward.core.clock import SystemClock
from mcpward.ingress.connection import Connection
from mcpward.operations.counters_url import counters_url
from mcpward.operations.cross_checks import registries_of, tell_names
from mcpward.operations.site import open_site
from mcpward.operations.sources import load_sources, source_names

_BACKLOG: Final = 2048


class Announcement(Struct, frozen=True):
    """What stands at the door once the addresses are bound: ``base`` is what clients prefix to a server's path.

    ``metrics_asked`` is another address than ``metrics`` where that one was taken.
    """

    base: str
    bound: Address
    metrics: Address | None
    metrics_asked: Address | None
    workers: int

    @property
    def metrics_moved(self) -> bool:
        """Whether /metrics is at another port than the settings say."""
        asked = self.metrics_asked
        return self.metrics is not None and asked is not None and asked.port not in (0, self.metrics.port)


def run(
    settings: Settings, prepare: Callable[[Announcement], Callable[[], None]], inherited: Inherited | None = None
) -> int:
    """Serve until SIGTERM or SIGINT, then finish the calls in flight. Returns the exit code.

    ``prepare`` makes what a first start hands over, and returns how to tell of it; that is called once the site takes
    connections. ``inherited`` has listeners that are bound already, and is told when the start is over.

    Raises:
        Misconfigured: a server's source cannot be loaded.
        Unreachable: an address cannot be bound.
    """
    set_up(settings.log, LogRedaction(), source_names(settings))
    if inherited is not None:
        inherited.require_same_addresses(settings)
        announcement = _announcement(settings, inherited.listener, inherited.metrics)
        return _run_one(settings, inherited.listener, inherited.metrics, announcement, prepare, inherited)
    listener = bind(settings.site.address)
    metrics: socket.socket | None = None
    try:
        metrics = bind_metrics(settings.site)
        announcement = _announcement(settings, listener, metrics)
        if settings.site.workers > 1:
            return _run_several(settings, listener, metrics, announcement, prepare)
        return _run_one(settings, listener, metrics, announcement, prepare)
    finally:
        listener.close()
        if metrics is not None:
            metrics.close()


def _run_one(
    settings: Settings,
    listener: socket.socket,
    metrics: socket.socket | None,
    announcement: Announcement,
    prepare: Callable[[Announcement], Callable[[], None]],
    inherited: Inherited | None = None,
) -> int:
    def opened() -> Callable[[], None]:
        tell = prepare(announcement) if inherited is None or inherited.is_first else None

        def told() -> None:
            if tell is not None:
                tell()
            if inherited is not None:
                inherited.report(READY)

        return told

    parent = None if inherited is None else inherited.parent
    lifespan = Lifespan(settings, announcement.bound, listener, metrics, parent, opened)
    server = Server(_configure(settings, lifespan), settings.site.shutdown_delay_s)
    _mind_signals(server)
    try:
        server.run([listener])
    except SystemExit:  # uvicorn's way to say that the lifespan did not start
        if lifespan.failure is None:
            raise
        raise lifespan.failure from None
    return 0


def _run_several(
    settings: Settings,
    listener: socket.socket,
    metrics: socket.socket | None,
    announcement: Announcement,
    prepare: Callable[[Announcement], Callable[[], None]],
) -> int:
    signal.signal(signal.SIGTERM, _leave_at_once)
    asyncio.run(_try(settings, announcement.bound))  # every mistake is told before any worker is started
    signal.signal(signal.SIGTERM, _leave)  # until the supervisor listens
    numbers = folder_of(settings.site.data)
    clear(numbers)
    tell = prepare(announcement)
    lifespan = Lifespan(settings, announcement.bound, listener, metrics, os.getpid())
    hangs_up = signal.getsignal(signal.SIGHUP)
    config = _configure(settings, lifespan)
    supervisor = Supervisor(config, listener, numbers, settings.site.shutdown_delay_s, tell)
    if hangs_up is signal.SIG_IGN:  # as under nohup
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    supervisor.run()
    return 1 if supervisor.has_failed else 0


async def _try(settings: Settings, bound: Address) -> None:
    counters_url(settings)
    async with open_site(settings) as site:
        vault = {name: await site.vault.load_all(name) for name in settings.servers}
    tell_names(registries_of(settings, load_sources(settings, vault)))
    async with open_oauth(settings, bound, client_secrets(settings, vault), SystemClock()):
        pass


def _announcement(settings: Settings, listener: socket.socket, metrics: socket.socket | None) -> Announcement:
    site = settings.site
    bound = _address_of(listener, site.address)
    return Announcement(
        base=site.public_url or f"{'https' if site.tls_cert else 'http'}://{_named(bound)}",
        bound=bound,
        metrics=_address_of(metrics, site.metrics_address) if metrics and site.metrics_address else None,
        metrics_asked=site.metrics_address,
        workers=site.workers,
    )


def _configure(settings: Settings, lifespan: Lifespan) -> uvicorn.Config:
    site = settings.site
    return uvicorn.Config(
        lifespan,
        http=Connection,
        ws="none",
        interface="asgi3",
        lifespan="on",
        loop="uvloop",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        workers=site.workers,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=ceil(site.drain_s),
        ssl_certfile=site.tls_cert,
        ssl_keyfile=site.tls_key,
    )


def _mind_signals(server: Server) -> None:
    """Keep a clean stop from looking like a crash; a signal that comes before uvicorn takes them ends the process.

    A lost terminal stops it as Ctrl-C does, unless that is to be ignored, as under nohup.
    """

    def stopped(_signal: int, _frame: FrameType | None) -> None:
        if not server.started:
            raise SystemExit(0)

    signal.signal(signal.SIGTERM, stopped)
    signal.signal(signal.SIGINT, stopped)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, server.handle_exit)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _leave_at_once(_signal: int, _frame: FrameType | None) -> None:
    """No exception: a source that is being loaded might catch it, or take its time. Nothing is served yet."""
    os._exit(0)


def _address_of(listener: socket.socket, asked: Address) -> Address:
    return Address(host=asked.host, port=listener.getsockname()[1])


def _named(bound: Address) -> str:
    return str(Address(host="127.0.0.1", port=bound.port)) if bound.is_wildcard else str(bound)
