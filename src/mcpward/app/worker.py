"""One worker process: every object of mcpward, made once, opened in order and closed in the opposite one."""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import structlog

from mcpward.app.connections import METRICS_CONNECTIONS, show_connections
from mcpward.app.counters import Counters, open_counters
from mcpward.app.followed_manager import follow_manager
from mcpward.app.followed_secrets import follow_secrets
from mcpward.app.hosts import allowed_hosts, own_origins, spellings
from mcpward.app.http_policies import open_tool_http
from mcpward.app.logs import LogRedaction, set_up
from mcpward.app.metric_snapshots import MetricSnapshots
from mcpward.app.oauth import OAuthParts, client_secrets, exchanges_of, open_oauth
from mcpward.app.operator_calls import BusCalls, OperatorCalls
from mcpward.app.redacted_streams import redacted_streams
from mcpward.app.threads import open_runner
from mcpward.app.usage import Usage
from mcpward.app.wiring import Wiring
from mcpward.app.worker_messaging import WorkerMessaging, open_messaging
from mcpward.config.address import Address
from mcpward.config.endpoint import page_base, prefix_of, served_paths
from mcpward.config.model import Settings
from mcpward.core.clock import SystemClock
from mcpward.core.ended_cache import EndedCache
from mcpward.core.retry import Retry
from mcpward.core.secret import Secret
from mcpward.identity.keys.follower import StoreCaches
from mcpward.identity.keys.key_cache import KeyCache
from mcpward.identity.keys.refresh import Refresher
from mcpward.identity.keys.url_cache import UrlCache
from mcpward.identity.named import NamedCallers
from mcpward.identity.oauth.token_exchange import Exchanges
from mcpward.ingress.acceptor import Acceptor
from mcpward.ingress.advice import Advice
from mcpward.ingress.approval_page import ApprovalPages
from mcpward.ingress.connection import Connection
from mcpward.ingress.discovery import Discovery
from mcpward.ingress.gates import Rules
from mcpward.ingress.handshakes import HandshakePace
from mcpward.ingress.health import Health, Probe
from mcpward.ingress.listener import Listener, Timeouts
from mcpward.ingress.peer import PeerResolver
from mcpward.ingress.routes import Address as Served
from mcpward.ingress.routes import Routes
from mcpward.operations.cross_checks import tell_names
from mcpward.operations.descriptions import tell_descriptions
from mcpward.operations.known_secrets import Secrets
from mcpward.operations.operator_call import ASKING as CALL_ASKING
from mcpward.operations.pinned_offers import pin_offers
from mcpward.operations.secret_manager import open_manager
from mcpward.operations.site import Site, open_site
from mcpward.operations.sources import authors_of, load_sources, source_names
from mcpward.operations.tool_sources import tool_sources_of
from mcpward.operations.usage_question import ASKING as USAGE_ASKING
from mcpward.pipeline.pipeline import Pipeline
from mcpward.sdk.environment import env
from mcpward.tools.pin import Pin, held_of
from mcpward.tools.pin_follower import PinFollower
from mcpward.tools.registry import Registry
from mcpward.tools.run import Runner
from mcpward.traffic.metrics import Metrics
from mcpward.traffic.trail import Traffic
from mcpward.traffic.writer import Writer
from mcpward.vault.store import ByServer
from mcpward.vault.vault_follower import VaultFollower

_log: Final = structlog.get_logger("mcpward")
#: Request bodies held at once by one worker, for all senders: 10,000 connections could hold 40 GB.
_MAX_HELD: Final = 256 * 1024 * 1024
#: How long a connection without an accepted request may be idle. Its next one costs a connection more.
_STRANGER_IDLE_S: Final = 5.0
#: How long an ended connection may take to close, so that the last answer arrives.
LINGER_S: Final = 2.0
#: How long a busy event loop may keep the interpreter from the thread that writes the record, and from sync tools.
_SWITCH_S: Final = 0.001
_COLLECT: Final = (20_000, 20, 50)
_HOUSEKEEPING_S: Final = 1.0


class Worker:
    """Opens to a :class:`Listener` for at most ``connections`` connections at once.

    ``remarks`` is False for one that serves no callers: it does not report probable mistakes in the authors' files.
    ``numbers`` is the folder in which the workers of a site leave their metrics for each other; ``is_alone`` if there
    are no other workers now.
    """

    def __init__(
        self,
        settings: Settings,
        bound: Address,
        supervisor: int | None = None,
        connections: int | None = None,
        *,
        remarks: bool = True,
        numbers: Path | None = None,
        is_alone: bool = True,
    ) -> None:
        self.settings = settings
        self.connections = settings.http.max_connections if connections is None else connections
        self.bound = bound
        self.remarks = remarks
        self.numbers = numbers
        self.is_alone = is_alone
        self.is_leaving = False
        self.longest_s = 0.0
        self.left = asyncio.Event()
        self.supervisor = supervisor
        self.clock = SystemClock()
        self.front: Listener
        self.refresher: Refresher
        self.calls: OperatorCalls
        self.name = ""
        self.serve_metrics: Callable[[socket.socket | None], AbstractAsyncContextManager[None]]
        self.renewal: Callable[[], None] | None = None
        self._messaging: WorkerMessaging
        self._wiring: Wiring
        self._manager: tuple[Probe, ...] = ()
        self._metrics_door: Acceptor | None = None
        self._loop: asyncio.AbstractEventLoop
        self._at_once: asyncio.Event

    def end_at_once(self) -> None:
        """Wait for nothing that runs any more. May be called by a signal handler."""
        self._loop.call_soon_threadsafe(self._at_once.set)

    def set_alone(self, is_alone: bool) -> None:
        """Set whether other workers serve the site now. May be called by another thread."""
        if self.settings.site.workers == 1:
            self._loop.call_soon_threadsafe(self._messaging.bus.set_alone, is_alone)

    def leave(self) -> None:
        """Leave what comes to others: answers and cancellations of calls that run here come by the bus from now on."""
        self.is_leaving = True
        self.front.drain()
        if self._metrics_door is not None:
            self._metrics_door.close()
        self._messaging.bus.ignore(CALL_ASKING, USAGE_ASKING)
        self.left.set()

    async def finish_tasks(self) -> None:
        """Wait for the tasks that run; each has a time limit of its own."""
        await self._wiring.tasks.finish()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Open everything but the metrics' listener; at the end of the block close it, the record last of all.

        Raises:
            Misconfigured: the data, a secret or a source cannot be used.
        """
        settings, clock = self.settings, self.clock
        self._loop, self._at_once = asyncio.get_running_loop(), asyncio.Event()
        redaction = LogRedaction()
        set_up(settings.log, redaction, source_names(settings))
        sys.setswitchinterval(_SWITCH_S)
        async with AsyncExitStack() as stack:
            stack.enter_context(redacted_streams(redaction.text))
            site = await stack.enter_async_context(open_site(settings, clock))
            vault = await self._open_vault(site)
            shown = client_secrets(settings, vault)
            secrets = await self._secrets(site, vault, shown, redaction)
            metrics = Metrics()
            registries = await self._load(stack, site, vault, metrics)
            traffic = self._traffic(site, metrics, secrets)
            guarded = await stack.enter_async_context(open_oauth(settings, self.bound, shown, clock))
            exchanges = self._exchanges(stack, guarded)
            await stack.enter_async_context(open_tool_http(settings))
            longest, authored = settings.output.max_bytes, authors_of(registries)
            runner = await stack.enter_async_context(open_runner(authored, clock, exchanges, metrics, longest))
            messaging = self._messaging = await stack.enter_async_context(
                open_messaging(site, settings, clock, alone=self.is_alone)
            )
            keys, urls, ended = self._caches(site)
            self.refresher = Refresher(
                site.store.reader,
                StoreCaches(keys, urls, ended, messaging.spent.book),
                site.store.keys,
                site.store.sessions,
                clock,
            )
            counters = await stack.enter_async_context(open_counters(settings, clock, site.ring, metrics))
            wiring = self._wiring = Wiring(
                settings,
                clock,
                site,
                messaging,
                counters,
                registries,
                traffic,
                runner,
                secrets,
                guarded,
                _report,
                self.bound,
            )
            pipeline = wiring.pipeline(wiring.identity(keys, urls, self.refresher.look), ended)
            stack.push_async_callback(pipeline.identity.close)
            # Authors' own start and stop: before the first call, and after the last one, tasks among them.
            await stack.enter_async_context(runner.lifespans.open(authored, secrets.shown))
            self.calls = OperatorCalls(pipeline, NamedCallers(keys, urls), registries, clock, self.refresher.look)
            stack.push_async_callback(self._hear_operator(messaging, wiring).aclose)
            await wiring.tasks.start_keeping()
            stack.push_async_callback(self._stop_tasks, wiring)
            numbers = MetricSnapshots(metrics, self.numbers)
            stack.callback(numbers.close)
            health = Health(self._probes(keys, traffic, counters, runner), numbers.page)
            self.front = self._front(metrics, pipeline, health, guarded)
            self.front.on_drain.append(lambda: None if self.is_leaving else messaging.questions.close())
            await traffic.writer.start()
            stack.push_async_callback(traffic.writer.stop)
            await self.refresher.start()
            stack.push_async_callback(self.refresher.stop)
            await self._follow_store(stack, site, vault, registries)
            self.front.start()
            stack.push_async_callback(self.front.stop)
            self.serve_metrics = partial(self._serve_metrics, metrics, pipeline, health)
            await stack.enter_async_context(_every(_HOUSEKEEPING_S, self._look_after(numbers, wiring)))
            _spare_collector()
            yield

    async def _load(self, stack: AsyncExitStack, site: Site, vault: ByServer, metrics: Metrics) -> dict[str, Registry]:
        """Run the sources, with the secrets of the vault and of an external manager in reach.

        What is not approved is held back.
        """
        settings = self.settings
        manager = await stack.enter_async_context(open_manager(settings, self.clock))
        managed = {} if manager is None else manager.present
        registries = tool_sources_of(settings, load_sources(settings, vault, managed))
        self._manager = await stack.enter_async_context(follow_manager(manager, metrics))
        self.longest_s = _longest(settings, registries)
        self._tell_remarks(registries)
        await pin_offers(site, settings, registries, self.clock)
        return registries

    def _tell_remarks(self, registries: Mapping[str, Registry]) -> None:
        if self.remarks and self.settings.site.workers == 1:  # else it was reported when the sources were tried
            tell_names(self.settings, registries)
            tell_descriptions(self.settings, registries)
        env.tell_trimmed(quiet=True)

    async def _open_vault(self, site: Site) -> ByServer:
        await Retry(_tell_unsettled).attempt(site.vault.settle)  # on a full disk it can wait
        return {name: await site.vault.load_all(name) for name in self.settings.servers}

    async def _secrets(
        self, site: Site, vault: ByServer, shown: Mapping[str, Secret], redaction: LogRedaction
    ) -> Secrets:
        secrets = Secrets(self.settings, vault, shown, [*await site.vault.load_kept(), *site.ring.secrets()])
        redaction.redact, redaction.redact_json = secrets.text, secrets.line
        return secrets

    async def _follow_store(
        self, stack: AsyncExitStack, site: Site, vault: ByServer, registries: Mapping[str, Registry]
    ) -> None:
        await self._follow_pins(stack, site, registries)
        reader = site.store.reader()
        stack.push_async_callback(reader.close)
        follower = VaultFollower(reader.vault, site.vault, vault, env.renew, env.take_used, self.clock)
        await follower.start()
        stack.push_async_callback(follower.stop)
        await stack.enter_async_context(follow_secrets())

    async def _follow_pins(self, stack: AsyncExitStack, site: Site, registries: Mapping[str, Registry]) -> None:
        """Take the operator's approvals as they come, if anything can be held back at all."""
        pinned = {name: server.pin for name, server in self.settings.servers.items() if server.pin}
        if not pinned:
            return

        def renew(pins: Mapping[str, Pin]) -> None:
            for name, pin in pinned.items():
                registries[name].hold(held_of(registries[name], pins, pin))

        reader = site.store.reader()
        stack.push_async_callback(reader.close)
        follower = PinFollower(reader.pins, renew)
        await follower.start()
        stack.push_async_callback(follower.stop)

    def _exchanges(self, stack: AsyncExitStack, guarded: OAuthParts) -> Exchanges | None:
        exchanges = exchanges_of(self.settings, guarded, self.clock)
        if exchanges is not None:
            stack.push_async_callback(exchanges.close)
        return exchanges

    def _caches(self, site: Site) -> tuple[KeyCache, UrlCache, EndedCache]:
        keys = KeyCache(site.pepper_keys, self.clock, self.settings.keys.max_age)
        return keys, UrlCache(site.pepper_urls, self.clock), EndedCache()

    def _hear_operator(self, messaging: WorkerMessaging, wiring: Wiring) -> AsyncExitStack:
        """Answer the operator's commands, which come as messages; returns the function that ends that."""
        self.name, ends = messaging.worker, AsyncExitStack()
        ends.push_async_callback(BusCalls(self.calls, messaging.bus, self.clock).close)
        workers = self.settings.site.workers
        ends.push_async_callback(Usage(messaging.bus, wiring.limits, self.clock, self.name, workers).close)
        return ends

    def _traffic(self, site: Site, metrics: Metrics, secrets: Secrets) -> Traffic:
        settings = self.settings.traffic
        writer = Writer(
            site.store.record,
            self.clock,
            batch=settings.batch,
            queue=settings.queue,
            retention_days=settings.retention_days,
            max_size=settings.max_size,
            when_full=settings.when_full,
            metrics=metrics,
        )
        return Traffic(writer, self.clock, secrets.bytes, settings.arguments, secrets.json)

    async def _stop_tasks(self, wiring: Wiring) -> None:
        """Tasks have what the calls in flight have left of the time to stop: together they take no longer.

        Those of a worker that leaves have had their own time.
        """
        if self.is_leaving:
            await wiring.tasks.stop(0.0, self._at_once)
            return
        front: Listener | None = getattr(self, "front", None)  # the start may have failed before there was one
        since = None if front is None else front.draining_since
        spent_s = 0.0 if since is None else self.clock.monotonic() - since
        await wiring.tasks.stop(max(0.0, self.settings.site.drain_s - spent_s), self._at_once)

    def _probes(self, keys: KeyCache, traffic: Traffic, counters: Counters, runner: Runner) -> list[Probe]:
        return [
            Probe("stopping", lambda: self.is_leaving or not (self.front.stopping or self.front.draining)),
            Probe("keys", lambda: not keys.is_stale),
            Probe("record", lambda: traffic.writer.is_recording, needed=not traffic.writer.continues),
            Probe("lifespan", lambda: runner.lifespans.all_run),
            *counters.probes,
            *self._manager,
        ]

    def _front(self, metrics: Metrics, pipeline: Pipeline, health: Health, guarded: OAuthParts) -> Listener:
        settings = self.settings
        served = [
            Served(
                server=one.server,
                path=one.path,
                hosts=spellings(settings.servers[one.server].hosts, settings, self.bound.port),
                unlisted=settings.servers[one.server].mode == "unlisted",
                metadata=one.metadata,
                provider=one.provider,
                url=one.url,
            )
            for one in served_paths(settings, self.bound)
        ]
        routes = Routes(served, prefix=prefix_of(settings), pages=bool(page_base(settings, self.bound)))
        pages = ApprovalPages(self._wiring.approvals, pipeline.refuse, socket.gethostname)
        front = self._front_of(self.bound, routes, pipeline, health, self.connections, guarded.discovery, pages)
        show_connections(metrics, front.table)
        return front

    def _front_of(
        self,
        bound: Address,
        routes: Routes,
        pipeline: Pipeline,
        health: Health,
        connections: int,
        discovery: Discovery | None = None,
        pages: ApprovalPages | None = None,
    ) -> Listener:
        http = self.settings.http
        return Listener(
            rules=Rules(
                hosts=allowed_hosts(self.settings, bound),
                origins=frozenset(origin.lower().encode("ascii") for origin in self.settings.site.allowed_origins),
                max_body=http.max_body,
                max_fields=http.max_headers,
                max_head=http.max_header_bytes,
                own=own_origins(self.settings, bound),
            ),
            routes=routes,
            doorstep=PeerResolver([str(network) for network in self.settings.site.trusted_proxies]),
            patience=Timeouts(
                head_s=http.header_timeout_s,
                body_s=http.body_timeout_s,
                idle_s=http.idle_timeout_s,
                stranger_idle_s=min(http.idle_timeout_s, _STRANGER_IDLE_S),
                write_s=http.body_timeout_s,
                linger_s=LINGER_S,
                quiet_s=http.max_waiting_s,
                keep_alive_s=http.keep_alive_s,
                max_connections=connections,
                max_held=_MAX_HELD,
            ),
            inside=pipeline,
            house=health.answer,
            clock=self.clock,
            discovery=discovery,
            pages=pages,
            advice=Advice(self.clock, self.settings.site.allowed_hosts, self.settings.site.allowed_origins),
            pace=HandshakePace(self.clock) if self.settings.site.tls_cert is not None else None,
        )

    @asynccontextmanager
    async def _serve_metrics(
        self, metrics: Metrics, pipeline: Pipeline, health: Health, listener: socket.socket | None
    ) -> AsyncIterator[None]:
        """Serve ``/metrics`` on an address of its own, through the same listener code with the same gates."""
        if listener is None:
            yield
            return
        asked = self.settings.site.metrics_address
        assert asked is not None  # the listener was bound to it
        address = Address(host=asked.host, port=listener.getsockname()[1])
        front = self._front_of(address, Routes([], metrics=True), pipeline, health, METRICS_CONNECTIONS)
        show_connections(metrics, front.table, "metrics")
        state = SimpleNamespace(tasks=set(), connections=set())

        def accept() -> Connection:
            return Connection(config=None, server_state=state, app_state={"front": front})

        front.start()
        server = self._metrics_door = Acceptor(listener, accept, front.table)
        server.start()
        try:
            yield
        finally:
            server.close()
            for connection in list(state.connections):
                connection.shutdown()
            await front.stop()

    def _look_after(self, numbers: MetricSnapshots, wiring: Wiring) -> Callable[[], None]:
        def keep() -> None:
            wiring.look_after()
            numbers.leave()
            if self.renewal is not None:
                self.renewal()
            if self.supervisor is not None and os.getppid() != self.supervisor:
                # The supervisor was killed: workers that stayed would hold the port against the next start.
                _log.warning("the supervisor has gone: stopping")
                signal.raise_signal(signal.SIGTERM)

        return keep


def _longest(settings: Settings, registries: Mapping[str, Registry]) -> float:
    """Return the seconds that a call may take at most, and those in which what was cut ends."""
    tools = [tool.deadline_s for registry in registries.values() for tool in registry.declared]
    others = [server.limits.deadline_s for server in settings.servers.values()]
    return max([*tools, *others], default=0.0) + settings.site.drain_s


def _spare_collector() -> None:
    """Keep what was made at the start, some hundred thousand objects, from being looked at again and again.

    A request makes no cycles, so there is little to collect; a collection now takes microseconds, and comes seldom.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT)


@asynccontextmanager
async def _every(seconds: float, act: Callable[[], None]) -> AsyncIterator[None]:
    async def run() -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                act()
            except OSError:
                _log.exception("housekeeping failed")

    task = asyncio.get_running_loop().create_task(run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _report(error_id: str, detail: str) -> None:
    _log.error("a call failed", error_id=error_id, detail=detail)


def _tell_unsettled(error: Exception) -> None:
    _log.warning("the vault cannot be changed: what older keys sealed stays so", error=type(error).__name__)
