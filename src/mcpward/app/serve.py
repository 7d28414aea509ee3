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
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from mcpward.app.counters import counters_url
from mcpward.app.defined import registries_of, tell_names
from mcpward.app.inherited import READY, Inherited
from mcpward.app.lifespan import Lifespan
from mcpward.app.logs import Voice, set_up
from mcpward.app.numbers import clear, folder_of
from mcpward.app.oauth import client_secrets, open_oauth
from mcpward.app.sources import load_sources
from mcpward.config.address import Address
from mcpward.config.model import Settings
from mcpward.core.clock import SystemClock
from mcpward.core.errors import Unreachable
from mcpward.ingress.connection import Connection
from mcpward.operations.site import open_site

_BACKLOG: Final = 2048


class Announcement(Struct, frozen=True):
    """What stands at the door once the addresses are bound: ``base`` is what clients prefix to a server's path."""

    base: str
    bound: Address
    metrics: Address | None
    workers: int


def run(settings: Settings, announce: Callable[[Announcement], None], inherited: Inherited | None = None) -> int:
    """Serve until SIGTERM or SIGINT, then finish the calls in flight. Gives the exit code.

    ``inherited`` has listeners that are bound already, and is told when the start is over.

    Raises:
        Misconfigured: a server's source cannot be loaded.
        Unreachable: an address cannot be bound.
    """
    set_up(settings.log, Voice())
    site = settings.site
    if inherited is not None:
        inherited.require_same_addresses(settings)
        announcement = _announcement(settings, inherited.listener, inherited.metrics)
        return _run_one(settings, inherited.listener, inherited.metrics, announcement, announce, inherited)
    listener = bind(site.address)
    metrics: socket.socket | None = None
    try:
        metrics = bind(site.metrics_address) if site.metrics_address is not None else None
        announcement = _announcement(settings, listener, metrics)
        if site.workers > 1:
            return _run_several(settings, listener, metrics, announcement, announce)
        return _run_one(settings, listener, metrics, announcement, announce)
    finally:
        listener.close()
        if metrics is not None:
            metrics.close()


def _run_one(
    settings: Settings,
    listener: socket.socket,
    metrics: socket.socket | None,
    announcement: Announcement,
    announce: Callable[[Announcement], None],
    inherited: Inherited | None = None,
) -> int:
    def opened() -> None:
        if inherited is None or inherited.is_first:
            announce(announcement)
        if inherited is not None:
            inherited.report(READY)

    parent = None if inherited is None else inherited.parent
    lifespan = Lifespan(settings, announcement.bound, metrics, parent, opened)
    server = uvicorn.Server(_configure(settings, lifespan))
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
    announce: Callable[[Announcement], None],
) -> int:
    signal.signal(signal.SIGTERM, _leave_at_once)
    asyncio.run(_try(settings, announcement.bound))  # every mistake is told before any worker is started
    signal.signal(signal.SIGTERM, _leave)  # until the supervisor listens
    clear(folder_of(settings.site.data))
    announce(announcement)
    lifespan = Lifespan(settings, announcement.bound, metrics, os.getpid())
    supervisor = _Supervisor(_configure(settings, lifespan), [listener])
    supervisor.run()
    return 1 if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes) else 0


class _Supervisor(Multiprocess):
    """Gives the address up when it stops its workers: held on to, it would take callers whom nobody answers."""

    def terminate_all(self) -> None:
        """Refuse connections from now on, then stop the workers, which finish their calls."""
        for listener in self.sockets:
            listener.close()
        super().terminate_all()


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


def _mind_signals(server: uvicorn.Server) -> None:
    """Keep a clean stop from looking like a crash: uvicorn raises the signal again after it.

    A signal that comes before uvicorn listens ends the process at once; a lost terminal stops it as SIGTERM does.
    """

    def stopped(_signal: int, _frame: FrameType | None) -> None:
        if not server.started:
            raise SystemExit(0)

    def hung_up(_signal: int, frame: FrameType | None) -> None:
        server.handle_exit(signal.SIGTERM, frame)

    signal.signal(signal.SIGTERM, stopped)
    signal.signal(signal.SIGINT, stopped)
    signal.signal(signal.SIGHUP, hung_up)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _leave_at_once(_signal: int, _frame: FrameType | None) -> None:
    """No exception: a source that is being loaded might catch it, or take its time. Nothing is served yet."""
    os._exit(0)


def bind(address: Address) -> socket.socket:
    """Return a listener at an address.

    Raises:
        Unreachable: the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(_BACKLOG)
        listener.set_inheritable(True)
    except OSError as error:
        listener.close()
        hint = "is it being served already? name another port" if error.errno == 98 else "name another address"
        raise Unreachable(f"{address} cannot be bound: {error.strerror}", hint) from None
    return listener


def _address_of(listener: socket.socket, asked: Address) -> Address:
    return Address(host=asked.host, port=listener.getsockname()[1])


def _named(bound: Address) -> str:
    return str(Address(host="127.0.0.1", port=bound.port)) if bound.is_wildcard else str(bound)
