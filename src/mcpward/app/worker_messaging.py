"""The parts of the package messaging, opened in their order: one channel back to clients for all workers of a site."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from msgspec import Struct

from mcpward.config.model import Settings
from mcpward.core.clock import Clock
from mcpward.messaging.bus.worker_bus import WorkerBus
from mcpward.messaging.client_requests import ClientRequests
from mcpward.messaging.in_flight import InFlight
from mcpward.messaging.resumption.replay import Replays
from mcpward.messaging.session_settings import SessionSettings
from mcpward.messaging.subscriptions.streams import Streams
from mcpward.messaging.used_states import UsedStates
from mcpward.operations.bus import bus_of
from mcpward.operations.site import Site


class WorkerMessaging(Struct, frozen=True):
    """The messaging parts of one worker. ``worker`` is its name among the others; ``is_alone`` if there are none."""

    worker: str
    is_alone: bool
    bus: WorkerBus
    questions: ClientRequests
    running: InFlight
    streams: Streams
    settings: SessionSettings
    replays: Replays
    spent: UsedStates


@asynccontextmanager
async def open_messaging(
    site: Site, settings: Settings, clock: Clock, *, alone: bool = True
) -> AsyncIterator[WorkerMessaging]:
    """Open the messaging of one worker; at the end all streams are ended, and the last messages sent.

    ``alone`` is False if an earlier generation of workers still runs.
    """
    is_alone = alone and settings.site.workers == 1 and settings.store.url.startswith("sqlite")
    bus = bus_of(site, clock, alone=is_alone)
    worker = bus.worker
    messaging = WorkerMessaging(
        worker=worker,
        is_alone=is_alone,
        bus=bus,
        questions=ClientRequests(bus, clock),
        running=InFlight(bus),
        streams=Streams(bus, per_caller=settings.limits.streams),
        settings=SessionSettings(site.store.settings, clock),
        replays=Replays(bus, clock, worker),
        spent=UsedStates(site.store.spent, clock),
    )
    async with AsyncExitStack() as stack:
        await bus.start()
        stack.push_async_callback(bus.stop)
        await messaging.settings.start()
        stack.push_async_callback(messaging.settings.stop)
        stack.push_async_callback(messaging.replays.stop)
        await messaging.streams.start()
        stack.push_async_callback(messaging.streams.stop)
        yield messaging
