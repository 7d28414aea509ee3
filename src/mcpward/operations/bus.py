"""The message bus of a site, as one worker or one command of an operator joins it."""

from typing import Final

from mcpward.core.clock import Clock
from mcpward.core.ids import base62
from mcpward.crypto.sealed import SealedToken
from mcpward.messaging.bus.worker_bus import WorkerBus
from mcpward.operations.site import Site

_WORKER_NAME: Final = 22
#: A message of 256 KiB, sealed and in base64.
_LONGEST: Final = 400_000


def bus_of(site: Site, clock: Clock, *, alone: bool = False) -> WorkerBus:
    """Return the bus for one worker, or for a command that sends messages to workers. It is not started yet."""
    messages = SealedToken(site.ring, "mail", _LONGEST)
    return WorkerBus(site.store.mail, messages.seal, messages.open, clock, base62(_WORKER_NAME), alone=alone)
