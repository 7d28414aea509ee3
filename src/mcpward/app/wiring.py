"""The packages that a request passes, made of a site's parts and joined: the request path of one worker."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from mcpward.app.counters import Counters
from mcpward.app.oauth import OAuthParts
from mcpward.app.switches import Switches
from mcpward.app.worker_messaging import WorkerMessaging
from mcpward.config.address import Address
from mcpward.config.endpoint import page_base
from mcpward.config.model import Settings
from mcpward.core.clock import Clock
from mcpward.core.ended_cache import EndedCache
from mcpward.core.jsonio import Bounds
from mcpward.core.values import Call
from mcpward.crypto.sealed import SealedToken
from mcpward.identity.establish import Identity
from mcpward.identity.keys.key_cache import KeyCache
from mcpward.identity.keys.key_lookup import Look
from mcpward.identity.keys.url_cache import UrlCache
from mcpward.identity.mode import Mode
from mcpward.ingress import render
from mcpward.limits.concurrency.slots import CallSlots
from mcpward.limits.rates.charge import Limits
from mcpward.operations.approvals import approvals_of
from mcpward.operations.cross_checks import pools_of
from mcpward.operations.known_secrets import Secrets
from mcpward.operations.site import Site
from mcpward.pipeline.agreement import Agreement
from mcpward.pipeline.call_channel import CallChannels
from mcpward.pipeline.callers import Callers
from mcpward.pipeline.catalogue import Catalogue
from mcpward.pipeline.conversation_taint import Taints
from mcpward.pipeline.elsewhere import Elsewhere
from mcpward.pipeline.execution import Execution
from mcpward.pipeline.listeners import Listeners
from mcpward.pipeline.method_handlers import MethodHandlers
from mcpward.pipeline.pipeline import Pipeline
from mcpward.policy.decide import Policy
from mcpward.policy.server_rules import rules_of
from mcpward.protocol import reply as replies
from mcpward.protocol.methods import ServerInfo
from mcpward.protocol.read import Protocol
from mcpward.protocol.session import Sessions
from mcpward.protocol.state import States
from mcpward.sanitize.clean import Sanitizer
from mcpward.sanitize.screening import Screenings
from mcpward.tasks.tasks import Tasks
from mcpward.tools.package_version import UNVERSIONED
from mcpward.tools.run import Runner
from mcpward.tools.tool_source import ToolSource
from mcpward.traffic.trail import Traffic

Report = Callable[[str, str], None]
_LONGEST_STATE: Final = 65_536
#: A result of the largest size that may be set, sealed and in base64.
_TASK_ROOM: Final = 2

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Wiring:
    """Joins the packages. The worker keeps ``listeners`` and ``tasks`` running."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        site: Site,
        messaging: WorkerMessaging,
        counters: Counters,
        sources: Mapping[str, ToolSource],
        traffic: Traffic,
        runner: Runner,
        secrets: Secrets,
        guarded: OAuthParts,
        report: Report,
        bound: Address | None = None,
    ) -> None:
        self._settings = settings
        self._bound = bound
        self._clock = clock
        self._site = site
        self._messaging = messaging
        self._counters = counters
        self._sources = sources
        self._traffic = traffic
        self._runner = runner
        self._report = report
        self._guarded = guarded
        self._rules = rules_of(settings.servers)
        self._policy = Policy(sources, guarded.demands, self._rules)
        self._sanitizer = Sanitizer(secrets.redactor, settings.output.max_bytes, Screenings(settings.servers))
        self._servers = {name: introduce(source, self._sanitizer) for name, source in sources.items()}
        self.approvals = approvals_of(site, settings, clock)
        self.switches = Switches(sources, messaging.bus, messaging.streams)
        self.tasks = self._tasks()
        self.listeners: Listeners
        self.limits: Limits

    def identity(self, keys: KeyCache, urls: UrlCache, look: Look) -> Identity:
        """Return what judges the credentials of requests from outside. ``look`` reads the store of keys anew."""
        servers = self._settings.servers
        return Identity(
            {name: [Mode(mode) for mode in server.modes] for name, server in servers.items()},
            keys,
            urls,
            {name: server.keyless_access for name, server in servers.items()},
            self._guarded.bearers,
            look,
        )

    def pipeline(self, identity: Callers, ended: EndedCache) -> Pipeline:
        """Return the handler of a request. ``identity`` establishes its caller."""
        settings, clock, messaging = self._settings, self._clock, self._messaging
        elsewhere = Elsewhere(self.approvals, self._sanitizer, page_base(settings, self._bound))
        sessions = Sessions(self._site.sessions.seal, self._site.sessions.open, ended, clock)
        sealed = SealedToken(self._site.ring, "mcp states", _LONGEST_STATE)
        states = States(sealed.seal, sealed.open, clock)
        bounds = Bounds(depth=settings.http.json_depth, members=settings.http.json_members)
        protocol = Protocol(self._servers, sessions, states, bounds)
        rates = {name: server.limits for name, server in settings.servers.items()}
        limits = self.limits = Limits(
            settings.limits,
            rates,
            clock,
            budgets={name: table.budget(name) for name, table in settings.budgets.items()},
            workers=settings.site.workers,
            common=self._counters.common,
            digest=self._counters.digest,
        )
        slots = CallSlots(
            rates,
            pools_of(settings, self._sources),
            settings.site.workers,
            settings.limits.fallback_share,
            self._counters.slots,
            on_store_failure=settings.limits.on_store_failure,
        )
        self._counters.on_change.append(slots.notice)
        self.listeners = self._listeners(identity, ended)
        return Pipeline(
            identity=identity,
            protocol=protocol,
            policy=self._policy,
            limits=limits,
            slots=slots,
            execution=Execution(
                runner=self._runner,
                catalogue=Catalogue(self._sources, self._policy, self._runner, self._sanitizer),
                sanitizer=self._sanitizer,
                slots=slots,
                tasks=self.tasks,
                states=states,
                spent=messaging.spent,
                agreement=Agreement(self._runner, self._sanitizer, elsewhere, self._rules, clock),
                taints=self._taints(),
            ),
            handlers=MethodHandlers(
                protocol=protocol,
                questions=messaging.questions,
                running=messaging.running,
                settings=messaging.settings,
                listeners=self.listeners,
                tasks=self.tasks,
                end_session=self._end_session,
            ),
            channels=CallChannels(
                self._sanitizer,
                messaging.questions,
                messaging.replays,
                messaging.running,
                states,
                messaging.settings.level,
            ),
            sanitizer=self._sanitizer,
            traffic=self._traffic,
            render=render.refusal,
            report=self._report,
        )

    def _taints(self) -> Taints:
        windows = {name: server.taint for name, server in self._settings.servers.items() if server.taint is not None}
        return Taints(self._site.store.taints, windows, [*self._sources], self._clock)

    def look_after(self) -> None:
        """Do the work of each second: end streams whose callers lost their right, and drop unfetched buffers."""
        self.listeners.check()
        self._messaging.replays.prune()

    def _tasks(self) -> Tasks:
        messaging, settings = self._messaging, self._settings
        sealed = SealedToken(self._site.ring, "tasks", _TASK_ROOM * settings.output.max_bytes + _LONGEST_STATE)
        return Tasks(
            self._site.store.tasks,
            sealed.seal,
            sealed.open,
            self._clock,
            messaging.worker,
            mail=messaging.bus,
            publish=messaging.streams.publish,
            clean=self._sanitizer.notification,
            refuse=replies.refusal,
            report=self._report,
            allowed=self._may_use,
            alone=messaging.is_alone,
        )

    def _listeners(self, identity: Callers, ended: EndedCache) -> Listeners:
        def is_good(call: Call) -> bool:
            return identity.is_good(call.arrival, call.principal) and (
                call.session is None or not ended.has(call.session)
            )

        return Listeners(
            servers=self._servers,
            sources=self._sources,
            policy=self._policy,
            streams=self._messaging.streams,
            settings=self._messaging.settings,
            replays=self._messaging.replays,
            tasks=self.tasks,
            sanitizer=self._sanitizer,
            is_good=is_good,
        )

    def _may_use(self, call: Call, tool: str) -> bool:
        known = self._sources[call.arrival.server].find(tool)
        return known is not None and self._policy.decide(call.principal, known).allowed

    async def _end_session(self, session: str, forget_at: float) -> None:
        await self._site.store.sessions.end(session, forget_at)
        await self._messaging.settings.forget(session)


def introduce(source: ToolSource, sanitizer: Sanitizer) -> ServerInfo:
    """Return a server's description, as it may leave: its author may have pasted more than is seen."""
    own = source.introduction
    blocks = {"icons": own.icons, "extensions": own.extensions}
    clean = _decode(sanitizer.frame(_encode(blocks)) or b"{}")
    return ServerInfo(
        name=sanitizer.text(own.name),
        version=sanitizer.text(own.version) or UNVERSIONED,
        title=sanitizer.text(own.title),
        instructions=sanitizer.text(own.instructions),
        website_url=sanitizer.text(own.website_url),
        icons=tuple(clean.get("icons", ())),
        extensions=clean.get("extensions", {}),
        has_resources=source.has_resources,
        has_prompts=source.has_prompts,
        has_tools=source.has_tools,
        has_completions=source.has_completions,
        has_tasks=source.has_tasks,
        has_changes=True,
    )
