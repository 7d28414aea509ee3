"""Serves until stopped: binds the addresses, announces them, runs one process or several."""

import asyncio
import gc
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from math import ceil
from types import FrameType
from typing import Final

import structlog
import uvicorn
from msgspec import Struct

from mcpward.app.core_dumps import forbid_core_dumps
from mcpward.app.generation import Generation
from mcpward.app.inherited import READY, Inherited
from mcpward.app.lifespan import Lifespan, Opened
from mcpward.app.listeners import bind, bind_metrics
from mcpward.app.logs import LogRedaction, set_up
from mcpward.app.metric_snapshots import clear
from mcpward.app.oauth import client_secrets, open_oauth
from mcpward.app.reloading import Reloading
from mcpward.app.running_site import SiteFiles, held
from mcpward.app.stopping import Server
from mcpward.app.supervisor import Supervisor
from mcpward.app.worker_control import WorkerControl
from mcpward.app.worker_process import WorkerProcess
from mcpward.config.address import Address
from mcpward.config.model import Settings
from mcpward.core.clock import SystemClock
from mcpward.ingress.connection import Connection
from mcpward.operations.counters_url import counters_url
from mcpward.operations.cross_checks import tell_names
from mcpward.operations.descriptions import tell_descriptions
from mcpward.operations.secret_manager import read_manager
from mcpward.operations.settings_act import source_digests
from mcpward.operations.site import open_site
from mcpward.operations.sources import load_sources, source_names
from mcpward.operations.tool_sources import tool_sources_of

_log: Final = structlog.get_logger("mcpward")
_BACKLOG: Final = 2048


class Announcement(Struct, frozen=True):
    """The site's addresses once they are bound: ``base`` is what clients prefix to a server's path.

    ``metrics_asked`` is another address than ``metrics`` if that one was taken.
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


class Serving(Struct, frozen=True):
    """The parts that ``mcpward serve`` supplies: its settings anew, the first credentials, and notes for the record.

    ``prepare`` makes the first credentials, and returns the function that announces them; that is called once the site
    takes connections. ``settle`` returns the settings as files, environment and words have them now. ``note`` records
    which are in force after a reload.
    """

    prepare: Callable[[Announcement], Callable[[], None]]
    settle: Callable[[], Settings]
    note: Callable[[Settings], None]


def run(settings: Settings, serving: Serving, inherited: Inherited | None = None) -> int:
    """Serve until SIGTERM or SIGINT, then finish the calls in flight. Returns the exit code.

    ``inherited`` has listeners that are bound already, and gets a report when the start is over.

    Raises:
        Misconfigured: a server's source cannot be loaded.
        Unreachable: an address cannot be bound.
    """
    forbid_core_dumps()
    set_up(settings.log, LogRedaction(), source_names(settings))
    if inherited is not None:
        inherited.require_same_addresses(settings)
        return _run_inherited(settings, serving, inherited)
    for number in (signal.SIGTERM, signal.SIGINT):  # until the supervisor takes them
        signal.signal(number, _leave)
    listener = bind(settings.site.address)
    metrics: socket.socket | None = None
    try:
        metrics = bind_metrics(settings.site)
        with _files_of(settings) as files:
            return _Site(settings, serving, listener, metrics, files).run()
    finally:
        listener.close()
        if metrics is not None:
            metrics.close()


def _run_inherited(settings: Settings, serving: Serving, inherited: Inherited) -> int:
    """Serve in this process, one version of ``--reload``."""
    announcement = _announcement(settings, inherited.listener, inherited.metrics)

    def opened() -> Callable[[], None]:
        tell = serving.prepare(announcement) if inherited.is_first else None

        def told() -> None:
            if tell is not None:
                tell()
            inherited.report(READY)

        return told

    bound = announcement.bound
    lifespan = Lifespan(settings, bound, inherited.listener, inherited.metrics, inherited.parent, opened)
    server = Server(_configure(settings, lifespan), settings.site.shutdown_delay_s)
    _mind_signals(server)
    try:
        server.run([inherited.listener])
    except SystemExit:  # uvicorn's sign that the lifespan did not start
        if lifespan.failure is None:
            raise
        raise lifespan.failure from None
    return 0


@contextmanager
def _files_of(settings: Settings) -> Iterator[SiteFiles | None]:
    """Hold the lock by which ``mcpward reload`` finds this site; None if the data folder takes no file.

    Opening the data reports what is wrong with the folder.
    """
    with ExitStack() as stack:
        try:
            files = stack.enter_context(held(settings.site.data))
            clear(files.metrics)
        except OSError as error:
            _log.warning("mcpward reload cannot find this site", file=str(settings.site.data), why=error.strerror)
            files = None
        yield files


class _Site:
    """Makes the workers of a site, the first generation and those of reloads."""

    def __init__(
        self,
        settings: Settings,
        serving: Serving,
        listener: socket.socket,
        metrics: socket.socket | None,
        files: SiteFiles | None,
    ) -> None:
        self._settings = settings
        self._serving = serving
        self._listener = listener
        self._metrics = metrics
        self._files = files
        self._announcement = _announcement(settings, listener, metrics)
        self._supervisor = os.getpid()

    def run(self) -> int:
        is_one = self._settings.site.workers == 1
        reloading = Reloading(self._serving.settle, self._try, self._next, self._serving.note, self._files)
        trial = None if is_one else self._try_and_prepare
        supervisor = Supervisor(trial, self._first, reloading, self._files, self._release)
        gc.freeze()  # pages that no collection writes to are shared with the workers
        return supervisor.run()

    def _first(self) -> Generation:
        opened = self._opened if self._settings.site.workers == 1 else None  # else the trial has prepared it
        return self._generation(self._settings, opened)

    def _next(self, settings: Settings) -> Generation:
        set_up(settings.log, LogRedaction(), source_names(settings))
        return self._generation(settings, None, is_alone=False)

    def _opened(self) -> Callable[[], None]:
        return self._serving.prepare(self._announcement)

    def _try(self, settings: Settings) -> None:
        asyncio.run(_try(settings, self._announcement.bound))

    def _try_and_prepare(self) -> Callable[[], None]:
        self._try(self._settings)
        return self._serving.prepare(self._announcement)

    def _release(self) -> None:
        self._listener.close()
        if self._metrics is not None:
            self._metrics.close()

    def _generation(self, settings: Settings, opened: Opened | None, *, is_alone: bool = True) -> Generation:
        is_only = settings.site.workers == 1
        begun = 0

        def make(_number: int) -> WorkerProcess:
            nonlocal begun
            begun += 1
            first = opened if begun == 1 else None  # one that replaces it hands nothing over
            alone = is_alone and begun == 1
            serve = partial(self._server, settings, first, is_alone=alone)
            return WorkerProcess(serve, is_only=is_only, is_alone=alone)

        return Generation(settings, source_digests(settings), make)

    def _server(self, settings: Settings, opened: Opened | None, control: WorkerControl, *, is_alone: bool) -> Server:
        """Make the server of a worker, in its own process."""
        lifespan = Lifespan(
            settings,
            self._announcement.bound,
            self._listener,
            self._metrics,
            self._supervisor,
            opened,
            control=control,
            numbers=None if self._files is None else self._files.metrics,
            is_alone=is_alone,
        )
        server = Server(_configure(settings, lifespan), settings.site.shutdown_delay_s, has_supervisor=True)
        lifespan.is_stopped = lambda: server.should_exit
        return server


async def _try(settings: Settings, bound: Address) -> None:
    counters_url(settings)
    async with open_site(settings) as site:
        vault = {name: await site.vault.load_all(name) for name in settings.servers}
    managed = await read_manager(settings, SystemClock())
    sources = tool_sources_of(settings, load_sources(settings, vault, managed))
    tell_names(settings, sources)
    tell_descriptions(settings, sources)
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


def _address_of(listener: socket.socket, asked: Address) -> Address:
    return Address(host=asked.host, port=listener.getsockname()[1])


def _named(bound: Address) -> str:
    return str(Address(host="127.0.0.1", port=bound.port)) if bound.is_wildcard else str(bound)
