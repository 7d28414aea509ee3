"""The parts of the room channel, made and opened in their order: one way back to clients for all workers of a site."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from msgspec import Struct

from mcpward.config.model import Settings
from mcpward.core.clock import Clock
from mcpward.core.ids import base62
from mcpward.crypto.sealed import SealedToken
from mcpward.messaging.bus.worker_bus import WorkerBus
from mcpward.messaging.client_requests import ClientRequests
from mcpward.messaging.in_flight import InFlight
from mcpward.messaging.resumption.replay import Replays
from mcpward.messaging.session_settings import SessionSettings
from mcpward.messaging.subscriptions.streams import Streams
from mcpward.messaging.used_states import UsedStates
from mcpward.operations.site import Site

_WORKER_NAME: Final = 22
#: A letter of 256 KiB, sealed and in base64.
_LONGEST_LETTER: Final = 400_000


class Channel(Struct, frozen=True):
    """What belongs to one worker. ``worker`` is its name among the others; ``is_alone`` says that there are none."""

    worker: str
    is_alone: bool
    bus: WorkerBus
    questions: ClientRequests
    running: InFlight
    streams: Streams
    settings: SessionSettings
    replays: Replays
    spent: UsedStates


def mailroom_of(site: Site, clock: Clock, *, alone: bool = False) -> WorkerBus:
    """Make the place for letters of one worker, or of a command that writes to workers. It is not started yet."""
    letters = SealedToken(site.ring, "mail", _LONGEST_LETTER)
    return WorkerBus(site.store.mail, letters.seal, letters.open, clock, base62(_WORKER_NAME), alone=alone)


@asynccontextmanager
async def open_channel(site: Site, settings: Settings, clock: Clock, *, alone: bool = True) -> AsyncIterator[Channel]:
    """Open the channel of one worker; at the end all streams are ended, and the last letters sent.

    ``alone`` is False where an earlier generation of workers still runs.
    """
    is_alone = alone and settings.site.workers == 1 and settings.store.url.startswith("sqlite")
    bus = mailroom_of(site, clock, alone=is_alone)
    worker = bus.worker
    channel = Channel(
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
        await channel.settings.start()
        stack.push_async_callback(channel.settings.stop)
        stack.push_async_callback(channel.replays.stop)
        await channel.streams.start()
        stack.push_async_callback(channel.streams.stop)
        yield channel
