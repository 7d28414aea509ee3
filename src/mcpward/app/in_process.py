"""A site without a network: the packages of a worker, joined as they are served, for a caller in the same process.

Every part that judges a call is the real one. There is no listener, and nothing is kept: the record goes nowhere, and
callers are named instead of sending a credential. The caller makes and removes the data folder.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from msgspec import Struct

from mcpward.app.counters import Counters
from mcpward.app.http_policies import open_tool_http
from mcpward.app.oauth import OAuthParts
from mcpward.app.wiring import Wiring
from mcpward.app.worker_messaging import open_messaging
from mcpward.config.model import Settings
from mcpward.core.challenge import Challenge
from mcpward.core.clock import Clock
from mcpward.core.ended_cache import EndedCache
from mcpward.core.errors import Refusal
from mcpward.core.ids import request_id
from mcpward.core.secret import Secret
from mcpward.core.values import Arrival, Principal, Reply, ResponseStream
from mcpward.ingress.discovery import Discovery
from mcpward.operations.known_secrets import Secrets
from mcpward.operations.site import open_site
from mcpward.operations.sources import authors_of
from mcpward.operations.tool_sources import tool_sources_of
from mcpward.pipeline.pipeline import Pipeline
from mcpward.policy.step_up import Demand
from mcpward.sdk.server import Server
from mcpward.tools.run import Runner
from mcpward.tools.tool_source import ToolSource
from mcpward.traffic.row import Row
from mcpward.traffic.sink import Usage
from mcpward.traffic.trail import Traffic
from mcpward.traffic.writer import Writer

_THREADS: Final = 16
_ADDRESS: Final = "127.0.0.1"
#: No header of this name comes from outside: requests of the network are read by ``ingress``, which is not here.
_CALLER: Final = b"in-process-caller"
Report = Callable[[str, str], None]


class NamedCallers:
    """Implements :class:`~mcpward.pipeline.callers.Callers` for callers that the process itself has named."""

    def __init__(self) -> None:
        self._principals: list[Principal] = []

    def add(self, principal: Principal) -> bytes:
        """Let a principal call; returns the mark that its arrivals carry."""
        self._principals.append(principal)
        return b"%d" % (len(self._principals) - 1)

    def recall(self, arrival: Arrival) -> Principal:
        """Return whose mark an arrival carries."""
        return self._principals[int(arrival.headers[_CALLER])]

    establish = recall

    def vouch(self, _arrival: Arrival, _strangers: Any = None) -> Refusal | None:
        """Every body is read."""
        return None

    def is_good(self, _arrival: Arrival, _known: Principal | None = None) -> bool:
        """A named caller stays the same."""
        return True

    def knows_url(self, _server: str, _secret: str) -> bool:
        """There are no secret URLs."""
        return False

    async def close(self) -> None:
        """Nothing is asked in the background."""


class NoRecord:
    """Implements :class:`~mcpward.traffic.sink.RecordSink`, and keeps nothing."""

    async def append(self, _columns: tuple[str, ...], _rows: list[Row]) -> None:
        """Keep none of these rows."""

    async def append_intent(self, _columns: tuple[str, ...], _row: Row) -> None:
        """Do not keep this row."""

    async def prune(self, _before: float) -> object:
        """There is nothing to forget."""
        return None

    async def prune_oldest(self, _chain: str, _rows: int) -> int:
        """There is nothing to forget."""
        return 0

    async def counts(self) -> Mapping[str, int]:
        """Return that there are no rows."""
        return {}

    async def usage(self) -> Usage:
        """Return that nothing is used."""
        return Usage(0, 0)

    async def require_room(self) -> None:
        """There is always room: nothing is written."""

    async def try_write(self) -> None:
        """Nothing is written."""

    async def tend(self) -> None:
        """There is nothing to tend."""


class InProcess(Struct, frozen=True):
    """One server, ready for calls until the block of :func:`open_in_process` ends."""

    server: str
    source: ToolSource
    pipeline: Pipeline
    callers: NamedCallers
    clock: Clock

    async def send(
        self, mark: bytes, body: bytes, headers: Mapping[bytes, bytes], wire: ResponseStream, verb: str = "POST"
    ) -> Reply:
        """Send one request of the caller with that mark through the whole pipeline."""
        arrival = Arrival(
            id=request_id(),
            at=self.clock.now(),
            started=self.clock.monotonic(),
            peer=_ADDRESS,
            bucket=_ADDRESS,
            verb=verb,
            server=self.server,
            headers={**headers, _CALLER: mark},
            body=body,
        )
        return await self.pipeline.serve(arrival, wire)


@asynccontextmanager
async def open_in_process(
    settings: Settings, source: Server, secrets: Mapping[str, Secret], clock: Clock, report: Report
) -> AsyncIterator[InProcess]:
    """Open the one server of ``settings``; its own start runs, and its end when the block ends.

    ``report`` gets the private detail of each failure, by error id.

    Raises:
        Misconfigured: the server cannot be served, as ``mcpward serve`` would report it.
    """
    (name,) = settings.servers
    (registry,) = tool_sources_of(settings, {name: source}).values()
    async with join_in_process(settings, registry, secrets, clock, report) as joined:
        yield joined


@asynccontextmanager
async def join_in_process(
    settings: Settings, source: ToolSource, secrets: Mapping[str, Secret], clock: Clock, report: Report
) -> AsyncIterator[InProcess]:
    """Join the packages around the offer of the one server of ``settings``, whatever its source."""
    name, sources = source.server, {source.server: source}
    hidden = Secrets(settings, {name: secrets})
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(open_site(settings, clock))
        traffic = Traffic(Writer(NoRecord(), clock), clock, hidden.bytes, keep_arguments=False)
        await traffic.writer.start()
        stack.push_async_callback(traffic.writer.stop)
        await stack.enter_async_context(open_tool_http(settings))
        runner = Runner(_THREADS, clock, longest_text=settings.output.max_bytes)
        stack.push_async_callback(runner.close)
        messaging = await stack.enter_async_context(open_messaging(site, settings, clock))
        demands = {name: Demand(Challenge(f"https://{name}.example/.well-known/oauth-protected-resource"))}
        guarded = OAuthParts({}, demands, Discovery({}), {})
        wiring = Wiring(
            settings, clock, site, messaging, Counters(), sources, traffic, runner, hidden, guarded, report
        )  # fmt: skip
        callers = NamedCallers()
        pipeline = wiring.pipeline(callers, EndedCache())
        await stack.enter_async_context(runner.lifespans.open(authors_of(sources), hidden.shown))
        await wiring.tasks.start_keeping()
        stack.push_async_callback(wiring.tasks.stop, 0.0)
        yield InProcess(name, source, pipeline, callers, clock)
